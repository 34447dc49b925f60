"""Rules that say no more than who is in a segment gets this."""

from __future__ import annotations

import pytest
from halyard_protocol.conditions import All, AnyOf, Condition, Leaf, Not
from halyard_protocol.ruleset import Rule, Serve

from domain.attachment import attaches, members_alone

BETA = Leaf("segment", ("beta",))


@pytest.mark.parametrize(
    ("condition", "segments"),
    [
        (BETA, ("beta",)),
        (All((BETA,)), ("beta",)),
        (AnyOf((All((BETA,)),)), ("beta",)),
        (Leaf("segment", ("beta", "staff")), ("beta", "staff")),
        (All((BETA, BETA)), ()),
        (Not(BETA), ()),
        (Leaf("notSegment", ("beta",)), ()),
        (Leaf("in", ("beta",), "plan"), ()),
        (All(()), ()),
    ],
)
def test_a_condition_asks_for_members_alone_where_it_is_one_list_of_segments(
    condition: Condition, segments: tuple[str, ...]
) -> None:
    assert members_alone(condition) == segments


def test_a_rule_attaches_the_segment_that_it_asks_for_and_no_other() -> None:
    assert attaches(Rule("r", Leaf("segment", ("beta", "beta")), Serve("on")), "beta")
    assert not attaches(Rule("r", Leaf("segment", ("beta", "staff")), Serve("on")), "beta")
    assert not attaches(Rule("r", BETA, Serve("on")), "staff")
