"""Frames of strangers."""

from __future__ import annotations

import pytest
from halyard_protocol.codec import encode
from halyard_protocol.messages import (
    MalformedMessage,
    Track,
    TrackingEvent,
    UnknownMessage,
    decode_client_message,
    decode_server_message,
    encode_message,
    track_frame,
)

BAD_FRAMES = {
    "no JSON": b"hello",
    "cut off": b'{"type":"hello"',
    "not an object": b"[]",
    "no type": b"{}",
    "a type that is no string": b'{"type":1}',
    "a field of the wrong type": b'{"type":"hello","protocol":"one"}',
    "an event without a time": b'{"type":"track","events":[{"name":"bought"}]}',
    "a key that is no text": b'{"type":"track","events":[{"name":"n","at":1,"keys":{"user":1}}]}',
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


def test_events_that_were_encoded_one_by_one_make_the_same_frame() -> None:
    events = (
        TrackingEvent("looked", 1),
        TrackingEvent("bought", 2, {"user": "alice"}, 9.5, {"articles": [1]}),
    )
    frame = track_frame(map(encode, events))
    assert frame == encode_message(Track(events))
    assert decode_client_message(frame) == Track(events)
    assert track_frame([]) == b'{"type":"track","events":[]}'
