from __future__ import annotations

from datetime import timedelta
from time import perf_counter

import pytest

from domain import events as e
from domain.evolve import FOLDS, CannotFold, evolve, pass_over
from domain.facts import Entity, Fact
from domain.state import ProjectState
from domain.upcast import decode_event, encode_event
from tests.support.decider import NOW, flag, given


def test_every_event_type_is_folded() -> None:
    assert set(FOLDS) == set(e.EVENT_TYPES.values())


def test_an_event_on_what_is_not_there_cannot_be_folded() -> None:
    fact: Fact[e.Event] = Fact(e.FlagEnabled(), Entity("flag", "a", "staging"), 1)
    with pytest.raises(CannotFold) as caught:
        evolve(given().state, fact, 9, NOW)
    assert str(caught.value) == (
        "FlagEnabled at seq 9 does not fit: flag 'a' in environment 'staging' is not as it says"
    )


@pytest.mark.parametrize(
    "event", [e.ProjectRenamed("x"), e.EnvironmentDeleted(), e.FlagDeleted(), e.SdkKeyRevoked()]
)
def test_no_event_but_a_creation_fits_an_empty_log(event: e.Event) -> None:
    with pytest.raises(CannotFold):
        evolve(ProjectState(), Fact(event, Entity("flag", "a", "b"), 1), 1, NOW)


def test_an_event_that_is_passed_over_counts_as_a_change_of_its_entity() -> None:
    state = given(flag("a")).state
    entity = Entity("flag", "a", "staging")
    pass_over(state, entity, 1, 9, NOW + timedelta(seconds=1))
    assert (state.mark(entity).revision, state.mark(entity).seq) == (1, 9)
    assert not state.settings["a", "staging"].enabled


def test_reading_and_folding_a_common_event_takes_a_few_microseconds() -> None:
    """A rebuild is to reach 100,000 events a second; the bound is wide for busy machines."""
    state = given(flag("a")).state
    entity = Entity("flag", "a", "staging")
    name, version, _, body = encode_event(e.OffVariationChanged("on"))
    rounds = 2_000
    best = 1.0
    for _ in range(10):
        started = perf_counter()
        for seq in range(rounds):
            evolve(state, Fact(decode_event(name, version, body), entity, seq), seq, NOW)
        best = min(best, perf_counter() - started)
    assert best / rounds < 20e-6
