"""Every way for a flag or a segment to be wrong, and where the problem is said to be."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from halyard_protocol import limits
from halyard_protocol.codec import convert
from halyard_protocol.context import Context
from halyard_protocol.evaluation import evaluate
from halyard_protocol.matching import is_understood
from halyard_protocol.ruleset import Environment, Flag, Ruleset, Segment
from halyard_protocol.segment_validation import segment_problems
from halyard_protocol.validation import Problem, flag_problems, value_problem
from hypothesis import given, settings

from tests.support.rulesets import FLAGS, NOW_MS, SEGMENTS, VARIATIONS, contexts, flags, rulesets

OTHERS = {"base": ("on", "off")}

SOUND: dict[str, Any] = {
    "key": "new-checkout",
    "type": "boolean",
    "enabled": True,
    "variations": [{"key": "on", "value": True}, {"key": "off", "value": False}],
    "offVariation": "off",
    "prerequisites": [{"flag": "base", "variations": ["on"]}],
    "targets": [
        {"variation": "on", "keys": ["alice"], "expiresAt": "2026-12-01T00:00:00Z"},
        {"variation": "off", "keys": ["alice"]},
    ],
    "rules": [
        {
            "id": "r1",
            "when": {
                "all": [
                    {"attribute": "country", "op": "in", "values": ["US", 3, True]},
                    {"any": [{"op": "segment", "values": ["staff"]}]},
                    {"not": {"attribute": "/plan/tier", "op": "matches", "values": ["^pre"]}},
                    {
                        "kind": "time",
                        "attribute": "hour",
                        "op": "lessThan",
                        "values": [17],
                        "zone": "Europe/Berlin",
                    },
                    {"attribute": "email", "op": "exists"},
                ]
            },
            "serve": {"variation": "on"},
        },
        {
            "id": "r2",
            "when": {"all": []},
            "serve": {
                "rollout": {
                    "ramp": {
                        "variation": "on",
                        "otherwise": "off",
                        "from": "2026-01-01T00:00:00Z",
                        "to": "2026-02-01T00:00:00Z",
                    }
                }
            },
        },
    ],
    "fallthrough": {
        "rollout": {
            "buckets": [
                {"variation": "on", "weight": 30_000},
                {"variation": "off", "weight": 70_000},
            ]
        }
    },
}

LEAF = "/rules/0/when/all/0"
BUCKETS = "/fallthrough/rollout/buckets"
RAMP = "/rules/1/serve/rollout/ramp"


def leaf(op: str, *values: Any, **more: Any) -> dict[str, Any]:
    return {"attribute": "a", "op": op, "values": list(values), **more}


# What is put where, where the problem is, and words that its reason has.
FAULTS: list[tuple[str, Any, str, str]] = [
    ("/key", "-x", "/key", "beginning with a letter"),
    ("/key", "a b", "/key", "letters, digits"),
    ("/key", "", "/key", "letters, digits"),
    ("/key", "x" * 101, "/key", "at most 100"),
    ("/key", "zo\u00eb", "/key", "letters, digits"),
    ("/key", "x\n", "/key", "letters, digits"),
    ("/variations", [], "/variations", "at least one"),
    ("/variations/1/key", "on", "/variations/1/key", "there twice"),
    ("/variations/1/key", "off!", "/variations/1/key", "letters, digits"),
    ("/variations/0/value", 1, "/variations/0/value", "true or false"),
    ("/variations/0/name", "n" * 201, "/variations/0/name", "at most 200"),
    ("/variations/0/description", "n" * 2001, "/variations/0/description", "at most 2000"),
    ("/offVariation", "offf", "/offVariation", "did you mean 'off'"),
    ("/prerequisites/0/flag", "bass", "/prerequisites/0/flag", "no flag 'bass'"),
    ("/prerequisites/0/flag", "new-checkout", "/prerequisites/0/flag", "of itself"),
    ("/prerequisites/0/variations", [], "/prerequisites/0/variations", "at least one"),
    ("/prerequisites/0/variations", ["o"], "/prerequisites/0/variations/0", "no variation"),
    ("/prerequisites/0/variations", ["on", "on"], "/prerequisites/0/variations/1", "twice"),
    (
        "/prerequisites",
        [{"flag": "base", "variations": ["on"]}] * 2,
        "/prerequisites/1/flag",
        "twice",
    ),
    ("/targets/0/variation", "maybe", "/targets/0/variation", "no variation 'maybe'"),
    ("/targets/0/keys", ["a", "a"], "/targets/0/keys/1", "twice"),
    ("/targets/0/keys", [""], "/targets/0/keys/0", "at least one character"),
    ("/targets/0/keys", ["k" * 1001], "/targets/0/keys/0", "at most 1000"),
    ("/targets/0/keys", [str(n) for n in range(10_001)], "/targets", "use a segment"),
    ("/targets/0/kind", "", "/targets/0/kind", "name a context kind"),
    ("/targets/0/kind", "multi", "/targets/0/kind", "'multi'"),
    ("/targets/0/expiresAt", "2026-12-01T00:00:00", "/targets/0/expiresAt", "offset"),
    ("/expiresAt", "2026-12-01T00:00:00", "/expiresAt", "offset"),
    ("/rules/1/id", "r1", "/rules/1/id", "twice"),
    ("/rules/0/id", "", "/rules/0/id", "letters, digits"),
    ("/rules/0/name", "n" * 201, "/rules/0/name", "at most 200"),
    ("/rules/0/when", {"none": []}, "/rules/0/when", "'all', 'any', 'not' or 'op'"),
    ("/rules/0/when", {"all": {}}, "/rules/0/when", "list of conditions"),
    ("/rules/0/when", {"not": []}, "/rules/0/when/not", "is an object"),
    ("/rules/0/when", {"any": [{"all": [7]}]}, "/rules/0/when/any/0/all/0", "is an object"),
    ("/rules/0/when", {"all": [{"all": []}] * 500}, "/rules/0/when", "at most 500"),
    (LEAF, leaf("equal", 1), f"{LEAF}/op", "did you mean 'equals'"),
    (LEAF, leaf("equals", 1, sparkle=1), LEAF, "unknown field 'sparkle'"),
    (LEAF, {"op": "equals", "values": [1]}, LEAF, "'attribute'"),
    (LEAF, {"attribute": "a", "op": "equals", "values": 1}, LEAF, "'values' is a list"),
    (LEAF, leaf("equals"), f"{LEAF}/values", "at least one value"),
    (LEAF, leaf("equals", *range(1001)), f"{LEAF}/values", "at most 1000"),
    (LEAF, leaf("equals", "v" * 1001), f"{LEAF}/values/0", "at most 1000"),
    (LEAF, leaf("equals", None), f"{LEAF}/values/0", "a string, a number or a boolean"),
    (LEAF, leaf("contains", []), f"{LEAF}/values/0", "a string, a number or a boolean"),
    (LEAF, leaf("startsWith", 1), f"{LEAF}/values/0", "is a string"),
    (LEAF, leaf("matches", "ok", "("), f"{LEAF}/values/1", "missing )"),
    (LEAF, leaf("matches", "a(?=b)"), f"{LEAF}/values/0", "RE2"),
    (LEAF, leaf("notMatches", 3), f"{LEAF}/values/0", "regular expression"),
    (LEAF, leaf("greaterThan", "3"), f"{LEAF}/values/0", "is a number"),
    (LEAF, leaf("lessThan", True), f"{LEAF}/values/0", "is a number"),
    (LEAF, leaf("before", "soon"), f"{LEAF}/values/0", "RFC 3339"),
    (LEAF, leaf("after", "2026-02-30T00:00:00Z"), f"{LEAF}/values/0", "RFC 3339"),
    (LEAF, leaf("olderThan", "7d"), f"{LEAF}/values/0", "'P7D'"),
    (LEAF, leaf("newerThan", 7), f"{LEAF}/values/0", "'P7D'"),
    (LEAF, leaf("semverEquals", "v1"), f"{LEAF}/values/0", "without a leading 'v'"),
    (LEAF, leaf("semverLessThan", 1), f"{LEAF}/values/0", "is a version"),
    (LEAF, leaf("ipInRange", "10.0.0.0/33"), f"{LEAF}/values/0", "range of addresses"),
    (LEAF, leaf("exists", 1), f"{LEAF}/values", "takes no values"),
    (LEAF, leaf("equals", 1, attribute=""), f"{LEAF}/attribute", "name an attribute"),
    (LEAF, leaf("equals", 1, attribute="kind"), f"{LEAF}/attribute", "no attribute"),
    (LEAF, leaf("equals", 1, attribute="/a//b"), f"{LEAF}/attribute", "empty step"),
    (LEAF, leaf("equals", 1, attribute="/a~b"), f"{LEAF}/attribute", "'~0'"),
    (LEAF, leaf("equals", 1, attribute="x" * 201), f"{LEAF}/attribute", "at most 200"),
    (LEAF, leaf("equals", 1, kind=""), f"{LEAF}/kind", "name a context kind"),
    (LEAF, leaf("equals", 1, kind="time"), f"{LEAF}/attribute", "weekday"),
    (LEAF, leaf("equals", 1, zone="UTC"), f"{LEAF}/zone", "only the kind 'time'"),
    (
        LEAF,
        leaf("equals", 1, kind="time", attribute="hour", zone="Mars"),
        f"{LEAF}/zone",
        "unknown time zone",
    ),
    (LEAF, {"op": "segment", "values": ["stuff"]}, f"{LEAF}/values/0", "did you mean 'staff'"),
    (LEAF, {"op": "notSegment", "values": ["gone"]}, f"{LEAF}/values/0", "no segment 'gone'"),
    (LEAF, {"op": "segment", "values": [1]}, f"{LEAF}/values/0", "a string"),
    (LEAF, {"op": "segment", "values": []}, f"{LEAF}/values", "at least one"),
    (LEAF, leaf("segment", "staff"), f"{LEAF}/attribute", "whole context"),
    ("/rules/0/serve", {}, "/rules/0/serve", "either one 'variation'"),
    ("/rules/0/serve/variation", "maybe", "/rules/0/serve/variation", "no variation"),
    ("/fallthrough/variation", "on", "/fallthrough", "either one 'variation'"),
    (f"{BUCKETS}/0/weight", 29_999, BUCKETS, "not 99999"),
    (f"{BUCKETS}/0/weight", -1, f"{BUCKETS}/0/weight", "from 0 to 100000"),
    (f"{BUCKETS}/0/weight", 100_001, f"{BUCKETS}/0/weight", "from 0 to 100000"),
    (f"{BUCKETS}/1/variation", "gone", f"{BUCKETS}/1/variation", "no variation 'gone'"),
    (f"{BUCKETS}/1/untracked", True, f"{BUCKETS}/1/untracked", "only an experiment"),
    (BUCKETS, [], "/fallthrough/rollout", "either 'buckets' or a 'ramp'"),
    ("/fallthrough/rollout/kind", "", "/fallthrough/rollout/kind", "context kind"),
    ("/fallthrough/rollout/by", "", "/fallthrough/rollout/by", "name an attribute"),
    ("/fallthrough/rollout/seed", 2**53, "/fallthrough/rollout/seed", "within"),
    ("/fallthrough/rollout/experiment", "e e", "/fallthrough/rollout/experiment", "letters"),
    (
        "/fallthrough/rollout",
        {"experiment": "e", "by": "team", "buckets": [{"variation": "on", "weight": 100_000}]},
        "/fallthrough/rollout/by",
        "always splits by 'key'",
    ),
    (f"{RAMP}/variation", "gone", f"{RAMP}/variation", "no variation"),
    (f"{RAMP}/otherwise", "gone", f"{RAMP}/otherwise", "no variation"),
    (f"{RAMP}/otherwise", "on", f"{RAMP}/otherwise", "another variation"),
    (f"{RAMP}/to", "2026-01-01T00:00:00Z", f"{RAMP}/to", "after"),
    (f"{RAMP}/to", "2026-02-01T00:00:00", f"{RAMP}/to", "offset"),
    (f"{RAMP}/start", -1, f"{RAMP}/start", "from 0 to"),
    (f"{RAMP}/end", 100_001, f"{RAMP}/end", "from 0 to"),
    (f"{RAMP}/start", 100_000, "", ""),
    (f"{RAMP}/end", -1, f"{RAMP}/end", "rises"),
]


def placed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the document with ``value`` at ``path``."""
    changed = copy.deepcopy(document)
    *steps, last = path.split("/")[1:]
    holder: Any = changed
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    holder[int(last) if isinstance(holder, list) else last] = value
    return changed


