"""What holds for every flag; what each part of a flag means is in the vectors."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from halyard_protocol.bucketing import share_at
from halyard_protocol.codec import to_builtins
from halyard_protocol.conditions import All, AnyOf, Condition, Leaf, Not
from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, Reason, evaluate
from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH
from halyard_protocol.matching import Inquiry, is_in_segment, matches
from halyard_protocol.ruleset import (
    TOTAL_WEIGHT,
    Bucket,
    Environment,
    Flag,
    MalformedFlag,
    Prerequisite,
    Ramp,
    Rollout,
    Rule,
    Ruleset,
    Segment,
    SegmentRule,
    Serve,
    Variation,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rulesets import (
    FLAGS,
    NOW_MS,
    SEGMENTS,
    conditions,
    contexts,
    flags,
    instants,
    nested,
    read_flag,
    read_segment,
    rulesets,
    segments,
    spoilt,
    strange_contexts,
    unknown_conditions,
)

ON, OFF = Variation("on", True), Variation("off", False)
ENVIRONMENT = Environment("test")
DEFAULT = object()


def ruleset_of(*held: Flag, segments: tuple[Segment, ...] = ()) -> Ruleset:
    return Ruleset(
        ENVIRONMENT,
        {flag.key: flag for flag in held},
        {segment.key: segment for segment in segments},
    )


def on_off(key: str = "one", **parts: Any) -> Flag:
    plain = Flag(key=key, enabled=True, variations=(ON, OFF), off_variation="off", salt="s")
    return msgspec.structs.replace(plain, **{"fallthrough": Serve("on"), **parts})


def split(weight: int) -> Rollout:
    return Rollout(buckets=(Bucket("on", weight), Bucket("off", TOTAL_WEIGHT - weight)))


def assert_sound(detail: Detail) -> None:
    """An answer of the shape that callers may rely on."""
    if detail.variation is None:
        assert detail.value is DEFAULT
        assert detail.reason.kind in ("ERROR", "DISABLED", "EXPIRED", "PREREQUISITE_FAILED")
    else:
        assert detail.value is not DEFAULT
    assert (detail.reason.kind == "ERROR") == (detail.reason.error_code is not None)
    assert detail.reason.bucket is None or 0 <= detail.reason.bucket <= 1


@given(rulesets, strange_contexts, st.integers(-(10**18), 10**18))
@settings(max_examples=120)
def test_every_ruleset_gives_an_answer(ruleset: Ruleset, context: Context, now_ms: int) -> None:
    for key in (*FLAGS, "gone"):
        assert_sound(evaluate(ruleset, key, context, DEFAULT, now_ms))


@given(spoilt(flags("one").map(to_builtins)), spoilt(segments("one").map(to_builtins)), contexts)
@settings(max_examples=120)
def test_every_spoilt_document_gives_an_answer(flag: Any, segment: Any, context: Context) -> None:
    held = read_segment(segment)
    ruleset = Ruleset(ENVIRONMENT, {"one": read_flag(flag)}, {"one": held, "staff": held})
    assert_sound(evaluate(ruleset, "one", context, DEFAULT, NOW_MS))


@given(rulesets, contexts)
@settings(max_examples=50)
def test_the_same_question_has_the_same_answer(ruleset: Ruleset, context: Context) -> None:
    for key in FLAGS:
        first = evaluate(ruleset, key, context, DEFAULT, NOW_MS)
        assert evaluate(ruleset, key, context, DEFAULT, NOW_MS) == first


@given(rulesets, contexts, st.sampled_from(FLAGS), flags("elsewhere"))
@settings(max_examples=50)
def test_flags_that_are_not_asked_for_change_nothing(
    ruleset: Ruleset, context: Context, key: str, other: Flag
) -> None:
    crowded = {**ruleset.flags, "elsewhere": other, "bad": MalformedFlag("bad", 1, "broken")}
    first = evaluate(ruleset, key, context, DEFAULT, NOW_MS)
    second = evaluate(
        Ruleset(ruleset.environment, crowded, ruleset.segments), key, context, DEFAULT, NOW_MS
    )
    assert first == second


@given(st.text(min_size=1), st.integers(0, TOTAL_WEIGHT), st.integers(0, TOTAL_WEIGHT))
def test_raising_a_share_removes_nobody(key: str, weight: int, more: int) -> None:
    lower, higher = sorted((weight, more))
    context = Context.of(key)
    before = ruleset_of(on_off(fallthrough=Serve(rollout=split(lower))))
    after = ruleset_of(on_off(fallthrough=Serve(rollout=split(higher))))
    if evaluate(before, "one", context, None, NOW_MS).variation == "on":
        assert evaluate(after, "one", context, None, NOW_MS).variation == "on"


@given(st.text(min_size=1), st.integers(0, TOTAL_WEIGHT), st.integers(0, TOTAL_WEIGHT))
def test_raising_a_segments_share_removes_nobody(key: str, weight: int, more: int) -> None:
    def is_in(share: int) -> bool:
        rule = SegmentRule("r", All(()), weight=share)
        ruleset = ruleset_of(segments=(Segment(key="s", rules=(rule,)),))
        return is_in_segment("s", Inquiry(ruleset, Context.of(key), NOW_MS))

    lower, higher = sorted((weight, more))
    assert is_in(higher) or not is_in(lower)


@given(
    st.text(min_size=1),
    st.lists(instants, min_size=2, max_size=2, unique=True).map(sorted),
    st.tuples(*[st.integers(0, TOTAL_WEIGHT)] * 2).map(sorted),
    st.lists(st.integers(-(10**10), 10**10), min_size=2, max_size=5).map(sorted),
)
def test_nobody_drops_out_while_a_ramp_rises(
    key: str, span: list[Any], bounds: list[int], moments: list[int]
) -> None:
    ramp = Ramp("on", "off", span[0], span[1], bounds[0], bounds[1])
    ruleset = ruleset_of(on_off(fallthrough=Serve(rollout=Rollout(ramp=ramp))))
    context = Context.of(key)
    seen = [evaluate(ruleset, "one", context, None, NOW_MS + moment).value for moment in moments]
    assert seen == sorted(seen)
    shares = [share_at(ramp, NOW_MS + moment) for moment in moments]
    assert shares == sorted(shares)
    assert all(bounds[0] <= share <= bounds[1] for share in shares)


def test_shares_of_many_contexts_are_near_their_weights() -> None:
    ruleset = ruleset_of(on_off(fallthrough=Serve(rollout=split(30_000))))
    contexts = (Context.of(f"user-{number}") for number in range(4_000))
    on = sum(evaluate(ruleset, "one", each, None, NOW_MS).value for each in contexts)
    assert 1_100 < on < 1_300


@given(conditions, unknown_conditions, contexts)
@settings(max_examples=60)
def test_nothing_matches_beside_something_unknown(
    condition: Condition, unknown: Condition, context: Context
) -> None:
    inquiry = Inquiry(ruleset_of(), context, NOW_MS)
    for spoilt_rule in (
        All((condition, unknown)),
        AnyOf((unknown, condition)),
        Not(All((condition, AnyOf((unknown,))))),
    ):
        assert not matches(spoilt_rule, inquiry)


@given(conditions, contexts)
@settings(max_examples=60)
def test_at_most_one_of_a_condition_and_its_negation_matches(
    condition: Condition, context: Context
) -> None:
    inquiry = Inquiry(ruleset_of(), context, NOW_MS)
    holds, fails = matches(condition, inquiry), matches(Not(condition), inquiry)
    assert not (holds and fails)


@given(rulesets, contexts, st.permutations([*SEGMENTS, "gone"]))
@settings(max_examples=60)
def test_the_order_of_asking_for_segments_does_not_matter(
    ruleset: Ruleset, context: Context, order: list[str]
) -> None:
    together = Inquiry(ruleset, context, NOW_MS)
    for key in order:
        alone = is_in_segment(key, Inquiry(ruleset, context, NOW_MS))
        assert is_in_segment(key, together) is alone


def test_the_deepest_ruleset_leaves_most_of_the_stack() -> None:
    deepest = ruleset_of(
        *(_needing(index) for index in range(MAX_PREREQUISITE_DEPTH)),
        on_off(
            f"f{MAX_PREREQUISITE_DEPTH}",
            rules=(Rule("r", nested(32, Leaf("segment", ("s0",))), Serve("on")),),
            fallthrough=Serve("off"),
        ),
        segments=tuple(_containing(index) for index in range(MAX_SEGMENT_DEPTH + 1)),
    )
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(_depth() + 700)
    try:
        detail = evaluate(deepest, "f0", Context.of("u"), None, NOW_MS)
    finally:
        sys.setrecursionlimit(before)
    assert detail == Detail(True, "on", Reason("FALLTHROUGH"))


def _needing(index: int) -> Flag:
    return on_off(f"f{index}", prerequisites=(Prerequisite(f"f{index + 1}", ("on",)),))


def _containing(index: int) -> Segment:
    last = index == MAX_SEGMENT_DEPTH
    inner = All(()) if last else Leaf("segment", (f"s{index + 1}",))
    return Segment(key=f"s{index}", rules=(SegmentRule("r", nested(32, inner)),))


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def test_prerequisites_that_fan_out_are_decided_once_each() -> None:
    width, depth = 2, 30
    held = [
        on_off(
            f"{level}-{side}",
            prerequisites=tuple(
                Prerequisite(f"{level + 1}-{other}", ("on",)) for other in range(width)
            )
            if level < depth
            else (),
        )
        for level in range(depth + 1)
        for side in range(width)
    ]
    detail = evaluate(ruleset_of(*held), "0-0", Context.of("u"), None, NOW_MS)
    assert detail.reason == Reason("FALLTHROUGH")
