"""Whatever two projects are, an import makes the one what the other's document says."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from halyard_protocol.codec import convert, to_builtins
from halyard_protocol.ruleset import Prerequisite, Variation
from hypothesis import assume, given, settings
from msgspec.structs import replace

from domain import commands as c
from domain.decide import decide
from domain.errors import Refusal
from domain.evolve import evolve
from domain.exported import ExportedFlag, ProjectExport, export
from domain.facts import Entity
from domain.importing import MAX_REFUSALS, ImportPlan, plan_import
from domain.limits import IMPORT_ENDINGS
from domain.state import ProjectState
from tests.support.commands import BEGINNING, HISTORIES
from tests.support.decider import ANN, NOW, new_ids

NEW_IDS = (f"i{number:011d}" for number in count(1))
"""Others than those of the states."""


def folded(commands: Iterable[c.Command]) -> ProjectState:
    """What commands come to; those that are refused are passed over."""
    state, ids = ProjectState(), new_ids()
    for command in commands:
        try:
            do(state, c.complete(command, ids.__next__))
        except Refusal:
            continue
    return state


def do(state: ProjectState, *commands: c.Command) -> int:
    """Do commands, and answer how many events there were."""
    events = 0
    for command in commands:
        for fact in decide(state, command, ANN):
            evolve(state, fact, 1, NOW)
            events += 1
    return events


def planned(state: ProjectState, document: ProjectExport, *, prune: bool = False) -> ImportPlan:
    return plan_import(state, document, ANN, NEW_IDS.__next__, prune=prune)


def without_salts(document: ProjectExport) -> ProjectExport:
    """What is there keeps the salt that it has."""
    return replace(
        document,
        flags=tuple(replace(flag, salt="") for flag in document.flags),
        segments=tuple(replace(segment, salt="") for segment in document.segments),
    )


@given(HISTORIES, HISTORIES)
@settings(max_examples=40, deadline=None)
def test_with_what_is_not_named_gone_a_project_is_what_the_document_says(
    one: list[c.Command], other: list[c.Command]
) -> None:
    before, source = folded((*BEGINNING, *one)), folded((*BEGINNING, *other))
    assume(source.project is not None)
    document = export(source)
    plan = planned(before, document, prune=True)
    assert plan.refusals == ()
    events = do(before, *plan.commands)
    assert sum(len(change.events) for change in plan.changes) == events
    assert without_salts(export(before)) == without_salts(document)
    assert planned(before, document, prune=True).commands == ()


@given(HISTORIES, HISTORIES)
@settings(max_examples=30, deadline=None)
def test_what_is_named_becomes_what_it_is_there_and_the_rest_stays(
    one: list[c.Command], other: list[c.Command]
) -> None:
    before, source = folded((*BEGINNING, *one)), folded((*BEGINNING, *other))
    assume(source.project is not None and before.project is not None)
    document, held = export(source), export(before)
    plan = planned(before, document)
    assume(not plan.refusals)  # what stays may rest on what would go
    do(before, *plan.commands)
    after = {flag.key: flag for flag in export(before).flags}
    for flag in document.flags:
        for environment, wanted in flag.environments.items():
            assert after[flag.key].environments[environment] == wanted
    named = {flag.key for flag in document.flags}
    assert {flag.key for flag in held.flags} - named <= after.keys()
    assert planned(before, document).commands == ()


@given(HISTORIES)
@settings(max_examples=20, deadline=None)
def test_elsewhere_it_is_the_same_to_the_last_salt(history: list[c.Command]) -> None:
    source = folded((*BEGINNING, *history))
    assume(source.project is not None)
    document = export(source)
    copy = ProjectState()
    plan = planned(copy, document)
    assert plan.refusals == ()
    do(copy, *plan.commands)
    assert export(copy) == document


@given(HISTORIES)
@settings(max_examples=20, deadline=None)
def test_a_document_is_read_as_it_was_written(history: list[c.Command]) -> None:
    source = folded((*BEGINNING, *history))
    assume(source.project is not None)
    document = export(source)
    assert convert(to_builtins(document), ProjectExport) == document


def state_of(*commands: c.Command) -> ProjectState:
    return folded((BEGINNING[0], *commands))


def test_approvals_are_asked_for_once_all_else_is_done() -> None:
    source = state_of(c.CreateFlag("a"), c.EnableFlag("a", "dev"), c.SetRequiredApprovals("dev", 2))
    document = export(source)
    for held in (ProjectState(), state_of()):
        plan = planned(held, document)
        assert plan.refusals == ()
        assert plan.commands[-1] == replace(
            c.SetRequiredApprovals("dev", 2),
            expected_revision=plan.commands[-1].expected_revision,
        )
        do(held, *plan.commands)
        assert without_salts(export(held)) == without_salts(document)
        assert planned(held, document).commands == ()


def test_an_import_takes_no_approvals_away() -> None:
    state = state_of(c.SetRequiredApprovals("dev", 1))
    assert planned(state, export(state)) == ImportPlan((), (), ())
    (refusal,) = planned(state, export(state_of())).refusals
    assert refusal.path == f"/environments/{sorted(state.environments).index('dev')}"


def test_it_expects_what_was_seen() -> None:
    state = state_of(c.CreateFlag("a"), c.RenameFlag("a", "One"))
    document = export(state_of(c.CreateFlag("a"), c.CreateFlag("b"), c.EnableFlag("a", "dev")))
    expected = [
        (command.addressed("demo"), command.expected_revision)
        for command in planned(state, document).commands
    ]
    assert expected == [
        (Entity("flag", "a"), 2),
        (Entity("flag", "b"), 0),
        (Entity("flag", "a", "dev"), 0),
    ]


def test_all_that_stands_against_it_is_told_at_once_and_by_its_place() -> None:
    state = state_of(c.CreateFlag("a"), c.CreateFlag("b"))
    text = {"flag_type": "string", "variations": (Variation("x", "x"),)}
    other = export(state_of(c.CreateFlag("a", **text), c.CreateFlag("b", **text)))  # type: ignore[arg-type]
    refusals = planned(state, other).refusals
    assert {"/flags/0", "/flags/1"} <= {problem.path for problem in refusals}
    assert "type" in refusals[0].reason


def test_an_environment_that_is_nowhere_is_named() -> None:
    document = export(state_of(c.CreateFlag("a")))
    missing = replace(document, environments=())
    assert [problem.path for problem in planned(ProjectState(), missing).refusals] == [
        "/flags/0/environments/dev",
        "/flags/0/environments/live",
    ]


def test_it_stops_looking_when_there_is_much_against_it() -> None:
    flags = [c.CreateFlag(f"f{n}") for n in range(MAX_REFUSALS)]
    document = replace(export(state_of(*flags)), environments=())
    assert len(planned(ProjectState(), document).refusals) == MAX_REFUSALS


def test_a_variation_goes_after_everything_has_let_go_of_it() -> None:
    three = (Variation("on", True), Variation("off", False), Variation("dim", True))
    before = state_of(
        c.CreateFlag("a", variations=three),
        c.ChangeOffVariation("a", "live", "dim"),
        c.CreateFlag("b"),
        c.ChangePrerequisites("b", "live", (Prerequisite("a", ("dim",)),)),
    )
    document = export(state_of(c.CreateFlag("a"), c.CreateFlag("b")))
    plan = planned(before, document)
    assert plan.refusals == ()
    assert isinstance(plan.commands[-1], c.ChangeVariations)


def test_prerequisites_may_turn_round() -> None:
    def resting(one: str, other: str) -> ProjectState:
        return state_of(
            c.CreateFlag("a"),
            c.CreateFlag("b"),
            c.ChangePrerequisites(one, "live", (Prerequisite(other, ("on",)),)),
        )

    before, document = resting("a", "b"), export(resting("b", "a"))
    plan = planned(before, document)
    assert plan.refusals == ()
    do(before, *plan.commands)
    assert without_salts(export(before)) == without_salts(document)


def test_no_more_is_ended_at_once_than_can_be_looked_through() -> None:
    before = state_of(*(c.CreateFlag(f"f{n}") for n in range(IMPORT_ENDINGS + 1)))
    plan = planned(before, export(state_of()), prune=True)
    assert "one import" in plan.refusals[-1].reason


def test_what_is_as_usual_is_left_out_of_the_document() -> None:
    (flag,) = export(state_of(c.CreateFlag("a"))).flags
    assert isinstance(flag, ExportedFlag)
    written: dict[str, Any] = to_builtins(flag)
    assert "archived" not in written
    assert written["environments"]["live"].keys() == {"offVariation", "fallthrough"}


def test_changes_are_told_by_entity() -> None:
    plan = planned(state_of(), export(state_of(c.CreateFlag("a"), c.EnableFlag("a", "live"))))
    assert [(change.entity, change.events) for change in plan.changes] == [
        (Entity("flag", "a"), ("FlagCreated",)),
        (Entity("flag", "a", "live"), ("FlagEnabled",)),
    ]
