"""WebSocket frames of a server: unmasked, so that one frame's bytes serve every connection.

RFC 6455, section 5.2; deflated, RFC 7692, section 7.2.1. Deflated frames are as good for all who
negotiated them because nothing is taken over from one message to the next. What clients send is
read by :mod:`streaming.handshake`'s protocol.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

from halyard_protocol.session.frames import PLAIN, WireFormat

PING = b"\x89\x00"
_TEXT = 0x81
"""Final fragment of a text message."""
_DEFLATED_TEXT = 0xC1
"""The same with RSV1: its payload is deflated."""

LEVEL = 6
"""Of 5 MB of flags, 1 makes 1.5 MB in 30 ms, 6 makes 1.1 MB in 100 ms, and 9 saves another 4 % for
three times as long. What is made once and sent ten thousand times is worth the 100 ms."""
_QUICK_LEVEL = 1
_QUICK_FROM_BYTES = 64 * 1024
_PLAIN_FROM_BYTES = 512 * 1024
"""What is made on the loop must not hold it for more than about 3 ms."""

_PIECE_BYTES = 256 * 1024
"""Compressing a piece lets other threads run; joining one takes some ten microseconds."""
_SYNC_TAIL = 4
"""Bytes of the empty block after each message, which RFC 7692 has both sides leave out."""


def framed(parts: Sequence[bytes], wire: WireFormat) -> bytes:
    """A frame for connections of this wire format, made without holding the loop for long."""
    if wire == PLAIN:
        return text_frame(parts)
    size = sum(map(len, parts))
    if size >= _PLAIN_FROM_BYTES:
        return text_frame(parts)
    return deflated_frame(parts, LEVEL if size < _QUICK_FROM_BYTES else _QUICK_LEVEL)


def framed_aside(parts: Sequence[bytes], wire: WireFormat) -> bytes:
    """A frame that is made in a thread, however large it is."""
    return text_frame(parts) if wire == PLAIN else deflated_frame(parts)


def text_frame(parts: Sequence[bytes]) -> bytes:
    """One text frame whose payload is the parts joined."""
    return b"".join((_head(_TEXT, sum(map(len, parts))), *parts))


def deflated_frame(parts: Sequence[bytes], level: int = LEVEL) -> bytes:
    """The same, deflated."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = [compressor.compress(piece) for piece in _pieces(parts)]
    deflated.append(compressor.flush(zlib.Z_SYNC_FLUSH)[:-_SYNC_TAIL])
    return b"".join((_head(_DEFLATED_TEXT, sum(map(len, deflated))), *deflated))


def _head(first: int, length: int) -> bytes:
    if length < 126:
        return struct.pack("!BB", first, length)
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


def _pieces(parts: Sequence[bytes]) -> Iterator[bytes]:
    piece: list[bytes] = []
    size = 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)
