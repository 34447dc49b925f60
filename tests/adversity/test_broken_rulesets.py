"""Whatever a ruleset and a context hold, evaluation answers, soon, and alike in both ways.

``TEST_BROKEN_RULESETS`` sets how many are tried; ``--log-cli-level=INFO`` shows the slowest.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from halyard_protocol.conditions import OPERATORS, SEGMENT_OPERATORS, VALUELESS_OPERATORS
from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, evaluate
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.ruleset import Ruleset

from tests.support.broken import LONG, PATTERNS, SOUND, Broken, read

RULESETS = int(os.environ.get("TEST_BROKEN_RULESETS", "3000"))

pytestmark = [pytest.mark.adversity, pytest.mark.long, pytest.mark.timeout(120 + RULESETS // 10)]

BOUND_S = 2.0
"""Of processor time, for one evaluation; generous, as others use this machine too. Without the
bounds of patterns, or with one answer asked for twice at each of many levels, it takes minutes."""
INTERPRETED, CALLS = 4, 8
"""Of each flag's calls the first few are interpreted, and the others compiled."""
DEFAULT = object()


@dataclass
class Slowest:
    """What took longest so far, of processor time."""

    seconds: float = 0.0
    what: str = ""
    evaluations: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    def ask(self, what: str, call: Any, *given: Any) -> Detail:
        begun = time.thread_time()
        detail: Detail = call(*given)
        taken = time.thread_time() - begun
        self.evaluations += 1
        self.answers[detail.reason.kind] = self.answers.get(detail.reason.kind, 0) + 1
        if taken > self.seconds:
            self.seconds, self.what = taken, f"{what}: {detail.reason}"
        assert taken < BOUND_S, f"{what} took {taken:.2f} s: {detail.reason}"
        return detail


def assert_alike(found: Detail, expected: Detail) -> None:
    assert found.value is expected.value or repr(found.value) == repr(expected.value)
    assert found.variation == expected.variation
    for part in expected.reason.__struct_fields__:
        if part != "message":
            assert getattr(found.reason, part) == getattr(expected.reason, part), part


def ask_all(
    slowest: Slowest,
    ruleset: Ruleset,
    contexts: list[Context],
    now_ms: int,
    flags: int | None = None,
) -> None:
    """Every flag of the ruleset, or the first few, interpreted and compiled."""
    evaluator = Evaluator(ruleset, interpreted_calls=INTERPRETED)
    for key in (*list(ruleset.flags)[:flags], "gone"):
        for turn in range(max(CALLS, len(contexts))):
            context = contexts[turn % len(contexts)]
            given = (key, context, DEFAULT, now_ms)
            expected = slowest.ask("interpreted", evaluate, ruleset, *given)
            assert_alike(slowest.ask("evaluator", evaluator.detail, *given), expected)


def assert_sound_flag_is_served(ruleset: Ruleset) -> None:
    evaluator = Evaluator(ruleset, interpreted_calls=INTERPRETED)
    for context, variation in ((Context.of({}), "a"), (Context.of("x"), "b")):
        for _ in range(CALLS):
            detail = evaluator.detail("sound", context, DEFAULT, 0)
            assert (detail.variation, detail.reason.error_code) == (variation, None)


def test_broken_rulesets_and_contexts_have_answers() -> None:
    broken, slowest = Broken(seed=20261121), Slowest()
    for number in range(RULESETS):
        ruleset = broken.ruleset()
        contexts = [broken.context() for _ in range(4)]
        try:
            ask_all(slowest, ruleset, contexts, broken.instant())
            assert_sound_flag_is_served(ruleset)
        except BaseException as error:
            error.add_note(f"ruleset {number} of seed 20261121")
            raise
    logging.getLogger(__name__).info("%d rulesets: %s", RULESETS, slowest)
    assert set(slowest.answers) >= {"ERROR", "DISABLED", "RULE_MATCH", "FALLTHROUGH"}


def flag(key: str = "asked", **parts: Any) -> bytes:
    return json.dumps({**SOUND, "key": key, "rules": [], **parts}).encode()


def rule(when: Any) -> dict[str, Any]:
    return {"id": "r", "when": when, "serve": {"variation": "a"}}


def leaf(op: str, *values: Any) -> dict[str, Any]:
    return {"attribute": "subject", "op": op, "values": values}


def segment(key: str, *named: str, op: str = "segment") -> bytes:
    rules = [{"id": name, "when": {"op": op, "values": [name]}} for name in named]
    return json.dumps({"key": key, "rules": rules}).encode()


def needing(key: str, *flags: str) -> bytes:
    return flag(key, prerequisites=[{"flag": name, "variations": ["a", "b"]} for name in flags])


def crowd(count: int) -> list[str]:
    return [f"{number}" for number in range(count)]


def levels(count: int, width: int) -> list[tuple[str, list[str]]]:
    """Keys of ``count`` levels of ``width``, each with all keys of the level below."""
    keys = [[f"{level}-{side}" for side in range(width)] for level in range(count)]
    below = [*keys[1:], []]
    return [(key, keys) for row, keys in zip(keys, below, strict=True) for key in row]