def problems_of(document: dict[str, Any]) -> tuple[Problem, ...]:
    return flag_problems(convert(document, Flag), frozenset({"staff"}), OTHERS.get)


def test_a_sound_flag_has_no_problems() -> None:
    assert problems_of(SOUND) == ()


@pytest.mark.parametrize(("path", "value", "problem", "words"), FAULTS)
def test_a_fault_is_named_where_it_is(path: str, value: Any, problem: str, words: str) -> None:
    found = problems_of(placed(SOUND, path, value))
    if not words:
        assert found == ()
        return
    assert any(each.path == problem and words in each.reason for each in found), found


def test_every_fault_is_told_at_once() -> None:
    twice = placed(placed(SOUND, "/key", ""), "/offVariation", "gone")
    assert [problem.path for problem in problems_of(twice)] == ["/key", "/offVariation"]


@pytest.mark.parametrize(
    ("of", "good", "bad"),
    [
        ("boolean", [True, False], [0, "true", None, []]),
        ("string", ["", "x"], [1, None, ["x"], "x" * limits.MAX_VALUE_BYTES]),
        ("integer", [0, -7, 2**53 - 1, 1 - 2**53], [True, 1.0, 2**53, -(2**53), "1"]),
        ("number", [0, 0.5, -1e300, 2**53 - 1], [True, float("nan"), float("inf"), 2**53, "1"]),
        ("json", [None, {"a": [1]}, "x", True], ["x" * limits.MAX_VALUE_BYTES]),
    ],
)
def test_a_value_is_of_its_flags_type(of: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value_problem(of, value) for value in good] == [None] * len(good)
    assert all(value_problem(of, value) for value in bad)


