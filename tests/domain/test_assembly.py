"""Whatever two states are, one becomes the other, and each step on the way is accepted."""

from __future__ import annotations

import pytest
from halyard_protocol.conditions import Leaf
from halyard_protocol.ruleset import Prerequisite, SegmentRule, Serve, Variation
from hypothesis import assume, given, settings
from msgspec.structs import replace

from domain import commands as c
from domain.assembly import Wanted, assembly_commands
from domain.errors import UnknownEntity
from domain.state import FlagSettings, ProjectState
from tests.support.commands import HISTORIES, ON_OFF
from tests.support.decider import flag, segment
from tests.support.decider import given as begun
from tests.support.rows import apply, flag_told, folded, segment_told

DIM = Variation("dim", True)


def all_of(state: ProjectState, instead_of: ProjectState) -> Wanted:
    """Everything as it is in ``state``, and nothing besides."""
    return Wanted(
        tuple(state.segments.values()),
        tuple(state.flags.values()),
        dict(state.settings.items()),
        frozenset(instead_of.flags) - frozenset(state.flags),
        frozenset(instead_of.segments) - frozenset(state.segments),
    )


@given(HISTORIES, HISTORIES)
@settings(max_examples=40, deadline=None)
def test_a_project_becomes_what_another_one_is(
    one: list[c.Command], other: list[c.Command]
) -> None:
    state, goal = folded(one), folded(other)
    assume(state.project and goal.project and set(state.environments) == set(goal.environments))
    apply(state, assembly_commands(state, all_of(goal, state)))
    assert dict(state.settings.items()) == dict(goal.settings.items())
    for key in (*state.flags, *goal.flags):
        assert flag_told(state.flags.get(key)) == flag_told(goal.flags.get(key))
    for key in (*state.segments, *goal.segments):
        assert segment_told(state.segments.get(key)) == segment_told(goal.segments.get(key))
    assert assembly_commands(state, all_of(goal, state)) == ()


def names(segment_key: str) -> tuple[SegmentRule, ...]:
    return (SegmentRule("r", Leaf("segment", (segment_key,))),)


def test_segments_that_rested_on_each_other_one_way_come_to_do_so_the_other_way() -> None:
    one = begun(segment("s"), segment("t"), c.ChangeSegmentRules("s", names("t")))
    other = begun(segment("s"), segment("t"), c.ChangeSegmentRules("t", names("s")))
    for state, goal in ((one, other), (other, one)):
        wanted = Wanted(segments=tuple(goal.state.segments.values()))
        commands = assembly_commands(state.state, wanted)
        assert len(commands) == 2
        apply(state.state.overlay(), commands)


def test_a_circle_through_a_flag_that_stays_as_it_is_never_closes() -> None:
    def needs(key: str, *others: str) -> c.ChangePrerequisites:
        return c.ChangePrerequisites(
            key, "staging", tuple(Prerequisite(other, ("on",)) for other in others)
        )

    flags = (flag("a"), flag("b"), flag("m"), needs("m", "b"))
    history = begun(*flags, needs("b", "a"))
    goal = begun(*flags, needs("a", "m"))
    changed = {(key, "staging"): goal.state.settings[key, "staging"] for key in ("a", "b")}
    commands = assembly_commands(history.state, Wanted(settings=changed))
    assert commands == (needs("b"), needs("a", "m"))


def test_a_variation_that_is_still_served_goes_last() -> None:
    history = begun(
        c.CreateFlag("a", variations=(*ON_OFF, DIM), off_variation="off"),
        c.ChangeFallthrough("a", "staging", Serve("dim")),
    )
    held = history.state
    new = Variation("new", True)
    definition = replace(held.flags["a"], variations=(*ON_OFF, new))
    row = replace(held.settings["a", "staging"], fallthrough=Serve("new"))
    commands = assembly_commands(
        held, Wanted(flags=(definition,), settings={("a", "staging"): row})
    )
    assert [type(command) for command in commands] == [
        c.ChangeVariations,
        c.ChangeFallthrough,
        c.ChangeVariations,
    ]
    apply(held, commands)
    assert held.flags["a"].variations == definition.variations


def test_a_variation_that_nothing_serves_goes_at_once() -> None:
    history = begun(c.CreateFlag("a", variations=(*ON_OFF, DIM)))
    wanted = replace(history.state.flags["a"], variations=ON_OFF)
    assert len(assembly_commands(history.state, Wanted(flags=(wanted,)))) == 1


def test_an_archived_flag_is_opened_with_those_that_it_rests_on_and_all_are_archived_again() -> (
    None
):
    on_b = c.ChangePrerequisites("a", "staging", (Prerequisite("b", ("on",)),))
    history = begun(flag("a"), flag("b"), on_b, c.ArchiveFlag("a"), c.ArchiveFlag("b"))
    wanted = replace(history.state.flags["a"], name="Another")
    assert assembly_commands(history.state, Wanted(flags=(wanted,))) == (
        c.RestoreFlag("b"),
        c.RestoreFlag("a"),
        c.RenameFlag("a", "Another"),
        c.ArchiveFlag("a"),
        c.ArchiveFlag("b"),
    )


def test_settings_in_an_environment_that_is_not_there_are_refused() -> None:
    wanted = Wanted(settings={("a", "qa"): FlagSettings(True, None, Serve("on"))})
    with pytest.raises(UnknownEntity, match="environment 'qa'"):
        assembly_commands(begun(flag("a")).state, wanted)
