"""HTTP/1.1 as uvicorn speaks it, with bounds on what comes before a body, and on how it ends.

Its parser takes a request line and headers of any length and number, and keeps them, before anybody
is asked for a key; and it waits for them for ever. To a peer that reads nothing it writes nothing,
not even that it is cut off, and closing such a connection waits for the peer for ever, too.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.http.replies import LET_GO

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers, beside what the network brings in one piece (256 KiB)."""
HEAD_TIMEOUT_S = 30.0
"""For the line and headers of a request to come; of a connection's first, since it was opened."""
LINGER_S = 10.0
"""So long a peer that was too slow may still fetch what was written to it."""

_REFUSED = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedHeads(HttpToolsProtocol):
    """The protocol of one connection; what uvicorn's ``http`` setting is given."""

    head_timeout_s: ClassVar[float] = HEAD_TIMEOUT_S
    most_sockets: ClassVar[int] = 1_000_000
    """Accepted ones of this server; one more is closed before it has said anything."""
    _heads = 0
    """How many requests have begun."""
    _in_head = False
    _head_bytes = 0
    """Of the present head, without the piece that it began in."""
    linger_s: ClassVar[float] = LINGER_S
    _lingering: asyncio.TimerHandle | None = None
    """Once the peer was let go."""
    _patience: asyncio.TimerHandle | None = None
    """While a head is waited for, but for one that came in one piece."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A request is to come."""
        super().connection_made(transport)
        if len(self.connections) > self.most_sockets:
            transport.close()
            return
        self._patience = self.loop.call_later(self.head_timeout_s, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is to come any more."""
        self._head_came()
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come; refuse a head that does not end."""
        heads = self._heads
        super().data_received(data)
        if not self._in_head:
            return
        if self._patience is None:
            self._patience = self.loop.call_later(self.head_timeout_s, self.transport.close)
        self._head_bytes = self._head_bytes + len(data) if heads == self._heads else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._heads += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A body begins, or there is none."""
        self._in_head = False
        self._head_came()
        super().on_headers_complete()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            # No more than what the connection has already: whatever held the request itself would
            # be a circle, which only a look for cycles frees, for each request.
            cycle.scope[LET_GO] = self._let_go  # type: ignore[literal-required]

    def _head_came(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _let_go(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            cycle.keep_alive = False
        self.flow.resume_writing()
        if self._lingering is None:
            self._lingering = self.loop.call_later(self.linger_s, self.transport.abort)

    def _refuse(self) -> None:
        # Behind a request that is still being answered, a word of ours would be a part of that.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(_REFUSED)
        self.transport.close()


def heads_of(most_sockets: int) -> type[BoundedHeads]:
    """The protocol of a server that has descriptors for so many sockets."""
    return type("HeadsOfServer", (BoundedHeads,), {"most_sockets": most_sockets})
