"""An explanation gives the evaluator's answer, and a trace that leads there."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from halyard_protocol.codec import to_builtins
from halyard_protocol.conditions import All, AnyOf, Condition, Leaf
from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, PrerequisiteOutcome, evaluate
from halyard_protocol.explanation import Explanation, explain
from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH
from halyard_protocol.matching import SegmentProblem, Through
from halyard_protocol.recording import MAX_TRACE_PARTS
from halyard_protocol.ruleset import (
    Environment,
    Flag,
    MalformedFlag,
    Prerequisite,
    Rule,
    Ruleset,
    Segment,
    SegmentRule,
    Serve,
    Variation,
)
from halyard_protocol.showing import MAX_ITEMS, MAX_NESTING, MAX_TEXT, Showing
from halyard_protocol.traces import FlagTrace, LeafTrace, SegmentTrace
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import vectors
from tests.support.rulesets import (
    FLAGS,
    NOW_MS,
    Stranger,
    contexts,
    flags,
    nested,
    read_flag,
    read_segment,
    rulesets,
    segments,
    spoilt,
    strange_contexts,
    strange_values,
)
from tests.support.vectors import BUCKET_TOLERANCE, ExplanationCase, ExplanationFile

(FILE,) = (file for file in vectors.read_all().values() if isinstance(file, ExplanationFile))

DEFAULT = object()
ENVIRONMENT = Environment("test")
SERVED = ("RULE_MATCH", "FALLTHROUGH", "TARGET_MATCH")


def ruleset_of(*held: Flag, segments: tuple[Segment, ...] = ()) -> Ruleset:
    return Ruleset(
        ENVIRONMENT,
        {flag.key: flag for flag in held},
        {segment.key: segment for segment in segments},
    )


def on_off(key: str = "one", **parts: Any) -> Flag:
    both = (Variation("on", True), Variation("off", False))
    plain = Flag(key=key, enabled=True, variations=both, off_variation="off")
    return msgspec.structs.replace(plain, **{"fallthrough": Serve("on"), **parts})


def asking(when: Condition) -> Flag:
    return on_off(rules=(Rule("r", when, Serve("off")),))


def explained(ruleset: Ruleset, key: str, context: Context) -> Explanation:
    explanation = explain(ruleset, key, context, DEFAULT, NOW_MS)
    assert explanation.detail == evaluate(ruleset, key, context, DEFAULT, NOW_MS)
    return explanation


def trace_of(explanation: Explanation) -> FlagTrace:
    assert explanation.trace is not None
    return explanation.trace


def assert_written_and_read(explanation: Explanation) -> None:
    plain = msgspec.structs.replace(
        explanation, detail=Detail(None, None, explanation.detail.reason)
    )
    assert msgspec.json.decode(msgspec.json.encode(plain), type=Explanation) == plain


def assert_leads_to(trace: FlagTrace, detail: Detail) -> None:
    """What was tested last is what the reason names, and nothing before it decided."""
    reason = detail.reason
    assert trace.reason == reason
    assert trace.variation == detail.variation
    assert_prerequisites_lead_to(trace, reason.prerequisite)
    matched = [target.matched for target in trace.targets]
    assert not any(matched[:-1])
    # A target may name a variation that there is not.
    assert not any(matched) or reason.kind in ("TARGET_MATCH", "ERROR")
    assert any(matched) or reason.kind != "TARGET_MATCH"
    assert not any(rule.matched for rule in trace.rules[:-1])
    if reason.kind == "RULE_MATCH":
        assert trace.rules[-1].matched
        assert (trace.rules[-1].index, trace.rules[-1].id) == (reason.rule_index, reason.rule_id)
    elif reason.kind != "ERROR":
        assert not any(rule.matched for rule in trace.rules)
    assert reason.kind == "ERROR" or reason.bucket == (trace.rollout and trace.rollout.bucket)
    assert trace.expired == (reason.kind == "EXPIRED")
    if reason.kind in ("DISABLED", "EXPIRED", "PREREQUISITE_FAILED"):
        assert not trace.targets
        assert not trace.rules


def assert_prerequisites_lead_to(trace: FlagTrace, unmet: str | None) -> None:
    assert all(tested.met for tested in trace.prerequisites[:-1])
    if trace.reason.kind in SERVED:
        assert all(tested.met for tested in trace.prerequisites)
    if unmet is not None:
        assert (trace.prerequisites[-1].flag, trace.prerequisites[-1].met) == (unmet, False)
    for tested in trace.prerequisites:
        assert tested.met == (tested.outcome == "met") == (tested.got in tested.wanted)
        if tested.trace is not None and tested.trace.reason.kind != "ERROR":
            assert tested.trace.variation == tested.got


def parts(of: Any) -> Iterator[dict[str, Any]]:
    """Every object in some JSON."""
    if isinstance(of, dict):
        yield of
    for inner in of.values() if isinstance(of, dict) else of if isinstance(of, list) else ():
        yield from parts(inner)


def without_texts_for_people(written: Any) -> Any:
    for part in parts(written):
        part.pop("message", None)
        if part.get("understood") is False:
            assert part.pop("problem")
    return written


def assert_alike(found: Any, expected: Any) -> None:
    """Equal, and of the same types; buckets nearly so."""
    buckets = [(part, part.pop("bucket")) for part in parts(found) if "bucket" in part]
    others = [part.pop("bucket") for part in parts(expected) if "bucket" in part]
    assert [bucket for _, bucket in buckets] == pytest.approx(others, abs=BUCKET_TOLERANCE)
    assert msgspec.json.encode(found, order="sorted") == msgspec.json.encode(
        expected, order="sorted"
    )


@pytest.mark.parametrize("case", FILE.cases, ids=lambda case: case.name)
def test_a_flag_is_explained_as_its_vector_says(case: ExplanationCase) -> None:
    now_ms = FILE.now if case.now is None else case.now
    context = Context.of(case.context)
    found = explain(FILE.ruleset(), case.flag, context, case.default, now_ms)
    written = without_texts_for_people(msgspec.json.decode(msgspec.json.encode(found)))
    assert_alike(written, copy.deepcopy(case.explanation))


def test_every_word_of_a_trace_has_a_vector() -> None:
    seen = list(parts([case.explanation for case in FILE.cases]))
    assert {part["outcome"] for part in seen if "outcome" in part} == set(
        get_args(PrerequisiteOutcome)
    )
    assert {part["through"] for part in seen if "through" in part} == set(get_args(Through))
    assert {part["problem"] for part in seen if "problem" in part} == set(get_args(SegmentProblem))
    assert {part["tests"] for part in seen if "tests" in part} == {"group", "attribute", "segments"}
    assert {part["group"] for part in seen if "group" in part} == {"all", "any", "not"}


@given(rulesets, strange_contexts, st.integers(-(10**18), 10**18))
@settings(max_examples=150)
def test_the_trace_leads_to_what_the_evaluator_answers(
    ruleset: Ruleset, context: Context, now_ms: int
) -> None:
    for key in FLAGS:
        explanation = explain(ruleset, key, context, DEFAULT, now_ms)
        detail = evaluate(ruleset, key, context, DEFAULT, now_ms)
        assert explanation.detail == detail
        assert (explanation.trace is None) == (key not in ruleset.flags)
        if explanation.trace is not None:
            assert_leads_to(explanation.trace, detail)
        assert_written_and_read(explanation)


@given(spoilt(flags("one").map(to_builtins)), spoilt(segments("one").map(to_builtins)), contexts)
@settings(max_examples=120)
def test_every_spoilt_document_is_explained(flag: Any, segment: Any, context: Context) -> None:
    held = read_segment(segment)
    ruleset = Ruleset(ENVIRONMENT, {"one": read_flag(flag)}, {"one": held, "staff": held})
    explanation = explained(ruleset, "one", context)
    assert_leads_to(trace_of(explanation), explanation.detail)
    assert_written_and_read(explanation)


def test_an_unknown_flag_has_no_trace() -> None:
    explanation = explained(ruleset_of(), "gone", Context.of("u"))
    assert explanation.detail.reason.error_code == "FLAG_NOT_FOUND"
    assert explanation.trace is None


def test_a_flag_that_cannot_be_read_says_what_is_wrong_with_it() -> None:
    ruleset = Ruleset(ENVIRONMENT, {"bad": MalformedFlag("bad", 7, "Expected `int`" * 100)}, {})
    trace = trace_of(explained(ruleset, "bad", Context.of("u")))
    assert (trace.key, trace.version, trace.enabled) == ("bad", 7, False)
    assert trace.reason.error_code == "MALFORMED_FLAG"
    assert "Expected `int`" in trace.reason.message
    assert len(trace.reason.message) == MAX_TEXT + 1


def test_a_circle_of_prerequisites_is_told_with_everything_on_the_way_round() -> None:
    first = on_off("one", prerequisites=(Prerequisite("two", ("on",)),))
    second = on_off("two", prerequisites=(Prerequisite("one", ("on",)),))
    trace = trace_of(explained(ruleset_of(first, second), "one", Context.of("u")))
    (outer,) = trace.prerequisites
    assert (outer.flag, outer.outcome, outer.met) == ("two", "cycle", False)
    assert outer.trace is not None
    (inner,) = outer.trace.prerequisites
    assert (inner.flag, inner.outcome, inner.trace) == ("one", "cycle", None)
    assert trace.reason == outer.trace.reason


def test_a_prerequisite_that_is_named_twice_is_traced_once() -> None:
    held = (
        on_off("one", prerequisites=(Prerequisite("two", ("on",)), Prerequisite("three", ("on",)))),
        on_off("two", prerequisites=(Prerequisite("three", ("on",)),)),
        on_off("three"),
    )
    trace = trace_of(explained(ruleset_of(*held), "one", Context.of("u")))
    two, three = trace.prerequisites
    assert two.trace is not None
    assert two.trace.prerequisites[0].trace is not None
    assert (three.got, three.met, three.trace) == ("on", True, None)


def test_a_circle_of_segments_is_told_by_each_of_them() -> None:
    def naming(key: str, other: str) -> Segment:
        return Segment(key=key, rules=(SegmentRule("r", All((Leaf("segment", (other,)),))),))

    ruleset = ruleset_of(
        asking(Leaf("segment", ("a",))), segments=(naming("a", "b"), naming("b", "a"))
    )
    explanation = explained(ruleset, "one", Context.of("u"))
    assert {key: (held.matched, held.cycle) for key, held in explanation.segments.items()} == {
        "a": (False, True),
        "b": (False, True),
    }
    rule = explanation.segments["b"].rules[0]
    assert rule.matched is None
    assert rule.condition is not None
    assert rule.condition.matched is None
    assert_written_and_read(explanation)


def _leaf(value: Any) -> LeafTrace:
    ruleset = ruleset_of(asking(Leaf("equals", ("x",), "subject")))
    explanation = explained(ruleset, "one", Context.of({"key": "u", "subject": value}))
    assert_written_and_read(explanation)
    leaf = trace_of(explanation).rules[0].condition
    assert isinstance(leaf, LeafTrace)
    return leaf


def test_a_missing_attribute_has_no_actual_value() -> None:
    assert _leaf(None).actual is None


def test_what_is_no_json_is_shown_as_the_name_of_its_type() -> None:
    actual = _leaf([Stranger(), "DE"]).actual
    assert actual is not None
    assert (actual.value, actual.foreign, actual.cut) == (["<Stranger>", "DE"], True, False)


class _Loud(str):
    """A text that resents being looked at."""

    def __getitem__(self, index: Any) -> str:
        raise RuntimeError

    def encode(self, *args: Any) -> bytes:
        raise RuntimeError


class _LoudList(list[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "shown", "cut", "foreign"),
    [
        (True, True, False, False),
        (3, 3, False, False),
        (2**70, float(2**70), True, False),
        (10**4000, "<int>", False, True),
        (float("nan"), "<float>", False, True),
        (float("-inf"), "<float>", False, True),
        ("x" * 1_000_000, "x" * MAX_TEXT + "…", True, False),
        ("\ud800", "?", False, True),
        (_Loud("quiet"), "quiet", False, False),
        (_LoudList([1, _Loud("b")]), [1, "b"], False, False),
        ((1, b"bytes", object), [1, "<bytes>", "<type>"], False, True),
        ({1: 2, "a": {3}}, {"<int>": 2, "a": "<set>"}, False, True),
        (list(range(10**6)), list(range(MAX_ITEMS)), True, False),
        ([[[[[1]]]]], [[[[[]]]]], True, False),
        ([[[[[]]]]], [[[[[]]]]], False, False),
    ],
    ids=range(15),
)
def test_a_value_is_shown_small_and_sound(value: Any, shown: Any, cut: bool, foreign: bool) -> None:
    showing = Showing()
    assert showing.json(value) == shown
    assert (showing.cut, showing.foreign) == (cut, foreign)


@given(strange_values)
def test_whatever_is_shown_can_be_written_and_read(value: Any) -> None:
    showing = Showing()
    shown = showing.json(value)
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown
    assert showing.items <= MAX_ITEMS


def test_a_value_that_contains_itself_is_shown() -> None:
    value: list[Any] = []
    value.append(value)
    shown = Showing().json(value)
    for _ in range(MAX_NESTING):
        (shown,) = shown
    assert shown == []


def size_of(written: Any) -> int:
    """Objects, and elements of lists that are none."""
    if isinstance(written, dict):
        return 1 + sum(map(size_of, written.values()))
    if isinstance(written, list):
        return sum(max(size_of(element), 1) for element in written)
    return 0


@pytest.mark.parametrize("depth", [0, 1, 20])
def test_a_hostile_flag_makes_no_huge_trace(depth: int) -> None:
    leaf = Leaf("equals", tuple("x" * 10_000 for _ in range(20)), "subject")
    wide = AnyOf(tuple(nested(depth, leaf) for _ in range(MAX_TRACE_PARTS)))
    rules = tuple(Rule("i" * 10_000, wide, Serve("on"), name="n" * 10_000) for _ in range(2))
    context = Context.of({"key": "u", "subject": ["y" * 500] * 5})
    explanation = explained(ruleset_of(on_off(rules=rules)), "one", context)
    assert explanation.truncated
    trace = trace_of(explanation)
    assert trace.rules[0].matched is False
    assert_written_and_read(explanation)
    written = msgspec.json.encode(explanation.trace)
    assert MAX_TRACE_PARTS * 0.9 < size_of(msgspec.json.decode(written)) < MAX_TRACE_PARTS * 1.01
    assert len(written) < MAX_TRACE_PARTS * (MAX_TEXT + 100)


def test_a_trace_that_is_full_still_says_what_decided() -> None:
    many = AnyOf(tuple(Leaf("equals", ("x",), "a") for _ in range(MAX_TRACE_PARTS)))
    flag = on_off(prerequisites=(Prerequisite("two", ("off",)),))
    explanation = explained(
        ruleset_of(flag, on_off("two", rules=(Rule("r", many, Serve("on")),))),
        "one",
        Context.of("u"),
    )
    assert explanation.truncated
    trace = trace_of(explanation)
    assert trace.reason.kind == "PREREQUISITE_FAILED"
    (tested,) = trace.prerequisites
    assert (tested.outcome, tested.got) == ("otherVariation", "on")
    assert tested.trace is not None
    assert tested.trace.reason.kind == "FALLTHROUGH"


def test_the_deepest_ruleset_is_traced_to_its_bottom() -> None:
    def containing(index: int) -> Segment:
        last = index == MAX_SEGMENT_DEPTH
        inner = All(()) if last else Leaf("segment", (f"s{index + 1}",))
        return Segment(key=f"s{index}", rules=(SegmentRule("r", nested(32, inner)),))

    needing = [
        on_off(f"f{index}", prerequisites=(Prerequisite(f"f{index + 1}", ("off",)),))
        for index in range(MAX_PREREQUISITE_DEPTH)
    ]
    bottom = on_off(
        f"f{MAX_PREREQUISITE_DEPTH}",
        rules=(Rule("r", nested(32, Leaf("segment", ("s0",))), Serve("off")),),
    )
    held = tuple(containing(index) for index in range(MAX_SEGMENT_DEPTH + 1))
    explanation = explained(ruleset_of(*needing, bottom, segments=held), "f0", Context.of("u"))
    assert not explanation.truncated
    assert len(explanation.segments) == MAX_SEGMENT_DEPTH + 1
    assert all(isinstance(each, SegmentTrace) for each in explanation.segments.values())
    assert_written_and_read(explanation)
    trace: FlagTrace | None = trace_of(explanation)
    depth = 0
    while trace is not None and trace.prerequisites:
        trace, depth = trace.prerequisites[0].trace, depth + 1
    assert trace is not None
    assert depth == MAX_PREREQUISITE_DEPTH
    assert trace.rules[0].matched
