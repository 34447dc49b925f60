"""WebSocket frames of a server: unmasked, so that one frame's bytes serve every connection.

RFC 6455, section 5.2. What clients send is read by :mod:`streaming.handshake`'s protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

PING = b"\x89\x00"
_TEXT = 0x81
"""Final fragment of a text message."""


def text_frame(parts: Sequence[bytes]) -> bytes:
    """One text frame whose payload is the parts joined."""
    length = sum(map(len, parts))
    if length < 126:
        head = struct.pack("!BB", _TEXT, length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", _TEXT, 126, length)
    else:
        head = struct.pack("!BBQ", _TEXT, 127, length)
    return b"".join((head, *parts))


def text_payload(frame: bytes) -> bytes:
    """What :func:`text_frame` made a frame of."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]
