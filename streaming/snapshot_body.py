"""The snapshot of one feed as the body of an HTTP answer, plain and compressed, once per version.

The bytes are those of the stream's ``snapshot`` message.
"""

from __future__ import annotations

import asyncio
import gzip

from halyard_protocol.session.feed import Feed

from streaming.framing import text_payload

_IN_A_THREAD_BYTES = 64 * 1024
"""Above it, compressing takes longer than the loop should stand still (about 2 ms)."""
_LEVEL = 6


class SnapshotBody:
    """See the module. Nothing is kept of a version that nobody asked for."""

    __slots__ = ("_compressed", "_feed", "_plain", "_version")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._version: tuple[str, int] = ("", 0)
        self._plain = b""
        self._compressed: asyncio.Task[bytes] | None = None
        """Of the present version; one for all who ask."""

    @property
    def tag(self) -> str:
        """The version that :meth:`plain` has now: wire epoch and last change.

        Processes differ at most in how far beyond that change they have checked the log.
        """
        return f"{self._feed.epoch}-{self._feed.changed}"

    def plain(self) -> bytes:
        """The payload of the ``snapshot`` message."""
        self._renew()
        return self._plain

    async def compressed(self) -> bytes:
        """The same with gzip, as of when this was called; a large one is made in a thread."""
        self._renew()
        if self._compressed is None:
            self._compressed = asyncio.create_task(_compress(self._plain))
        return await asyncio.shield(self._compressed)

    def _renew(self) -> None:
        version = (self._feed.epoch, self._feed.changed)
        if version != self._version:
            self._version = version
            self._plain = text_payload(self._feed.snapshot()[1])
            self._compressed = None


async def _compress(plain: bytes) -> bytes:
    # Without the time of compression, equal bodies have equal bytes.
    if len(plain) <= _IN_A_THREAD_BYTES:
        return gzip.compress(plain, _LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, plain, _LEVEL, mtime=0)
