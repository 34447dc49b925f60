"""Which shared frames are kept for others."""

from __future__ import annotations

from itertools import pairwise

from halyard_protocol.session.audience import KEPT_BYTES, Audience
from halyard_protocol.session.feed import Feed
from halyard_protocol.session.frames import KeptFrames, SharedFrame, joined
from halyard_protocol.session.outcomes import Board, Boards, Outcome


def frame(size: int) -> SharedFrame:
    return SharedFrame([b"x" * size], joined)


def test_the_oldest_make_room_where_there_are_too_many() -> None:
    kept: KeptFrames[int] = KeptFrames(3, 1_000)
    made = [kept.keep(number, frame(10)) for number in range(5)]
    assert [kept.get(number) for number in range(5)] == [None, None, *made[2:]]


def test_the_oldest_make_room_where_they_are_too_large_and_the_newest_is_always_kept() -> None:
    kept: KeptFrames[str] = KeptFrames(100, 1_000)
    for name, size in (("a", 400), ("b", 600), ("c", 500), ("d", 500)):
        kept.keep(name, frame(size))
    assert [name for name in "abcd" if kept.get(name)] == ["c", "d"]
    kept.keep("huge", frame(5_000))
    assert [name for name in ("c", "d", "huge") if kept.get(name)] == ["huge"]
    kept.keep("e", frame(1_000))
    assert [name for name in ("huge", "e") if kept.get(name)] == ["e"]
    kept.clear()
    kept.keep("f", frame(1_000))
    assert len(kept) == 1


def test_large_values_of_which_everybody_has_others_are_not_all_kept() -> None:
    audience, boards = Audience(Feed()), Boards()
    value = b'"%b"' % (b"v" * (KEPT_BYTES // 8))
    shown: list[Board] = [boards.of((Outcome("a", b"", value),)) for _ in range(20)]
    for old, new in pairwise(shown):
        audience.full(new)
        audience.between(old, new)
    for kept in (audience._fulls, audience._differences):
        assert 0 < len(kept) < 8