def test_a_json_value_nests_only_so_deep() -> None:
    value: Any = 1
    for _ in range(limits.MAX_VALUE_DEPTH):
        value = {"a": [value]} if _ % 2 else value
    assert value_problem("json", value) is None
    deep: Any = []
    for _ in range(limits.MAX_VALUE_DEPTH):
        deep = [deep]
    assert "nest" in str(value_problem("json", deep))


@given(rulesets, contexts)
@settings(max_examples=80)
def test_a_flag_without_problems_is_never_malformed(ruleset: Ruleset, context: Context) -> None:
    for flag in ruleset.flags.values():
        assert isinstance(flag, Flag)
        known = dict.fromkeys(FLAGS, VARIATIONS)
        if not flag_problems(flag, SEGMENTS, known.get):
            assert all(is_understood(rule.when) for rule in flag.rules)
            alone = Ruleset(Environment("e"), {flag.key: flag}, ruleset.segments)
            reason = evaluate(alone, flag.key, context, None, NOW_MS).reason
            assert reason.kind != "ERROR"


@given(flags("one"))
@settings(max_examples=40)
def test_a_problem_points_to_what_is_there(flag: Flag) -> None:
    for problem in flag_problems(flag, (), lambda _: None):
        assert problem.path.startswith("/")
        assert problem.reason


