"""Whatever is asked in whatever order, the state keeps its promises."""

from __future__ import annotations

from collections import defaultdict

from halyard_protocol.codec import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commands import Command, complete, decode_command
from domain.decide import decide
from domain.errors import Refusal
from domain.events import Event
from domain.evolve import evolve
from domain.facts import Entity, Fact
from domain.references import segments_in, segments_of_rules, variations_in
from domain.state import FlagSettings, ProjectState, digest, dump, load
from domain.upcast import decode_event, encode_event
from tests.support.commands import BEGINNING, HISTORIES
from tests.support.decider import ANN, NOW, new_ids


class Run:
    """A history of commands, each decided and folded at once."""

    def __init__(self, commands: list[Command]) -> None:
        self.state = ProjectState()
        self.facts: list[Fact[Event]] = []
        self.batches: list[tuple[Fact[Event], ...]] = []
        ids = new_ids()
        for command in (*BEGINNING, *commands):
            self.attempt(complete(command, ids.__next__))

    def attempt(self, command: Command) -> None:
        before = dump(self.state)
        try:
            facts = decide(self.state, command, ANN)
        except Refusal:
            facts = ()
        assert dump(self.state) == before
        self.batches.append(facts)
        self.facts += facts
        fold(self.state, facts, len(self.facts) - len(facts))


def fold(state: ProjectState, facts: tuple[Fact[Event], ...], after: int) -> None:
    for seq, fact in enumerate(facts, after + 1):
        evolve(state, fact, seq, NOW)


def through_the_store(fact: Fact[Event]) -> Fact[Event]:
    name, version, _, body = encode_event(fact.event)
    return Fact(decode_event(name, version, body), fact.entity, fact.revision)


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_deciding_changes_nothing_and_what_is_stored_folds_to_the_same(
    history: list[Command],
) -> None:
    run = Run(history)
    again = ProjectState()
    fold(again, tuple(map(through_the_store, run.facts)), 0)
    assert digest(again) == digest(run.state)


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_each_fact_raises_the_revision_of_its_entity_by_one(history: list[Command]) -> None:
    revisions: dict[Entity, int] = defaultdict(int)
    run = Run(history)
    for fact in run.facts:
        revisions[fact.entity] += 1
        assert fact.revision == revisions[fact.entity]
    assert {entity: mark.revision for entity, mark in run.state.marks.items()} == revisions


@given(HISTORIES, st.data())
@settings(max_examples=60, deadline=None)
def test_overlays_absorbed_or_dropped_come_to_the_same_as_folding_directly(
    history: list[Command], data: st.DataObject
) -> None:
    run = Run(history)
    state, done = ProjectState(), 0
    while done < len(run.batches):
        count = data.draw(st.integers(1, 8))
        overlay = state.overlay()
        after = sum(map(len, run.batches[:done]))
        for batch in run.batches[done : done + count]:
            inner = overlay.overlay()
            fold(inner, batch, after)
            after += len(batch)
            overlay.absorb(inner)
        if data.draw(st.booleans()):
            continue
        state.absorb(overlay)
        done += count
    assert digest(state) == digest(run.state)
    assert state == run.state


@given(HISTORIES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_fold_begun_from_a_snapshot_comes_to_the_same(
    history: list[Command], data: st.DataObject
) -> None:
    run = Run(history)
    cut = data.draw(st.integers(0, len(run.facts)))
    state = ProjectState()
    fold(state, tuple(run.facts[:cut]), 0)
    restored = load(dump(state))
    assert restored == state
    assert dump(restored) == dump(state)
    fold(restored, tuple(run.facts[cut:]), cut)
    assert digest(restored) == digest(run.state)


@given(HISTORIES)
@settings(max_examples=100, deadline=None)
def test_nothing_names_what_is_not_there(history: list[Command]) -> None:
    state = Run(history).state
    pairs = {(flag, environment) for flag in state.flags for environment in state.environments}
    assert set(state.settings) == pairs
    assert all(environment in state.environments for _, environment in state.keys)
    for (flag, _), row in state.settings.items():
        assert named_variations(row) <= variations_of(state, flag)
        for rule in row.rules:
            assert set(segments_in(rule.when)) <= set(state.segments)
        for each in row.prerequisites:
            assert set(each.variations) <= variations_of(state, each.flag)
            assert state.flags[flag].archived or not state.flags[each.flag].archived
    for segment in state.segments.values():
        assert set(segments_of_rules(segment.rules)) <= set(state.segments)


@given(HISTORIES)
@settings(max_examples=100, deadline=None)
def test_nothing_rests_on_itself(history: list[Command]) -> None:
    state = Run(history).state
    for environment in state.environments:
        assert_no_circle(
            {
                flag: {each.flag for each in state.settings[flag, environment].prerequisites}
                for flag in state.flags
            }
        )
    assert_no_circle(
        {key: set(segments_of_rules(row.rules)) for key, row in state.segments.items()}
    )


def assert_no_circle(links: dict[str, set[str]]) -> None:
    left = dict(links)
    while left:
        ends = [key for key, named in left.items() if not named & left.keys()]
        assert ends, f"{left} go round"
        for key in ends:
            del left[key]


def variations_of(state: ProjectState, flag: str) -> set[str]:
    return {variation.key for variation in state.flags[flag].variations}


def named_variations(row: FlagSettings) -> set[str]:
    named = set(variations_in(row.fallthrough)) | {target.variation for target in row.targets}
    for rule in row.rules:
        named |= set(variations_in(rule.serve))
    return named | ({row.off_variation} if row.off_variation is not None else set())


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_every_command_survives_its_json(history: list[Command]) -> None:
    for command in history:
        assert decode_command(encode(command)) == command


_EACH_TIME = ("Create", "Add", "Delete", "Rotate", "Replay")


@given(HISTORIES)
@settings(max_examples=60, deadline=None)
def test_the_same_command_again_changes_nothing_or_is_refused(history: list[Command]) -> None:
    """All but those that add, remove, begin or renew something are idempotent by themselves."""
    ids = new_ids()
    run = Run([])
    for command in history:
        run.attempt(complete(command, ids.__next__))
        if not run.batches[-1] or type(command).__name__.startswith(_EACH_TIME):
            continue
        after = len(run.facts)
        run.attempt(complete(command, ids.__next__))
        assert len(run.facts) == after
