"""Streams of server-sent events that tell of changes, and of nothing else.

Each is one request whose answer goes on. It has no task of its own but the request's, no queue and
no timer but the one that the wait itself has: a change brings the wait's deadline forward, and what
is then told is where the environment is by then. So a burst of changes is one event, and a slow
reader costs what a quick one does.

An event's id is the position that it tells of. A client that names one gets an event at once where
the environment has moved on, and none where it has not. One that names none gets an event at once:
what it read before the stream was there may be older than anything that the stream would tell.

Life of a stream: until the peer has gone, its key is dead or no longer for its page's origin, or
this process drains. Otherwise it is
never ended, for every end makes a client doubt what it has.

Format: WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

from halyard_protocol.codec import encode
from halyard_protocol.session.feed import EpochOrder, epoch_order
from starlette.types import Receive

from server.http.stream_wait import StreamWait
from streaming.serving import ServedEnvironment

EVENT_STREAM = b"text/event-stream"

HEARTBEAT = b":\n\n"
"""A comment: proxies see that the connection is used, and a dead peer is noticed."""
HEARTBEAT_S = 15.0
INTERVAL_S = 0.5
"""From one event of a stream to the next, at least; the first after a silence is not delayed."""
SPREAD_S = 0.3
"""Over how long the events of many streams are spread at most, for each is a request to come."""
SPREAD_PER_STREAM_S = 0.0001
RETRY_MS = 1_000
"""After how long a client whose stream broke opens another."""

ENDING_S = 5.0
"""Over how long the ends of streams are spread at most: a server that stops waits no longer."""

MAX_STREAMS = 8_000
"""Of one process: each takes 17 KB, and a descriptor, of which connections of SDKs need more."""
MAX_STREAMS_OF_KEY = 4_000
"""A client key is that of a whole site, so this only keeps one from shutting out all others."""

_GOLDEN_RATIO = 0.618_033_988_75

Position: TypeAlias = tuple[EpochOrder, int]
"""Where an environment is: of two, the greater is the later."""

NOWHERE: Position = ((-1, -1), 0)

Tell: TypeAlias = Callable[[ServedEnvironment], bytes]
"""The data of an event about an environment, without line breaks."""


def read_position(event_id: str) -> Position:
    """The position in an event's id or a tag; :data:`NOWHERE` for anything else."""
    epoch, _, changed = event_id.rpartition("-")
    if not (changed.isascii() and changed.isdigit() and len(changed) <= 18):
        return NOWHERE
    order = epoch_order(epoch)
    return (order, int(changed)) if order > NOWHERE[0] else NOWHERE


def position_of(served: ServedEnvironment) -> Position:
    """Where an environment is now."""
    return (epoch_order(served.epoch), served.changed)


def refetch(served: ServedEnvironment) -> bytes:
    """OFREP's word for: something may have changed, ask again."""
    return encode(
        {"type": "refetchEvaluation", "etag": served.etag, "lastModified": int(time.time())}
    )


