"""One WebSocket of an SDK: bytes to messages and back, as uvicorn's protocol for ``/stream/v1``.

uvicorn hands over the transport and the upgrade request, replayed as bytes, and from then on this
object is the transport's protocol. It has no task, no timer and no queue: what it was sent is a
position (its session), and time reaches it through the wheel's visits.

Life: upgrade request -> 101 -> key found in its environment -> hello -> frames -> closing -> gone.
A key is refused only after the handshake, with a close code, because WebSocket clients do not show
their caller the body of a failed upgrade.

A client that does not read is not read from either: so it cannot make this side pile up answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from typing import TYPE_CHECKING, Any, cast

import structlog
from halyard_protocol.close_codes import CloseCode
from halyard_protocol.context import InvalidContext
from halyard_protocol.messages import (
    Error,
    Exposures,
    Hello,
    Identify,
    MalformedMessage,
    Track,
    UnknownMessage,
    decode_client_message,
    encode_message,
)
from halyard_protocol.session.frames import PLAIN
from halyard_protocol.session.server import ServerSession, State
from halyard_protocol.session.values_server import ValuesSession
from websockets.frames import Frame, Opcode
from websockets.protocol import CONNECTING, OPEN

from streaming.framing import PING, text_frame
from streaming.handshake import Wire, presented_key, read_head, respond
from streaming.intake import LARGE_BYTES
from streaming.keys import is_client_key
from streaming.settings import HELLO_FRAMES

if TYPE_CHECKING:
    from streaming.environment import Environment
    from streaming.gateway import Gateway
    from streaming.upstream.allowance import Allowance

_LONGEST_REASON_BYTES = 123
"""RFC 6455, section 5.5: a control frame carries 125 bytes, of which the code takes two."""

_UNANSWERED = 2
"""A client that has let so many pings pass in silence is gone. Pings are counted, not seconds: when
it was this process that stood still, nobody else is to blame."""

_PIECE_BYTES = 4 * 1024
"""What is parsed before frames are counted: a quarter of a megabyte may come as one, and hold forty
thousand of them."""
_DEFLATED_PIECE_BYTES = 256
"""The same: two of the smallest frames that inflate to as much as a message may have."""
_LIGHT_BYTES = 1024
"""What has come alone, and is no more, is read at once whatever others send: hellos and pongs."""
_DEFLATED_LIGHT_BYTES = 16

log = structlog.get_logger("halyard.stream")


class Connection(asyncio.Protocol):
    """One client's connection.

    Attributes:
        session: its position in the stream; ended when the connection begins to close.
        transport: None before and after the connection's life.
        environment: set while its key is live there.
        document_key: under which the ruleset has its key; empty before the handshake.
        origin: of the page that it comes from; None where it is no page.
    """

    __slots__ = (
        "_allowance",
        "_credit",
        "_deadline_s",
        "_fragments",
        "_gateway",
        "_members",
        "_stalled",
        "_unanswered",
        "_wire",
        "document_key",
        "environment",
        "origin",
        "session",
        "transport",
    )

    def __init__(self, gateway: Gateway, members: set[Any]) -> None:
        self.session = ServerSession()
        self.transport: asyncio.Transport | None = None
        self.environment: Environment | None = None
        self.document_key = ""
        self.origin: str | None = None
        self._gateway = gateway
        self._members = members
        """The server's own set of connections, which it shuts down at its end."""
        self._wire = Wire(gateway.settings.max_frame_bytes)
        self._fragments: bytearray | None = None
        """The beginning of a message of which more frames are to come."""
        self._credit = gateway.settings.frames_per_heartbeat
        """How many frames the client may still send before the next visit; negative for good where
        it sent too many: nothing more is read."""
        self._unanswered = 0
        """Pings since anything was last heard of the client."""
        self._deadline_s = math.inf
        """By when the hello, or the client's answer to a close, is due."""
        self._stalled: tuple[float, int, float] | None = None
        """Since when nothing has moved, how many bytes are waiting, and since when any were."""
        self._allowance: Allowance | None = None
        """For what the client tells; made when it does so first."""

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a transport."""
        self.transport = cast("asyncio.Transport", transport)
        self._members.add(self)
        settings = self._gateway.settings
        self.transport.set_write_buffer_limits(high=settings.write_high_water_bytes)
        with contextlib.suppress(OSError, AttributeError):  # a unix socket, another platform
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, settings.unsent_low_water_bytes
            )

    def data_received(self, data: bytes) -> None:
        """Read frames, or the upgrade request."""
        self._unanswered = 0
        self._gateway.counters.bytes_received += len(data)
        self._take(data)
        if len(data) >= LARGE_BYTES:
            self._read_on_in_turn()

    def _take(self, data: bytes) -> None:
        try:
            if self._wire.state is CONNECTING:
                self._open(data)
            else:
                self._read(data)
            self._flush()
            self._gateway.intake.lacks(self, self._wire.unfinished + len(self._fragments or b""))
        except Exception:  # one of the three borders: one connection's failure stays its own
            log.exception("connection failed", environment=self._environment_id)
            self.close(CloseCode.INTERNAL, "internal error")
            if self._wire.state is CONNECTING:
                self.cut()

    def eof_received(self) -> None:
        """The client will send no more; the transport closes itself."""
        self._wire.receive_eof()

    def pause_writing(self) -> None:
        """The transport's buffer is over its high-water mark: this client is behind."""
        self.session.writable = False
        self._gateway.counters.behind += 1
        if self.transport is not None and not self.transport.is_closing():
            now_s = self._gateway.now_s()
            self._stalled = (now_s, self.transport.get_write_buffer_size(), now_s)
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The buffer was drained: bring the client to the head with one frame."""
        self.session.writable = True
        self._gateway.counters.behind -= 1
        self._stalled = None
        if self.transport is None or self.transport.is_closing():
            return
        self.read_on()
        self._gateway.admission.drained(self)
        if self.environment is not None and self._wire.state is OPEN:
            self.environment.drained(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The transport is gone."""
        self.transport = None
        self._wire.end()
        if not self.session.writable:
            self._gateway.counters.behind -= 1
        self._members.discard(self)
        self._gateway.gone(self)

    # --- called by the server and its rooms

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self.transport is not None and self._wire.state is OPEN

    def read_on(self) -> None:
        """Read from the client again, unless something else is in the way of that."""
        if not self._reads:
            return
        rest = self._gateway.intake.take(self)
        if rest:
            self._take(rest)
        if self.transport is not None and self._reads:
            self.transport.resume_reading()

    @property
    def _reads(self) -> bool:
        """Whether the client should be read from now, as far as it depends on this side."""
        if self.transport is None or self.transport.is_closing() or self._credit < 0:
            return False
        return self.session.writable and self not in self._gateway.intake

    def shutdown(self) -> None:
        """End now, because the server does; called by uvicorn for each registered connection."""
        if self.transport is None:
            return
        self.close(CloseCode.GOING_AWAY, "the server is going away")
        if self.session.writable:
            self.transport.close()
        else:
            self.transport.abort()

    def send(self, frame: bytes) -> None:
        """Write a frame of the session, which has not ended; it may be shared with others."""
        if self.transport is not None:
            self.transport.write(frame)
            self._gateway.counters.bytes_sent += len(frame)

    def cut(self) -> None:
        """End now, without a word."""
        transport, self.transport = self.transport, None
        if transport is not None:
            self._gateway.counters.cut += 1
            self._gateway.left(self)
            # The transport says that it is gone in another turn of the loop: thousands may be cut.
            self._wire.end()
            self._fragments = None
            transport.abort()

    def close(self, code: CloseCode, reason: str) -> None:
        """Say why, and close; the client has a few seconds to answer."""
        if self.transport is None or self._wire.state is not OPEN:
            return
        self._gateway.counters.closes[code] += 1
        self._gateway.left(self)
        text = reason.encode()[:_LONGEST_REASON_BYTES].decode(errors="ignore")
        self._wire.send_close(code, text)
        self._begin_closing()
        self._flush()

    def visit(self, now_s: float) -> float | None:
        """What the time requires; answers in how many seconds to come again."""
        if self.transport is None:
            return None
        if now_s >= self._deadline_s:
            self._overdue()
        elif not self.session.writable:
            self._watch_stall(now_s)
        elif self._unanswered >= _UNANSWERED:
            # It may have stopped reading, with room in the kernel's buffers for all that was sent:
            # then it finds this when it goes on.
            self.close(CloseCode.TOO_SLOW, "pings were not answered")
        elif self._wire.state is OPEN:
            self._beat()
        return self._next_visit_s(now_s)

    # --- time

    def _overdue(self) -> None:
        if self._wire.state is OPEN:
            self.close(CloseCode.TOO_SLOW, "no hello in time")
        else:
            self.cut()

    def _watch_stall(self, now_s: float) -> None:
        assert self.transport is not None  # noqa: S101
        waiting = self.transport.get_write_buffer_size()
        settings = self._gateway.settings
        moved_s, before, since_s = self._stalled or (now_s, waiting + 1, now_s)
        if now_s - since_s >= settings.behind_s:
            self.close(CloseCode.TOO_SLOW, "read too slowly for too long")
        elif waiting < before:
            self._stalled = (now_s, waiting, since_s)
        elif now_s - moved_s >= settings.stall_s:
            self.close(CloseCode.TOO_SLOW, "nothing was read for too long")

    def _beat(self) -> None:
        assert self.transport is not None  # noqa: S101
        self._unanswered += 1
        self._credit = self._gateway.settings.frames_per_heartbeat
        environment = self.environment
        heartbeat = None if environment is None else self.session.heartbeat(environment.feed)
        counters, frame = self._gateway.counters, PING
        counters.pings += 1
        if heartbeat is not None:
            counters.heartbeats += 1
            frame += heartbeat
        self.send(frame)

    def _next_visit_s(self, now_s: float) -> float | None:
        if self.transport is None:
            return None
        settings = self._gateway.settings
        period_s = settings.heartbeat_s if self.session.writable else settings.stall_s / 4
        return min(period_s, max(0.0, self._deadline_s - now_s))

    def _begin_closing(self) -> None:
        closing_s = self._gateway.settings.closing_s
        self._deadline_s = self._gateway.now_s() + closing_s
        self._gateway.wheel.enter(self, closing_s)

    # --- bytes and frames

    def _read_on_in_turn(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._gateway.intake.enter(self)

    def _read(self, data: bytes) -> None:
        intake = self._gateway.intake
        size, light = (_PIECE_BYTES, _LIGHT_BYTES)
        if self.session.wire != PLAIN:
            size, light = (_DEFLATED_PIECE_BYTES, _DEFLATED_LIGHT_BYTES)
        for start in range(0, len(data), size):
            if self._credit < 0:
                return
            if intake.exhausted and len(data) > light:
                self._put_off(data[start:])
                return
            self._wire.receive_data(data[start : start + size])
            for event in self._wire.events_received():
                self._heard(event)

    def _put_off(self, rest: bytes) -> None:
        if self._gateway.intake.keep(self, rest):
            self._read_on_in_turn()
        else:
            self._spend(self._gateway.settings.frames_per_heartbeat + 1)

    def _weigh(self, payload: bytes) -> None:
        """Count what a message takes to be read, which can be much more than its frames."""
        weight = len(payload) // 1024
        if weight:
            self._gateway.intake.weighed(weight)
            if self.environment is None or is_client_key(self.document_key):
                self._spend(weight)

    def _spend(self, frames: int) -> None:
        """Count what the client sent; too much of it is not even read."""
        self._credit -= frames
        if self._credit < 0 and self.transport is not None:
            self.close(CloseCode.LIMIT, "too many messages")
            self.transport.pause_reading()

    def _flush(self) -> None:
        """Write what the WebSocket protocol itself has to say: handshake, pongs, closes."""
        for data in self._wire.data_to_send():
            if self.transport is None or self.transport.is_closing():
                return
            if data:
                self.send(data)
            else:
                self._end_of_stream(self.transport)

    def _end_of_stream(self, transport: asyncio.Transport) -> None:
        """Close after what was written. Cutting at once would lose the close frame.

        With unread bytes in the socket a close becomes a reset, which may overtake the frame that
        says why. So where the client has not closed yet, its bytes are read and ignored for a
        while.
        """
        self._gateway.left(self)
        if self._wire.close_rcvd is None and transport.can_write_eof():
            transport.write_eof()
            self._begin_closing()
        else:
            transport.close()

    def _heard(self, event: object) -> None:
        self._spend(1)
        match event:
            case Frame(opcode=Opcode.TEXT | Opcode.CONT):
                self._fragment(event)
            case Frame(opcode=Opcode.BINARY):
                self.close(CloseCode.BAD_MESSAGE, "binary frame: messages are JSON text")
            case _:
                pass  # pings, pongs and closes were dealt with by the protocol

    def _fragment(self, frame: Frame) -> None:
        if frame.fin and self._fragments is None:
            self._message(bytes(frame.data))
            return
        fragments, self._fragments = self._fragments or bytearray(), None
        fragments += frame.data
        if frame.fin:
            self._message(bytes(fragments))
        else:
            self._fragments = fragments

    def _message(self, payload: bytes) -> None:
        # Not the wire's state: a close that came with the same bytes has changed that already, but
        # what the client said before it counts.
        self._weigh(payload)
        if self.session.state is State.ENDED:
            return
        try:
            message = decode_client_message(payload)
        except MalformedMessage as error:
            self.close(CloseCode.BAD_MESSAGE, str(error))
            return
        match message:
            case Hello():
                self._spend(HELLO_FRAMES - 1)
                if self._wire.state is OPEN:
                    self._hello(message)
            case Identify():
                self._spend(HELLO_FRAMES - 1)
                if self._wire.state is OPEN:
                    self._identify(message)
            case Track() | Exposures():
                self._told(message)
            case UnknownMessage():
                pass  # of a later protocol; both sides ignore what they do not know

    def _hello(self, hello: Hello) -> None:
        self._deadline_s = math.inf
        if isinstance(self.session, ValuesSession):
            self._say_who(self.session, hello)
            return
        self.session.hello(hello.resume)
        if self.environment is not None:
            self.environment.answer(self)

    def _identify(self, identify: Identify) -> None:
        session = self.session
        if not isinstance(session, ValuesSession):
            self.close(CloseCode.FORBIDDEN, "identify is for client keys")
        elif self._deadline_s < math.inf:
            self.close(CloseCode.BAD_MESSAGE, "identify came before hello")
        else:
            self._say_who(session, identify)

    def _say_who(self, session: ValuesSession, message: Hello | Identify) -> None:
        try:
            if isinstance(message, Hello):
                session.introduce(message)
            else:
                session.identify(message)
        except InvalidContext as error:
            problem = f"context{error.field}: {error.reason}"
            self.send(text_frame([encode_message(Error("INVALID_CONTEXT", problem, fatal=True))]))
            self.close(CloseCode.BAD_MESSAGE, problem)
            return
        if self.environment is not None:
            self._gateway.upstream.sample(self.environment.id, message.context)
            self.environment.browsers.heard(session)

    def _told(self, message: Track | Exposures) -> None:
        """Have it added up. What came before the key was judged is nobody's."""
        upstream = self._gateway.upstream
        if self.environment is None:
            upstream.refuse(message)
            return
        if self._allowance is None:
            self._allowance = upstream.allowance(public=is_client_key(self.document_key))
        if not upstream.receive(self.environment, self._allowance, message):
            self.close(CloseCode.LIMIT, "far more exposures and events than one SDK may send")

    # --- the handshake

    def _open(self, head: bytes) -> None:
        if self._wire.eof_sent:
            return  # refused, and still sending
        gateway, request = self._gateway, read_head(head)
        self._wire.send_response(respond(self._wire, request))
        self._flush()
        if self._wire.state is not OPEN:
            gateway.counters.refused += 1
            return
        self.session.wire = self._wire.wire_format
        self._deadline_s = gateway.now_s() + gateway.settings.hello_timeout_s
        self.origin = next(iter(request.headers.get_all("Origin")), None)
        gateway.joined(self, presented_key(request))

    @property
    def _environment_id(self) -> str | None:
        return None if self.environment is None else self.environment.id
