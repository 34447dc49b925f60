"""HTTP/1.1 as uvicorn speaks it, with a bound on what comes before a body.

Its parser takes a request line and headers of any length and number, and keeps them, before anybody
is asked for a key.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers, beside what the network brings in one piece (256 KiB)."""

_REFUSED = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class BoundedHeads(HttpToolsProtocol):
    """The protocol of one connection; what uvicorn's ``http`` setting is given."""

    _heads = 0
    """How many requests have begun."""
    _in_head = False
    _head_bytes = 0
    """Of the present head, without the piece that it began in."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come; refuse a head that does not end."""
        heads = self._heads
        super().data_received(data)
        if not self._in_head:
            return
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
        super().on_headers_complete()

    def _refuse(self) -> None:
        # Behind a request that is still being answered, a word of ours would be a part of that.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(_REFUSED)
        self.transport.close()
