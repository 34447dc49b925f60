"""What differs is told exactly where something does, and says how to get from one to the other."""

from __future__ import annotations

from typing import Any

import pytest
from halyard_protocol.codec import encode
from halyard_protocol.conditions import Leaf
from halyard_protocol.ruleset import Rule, Serve, Target
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain import commands as c
from domain.difference import Change, row_changes, row_of, segment_changes, state_changes
from domain.facts import Entity
from domain.state import FlagSettings
from tests.support.commands import HISTORIES
from tests.support.decider import flag, segment
from tests.support.decider import given as begun
from tests.support.rows import folded

IN_STAGING = Entity("flag", "a", "staging")
ROW = FlagSettings(False, "off", Serve("on"))


def rule(rule_id: str, serve: str = "on") -> Rule:
    return Rule(rule_id, Leaf("exists", attribute="plan"), Serve(serve))


def with_rules(ids: str) -> FlagSettings:
    return replace(ROW, rules=tuple(map(rule, ids)))


def told(before: FlagSettings, after: FlagSettings) -> list[tuple[str, str]]:
    return [(change.kind, change.path) for change in row_changes(IN_STAGING, before, after)]


def applied(before: str, changes: tuple[Change, ...]) -> str:
    """The order of rules that changes to it lead to."""
    gone = {change.path[-1] for change in changes if change.kind in ("removed", "moved")}
    order = [rule_id for rule_id in before if rule_id not in gone]
    come: list[tuple[Any, str]] = [
        (change.position if change.kind == "added" else change.after, change.path[-1])
        for change in changes
        if change.kind in ("added", "moved")
    ]
    for place, rule_id in sorted(come):
        order.insert(place, rule_id)
    return "".join(order)


RULE_IDS = st.lists(st.sampled_from("abcdefgh"), unique=True).map("".join)


@given(RULE_IDS, RULE_IDS)
@settings(max_examples=200, deadline=None)
def test_removals_moves_and_additions_lead_from_one_order_to_the_other(
    one: str, other: str
) -> None:
    changes = row_changes(IN_STAGING, with_rules(one), with_rules(other))
    assert applied(one, changes) == other
    assert bool(changes) == (one != other)


def by_entity(state: Any) -> dict[Entity, bytes]:
    """Every row as JSON, the keys of segments in one order, without hashes."""
    entities = [
        *(Entity("environment", key, key) for key in state.environments),
        *(Entity("flag", key) for key in state.flags),
        *(Entity("flag", *place) for place in state.settings),
        *(Entity("segment", key) for key in state.segments),
    ]
    rows = {}
    for entity in entities:
        row = row_of(state, entity)
        if entity.kind == "segment":
            lists = (row.included, row.excluded)  # type: ignore[union-attr]
            members = [sorted((of.kind, key) for of in held for key in of.keys) for held in lists]
            rows[entity] = encode((replace(row, included=(), excluded=()), members))  # type: ignore[type-var]
        else:
            rows[entity] = encode(row)
    return rows


@given(HISTORIES, HISTORIES)
@settings(max_examples=30, deadline=None)
def test_an_entity_is_named_exactly_where_its_row_is_another(
    first: list[c.Command], then: list[c.Command]
) -> None:
    # Here everything happens in one instant, by which a project that began anew is known elsewhere.
    assume(not any(isinstance(command, c.DeleteProject) for command in then))
    before, after = folded(first), folded([*first, *then])
    was, now = by_entity(before), by_entity(after)
    differing = {entity for entity in {*was, *now} if was.get(entity) != now.get(entity)}
    named = {entity for entity, _ in state_changes(before, after)}
    assert {each for each in named if each.kind not in ("project", "key")} == differing


def test_a_rule_that_moved_up_is_the_only_one_that_moved() -> None:
    assert told(with_rules("abcd"), with_rules("dabc")) == [("moved", "/rules/d")]


def test_a_rule_is_compared_field_by_field() -> None:
    after = replace(ROW, rules=(rule("a", "off"),))
    [change] = row_changes(IN_STAGING, with_rules("a"), after)
    assert (change.kind, change.path) == ("changed", "/rules/a/serve")
    assert (change.before, change.after) == (Serve("on"), Serve("off"))


def test_targets_of_one_kind_and_variation_are_told_apart_by_number() -> None:
    one, other = Target("on", "user", ("ann",)), Target("on", "user", ("bob",))
    before = replace(ROW, targets=(one,))
    assert told(before, replace(ROW, targets=(one, other))) == [("added", "/targets/user:on:2")]
    assert told(before, replace(ROW, targets=(other,))) == [("changed", "/targets/user:on/keys")]


def test_the_order_of_a_segments_keys_is_no_difference() -> None:
    one = begun(segment("s"), c.AddSegmentMembers("s", ("ann", "bob"))).state
    other = begun(
        segment("s"), c.AddSegmentMembers("s", ("bob",)), c.AddSegmentMembers("s", ("ann", "cat"))
    ).state
    changes = segment_changes(one, other, "s")
    keys = [change for change in changes if change.path.startswith("/included")]
    assert [(each.kind, each.path, each.after) for each in keys] == [
        ("added", "/included/user", ("cat",))
    ]


def test_true_and_one_differ() -> None:
    entity = Entity("environment", "live", "live")
    history = begun(c.SetEnvironmentAttributes("staging", {"x": 1}))
    row = history.state.environments["staging"]
    assert row_changes(entity, row, replace(row, attributes={"x": True}))


def test_the_hash_of_a_key_is_not_told() -> None:
    issued = begun(c.IssueSdkKey("staging", "k", sha256="0" * 64))
    [(_, [change])] = state_changes(begun().state, issued.state)
    assert "sha256" not in change.after
    assert b"0000" not in encode(change)


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        ("ba", "flag 'a' in environment 'staging': rules b moved from place 2 to 1"),
        ("abc", "flag 'a' in environment 'staging': rules c added"),
    ],
)
def test_a_change_is_told_in_words(after: str, sentence: str) -> None:
    [change] = row_changes(IN_STAGING, with_rules("ab"), with_rules(after))
    assert change.sentence == sentence


def test_what_begins_and_ends_is_told_as_a_whole() -> None:
    before, after = begun().state, begun(flag("a")).state
    kinds = {change.kind for _, changes in state_changes(before, after) for change in changes}
    paths = {change.path for _, changes in state_changes(before, after) for change in changes}
    assert (kinds, paths) == ({"added"}, {""})
    assert {each.kind for _, changes in state_changes(after, before) for each in changes} == {
        "removed"
    }
