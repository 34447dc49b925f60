from __future__ import annotations

from itertools import pairwise

import pytest
from halyard_protocol.conditions import All, AnyOf, Condition, Leaf, Not
from halyard_protocol.limits import MAX_SEGMENT_DEPTH, MAX_SEGMENT_KEYS
from halyard_protocol.ruleset import Rule, SegmentKeys, SegmentRule, Serve

from domain import commands as c
from domain import events as e
from domain.errors import (
    InvalidCommand,
    KeyTaken,
    LimitReached,
    StillInUse,
    UnknownEntity,
    WouldCycle,
)
from tests.support.decider import flag, given, segment


def within(*segments: str) -> Condition:
    return All((Not(AnyOf((Leaf("notSegment", segments),))),))


def names(key: str, *segments: str) -> c.ChangeSegmentRules:
    rules = (SegmentRule("r", within(*segments)),) if segments else ()
    return c.ChangeSegmentRules(key, rules)


def test_a_segment_begins_with_what_it_is_given() -> None:
    members = (SegmentKeys(keys=("ann", "bob")),)
    rules = (SegmentRule("r", All(()), weight=10),)
    [event] = given().when(
        c.CreateSegment("beta", "Beta", "Testers", members, rules=rules, salt="s")
    )
    assert event == e.SegmentCreated("Beta", "s", "Testers", members, (), rules)


def test_a_segments_key_is_taken_until_it_is_deleted() -> None:
    history = given(segment("s"))
    history.refusal(segment("s"), KeyTaken)
    history.do(c.DeleteSegment("s"), segment("s"))
    assert history.revision("segment", "s") == 3


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (c.CreateSegment("a b"), "/segment"),
        (c.CreateSegment("s", name="\t"), "/name"),
        (c.CreateSegment("s", included=(SegmentKeys("", ("a",)),)), "/included/0/kind"),
        (c.CreateSegment("s", excluded=(SegmentKeys(keys=("a", "a")),)), "/excluded/0/keys/1"),
        (c.CreateSegment("s", included=(SegmentKeys(), SegmentKeys())), "/included/1/kind"),
        (c.CreateSegment("s", rules=(SegmentRule("r", within("x")),)), None),
        (c.CreateSegment("s", rules=(SegmentRule("r", within("s")),)), None),
        (c.CreateSegment("s", rules=(SegmentRule("r", All(()), weight=-1),)), "/rules/0/weight"),
    ],
)
def test_a_malformed_segment_is_refused_with_the_fields_path(
    command: c.CreateSegment, path: str | None
) -> None:
    [problem] = given().refusal(command, InvalidCommand).problems
    assert problem.path == (path or "/rules/0/when/all/0/not/any/0/values/0")


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (c.RenameSegment("s", "Beta"), e.SegmentRenamed("Beta")),
        (c.DescribeSegment("s", "Testers"), e.SegmentDescribed("Testers")),
        (
            c.AddSegmentMembers("s", ("cat", "cat"), "excluded"),
            e.SegmentMembersAdded("excluded", "user", ("cat",)),
        ),
        (
            c.AddSegmentMembers("s", ("acme",), kind="organization"),
            e.SegmentMembersAdded("included", "organization", ("acme",)),
        ),
        (
            c.RemoveSegmentMembers("s", ("bob", "nobody")),
            e.SegmentMembersRemoved("included", "user", ("bob",)),
        ),
        (names("s", "t"), e.SegmentRulesChanged((SegmentRule("r", within("t")),))),
    ],
)
def test_each_change_of_a_segment_has_its_event_and_then_yields_nothing(
    command: c.Command, event: e.Event
) -> None:
    members = (SegmentKeys(keys=("ann", "bob")),)
    history = given(c.CreateSegment("s", included=members), segment("t"))
    assert history.when(command) == (event,)
    assert history.revision("segment", "s") == 2
    assert history.when(command) == ()


def test_members_that_are_there_already_are_passed_over() -> None:
    history = given(c.CreateSegment("s", included=(SegmentKeys(keys=("ann",)),)))
    assert history.when(c.AddSegmentMembers("s", ("ann", "bob", "cat"))) == (
        e.SegmentMembersAdded("included", "user", ("bob", "cat")),
    )
    assert history.state.segments["s"].included == (SegmentKeys(keys=("ann", "bob", "cat")),)


def test_the_last_member_of_a_kind_takes_its_list_along() -> None:
    history = given(segment("s"), c.AddSegmentMembers("s", ("ann",), "excluded", "device"))
    history.do(c.RemoveSegmentMembers("s", ("ann",), "excluded", "device"))
    assert history.state.segments["s"].excluded == ()


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (c.AddSegmentMembers("s", ("",)), "/keys/0"),
        (c.AddSegmentMembers("s", ("x" * 1001,)), "/keys/0"),
        (c.AddSegmentMembers("s", ("a",), kind=""), "/kind"),
        (c.AddSegmentMembers("s", ("bob", "ann"), "excluded"), "/keys/1"),
        (c.RemoveSegmentMembers("s", ("a",), kind="multi"), "/kind"),
    ],
)
def test_members_that_cannot_be_are_refused(command: c.Command, path: str) -> None:
    history = given(c.CreateSegment("s", included=(SegmentKeys(keys=("ann",)),)))
    [problem] = history.refusal(command, InvalidCommand).problems
    assert problem.path == path


def test_a_segment_lists_only_so_many_keys() -> None:
    many = tuple(map(str, range(MAX_SEGMENT_KEYS)))
    history = given(segment("s"), c.AddSegmentMembers("s", many[1:]))
    history.refusal(c.AddSegmentMembers("s", ("a", "b"), "excluded"), LimitReached)
    history.do(c.AddSegmentMembers("s", ("a",), "excluded"))
    over = SegmentKeys(keys=(*many, "one more"))
    history.refusal(c.CreateSegment("t", included=(over,)), InvalidCommand)


def test_a_segment_in_use_is_not_deleted_and_says_where() -> None:
    history = given(
        segment("s"),
        segment("t"),
        names("t", "s"),
        flag("a"),
        c.AddRule("a", "staging", Rule("r1", within("s"), Serve("on"))),
        c.ArchiveFlag("a"),
    )
    refusal = history.refusal(c.DeleteSegment("s"), StillInUse)
    assert str(refusal) == (
        "segment 's' is still used by flag 'a' in environment 'staging' (rule 'r1'), "
        "segment 't' (rule 'r')"
    )
    history.do(c.DeleteFlag("a"), c.DeleteSegment("t"))
    assert history.when(c.DeleteSegment("s")) == (e.SegmentDeleted(),)


def test_segments_that_go_round_are_refused_with_the_way() -> None:
    history = given(*map(segment, "abc"), names("a", "b"), names("b", "c"))
    assert history.refusal(names("c", "a"), WouldCycle).keys == ("c", "a", "b", "c")
    assert history.refusal(names("c", "c"), WouldCycle).keys == ("c", "c")


def test_a_chain_of_segments_is_not_longer_than_evaluation_goes() -> None:
    keys = [f"s{number}" for number in range(MAX_SEGMENT_DEPTH + 1)]
    history = given(*map(segment, keys))
    for key, named in pairwise(keys[1:]):
        history.do(names(key, named))
    history.refusal(names(keys[0], keys[1]), LimitReached)
    history.do(names(keys[0], keys[2]))


def test_an_unknown_segment_is_not_found() -> None:
    given().refusal(c.DeleteSegment("s"), UnknownEntity)
