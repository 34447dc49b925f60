from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from streaming.framing import PING, text_frame, text_payload


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_text_frame_is_what_the_library_would_write(length: int) -> None:
    payload = b"x" * length
    assert text_frame((payload[:3], payload[3:])) == Frame(Opcode.TEXT, payload).serialize(
        mask=False
    )
    assert text_payload(text_frame((payload,))) == payload


def test_a_ping_is_what_the_library_would_write() -> None:
    assert Frame(Opcode.PING, b"").serialize(mask=False) == PING
