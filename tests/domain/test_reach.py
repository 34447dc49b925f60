"""What a command does not reach, it does not change."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from halyard_protocol.conditions import All, Leaf, Not
from halyard_protocol.context import Context
from halyard_protocol.ruleset import Prerequisite, Rule, SegmentRule, Serve, Target, Variation
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain.decide import decide
from domain.errors import Refusal
from domain.evolve import evolve
from domain.reach import affected_environments, is_protected
from domain.state import ProjectState
from server.evaluating.state_evaluator import StateEvaluator
from tests.support.commands import (
    BEGINNING,
    ENVIRONMENTS,
    HISTORIES,
    LISTS,
    MEMBERS,
    RULES,
    SEGMENTS,
    SERVES,
    TARGETS,
    VARIATION_KEYS,
)
from tests.support.decider import ANN, NOW, flag, new_ids, segment
from tests.support.decider import given as begun

USUAL = frozenset({"development", "staging", "production"})
BOTH = (Variation("on", True), Variation("off", False))
NONE: frozenset[str] = frozenset()


def reached(command: c.Command, *before: c.Command) -> frozenset[str]:
    """By a command in a project with a flag, a segment and the usual environments."""
    history = begun(flag("f"), segment("s"), *before)
    return affected_environments(history.state, command)


def rule(*segments: str) -> Rule:
    return Rule("r", All((Not(Leaf("notSegment", segments)),)), Serve("on"))


def changed(**values: object) -> c.ChangeVariations:
    return c.ChangeVariations("f", tuple(Variation(key, value) for key, value in values.items()))


def test_a_command_on_a_flag_in_an_environment_reaches_that_one() -> None:
    assert reached(c.EnableFlag("f", "staging")) == {"staging"}
    assert reached(c.AddRule("f", "production", rule("s"))) == {"production"}


def test_a_command_on_a_key_or_on_an_environment_itself_reaches_that_one() -> None:
    assert reached(c.IssueSdkKey("staging")) == {"staging"}
    assert reached(c.RenameEnvironment("staging", "Stage")) == {"staging"}
    assert reached(c.SetEnvironmentAttributes("staging", {})) == {"staging"}
    assert reached(c.DeleteEnvironment("staging")) == {"staging"}


@pytest.mark.parametrize(
    "command",
    [
        c.RenameProject("Demo"),
        c.DeleteProject(),
        c.ProtectEnvironment("staging"),
        c.UnprotectEnvironment("production"),
        c.ArchiveFlag("f"),
        c.RestoreFlag("f"),
        c.DeleteFlag("f"),
        c.DeleteSegment("s"),
    ],
)
def test_what_is_of_the_whole_project_reaches_every_environment(command: c.Command) -> None:
    assert reached(command) == USUAL


def test_a_new_environment_is_reached_beside_every_other() -> None:
    assert reached(c.CreateEnvironment("qa")) == {*USUAL, "qa"}


@pytest.mark.parametrize(
    "command",
    [
        flag("g"),
        c.RenameFlag("f", "F"),
        c.DescribeFlag("f", "What it is for"),
        c.TagFlag("f", ("new",)),
        c.AssignMaintainer("f", "ann"),
        segment("t"),
        c.RenameSegment("s", "S"),
        c.DescribeSegment("s", "Who is in it"),
    ],
)
def test_what_is_served_nowhere_reaches_no_environment(command: c.Command) -> None:
    assert reached(command, c.EnableFlag("f", "production")) == NONE


def test_another_value_of_the_off_variation_reaches_every_environment() -> None:
    assert reached(changed(on=True, off=True)) == USUAL


def test_another_value_of_a_variation_reaches_where_an_enabled_flag_can_serve_it() -> None:
    enabled = c.EnableFlag("f", "staging")
    assert reached(changed(on=False, off=False), enabled) == {"staging"}
    assert reached(changed(on=False, off=False)) == NONE


def test_a_variation_of_a_rule_or_a_target_counts() -> None:
    beginning = (
        c.ChangeFallthrough("f", "staging", Serve("off")),
        c.EnableFlag("f", "staging"),
    )
    assert reached(changed(on=False, off=False), *beginning) == NONE
    assert reached(
        changed(on=False, off=False), *beginning, c.AddRule("f", "staging", rule("s"))
    ) == {"staging"}


def test_another_name_or_one_more_variation_reaches_no_environment() -> None:
    enabled = c.EnableFlag("f", "staging")
    named = c.ChangeVariations("f", (Variation("on", True, "On"), *BOTH[1:], Variation("x", True)))
    assert reached(named, enabled) == NONE


def test_a_value_that_only_python_takes_for_the_same_is_another_one() -> None:
    number = c.CreateFlag("f", flag_type="number", variations=(Variation("on", 1),))
    state = begun(number).state
    assert affected_environments(state, changed(on=1.0)) == USUAL
    assert affected_environments(state, changed(on=1)) == NONE


def test_a_variation_that_another_flag_asks_for_counts() -> None:
    asked = c.ChangePrerequisites("g", "production", (Prerequisite("f", ("on",)),))
    assert reached(changed(on=False, off=False), flag("g"), asked) == {"production"}


def test_exposure_reaches_where_the_flag_is_enabled() -> None:
    enabled = c.EnableFlag("f", "staging")
    assert reached(c.ExposeClientSide("f"), enabled) == {"staging"}
    assert reached(c.HideClientSide("f"), enabled) == {"staging"}
    assert reached(c.ExposeClientSide("f")) == NONE


def test_a_segment_reaches_where_a_rule_names_it_even_of_a_disabled_flag() -> None:
    members = c.AddSegmentMembers("s", ("ann",))
    assert reached(members) == NONE
    assert reached(members, c.AddRule("f", "production", rule("s"))) == {"production"}


def test_a_segment_reaches_through_the_segments_that_rest_on_it() -> None:
    beginning = (
        segment("t"),
        segment("u"),
        c.ChangeSegmentRules("t", (SegmentRule("r", Leaf("segment", ("s",))),)),
        c.ChangeSegmentRules("u", (SegmentRule("r", Leaf("notSegment", ("t",))),)),
        c.AddRule("f", "staging", rule("u")),
    )
    assert reached(c.ChangeSegmentRules("s", ()), *beginning) == {"staging"}
    assert reached(c.RemoveSegmentMembers("t", ("ann",)), *beginning) == {"staging"}


def test_an_archived_flag_is_looked_past() -> None:
    beginning = (c.AddRule("f", "production", rule("s")), c.ArchiveFlag("f"))
    assert reached(c.AddSegmentMembers("s", ("ann",)), *beginning) == NONE
    assert reached(changed(on=True, off=True), *beginning) == NONE


def test_what_is_not_there_is_answered_all_the_same() -> None:
    assert reached(c.EnableFlag("nobody", "nowhere")) == {"nowhere"}
    assert reached(c.ChangeVariations("nobody", BOTH)) == NONE
    assert reached(c.AddSegmentMembers("nobody", ("ann",))) == NONE


def test_an_environment_is_protected_as_it_was_before_the_command() -> None:
    state = begun().state
    assert is_protected(state, c.UnprotectEnvironment("production"), "production")
    assert not is_protected(state, c.ProtectEnvironment("staging"), "staging")
    assert is_protected(state, c.CreateEnvironment("qa", protected=True), "qa")
    assert not is_protected(state, c.CreateEnvironment("qa"), "qa")


CONTEXTS = [
    Context.of({"key": key, "plan": "free", "country": country})
    for key in ("ann", "bob", "cat")
    for country in ("DE", "GB")
]
NOW_MS = int(NOW.timestamp() * 1000)


def served(state: ProjectState, environment: str) -> dict[str, list[object]]:
    evaluator = StateEvaluator().of(state, environment)
    return {
        key: [evaluator.detail(key, each, None, NOW_MS).value for each in CONTEXTS]
        for key in evaluator.ruleset.flags
    }


def everything_served(state: ProjectState) -> dict[str, dict[str, list[object]]]:
    return {key: served(state, key) for key in state.environments}


def apply(state: ProjectState, command: c.Command) -> bool:
    """Whether anything happened."""
    try:
        facts = decide(state, command, ANN)
    except Refusal:
        return False
    for fact in facts:
        evolve(state, fact, 1, NOW)
    return bool(facts)


@settings(max_examples=25, deadline=None)
@given(history=HISTORIES)
def test_where_a_command_does_not_reach_everybody_gets_what_they_got(
    history: Iterable[c.Command],
) -> None:
    state, ids = ProjectState(), new_ids()
    for command in BEGINNING:
        apply(state, c.complete(command, ids.__next__))
    before = everything_served(state)
    for command in history:
        spared = before.keys() - affected_environments(state, command)
        if not apply(state, c.complete(command, ids.__next__)):
            continue
        after = everything_served(state)
        for key in spared:
            kept = {flag: after[key][flag] for flag in before[key]}
            assert kept == before[key], command
        before = after


# -- changes of what is served, in a project in which much is served ------------------------------

VALUED = st.sampled_from(
    [
        (*BOTH, Variation("dim", True)),
        (*BOTH, Variation("dim", False)),
        (Variation("on", False), Variation("off", False), Variation("dim", True)),
        (Variation("on", True), Variation("off", True), Variation("dim", True)),
        BOTH,
        (Variation("on", False), Variation("off", True)),
    ]
)
"""One key with another value, mostly."""
IN_SEGMENT = st.sampled_from(
    [
        Leaf("segment", ("s",)),
        Leaf("segment", ("t",)),
        Not(Leaf("segment", ("t",))),
        Leaf("notSegment", ("s",)),
    ]
)
ON_ONE = {"flag": st.sampled_from(["a", "b"]), "environment": ENVIRONMENTS}
SERVING = st.one_of(
    st.builds(c.AddRule, rule=st.builds(Rule, RULES, IN_SEGMENT, SERVES), **ON_ONE),
    st.builds(c.ChangeTargets, targets=TARGETS, **ON_ONE),
    st.builds(c.ChangeFallthrough, fallthrough=SERVES, **ON_ONE),
    st.builds(c.ChangeOffVariation, off_variation=VARIATION_KEYS, **ON_ONE),
    st.builds(c.DisableFlag, **ON_ONE),
)
REACHING = st.one_of(
    st.builds(c.ChangeVariations, flag=st.sampled_from(["a", "b"]), variations=VALUED),
    st.builds(c.AddSegmentMembers, SEGMENTS, MEMBERS, LISTS),
    st.builds(c.RemoveSegmentMembers, SEGMENTS, MEMBERS, LISTS),
    st.builds(
        c.ChangeSegmentRules,
        st.just("s"),
        st.sampled_from([(), (SegmentRule("r1", Leaf("in", ("DE",), "country")),)]),
    ),
)
SERVED_MUCH = (
    *BEGINNING,
    c.CreateSegment("t", rules=(SegmentRule("r1", Leaf("segment", ("s",))),)),
    *(c.EnableFlag(key, place) for key in ("a", "b") for place in ("dev", "live")),
    *(
        command
        for place in ("dev", "live")
        for command in (
            c.AddRule("a", place, Rule("r", Leaf("segment", ("t",)), Serve("off"))),
            c.ChangeTargets("b", place, (Target("dim", keys=("ann",)),)),
        )
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    serving=st.lists(SERVING, min_size=2, max_size=6),
    changes=st.lists(REACHING, min_size=6, max_size=12),
)
def test_what_is_served_changes_nowhere_but_where_a_change_reaches(
    serving: list[c.Command], changes: list[c.Command]
) -> None:
    state, ids = ProjectState(), new_ids()
    for command in (*SERVED_MUCH, *serving):
        apply(state, c.complete(command, ids.__next__))
    before = everything_served(state)
    for command in changes:
        reached = affected_environments(state, command)
        if apply(state, c.complete(command, ids.__next__)):
            after = everything_served(state)
            changed_in = {key for key in before if after[key] != before[key]}
            assert changed_in <= reached, command
            before = after