class EventStreams:
    """The open streams of one process.

    Attributes:
        ending: this process drains: no new streams.
    """

    def __init__(
        self,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        limit: int = MAX_STREAMS,
        limit_of_key: int = MAX_STREAMS_OF_KEY,
    ) -> None:
        self.ending = False
        self._heartbeat_s = heartbeat_s
        self._limit = limit
        self._limit_of_key = limit_of_key
        self._opened = 0
        self._open: dict[Stream, None] = {}
        self._of_key: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def admits(self, served: ServedEnvironment) -> bool:
        """Whether another stream with this key may be opened."""
        return not self.ending and self.has_room(served)

    def has_room(self, served: ServedEnvironment) -> bool:
        """The same, where this process drains: of another one, or of the next."""
        return (
            len(self._open) < self._limit
            and self._of_key[served.listening_key] < self._limit_of_key
        )

    def end_all(self, within_s: float) -> None:
        """Let no stream be opened any more, and end each at a time of its own."""
        self.ending = True
        now_s = asyncio.get_running_loop().time()
        for place, stream in enumerate(self._open):
            stream.end_at(now_s + min(within_s, ENDING_S) * place / len(self._open))

    async def follow(
        self,
        served: ServedEnvironment,
        receive: Receive,
        last_event_id: str,
        tell: Tell,
        origin: str | None = None,
    ) -> AsyncGenerator[bytes]:
        """The bytes of one stream, until it ends. ``receive`` tells when the peer has gone.

        ``origin`` is that of the page which listens; None where it is none.
        """
        self._opened += 1
        phase = self._opened * _GOLDEN_RATIO % 1
        stream = Stream(served, read_position(last_event_id), tell, self._heartbeat_s, origin)
        stop = served.on_change(lambda: stream.changed(phase * self._spread_s()))
        self._open[stream] = None
        self._of_key[served.listening_key] += 1
        try:
            yield stream.opening()
            while (part := await stream.next(receive)) is not None:
                yield part
        finally:
            stop()
            del self._open[stream]
            self._of_key[served.listening_key] -= 1
            if not self._of_key[served.listening_key]:
                del self._of_key[served.listening_key]

    def _spread_s(self) -> float:
        return min(SPREAD_S, len(self._open) * SPREAD_PER_STREAM_S)


class Stream:
    """One stream: what its client was told, and when it is to be told more.

    Times are those of the event loop.
    """

    __slots__ = (
        "_beat_s",
        "_due_s",
        "_end_s",
        "_heartbeat_s",
        "_loop",
        "_origin",
        "_served",
        "_tell",
        "_told",
        "_told_s",
        "_wait",
    )

    def __init__(
        self,
        served: ServedEnvironment,
        told: Position,
        tell: Tell,
        heartbeat_s: float,
        origin: str | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._served = served
        self._origin = origin
        self._tell = tell
        self._told = told
        """The client knows of everything up to here."""
        self._told_s = -math.inf
        """When the last event was written."""
        self._due_s = self._loop.time() if position_of(served) > told else math.inf
        """When the next is to be; infinite while there is nothing to tell."""
        self._heartbeat_s = heartbeat_s
        self._beat_s = self._loop.time() + heartbeat_s
        self._end_s = math.inf
        self._wait = StreamWait()

    def opening(self) -> bytes:
        """What a stream begins with."""
        return b"retry: %d\n\n" % RETRY_MS

    def changed(self, delay_s: float) -> None:
        """The environment has changed, or its keys have."""
        now_s = self._loop.time()
        due_s = max(now_s + delay_s, self._told_s + INTERVAL_S) if self._admitted else now_s
        self._due_s = min(self._due_s, due_s)
        self._wait.hasten(self._due_s)

    def end_at(self, end_s: float) -> None:
        """The stream is to end then."""
        self._end_s = end_s
        self._wait.hasten(end_s)

    async def next(self, receive: Receive) -> bytes | None:
        """Wait for what is to be written next; None where the stream is over."""
        while self._admitted and self._loop.time() < self._end_s:
            part = self._ready()
            if part is not None:
                self._beat_s = self._loop.time() + self._heartbeat_s
                return part
            if await self._has_gone(receive):
                break
        return None

    @property
    def _admitted(self) -> bool:
        """Whether the key is still live, and still for the page that listens."""
        return self._served.admits(self._origin)

    def _ready(self) -> bytes | None:
        now_s = self._loop.time()
        if now_s >= self._due_s:
            self._due_s = math.inf
            position = position_of(self._served)
            if position > self._told:
                self._told, self._told_s = position, now_s
                return _event(self._served.etag, self._tell(self._served))
        return HEARTBEAT if now_s >= self._beat_s else None

    async def _has_gone(self, receive: Receive) -> bool:
        """Wait until it is time for something, or the peer has gone; tell which."""
        deadline_s = min(self._due_s, self._beat_s, self._end_s)
        return await self._wait.has_gone(receive, deadline_s)


def _event(event_id: str, data: bytes) -> bytes:
    return b"id: %s\nevent: message\ndata: %s\n\n" % (event_id.encode(), data)
