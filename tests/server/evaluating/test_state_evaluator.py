"""An evaluator of a folded state answers from the documents that SDKs get over the wire."""

from __future__ import annotations

import random
from itertools import product

from halyard_protocol.conditions import Leaf
from halyard_protocol.context import Context
from halyard_protocol.explanation import explain
from halyard_protocol.messages import Snapshot, decode_server_message
from halyard_protocol.ruleset import (
    Environment,
    Flag,
    Prerequisite,
    Rule,
    Ruleset,
    SegmentRule,
    Serve,
)
from halyard_protocol.session.feed import Feed, Stored
from halyard_protocol.session.replica import from_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain import commands as c
from domain.pages import dump, load, pages_of
from projections.fold import RulesetFold
from server.evaluating import evaluators
from server.evaluating.evaluators import Evaluators
from server.evaluating.state_evaluator import StateEvaluator, evaluator_of
from tests.support.project_logs import FLAGS, ProjectLog, random_log

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


@settings(max_examples=40)
@given(seeds, st.integers(1, 40))
def test_some_flags_alone_answer_what_they_answer_among_all(
    draw: random.Random, deltas: int
) -> None:
    log = random_log(draw, deltas)
    asked = draw.sample(FLAGS, draw.randint(0, len(FLAGS)))
    for environment in log.environments:
        whole = StateEvaluator().of(log.state, environment).ruleset
        some = evaluator_of(load(dump(log.state)), environment, asked).ruleset
        assert some.environment == whole.environment
        assert {(key, whole.flags[key]) for key in some.flags} == set(some.flags.items())
        assert {(key, whole.segments[key]) for key in some.segments} == set(some.segments.items())
        for flag, user in product(FLAGS, ("user-1", "user-2", "user-3")):
            context = Context.of(
                {"kind": "user", "key": user, "country": draw.choice(("de", "fr"))}
            )
            if flag in asked:
                one, other = (explain(rules, flag, context, None, 0) for rules in (some, whole))
                assert one == other


def test_for_one_flag_nothing_is_read_but_what_it_rests_on() -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("a"), c.CreateFlag("b"), c.CreateFlag("c"))
    log.do(c.CreateSegment("s"), c.CreateSegment("t"), c.CreateSegment("u"))
    wanted = (Prerequisite("b", ("on",)),)
    log.do(c.ChangePrerequisites("a", "production", prerequisites=wanted))
    ruled = Rule("r", Leaf("segment", ("s",)), Serve("on"))
    log.do(c.AddRule("b", "production", rule=ruled))
    log.do(c.ChangeSegmentRules("s", rules=(SegmentRule("r", Leaf("segment", ("t",))),)))
    state = load(dump(log.state))
    ruleset = evaluator_of(state, "production", ("a",)).ruleset
    assert (set(ruleset.flags), set(ruleset.segments)) == ({"a", "b"}, {"s", "t"})
    left = pages_of(state)
    assert left is not None
    assert [*left.unread("flag"), *left.unread("segment")] == ["c", "u"]


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
