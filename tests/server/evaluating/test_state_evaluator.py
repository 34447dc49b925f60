"""An evaluator of a folded state answers from the documents that SDKs get over the wire."""

from __future__ import annotations

import random

from halyard_protocol.messages import Snapshot, decode_server_message
from halyard_protocol.ruleset import Environment, Flag, Ruleset
from halyard_protocol.session.feed import Feed, Stored
from halyard_protocol.session.replica import from_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain import commands as c
from projections.fold import RulesetFold
from server.evaluating import evaluators
from server.evaluating.evaluators import Evaluators
from server.evaluating.state_evaluator import StateEvaluator
from tests.support.project_logs import ProjectLog

seeds = st.integers(0, 2**32).map(random.Random)


def over_the_wire(log: ProjectLog, environment: str) -> Ruleset:
    """What an SDK reads of the snapshot that follows from the log."""
    fold, feed = RulesetFold(log.log_id), Feed()
    for stored in log.events:
        fold.apply(stored)
    documents = {each.name: each.body for each in fold.documents(log.environments[environment])}
    feed.install(Stored("1.1", fold.seq, fold.seq, 0, documents))
    snapshot = decode_server_message(b"".join(feed.source().parts()))
    assert isinstance(snapshot, Snapshot)
    return from_snapshot(snapshot).ruleset


def without_versions(ruleset: Ruleset) -> Ruleset:
    return Ruleset(
        Environment(ruleset.environment.key, ruleset.environment.attributes),
        {key: replace(flag, version=0) for key, flag in ruleset.flags.items()},
        {key: replace(segment, version=0) for key, segment in ruleset.segments.items()},
    )


@settings(max_examples=40)
@given(seeds, st.integers(1, 25))
def test_it_has_the_documents_of_the_wire_after_each_change(
    draw: random.Random, deltas: int
) -> None:
    log, kept = ProjectLog(), Evaluators()
    for _ in range(deltas):
        log.do_any(draw, draw.choice((1, 1, 3)))
        for environment in log.environments:
            wire = over_the_wire(log, environment)
            own = kept.of(log.state, len(log.events), environment).ruleset
            assert without_versions(own) == without_versions(wire)
            assert own == StateEvaluator().of(log.state, environment).ruleset
            begun = log.state.environments[environment].created_at
            for key, flag in wire.flags.items():
                if log.events[flag.version - 1].recorded_at > begun:
                    assert flag.version <= own.flags[key].version


def test_what_did_not_change_stays_the_same_object() -> None:
    log, evaluators_of = ProjectLog(), Evaluators()
    log.do(c.CreateFlag("a"), c.CreateFlag("b"), c.CreateSegment("s"), c.CreateSegment("t"))
    before = evaluators_of.of(log.state, len(log.events), "production")
    assert evaluators_of.of(log.state, len(log.events), "production") is before
    log.do(c.EnableFlag("a", "production"), c.EnableFlag("b", "development"))
    log.do(c.AddSegmentMembers("t", keys=("u",)))
    after = evaluators_of.of(log.state, len(log.events), "production")
    old, new = before.ruleset, after.ruleset
    assert isinstance(new.flags["a"], Flag)
    assert new.flags["a"].enabled
    assert new.flags["b"] is old.flags["b"]
    assert new.segments["s"] is old.segments["s"]
    assert new.segments["t"] is not old.segments["t"]


def test_only_those_used_last_are_kept() -> None:
    log, kept = ProjectLog(), Evaluators()
    first = kept.of(log.state, 1, "production")
    for number in range(evaluators.MAX_KEPT - 1):
        other = ProjectLog(f"p{number}")
        kept.of(other.state, 1, "production")
    assert kept.of(log.state, 1, "production") is first
    for number in range(evaluators.MAX_KEPT):
        kept.of(ProjectLog(f"q{number}").state, 1, "production")
    assert kept.of(log.state, 1, "production") is not first
