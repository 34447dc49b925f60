"""Frames that many connections share: each made once for every wire format that somebody needs.

A wire format is agreed on in a connection's handshake. Which bytes carry a payload in it is the
shell's knowledge (:data:`Framing`); when they are made, and that they are made once, is told here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from halyard_protocol.session.documents import Document, snapshot_parts

WireFormat: TypeAlias = Literal[0, 1]
PLAIN: Final = 0
DEFLATED: Final = 1
"""With permessage-deflate (RFC 7692), and no context taken over from message to message: only so
are the bytes the same for every connection."""

DEFLATED_FROM_BYTES = 1024
"""Smaller payloads are not worth it, and go as they are in either format."""

Framing: TypeAlias = Callable[[Sequence[bytes], WireFormat], bytes]
"""Joins the parts of one payload into what a transport writes."""


def joined(parts: Sequence[bytes], wire: WireFormat) -> bytes:  # noqa: ARG001
    """The framing of those who need none."""
    return b"".join(parts)


class SharedFrame:
    """One payload and the bytes that carry it.

    Attributes:
        forms: by wire format; empty where nobody has needed it yet.
        size: bytes of the payload.
    """

    __slots__ = ("_framing", "_parts", "forms", "size")

    def __init__(self, parts: Sequence[bytes], framing: Framing) -> None:
        self.forms = [b"", b""]
        self.size = sum(map(len, parts))
        self._parts = parts
        self._framing = framing

    def form(self, wire: WireFormat) -> bytes:
        """The bytes for a connection of this wire format."""
        made = self.forms[wire]
        if not made:
            if wire == DEFLATED and self.size < DEFLATED_FROM_BYTES:
                made = self.form(PLAIN)
            else:
                made = self._framing(self._parts, wire)
            self.forms[wire] = made
        return made


K = TypeVar("K")


class KeptFrames(Generic[K]):
    """Frames that may be wanted again: so many of them, and so many bytes of payloads.

    The newest is kept however large it is; those that have been here for longest make room.
    """

    __slots__ = ("_bytes", "_frames", "_most", "_most_bytes")

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._frames: dict[K, SharedFrame] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, key: K) -> SharedFrame | None:
        """The frame that was kept, if it still is."""
        return self._frames.get(key)

    def keep(self, key: K, frame: SharedFrame) -> SharedFrame:
        """Keep a frame that is not kept yet; answers it."""
        self._bytes += frame.size
        while self._frames and (len(self._frames) >= self._most or self._bytes > self._most_bytes):
            self._bytes -= self._frames.pop(next(iter(self._frames))).size
        self._frames[key] = frame
        return frame

    def clear(self) -> None:
        """Forget all of them."""
        self._frames.clear()
        self._bytes = 0


class SnapshotSource(msgspec.Struct, frozen=True):
    """All that a snapshot is made of, and nothing that changes: it may be handed to a thread."""

    epoch: str
    seq: int
    documents: tuple[Document, ...]

    def parts(self) -> list[bytes]:
        """The payload of the ``snapshot`` message, in parts to be joined."""
        return snapshot_parts(self.epoch, self.seq, self.documents)

    def framed(self, framing: Framing, wire: WireFormat) -> SnapshotFrame:
        """The frame of it; of 5 MB, it takes 100 ms to be deflated."""
        frame = SharedFrame(self.parts(), framing).form(wire)
        return SnapshotFrame(self.epoch, self.seq, wire, frame)


class SnapshotFrame(msgspec.Struct, frozen=True):
    """A ``snapshot`` as it goes over the wire."""

    epoch: str
    seq: int
    """What it claims: everything through here is in it, nothing later."""
    wire: WireFormat
    frame: bytes


class KeptSnapshot:
    """A snapshot that newcomers are sent while it is not much older than the head.

    Attributes:
        snapshot: the frame.
        behind_bytes: how much was put since; what was put twice counts twice.
    """

    __slots__ = ("behind_bytes", "snapshot")

    def __init__(self, snapshot: SnapshotFrame, newer: Iterable[Document]) -> None:
        self.snapshot = snapshot
        self.behind_bytes = sum(len(document.body) for document in newer)