SEGMENT: dict[str, Any] = {
    "key": "staff",
    "included": [{"kind": "user", "keys": ["alice"]}, {"kind": "group", "keys": ["beta"]}],
    "excluded": [{"kind": "user", "keys": ["bob"]}],
    "rules": [
        {"id": "r1", "when": {"op": "segment", "values": ["staff"]}, "weight": 5_000},
        {"id": "r2", "when": {"all": []}, "by": "/team/id"},
    ],
}

SEGMENT_FAULTS: list[tuple[str, Any, str, str]] = [
    ("/key", ".x", "/key", "beginning with a letter"),
    ("/included/1/kind", "user", "/included/1/kind", "twice"),
    ("/included/0/keys", ["a", "a"], "/included/0/keys/1", "twice"),
    ("/excluded/0/keys", ["alice"], "/included", "both included and excluded"),
    ("/excluded/0/keys", [""], "/excluded/0/keys/0", "at least one character"),
    ("/included/0/keys", [str(n) for n in range(10_000)], "/included", "at most 10000"),
    ("/rules/1/id", "r1", "/rules/1/id", "twice"),
    ("/rules/0/weight", -1, "/rules/0/weight", "from 0 to"),
    ("/rules/0/weight", 100_001, "/rules/0/weight", "from 0 to"),
    ("/rules/1/by", "/team//id", "/rules/1/by", "empty step"),
    ("/rules/1/kind", "multi", "/rules/1/kind", "'multi'"),
    ("/rules/0/when/values/0", "gone", "/rules/0/when/values/0", "no segment 'gone'"),
    ("/rules/0/when", {"op": "near"}, "/rules/0/when/op", "unknown operator 'near'"),
    ("/rules/0/name", "n" * 201, "/rules/0/name", "at most 200"),
]


def segment_problems_of(document: dict[str, Any]) -> tuple[Problem, ...]:
    return segment_problems(convert(document, Segment), ("staff",))


def test_a_sound_segment_has_no_problems() -> None:
    assert segment_problems_of(SEGMENT) == ()


@pytest.mark.parametrize(("path", "value", "problem", "words"), SEGMENT_FAULTS)
def test_a_segments_fault_is_named_where_it_is(
    path: str, value: Any, problem: str, words: str
) -> None:
    found = segment_problems_of(placed(SEGMENT, path, value))
    assert any(each.path == problem and words in each.reason for each in found), found
