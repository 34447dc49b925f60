"""The answer to an upgrade request that is refused before it is read: 503, and when to come back.

In a storm most requests end here, so there is nothing that could be left out: no parsing, no
WebSocket protocol, no state.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import cast


class TurnedAway(asyncio.Protocol):
    """Takes the place of a connection, and ends it."""

    __slots__ = ("_retry_after_s", "_transport")

    def __init__(self, retry_after_s: int) -> None:
        self._retry_after_s = retry_after_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a transport, of which the request was read already."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002
        """Answer whatever was asked."""
        if not self._transport.is_closing():
            self._transport.write(_refusal(self._retry_after_s))
            self._transport.close()


@cache
def _refusal(retry_after_s: int) -> bytes:
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nConnection: close\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n\r\n"
        b"Come back in a moment.\n" % retry_after_s
    )
