"""Whatever two states are, the commands bring a row of the one to that of the other."""

from __future__ import annotations

import pytest
from halyard_protocol.conditions import Leaf
from halyard_protocol.ruleset import Rule, SegmentKeys, Serve, Variation
from hypothesis import given, settings
from msgspec.structs import replace

from domain import commands as c
from domain.errors import OtherType, Refusal, UnknownEntity
from domain.state import FlagSettings, ProjectState
from domain.transitions import flag_commands, segment_commands, settings_commands
from tests.support.commands import HISTORIES
from tests.support.decider import History, flag, segment
from tests.support.decider import given as begun
from tests.support.rows import apply, flag_told, folded, segment_told


def bring(state: ProjectState, commands: tuple[c.Command, ...]) -> bool:
    """Whether all were accepted; each of them must then have changed something."""
    try:
        assert apply(state, commands) == len(commands)
    except Refusal:  # it rests on what is not there
        return False
    return True


@given(HISTORIES, HISTORIES)
@settings(max_examples=50, deadline=None)
def test_a_segment_comes_to_what_it_is_elsewhere(
    one: list[c.Command], other: list[c.Command]
) -> None:
    before = folded(one)
    for wanted in folded(other).segments.values():
        state = before.overlay()
        if bring(state, segment_commands(state, wanted)):
            assert segment_told(state.segments[wanted.key]) == segment_told(wanted)
            assert segment_commands(state, wanted) == ()


@given(HISTORIES, HISTORIES)
@settings(max_examples=50, deadline=None)
def test_a_definition_comes_to_what_it_is_elsewhere(
    one: list[c.Command], other: list[c.Command]
) -> None:
    before = folded(one)
    for wanted in folded(other).flags.values():
        state = before.overlay()
        if bring(state, flag_commands(state, wanted)):
            assert flag_told(state.flags[wanted.key]) == flag_told(wanted)
            assert flag_commands(state, wanted) == ()


@given(HISTORIES, HISTORIES)
@settings(max_examples=50, deadline=None)
def test_settings_come_to_what_they_are_elsewhere(
    one: list[c.Command], other: list[c.Command]
) -> None:
    before = folded(one)
    for place, wanted in folded(other).settings.items():
        state = before.overlay()
        if place not in state.settings:
            continue
        if bring(state, settings_commands(state, *place, wanted)):
            assert state.settings[place] == wanted
            assert settings_commands(state, *place, wanted) == ()


@given(HISTORIES)
@settings(max_examples=30, deadline=None)
def test_what_is_so_already_needs_no_command(history: list[c.Command]) -> None:
    state = folded(history)
    for definition in state.flags.values():
        assert flag_commands(state, definition) == ()
    for place, row in state.settings.items():
        assert settings_commands(state, *place, row) == ()
    for held in state.segments.values():
        assert segment_commands(state, held) == ()


def rule(rule_id: str, serve: str = "on") -> Rule:
    return Rule(rule_id, Leaf("exists", attribute="plan"), Serve(serve))


def with_rules(*rules: Rule) -> History:
    return begun(flag("a"), *(c.AddRule("a", "staging", each) for each in rules))


def rules_to(history: History, *rules: Rule) -> tuple[c.Command, ...]:
    wanted = replace(history.state.settings["a", "staging"], rules=rules)
    return settings_commands(history.state, "a", "staging", wanted)


def test_of_many_rules_only_those_that_differ_are_named() -> None:
    history = with_rules(rule("r1"), rule("r2"), rule("r3"))
    wanted = (rule("r0"), rule("r1"), rule("r3", "off"))
    assert rules_to(history, *wanted) == (
        c.RemoveRule("a", "staging", "r2"),
        c.AddRule("a", "staging", rule("r0"), 0),
        c.ChangeRule("a", "staging", rule("r3", "off")),
    )


def test_rules_are_reordered_only_where_those_that_stay_change_places() -> None:
    history = with_rules(rule("r1"), rule("r2"))
    wanted = (rule("r2"), rule("r3"), rule("r1"))
    assert rules_to(history, *wanted) == (
        c.AddRule("a", "staging", rule("r3"), 1),
        c.ReorderRules("a", "staging", ("r2", "r3", "r1")),
    )


def test_a_flag_is_switched_off_before_all_else_and_on_after_it() -> None:
    history = begun(flag("a"))
    off = history.state.settings["a", "staging"]
    on = replace(off, enabled=True, fallthrough=Serve("off"))
    forth = settings_commands(history.state, "a", "staging", on)
    assert [type(command) for command in forth] == [c.ChangeFallthrough, c.EnableFlag]
    history.do(*forth)
    back = settings_commands(history.state, "a", "staging", off)
    assert [type(command) for command in back] == [c.DisableFlag, c.ChangeFallthrough]


def test_true_and_one_are_different_values_of_a_variation() -> None:
    count = c.CreateFlag("n", flag_type="json", variations=(Variation("v", 1),))
    history = begun(count)
    wanted = replace(history.state.flags["n"], variations=(Variation("v", True),))
    assert len(flag_commands(history.state, wanted)) == 1


def test_an_archived_flag_is_restored_to_be_changed_and_archived_again() -> None:
    history = begun(flag("a"), c.ArchiveFlag("a"))
    wanted = replace(history.state.flags["a"], name="Another")
    commands = flag_commands(history.state, wanted)
    assert commands == (c.RestoreFlag("a"), c.RenameFlag("a", "Another"), c.ArchiveFlag("a"))
    assert history.do(*commands).state.flags["a"].archived


def test_a_flag_of_another_type_cannot_be_reached() -> None:
    history = begun(flag("a"))
    with pytest.raises(OtherType, match="boolean, not string"):
        flag_commands(history.state, replace(history.state.flags["a"], type="string"))


def test_settings_of_a_flag_that_is_not_there_are_refused() -> None:
    with pytest.raises(UnknownEntity, match="flag 'b' in environment 'staging'"):
        settings_commands(
            begun(flag("a")).state, "b", "staging", FlagSettings(True, None, Serve("on"))
        )


def test_a_member_that_changes_lists_leaves_the_one_before_it_joins_the_other() -> None:
    history = begun(segment("s"), c.AddSegmentMembers("s", ("ann", "bob")))
    held = history.state.segments["s"]
    wanted = replace(
        held, included=(SegmentKeys("user", ("bob",)),), excluded=(SegmentKeys("user", ("ann",)),)
    )
    commands = segment_commands(history.state, wanted)
    assert commands == (
        c.RemoveSegmentMembers("s", ("ann",), "included", "user"),
        c.AddSegmentMembers("s", ("ann",), "excluded", "user"),
    )
    assert history.do(*commands).state.segments["s"].excluded == wanted.excluded
