"""The snapshot of one feed as the body of an HTTP answer, plain and compressed, once per version.

The bytes are those of a ``snapshot`` message of the present version: who polls gets no changes
after it, so none is ever answered that is older, as one on the stream may be.
"""

from __future__ import annotations

import asyncio
import gzip

from halyard_protocol.session.feed import AT_ONCE_BYTES, Feed
from halyard_protocol.session.frames import SnapshotSource

_LEVEL = 6


class SnapshotBody:
    """See the module. Nothing is kept of a version that nobody asked for."""

    __slots__ = ("_compressed", "_feed", "_plain", "_version")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._version: tuple[str, int] = ("", 0)
        self._plain: asyncio.Task[bytes] | None = None
        self._compressed: asyncio.Task[bytes] | None = None
        """Both of the present version; one for all who ask."""

    @property
    def tag(self) -> str:
        """The version that :meth:`plain` has now: wire epoch and last change.

        Processes differ at most in how far beyond that change they have checked the log.
        """
        return f"{self._feed.epoch}-{self._feed.changed}"

    async def plain(self) -> bytes:
        """The payload of the ``snapshot`` message, as of when this was called."""
        return await asyncio.shield(self._present())

    async def compressed(self) -> bytes:
        """The same with gzip."""
        plain = self._present()
        if self._compressed is None:
            self._compressed = asyncio.create_task(_compressed(plain))
        return await asyncio.shield(self._compressed)

    def _present(self) -> asyncio.Task[bytes]:
        version = (self._feed.epoch, self._feed.changed)
        if self._plain is None or version != self._version:
            self._version = version
            self._plain = asyncio.create_task(_joined(self._feed.source(), self._feed.size))
            self._compressed = None
        return self._plain


async def _joined(source: SnapshotSource, size: int) -> bytes:
    if size <= AT_ONCE_BYTES:
        return b"".join(source.parts())
    return await asyncio.to_thread(lambda: b"".join(source.parts()))


async def _compressed(joining: asyncio.Task[bytes]) -> bytes:
    # Without the time of compression, equal bodies have equal bytes.
    plain = await joining
    if len(plain) <= AT_ONCE_BYTES:
        return gzip.compress(plain, _LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, plain, _LEVEL, mtime=0)
