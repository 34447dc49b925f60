from __future__ import annotations

from typing import Any

import pytest
from halyard_protocol.codec import decoder, encode
from halyard_protocol.ruleset import Rollout, SegmentKeys, SegmentRule, Target


@pytest.mark.parametrize(
    ("of", "written_out", "left_out"),
    [
        (SegmentKeys, b'{"kind":"user","keys":["ann"]}', b'{"keys":["ann"]}'),
        (Target, b'{"variation":"on","kind":"user"}', b'{"variation":"on"}'),
        (Rollout, b'{"kind":"user","by":"key","seed":1}', b'{"seed":1}'),
        (
            SegmentRule,
            b'{"id":"r","when":{"all":[]},"kind":"user","by":"key","weight":null,"name":""}',
            b'{"id":"r","when":{"all":[]}}',
        ),
    ],
)
def test_equal_values_are_written_alike_whether_defaults_were_read_or_not(
    of: type[Any], written_out: bytes, left_out: bytes
) -> None:
    reader = decoder(of)
    assert reader.decode(written_out) == reader.decode(left_out)
    assert encode(reader.decode(written_out)) == encode(reader.decode(left_out)) == left_out


def test_what_is_not_the_default_is_written() -> None:
    written = b'{"kind":"organization","by":"/plan/tier"}'
    assert encode(decoder(Rollout).decode(written)) == written
