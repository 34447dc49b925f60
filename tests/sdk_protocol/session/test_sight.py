"""What a flag sees of a context is all that its answer can depend on."""

from __future__ import annotations

from typing import Any

import pytest
from halyard_protocol.conditions import condition_from_json
from halyard_protocol.context import Attributes, Context
from halyard_protocol.evaluation import evaluate
from halyard_protocol.ruleset import (
    Environment,
    Flag,
    Prerequisite,
    Rule,
    Ruleset,
    Segment,
    SegmentRule,
    Serve,
    Target,
)
from halyard_protocol.session.sight import attributes_seen, seen
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rulesets import FLAGS, NOW_MS, contexts, rulesets


@settings(max_examples=80)
@given(ruleset=rulesets, context=contexts, key=st.sampled_from(FLAGS))
def test_what_a_flag_does_not_see_makes_no_difference(
    ruleset: Ruleset, context: Context, key: str
) -> None:
    names = {(kind, name.split("/")[1] if name.startswith("/") else name)
             for kind, name in attributes_seen(ruleset, key)}  # fmt: skip
    kept: dict[str, Attributes] = {
        kind: {name: value for name, value in attributes.items() if (kind, name) in names}
        for kind, attributes in context.kinds.items()
    }
    whole = evaluate(ruleset, key, context, None, NOW_MS)
    assert evaluate(ruleset, key, Context(kept), None, NOW_MS) == whole


def rules(*flags: Flag, segments: tuple[Segment, ...] = ()) -> Ruleset:
    environment = Environment("dev", {"region": "eu"})
    return Ruleset(environment, {f.key: f for f in flags}, {s.key: s for s in segments})


def asking(key: str, when: dict[str, Any], *requires: str) -> Flag:
    rule = Rule("r", condition_from_json(when), Serve("on"))
    return Flag(key=key, rules=(rule,), prerequisites=tuple(map(Prerequisite, requires)))


def test_prerequisites_and_segments_are_seen_through() -> None:
    plan: dict[str, Any] = {"kind": "organization", "attribute": "plan", "op": "exists"}
    segment = Segment(key="s", rules=(SegmentRule("r", condition_from_json(plan)),))
    flags = (
        asking("a", {"op": "segment", "values": ["s"]}, "b"),
        asking("b", {"attribute": "/address/city", "op": "exists"}),
    )
    ruleset = rules(*flags, segments=(segment,))
    assert attributes_seen(ruleset, "a") == (("organization", "plan"), ("user", "/address/city"))
    assert attributes_seen(ruleset, "gone") == ()


def test_targets_of_groups_see_the_users_own_list() -> None:
    flag = Flag(key="a", targets=(Target("on", kind="group", keys=("beta",)),))
    assert attributes_seen(rules(flag), "a") == (("group", "key"), ("user", "groups"))


def test_time_is_not_seen() -> None:
    clock = {"kind": "time", "attribute": "hour", "op": "lessThan", "values": [9]}
    assert attributes_seen(rules(asking("a", clock)), "a") == ()


@pytest.mark.parametrize(("one", "other"), [(1, True), ("1", 1), (None, "null"), ([], "[]")])
def test_values_of_other_types_are_others(one: Any, other: Any) -> None:
    wanted = (("user", "n"),)
    assert seen(wanted, {"user": {"n": one}}) != seen(wanted, {"user": {"n": other}})


def test_an_environment_that_the_context_brings_hides_the_rulesets() -> None:
    wanted = (("environment", "region"),)
    assert seen(wanted, {}) != seen(wanted, {"environment": {}})
