"""One WebSocket to the server: opening it, and what its end means.

The only file that knows the ``websockets`` package: its exceptions are translated here.
"""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from time import monotonic
from typing import Any

from halyard_protocol.messages import SUBPROTOCOL, SdkInfo
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from halyard_sdk.address import Address

SDK = SdkInfo("halyard-python", version("halyard-sdk"))

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
MAX_FRAME_BYTES = 256 * 1024 * 1024

_COMPRESSION = ClientPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    compress_settings={"memLevel": 5},
)
"""A ruleset takes a fifth of its bytes. Without context takeover the server makes each frame once
for all its clients, and neither side keeps a window of 32 KiB between messages."""

_wire_log = logging.getLogger("halyard_sdk.websocket")
_wire_log.setLevel(logging.WARNING)  # its DEBUG lines would show the key


class CannotConnect(Exception):
    """No connection came about. ``retry_after_s`` is what the server asked for, if it did."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Ended(Exception):
    """A connection is over. ``code`` is None where it just broke."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _HeardConnection(ClientConnection):
    """Notes when bytes arrive: the server's pings count, and nothing else shows them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heard_s = monotonic()

    def data_received(self, data: bytes) -> None:
        self.heard_s = monotonic()
        super().data_received(data)


class Connection:
    """An open WebSocket. Made by :func:`open_connection`."""

    def __init__(self, socket: _HeardConnection) -> None:
        self._socket = socket

    @property
    def heard_s(self) -> float:
        """When the last byte arrived, on the monotonic clock."""
        return self._socket.heard_s

    async def receive(self) -> bytes:
        """The next message's payload. Raises :class:`Ended`."""
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise _ended(closed) from closed

    async def send(self, payload: bytes) -> bool:
        """Send a text frame; waits while too much is on its way.

        On a closed connection this does nothing and answers False: its reader says why.
        """
        try:
            await self._socket.send(payload, text=True)
        except (ConnectionClosed, OSError):
            return False
        return True

    async def close(self, code: int, reason: str) -> None:
        """Close, politely but within a second. Does nothing where it is closed already."""
        # The library's own limit does not hold while its buffer is full: it waits for it to drain.
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close(code, reason)
        except TimeoutError:
            self._socket.transport.abort()
        except OSError:
            return

    def release(self) -> None:
        """After a fork, in the child: let go of the parent's socket without a word to the server.

        The descriptor is replaced rather than closed: objects that still name it would otherwise
        close, one day, whatever has got its number by then.
        """
        socket = self._socket.transport.get_extra_info("socket")
        if socket is None or socket.fileno() < 0:
            return
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, socket.fileno(), inheritable=False)
        os.close(nowhere)


async def open_connection(address: Address) -> Connection:
    """Connect and shake hands. Raises :class:`CannotConnect`."""
    try:
        socket = await connect(
            address.url,
            additional_headers={"Authorization": f"Bearer {address.key}"},
            user_agent_header=f"{SDK.name}/{SDK.version}",
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,  # the library's default; ours follows
            extensions=[_COMPRESSION],
            create_connection=_HeardConnection,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the server pings; silence is this side's rule
            max_size=MAX_FRAME_BYTES,
            logger=_wire_log,
        )
    except InvalidStatus as refused:
        raise _refused(refused) from refused
    except TimeoutError as late:
        raise CannotConnect(f"no answer within {OPEN_TIMEOUT_S:.0f} s") from late
    except (OSError, EOFError, ValueError, WebSocketException) as error:
        raise CannotConnect(str(error) or type(error).__name__) from error
    assert isinstance(socket, _HeardConnection)  # noqa: S101 - for the type checker
    return Connection(socket)


def _ended(closed: ConnectionClosed) -> Ended:
    if closed.rcvd is None:
        return Ended(None, str(closed))
    return Ended(closed.rcvd.code, closed.rcvd.reason)


def _refused(refused: InvalidStatus) -> CannotConnect:
    response = refused.response
    after_s = _retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
    return CannotConnect(f"HTTP {response.status_code} {response.reason_phrase}", after_s)


def _retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds, or a date, as HTTP has them."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return (parsedate_to_datetime(header) - now).total_seconds()
    except (ValueError, TypeError):
        return None