def bushy(depth: int) -> Any:
    """Groups that fork at each level."""
    if depth == 0:
        return leaf("equals", "y")
    return {"any": [bushy(depth - 1), {"not": {"not": bushy(depth - 1)}}]}


IN_FIRST = flag(rules=[rule({"op": "segment", "values": ["0-0"]})])
IN_ANY = flag(rules=[rule({"op": "segment", "values": crowd(60)})])

SHAPES: dict[str, tuple[list[bytes], list[bytes]]] = {
    "segments in diamonds": (
        [IN_FIRST],
        [segment(key, *below) for key, below in levels(9, 12)],
    ),
    "segments in diamonds that go too deep": (
        [IN_FIRST],
        [segment(key, *below) for key, below in levels(20, 12)],
    ),
    "segments in diamonds, denied": (
        [IN_FIRST],
        [segment(key, *below, op="notSegment") for key, below in levels(20, 12)],
    ),
    "segments that each name all after them": (
        [flag(rules=[rule({"op": "segment", "values": ["0"]})])],
        [segment(key, *crowd(60)[index + 1 :]) for index, key in enumerate(crowd(60))],
    ),
    "segments that all name each other": (
        [IN_ANY],
        [segment(key, *crowd(60)) for key in crowd(60)],
    ),
    "segments that all deny each other": (
        [IN_ANY],
        [segment(key, *crowd(60), op="notSegment") for key in crowd(60)],
    ),
    "prerequisites in diamonds": ([needing(key, *below) for key, below in levels(32, 6)], []),
    "prerequisites that go too deep": ([needing(key, *below) for key, below in levels(40, 4)], []),
    "prerequisites all around": ([needing(key, *crowd(40)) for key in crowd(40)], []),
    "groups that fork": ([flag(rules=[rule(bushy(8))])], []),
    "ten thousand rules": ([flag(rules=[rule(leaf("in", "x", n)) for n in range(10_000)])], []),
    "a group of ten thousand": (
        [flag(rules=[rule({"any": [leaf("startsWith", f"x{n}") for n in range(10_000)]})])],
        [],
    ),
    "a hundred thousand values": ([flag(rules=[rule(leaf("in", *crowd(100_000)))])], []),
    "a hundred thousand targets": (
        [flag(targets=[{"kind": "group", "variation": "a", "keys": crowd(100_000)}])],
        [],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_no_shape_of_a_ruleset_takes_long(name: str) -> None:
    flags, segments = SHAPES[name]
    strangers = [f"x-{number}" for number in range(50)]
    contexts = [Context.of("u"), Context.of({"subject": strangers, "groups": strangers})]
    ask_all(Slowest(), read(flags, segments, b'{"key":"test"}'), contexts, 0, flags=3)


@pytest.mark.parametrize("op", sorted(OPERATORS - SEGMENT_OPERATORS - VALUELESS_OPERATORS))
def test_no_text_of_a_megabyte_takes_long(op: str) -> None:
    instant = "2026-01-01T00:00:00." + "9" * len(LONG) + "Z"
    texts = (
        LONG,
        "1." * (len(LONG) // 2),
        ":" * len(LONG),
        instant,
        "PT1." + "1" * len(LONG) + "S",
    )
    contexts = [Context.of({"subject": held}) for text in texts for held in (text, [text] * 3)]
    contexts.append(Context.of({"subject": ["a"] * 10_000}))
    for text in (*texts, "a" * 1_000):
        ruleset = read([flag(rules=[rule(leaf(op, text, "P1D"))])], [], b'{"key":"test"}')
        ask_all(Slowest(), ruleset, contexts, 0)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern[:20])
def test_no_pattern_takes_long_in_a_rule(pattern: str) -> None:
    rules = [rule(leaf("matches", pattern)), rule(leaf("notMatches", pattern, "a"))]
    contexts = [Context.of({"subject": text}) for text in ("ab" * 1_024, "a" * 1_000_000)]
    ask_all(Slowest(), read([flag(rules=rules)], [], b'{"key":"test"}'), contexts, 0)


@pytest.mark.parametrize("depth", [31, 32, 33, 300, 900, 5_000, 200_000])
@pytest.mark.parametrize("group", [('{"all":[', "]}"), ('{"not":', "}")], ids=["all", "not"])
def test_a_document_of_any_depth_leaves_the_others_served(
    group: tuple[str, str], depth: int
) -> None:
    when = group[0] * depth + '{"attribute":"key","op":"exists"}' + group[1] * depth
    deep = flag("deep", rules=[rule("@")]).replace(b'"@"', when.encode())
    ruleset = read([deep, json.dumps(SOUND).encode()], [], b'{"key":"test"}')
    assert Evaluator(ruleset).detail("sound", Context.of("u"), DEFAULT, 0).value == "B"
    assert "deep" in ruleset.flags
    ask_all(Slowest(), ruleset, [Context.of("u")], 0)
