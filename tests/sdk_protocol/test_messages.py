"""Frames of strangers."""

from __future__ import annotations

from typing import Any

import pytest
from halyard_protocol.codec import encode
from halyard_protocol.messages import (
    Dropped,
    Exposure,
    Exposures,
    MalformedMessage,
    Track,
    TrackingEvent,
    UnknownMessage,
    decode_client_message,
    decode_server_message,
    encode_message,
    track_frame,
)


def _exposures(**counter: Any) -> bytes:
    counted = {"version": 3, "variation": "on", "reason": "FALLTHROUGH", "count": 1} | counter
    return encode({"type": "exposures", "from": 1, "to": 2, "flags": {"checkout": [counted]}})


BAD_FRAMES = {
    "no JSON": b"hello",
    "cut off": b'{"type":"hello"',
    "not an object": b"[]",
    "no type": b"{}",
    "a type that is no string": b'{"type":1}',
    "a field of the wrong type": b'{"type":"hello","protocol":"one"}',
    "an event without a time": b'{"type":"track","events":[{"name":"bought"}]}',
    "a key that is no text": b'{"type":"track","events":[{"name":"n","at":1,"keys":{"user":1}}]}',
    "no exposure at all": _exposures(count=0),
    "more exposures than a counter holds": _exposures(count=10**9 + 1),
    "a version that is none": _exposures(version=-1),
    "an exposure without a reason": _exposures(reason=None),
    "more contexts than a sample has": b'{"type":"exposures","from":1,"to":2,"contexts":[%s]}'
    % b",".join([b"{}"] * 21),
    "a context that is none": b'{"type":"exposures","from":1,"to":2,"contexts":[7]}',
    "a whole number with a fraction": b'{"type":"hello","protocol":1.0}',
    "a position with an exponent": b'{"type":"hello","resume":{"epoch":"1.1","seq":1e3}}',
    "a time finer than milliseconds": b'{"type":"exposures","from":1.5,"to":2}',
    "fewer than none dropped": b'{"type":"exposures","from":1,"to":2,"dropped":{"events":-1}}',
    "no UTF-8": b'{"type":"hello","digest":"\xff"}',
    "half a surrogate pair": b'{"type":"hello","digest":"\xed\xa0\x80"}',
    "deeper than the stack": b'{"type":"hello","context":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_bad_frame_is_malformed_and_nothing_else(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_client_message(frame)


def test_a_context_may_be_the_key_of_a_user_in_a_sample_too() -> None:
    frame = b'{"type":"exposures","from":1,"to":2,"contexts":["alice",{"kind":"device"}]}'
    assert decode_client_message(frame) == Exposures(1, 2, contexts=("alice", {"kind": "device"}))


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


def test_exposures_travel_as_they_are_written_down() -> None:
    message = Exposures(
        from_=1,
        to=2,
        flags={"checkout": (Exposure(3, None, "ERROR", 7),)},
        contexts=({"key": "alice"},),
        dropped=Dropped(exposures=2),
    )
    frame = encode_message(message)
    assert frame == (
        b'{"type":"exposures","from":1,"to":2,"flags":{"checkout":[{"version":3,"variation":null,'
        b'"reason":"ERROR","count":7}]},"contexts":[{"key":"alice"}],"dropped":{"exposures":2}}'
    )
    assert decode_client_message(frame) == message


def test_what_is_wrong_with_exposures_is_named() -> None:
    counter = b'{"version":1,"variation":null,"reason":"ERROR","count":1}'
    flags = b'{"a":[%b],"b":[%b]}' % (b",".join([counter] * 999), b",".join([counter] * 2))
    with pytest.raises(MalformedMessage, match="`flags` holds more than 1000 counters"):
        decode_client_message(b'{"type":"exposures","from":1,"to":2,"flags":%b}' % flags)
    with pytest.raises(MalformedMessage, match=r"flags\[\.\.\.\]\[0\]\.count"):
        decode_client_message(_exposures(count=0))
