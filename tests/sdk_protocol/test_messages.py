"""Frames of strangers."""

from __future__ import annotations

import pytest
from halyard_protocol.messages import (
    MalformedMessage,
    UnknownMessage,
    decode_client_message,
    decode_server_message,
)

BAD_FRAMES = {
    "no JSON": b"hello",
    "cut off": b'{"type":"hello"',
    "not an object": b"[]",
    "no type": b"{}",
    "a type that is no string": b'{"type":1}',
    "a field of the wrong type": b'{"type":"hello","protocol":"one"}',
    "no UTF-8": b'{"type":"hello","digest":"\xff"}',
    "half a surrogate pair": b'{"type":"hello","digest":"\xed\xa0\x80"}',
    "deeper than the stack": b'{"type":"hello","context":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_bad_frame_is_malformed_and_nothing_else(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_client_message(frame)


def test_an_unknown_type_is_no_error() -> None:
    frame = b'{"type":"sparkle","x":1}'
    assert decode_client_message(frame) == UnknownMessage("sparkle")
    assert decode_server_message(frame) == UnknownMessage("sparkle")
