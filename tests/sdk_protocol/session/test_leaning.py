"""What leans on what: the index finds what the scan finds, and neither forgets anything."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from halyard_protocol.conditions import condition_from_json
from halyard_protocol.context import Context
from halyard_protocol.evaluation import evaluate
from halyard_protocol.ruleset import (
    Bucket,
    Environment,
    Flag,
    MalformedFlag,
    Rollout,
    Rule,
    Ruleset,
    Segment,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
)
from halyard_protocol.session.affected import affected
from halyard_protocol.session.leaning import THE_ENVIRONMENT, Leanings, Place, leans_on
from halyard_protocol.session.replica import Changed
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rulesets import NOW_MS, contexts, environments, flags, rulesets, segments


def index_of(ruleset: Ruleset) -> Leanings:
    index = Leanings()
    for place, document in documents_of(ruleset).items():
        index.put(place, document)
    return index


def documents_of(ruleset: Ruleset) -> dict[Place, Flag | MalformedFlag | Segment | Environment]:
    return {
        THE_ENVIRONMENT: ruleset.environment,
        **{("segment", key): segment for key, segment in ruleset.segments.items()},
        **{("flag", key): flag for key, flag in ruleset.flags.items()},
    }


def difference(old: Ruleset, new: Ruleset) -> tuple[set[Place], Changed]:
    before, after = documents_of(old), documents_of(new)
    places = {p for p in before.keys() | after.keys() if before.get(p) is not after.get(p)}
    changed = Changed(
        frozenset(key for sort, key in places if sort == "flag"),
        frozenset(key for sort, key in places if sort == "segment"),
        THE_ENVIRONMENT in places,
    )
    return places, changed


@st.composite
def changed_rulesets(draw: st.DrawFn) -> tuple[Ruleset, Ruleset]:
    """A ruleset, and one in which some documents are others, new or gone."""
    old = draw(rulesets)
    new = Ruleset(old.environment, dict(old.flags), dict(old.segments))
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(["one", "two", "three", "four"]))
        of = draw(st.sampled_from(["flag", "segment", "environment", "gone"]))
        if of == "flag":
            new.flags[key] = draw(flags(key))
        elif of == "segment":
            name = draw(st.sampled_from(["staff", "beta", "trial"]))
            new.segments[name] = draw(segments(name))
        elif of == "environment":
            new = msgspec.structs.replace(new, environment=draw(environments))
        elif key in new.flags:
            del new.flags[key]
    return old, new


@settings(max_examples=80)
@given(both=changed_rulesets())
def test_the_index_finds_what_the_scan_finds(both: tuple[Ruleset, Ruleset]) -> None:
    old, new = both
    places, changed = difference(old, new)
    index = index_of(old)
    after = documents_of(new)
    for place in places:
        index.put(place, after.get(place))
    assert index.affected(places) == affected(new, changed)


@settings(max_examples=80)
@given(both=changed_rulesets(), context=contexts)
def test_whatever_answers_otherwise_was_affected(
    both: tuple[Ruleset, Ruleset], context: Context
) -> None:
    old, new = both
    _, changed = difference(old, new)
    for key in {*old.flags, *new.flags} - affected(new, changed):
        before = evaluate(old, key, context, None, NOW_MS)
        assert evaluate(new, key, context, None, NOW_MS) == before


@settings(max_examples=40)
@given(both=changed_rulesets())
def test_an_index_that_followed_is_one_made_anew(both: tuple[Ruleset, Ruleset]) -> None:
    old, new = both
    index = index_of(old)
    for place in difference(old, new)[0]:
        index.put(place, documents_of(new).get(place))
    for place in documents_of(new):
        assert index.affected([place]) == index_of(new).affected([place])


def test_what_is_gone_is_forgotten() -> None:
    when = condition_from_json({"op": "segment", "values": ["staff"]})
    index = Leanings()
    index.put(("flag", "a"), Flag(key="a", rules=(Rule("r", when, Serve("on")),)))
    assert index.affected([("segment", "staff")]) == {"a"}
    index.put(("flag", "a"), None)
    assert index.affected([("segment", "staff")]) == set()


ASKS_FOR_THE_ENVIRONMENT: list[Any] = [
    Flag(key="f", targets=(Target("on", kind="environment", keys=("test",)),)),
    Flag(
        key="f",
        fallthrough=Serve(
            rollout=Rollout(kind="environment", by="region", buckets=(Bucket("on", 100_000),))
        ),
    ),
    Segment(key="s", included=(SegmentKeys("environment", ("test",)),)),
    Segment(
        key="s",
        rules=(SegmentRule("r", condition_from_json({"all": []}), kind="environment", weight=1),),
    ),
]


@pytest.mark.parametrize("document", ASKS_FOR_THE_ENVIRONMENT)
def test_the_environment_is_leant_on_outside_of_conditions_too(document: Flag | Segment) -> None:
    assert THE_ENVIRONMENT in leans_on(document)
