"""Compiled flags answer what the interpreter answers, and no text of a flag becomes Python."""

from __future__ import annotations

import ast
import math
import os
from enum import Enum
from itertools import permutations, product
from typing import Any

import pytest
from halyard_protocol.compilation import calls, source
from halyard_protocol.compilation.compiler import Compiled, NotCompiled, compile_flag
from halyard_protocol.compilation.source import Source
from halyard_protocol.conditions import All, AnyOf, Condition, Leaf, Not, condition_from_json
from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, evaluate
from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH
from halyard_protocol.ruleset import (
    Bucket,
    Environment,
    Flag,
    Prerequisite,
    Rollout,
    Rule,
    Ruleset,
    Segment,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
    Variation,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import vectors
from tests.support.rulesets import (
    NEAR,
    NOW_MS,
    contexts,
    instants,
    nested,
    rulesets,
    strange_contexts,
)
from tests.support.vectors import ConditionFile, EvaluationFile, OperatorFile

pytestmark = pytest.mark.long
EXAMPLES = int(os.environ.get("TEST_COMPILED_EXAMPLES", "200"))
"""Rulesets of the comparison with the interpreter; each is asked some thirty questions."""

ON, OFF = Variation("on", True), Variation("off", False)
DEFAULT = object()
HOSTILE = "'\"\\\n);import os;(\u2028{c0}__import__('os')#\x00\ud800"

OUR_ATTRIBUTES = {
    "get", "__class__", "startswith", "endswith", "variation", "encode", "digest",
}  # fmt: skip

nows = st.integers(-(10**18), 10**18) | instants.map(lambda at: int(at.timestamp() * 1000))


def on_off(key: str = "one", **parts: Any) -> Flag:
    plain = {"enabled": True, "variations": (ON, OFF), "off_variation": "off", "salt": "s"}
    return Flag(key=key, **{**plain, "fallthrough": Serve("on"), **parts})


def ruleset_of(*flags: Flag, segments: tuple[Segment, ...] = ()) -> Ruleset:
    return Ruleset(
        Environment("test", {"region": "eu"}),
        {flag.key: flag for flag in flags},
        {segment.key: segment for segment in segments},
    )


def compiled(ruleset: Ruleset, key: str = "one") -> Compiled:
    return compile_flag(ruleset, key, {})


def is_left_to_the_interpreter(ruleset: Ruleset) -> bool:
    with pytest.raises(NotCompiled):
        compiled(ruleset)
    return True


def assert_same(
    ruleset: Ruleset, key: str, made: Compiled, context: Context, now_ms: int = NOW_MS
) -> Detail:
    expected = evaluate(ruleset, key, context, DEFAULT, now_ms)
    answer: Detail = made.call(context.kinds, now_ms, DEFAULT)
    assert answer == expected
    assert type(answer.value) is type(expected.value)
    return answer


@given(
    rulesets,
    st.lists(contexts | strange_contexts, min_size=6, max_size=10),
    st.lists(nows, min_size=2, max_size=2),
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_compiled_flag_answers_what_the_interpreter_answers(
    ruleset: Ruleset, asking: list[Context], moments: list[int]
) -> None:
    known: dict[Any, Compiled] = {}
    for key in ruleset.flags:
        try:
            made = compile_flag(ruleset, key, known)
        except NotCompiled:
            continue
        for context in asking:
            for now_ms in moments:
                expected = assert_same(ruleset, key, made, context, now_ms)
                if made.simple:
                    assert made.call(context.kinds, 0, DEFAULT) == expected


@pytest.mark.parametrize(
    ("name", "op"), [(name, op) for name, near in NEAR.items() for op in near.operators]
)
def test_a_comparison_tells_apart_what_the_interpreter_does(name: str, op: str) -> None:
    near = NEAR[name]
    singles = (*near.values, *near.attributes)
    lists = [list(pair) for pair in permutations(singles, 2)]
    asked = [*singles, [], *([single] for single in singles), *lists[::3], tuple(singles)]
    for values in ((), *product(near.values), *permutations(near.values, 2), near.values):
        rule = Rule("r", Leaf(op, values, name), Serve("on"))
        ruleset = ruleset_of(on_off(rules=(rule,), fallthrough=Serve("off")))
        made = compiled(ruleset)
        for attribute in asked:
            assert_same(ruleset, "one", made, Context({"user": {name: attribute}}))


def test_every_vector_of_evaluation_is_answered_by_compiled_flags_too() -> None:
    asked = 0
    for file in vectors.read_all().values():
        if not isinstance(file, EvaluationFile):
            continue
        ruleset = file.ruleset()
        for case in file.cases:
            if case.flag not in ruleset.flags:
                continue
            try:
                made = compile_flag(ruleset, case.flag, {})
            except NotCompiled:
                continue
            now_ms = file.now if case.now is None else case.now
            assert_same(ruleset, case.flag, made, Context.of(case.context), now_ms)
            asked += 1
    assert asked > 100


def test_every_vector_of_an_operator_and_a_condition_is_answered_by_compiled_flags_too() -> None:
    asked = 0
    for file in vectors.read_all().values():
        match file:
            case OperatorFile():
                cases: list[Any] = [
                    (
                        {"attribute": "subject", "op": case.op, "values": case.values},
                        {"key": "someone", "subject": case.attribute},
                        case.now,
                    )
                    for case in file.cases
                ]
                base = Ruleset(Environment("test"), {}, {})
            case ConditionFile():
                cases = [(case.when, case.context, case.now) for case in file.cases]
                base = file.ruleset()
            case _:
                continue
        for when, context, now in cases:
            flag = on_off(
                rules=(Rule("r", condition_from_json(when), Serve("on")),), fallthrough=Serve("off")
            )
            ruleset = Ruleset(base.environment, {"one": flag}, base.segments)
            try:
                made = compiled(ruleset)
            except NotCompiled:
                continue
            asking = Context.of(context)
            assert_same(ruleset, "one", made, asking, file.now if now is None else now)
            asked += 1
    assert asked > 400


class Plan(str, Enum):  # noqa: UP042 the older way is what many programs have
    """Formatted as ``Plan.PRO``."""

    PRO = "pro"


def test_a_context_is_split_by_the_text_of_an_enumeration_not_by_its_name() -> None:
    split = Rollout(by="plan", buckets=(Bucket("on", 50_000), Bucket("off", 50_000)))
    ruleset = ruleset_of(on_off(fallthrough=Serve(rollout=split)))
    made = compiled(ruleset)
    answers = [
        assert_same(ruleset, "one", made, Context.of({"plan": plan})) for plan in ("pro", Plan.PRO)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("op", ["greaterThan", "lessThan"])
@pytest.mark.parametrize("values", [(math.nan, 1), (1, math.nan), (math.nan,)])
def test_a_value_that_is_no_number_hides_no_other(op: str, values: tuple[float, ...]) -> None:
    rule = Rule("r", Leaf(op, values, "n"), Serve("on"))
    ruleset = ruleset_of(on_off(rules=(rule,), fallthrough=Serve("off")))
    made = compiled(ruleset)
    for number in (0, 2, math.nan):
        assert_same(ruleset, "one", made, Context.of({"n": number}))


# --- safety


def hostile_ruleset() -> Ruleset:
    """Every place in a ruleset that takes a text holds one that would break out of a literal."""
    when: Condition = All(
        (
            AnyOf(
                (
                    Leaf("in", (HOSTILE, "a"), HOSTILE, kind=HOSTILE),
                    Leaf("startsWith", (HOSTILE,), f"/{HOSTILE}/{HOSTILE}"),
                    Leaf("equals", (3,), "hour", kind="time", zone="Europe/Berlin"),
                    Leaf("greaterThan", (1, 2.5), HOSTILE),
                    Leaf("segment", (HOSTILE, "small")),
                )
            ),
            Not(Leaf("contains", (HOSTILE,), HOSTILE)),
        )
    )
    variations = (Variation(HOSTILE, HOSTILE), Variation("off", "off"))
    rollout = Rollout(HOSTILE, HOSTILE, (Bucket(HOSTILE, 5), Bucket("gone" + HOSTILE, 99_995)))
    parent = on_off(HOSTILE, variations=variations, off_variation=HOSTILE, fallthrough=Serve("off"))
    return ruleset_of(
        on_off(
            variations=variations,
            off_variation=HOSTILE,
            salt=HOSTILE,
            prerequisites=(Prerequisite(HOSTILE, ("off",)),),
            targets=(Target(HOSTILE, HOSTILE, (HOSTILE,)),),
            rules=(Rule(HOSTILE, when, Serve(rollout=rollout)),),
            fallthrough=Serve(rollout=rollout),
        ),
        parent,
        segments=(
            Segment(key=HOSTILE, salt=HOSTILE, rules=(SegmentRule(HOSTILE, when_in(), weight=5),)),
            Segment(
                key="small",
                included=(SegmentKeys(keys=(HOSTILE,)),),
                excluded=(SegmentKeys(keys=(HOSTILE,)),),
                rules=(SegmentRule(HOSTILE, when_in()),),
            ),
        ),
    )


def when_in() -> Condition:
    return Leaf("in", (HOSTILE,), HOSTILE)


def test_no_text_of_a_ruleset_is_parsed_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    written = Source.text

    def noted(self: Source) -> str:
        texts.append(written(self))
        return texts[-1]

    monkeypatch.setattr(Source, "text", noted)
    ruleset = hostile_ruleset()
    made = compiled(ruleset)
    assert len(texts) == 3  # the flag, its prerequisite, and the segment that buckets
    for text in texts:
        assert_only_ours(text)
    for asking in ({"key": "a"}, {"kind": HOSTILE, "key": HOSTILE, HOSTILE: HOSTILE}):
        assert_same(ruleset, "one", made, Context.of(asking))


def assert_only_ours(text: str) -> None:
    """No literal but numbers, None and truth; no name but parameters, variables and calls."""
    ours = {"bound", "made", "aside", "kinds", "now", "default", "x", "y", "t", "n", *calls.NAMES}
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Constant(value=value):
                assert value is None or isinstance(value, bool | float | int)
            case ast.Name(id=name):
                assert name in ours or (name[0] in "cks" and name[1:].isdigit())
            case ast.Attribute(attr=name):
                assert name in OUR_ATTRIBUTES
            case _:
                pass


def test_generated_code_reaches_no_builtin() -> None:
    assert calls.NAMES["__builtins__"] == {}


# --- sharing


def test_flags_of_one_shape_share_their_code() -> None:
    def flag(word: str) -> Flag:
        rule = Rule(word, Leaf("in", (word, "x"), word), Serve("on"))
        return on_off(rules=(rule,), salt=word)

    one, other = (compiled(ruleset_of(flag(word))).call for word in ("a", "b"))
    assert one.__code__ is other.__code__
    assert one({"user": {"a": "a"}}, 0, None).reason.rule_id == "a"
    assert other({"user": {"b": "b"}}, 0, None).reason.rule_id == "b"


def test_functions_that_look_through_the_same_keys_share_one_set_of_them() -> None:
    keys = tuple(f"user-{number}" for number in range(100))
    listed = Segment(key="s", included=(SegmentKeys(keys=keys),))
    rule = Rule("r", Leaf("segment", ("s",)), Serve("off"))
    ruleset = ruleset_of(on_off(rules=(rule,)), on_off("two", rules=(rule,)), segments=(listed,))
    one, two = (
        [cell.cell_contents for cell in compiled(ruleset, key).call.__closure__ or ()]
        for key in ("one", "two")
    )
    (shared,) = (content for content in one if isinstance(content, frozenset))
    assert any(content is shared for content in two)


def test_answers_without_a_bucket_are_the_same_object_each_time() -> None:
    call = compiled(ruleset_of(on_off(rules=(Rule("r", when_in(), Serve("on")),)))).call
    assert call({}, 0, None) is call({"user": {"key": "b"}}, 5, None)


def test_a_function_that_was_made_is_taken_again_while_its_documents_stand() -> None:
    segment = Segment(key="s", rules=(SegmentRule("r", when_in()),))
    flag = on_off(rules=(Rule("r", Leaf("segment", ("s",)), Serve("on")),))
    known: dict[Any, Compiled] = {}
    first = compile_flag(ruleset_of(flag, segments=(segment,)), "one", known)
    assert compile_flag(ruleset_of(flag, segments=(segment,)), "one", known) is first
    assert not first.holds_in(ruleset_of(flag, segments=(Segment(key="s"),)))
    assert not first.holds_in(ruleset_of(flag))


# --- what is not compiled


def chain(length: int) -> tuple[Flag, ...]:
    keys = ["one", *(f"f{number}" for number in range(length))]
    return tuple(
        on_off(key, prerequisites=(Prerequisite(parent, ("on",)),) if parent else ())
        for key, parent in zip(keys, [*keys[1:], None], strict=True)
    )


def nest(length: int, depth: int = 0) -> tuple[Segment, ...]:
    """Segments that name the next, each under ``depth`` groups."""
    return tuple(
        Segment(
            key=f"s{n}", rules=(SegmentRule("r", nested(depth, Leaf("segment", (f"s{n + 1}",)))),)
        )
        for n in range(length)
    )


IN_NEST = Rule("r", Leaf("segment", ("s0",)), Serve("on"))


def test_circles_and_chains_too_deep_are_left_to_the_interpreter() -> None:
    circle = on_off(prerequisites=(Prerequisite("one", ("on",)),))
    assert is_left_to_the_interpreter(ruleset_of(circle))
    assert compiled(ruleset_of(*chain(MAX_PREREQUISITE_DEPTH)))
    assert is_left_to_the_interpreter(ruleset_of(*chain(MAX_PREREQUISITE_DEPTH + 1)))
    asks = on_off(rules=(IN_NEST,))
    assert compiled(ruleset_of(asks, segments=nest(MAX_SEGMENT_DEPTH)))
    assert is_left_to_the_interpreter(ruleset_of(asks, segments=nest(MAX_SEGMENT_DEPTH + 1)))


def test_the_deepest_that_is_compiled_answers_as_the_interpreter_does() -> None:
    deep = ruleset_of(*chain(MAX_PREREQUISITE_DEPTH))
    assert assert_same(deep, "one", compiled(deep), Context.of("a")).value is True
    last = Segment(key=f"s{MAX_SEGMENT_DEPTH - 1}", rules=(SegmentRule("r", All(())),))
    nested = ruleset_of(
        on_off(rules=(IN_NEST,), fallthrough=Serve("off")),
        segments=(*nest(MAX_SEGMENT_DEPTH - 1), last),
    )
    assert assert_same(nested, "one", compiled(nested), Context.of("a")).value is True


def test_diamonds_whose_paths_multiply_are_left_to_the_interpreter() -> None:
    def twice(number: int) -> Flag:
        below = (Prerequisite(f"f{number + 1}", ("on",)),) if number < 20 else ()
        return on_off(f"f{number}", prerequisites=below * 2)

    flags = [on_off(prerequisites=(Prerequisite("f0", ("on",)),)), *map(twice, range(21))]
    assert is_left_to_the_interpreter(ruleset_of(*flags))


def test_an_enormous_rule_is_left_to_the_interpreter() -> None:
    many = AnyOf(tuple(Leaf("equals", (number,), "n") for number in range(3_000)))
    assert is_left_to_the_interpreter(ruleset_of(on_off(rules=(Rule("r", many, Serve("on")),))))


def test_very_many_shares_are_left_to_the_interpreter() -> None:
    split = Serve(rollout=Rollout(buckets=tuple(Bucket("on", 1_000) for _ in range(100))))
    rules = tuple(Rule(f"r{n}", Leaf("equals", (n,), "n"), split) for n in range(20))
    assert is_left_to_the_interpreter(ruleset_of(on_off(rules=rules)))
    assert compiled(ruleset_of(on_off(rules=rules[:2])))


def test_very_many_segments_that_are_gone_are_left_to_the_interpreter() -> None:
    gone = Leaf("segment", tuple(f"gone-{number}" for number in range(3_000)))
    assert is_left_to_the_interpreter(ruleset_of(on_off(rules=(Rule("r", gone, Serve("on")),))))


def test_long_shapes_are_not_kept() -> None:
    wide = AnyOf(tuple(Leaf("equals", (number,), "n") for number in range(800)))
    ruleset = ruleset_of(on_off(rules=(Rule("r", wide, Serve("on")),), fallthrough=Serve("off")))
    before = source._shape.cache_info().currsize
    made = compiled(ruleset)
    assert source._shape.cache_info().currsize == before
    assert assert_same(ruleset, "one", made, Context.of({"n": 799})).value is True
