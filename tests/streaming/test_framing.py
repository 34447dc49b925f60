from __future__ import annotations

import zlib

import pytest
from halyard_protocol.session.frames import DEFLATED, PLAIN
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from streaming.framing import PING, deflated_frame, framed, framed_aside, text_frame

_RSV1 = 0x40


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_text_frame_is_what_the_library_would_write(length: int) -> None:
    payload = b"x" * length
    assert text_frame((payload[:3], payload[3:])) == Frame(Opcode.TEXT, payload).serialize(
        mask=False
    )


def test_a_ping_is_what_the_library_would_write() -> None:
    assert Frame(Opcode.PING, b"").serialize(mask=False) == PING


def read_by_the_library(frame: bytes) -> bytes:
    reader = StreamReader()
    reader.feed_data(frame)
    parsing = Frame.parse(
        reader.read_exact, mask=False, extensions=[PerMessageDeflate(True, True, 15, 15)]
    )
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert isinstance(parsed.value.value, Frame)
    return bytes(parsed.value.value.data)


@pytest.mark.parametrize("length", [0, 1, 200, 70_000, 300_000, 900_000])
def test_a_deflated_frame_is_read_by_the_library(length: int) -> None:
    words = b"".join(b"flag-%d " % (n * n) for n in range(length // 8))
    parts = [words[:1000], b"", words[1000:400_000], words[400_000:]]
    for level in (1, 6):
        frame = deflated_frame(parts, level)
        assert frame[0] & _RSV1
        assert read_by_the_library(frame) == words
        assert deflated_frame(parts, level) == frame
    assert read_by_the_library(framed(parts, DEFLATED)) == words
    assert read_by_the_library(framed_aside(parts, DEFLATED)) == words
    assert framed(parts, PLAIN) == framed_aside(parts, PLAIN) == text_frame(parts)


def test_what_would_hold_the_loop_is_deflated_aside_only() -> None:
    parts = [b"0123456789" * 100] * 1000
    assert framed(parts, DEFLATED) == text_frame(parts)
    assert len(framed_aside(parts, DEFLATED)) < len(zlib.compress(b"".join(parts), 1))
