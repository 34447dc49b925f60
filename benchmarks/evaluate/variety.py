"""Many flags, for what is measured of Halyard alone; and what it takes until one is settled.

An evaluator may answer a flag's first few evaluations in another way than those after. So nothing
here knows which evaluation makes it ready: a flag counts as settled after EARLY evaluations.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any

from halyard_protocol.codec import decode_flag, decode_segment, encode
from halyard_protocol.context import Context
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.ruleset import Environment, Ruleset

from benchmarks.evaluate.engines.halyard import FLAG, SEGMENT_DOCUMENT
from benchmarks.evaluate.question import COUNTRIES, DEFAULT, ELSEWHERE, SEGMENT, contexts

EARLY = 40
"""Evaluations of a flag before it counts as settled."""

NOW_MS = 1_790_000_000_000
OTHER_SEGMENT = "others"

Json = dict[str, Any]


def alike(number: int, segment: str = SEGMENT, revision: int = 0) -> Json:
    """The flag of the question with other constants: every one of the same shape."""
    flag = copy.deepcopy(FLAG) | {"key": f"flag-{number}", "version": revision}
    nearby, early, new_app = flag["rules"]
    country, plan = nearby["when"]["all"]
    country["values"] = [*random.Random(number).sample(COUNTRIES, 8), f"X{revision}"]
    plan["values"] = [f"plan-{number}", "premium"]
    early["when"]["values"] = [segment]
    new_app["when"]["values"] = [f"{number % 12}.{number % 7}.{revision}"]
    return flag


def unlike(number: int) -> Json:
    """A flag of its own shape: one to five rules, each a tree of one to a dozen conditions."""
    chance = random.Random(number)
    rules = [
        {
            "id": f"rule-{index}",
            "when": _condition(chance, depth=2),
            "serve": chance.choice(({"variation": "new"}, FLAG["rules"][2]["serve"])),
        }
        for index in range(chance.randint(1, 5))
    ]
    targets = [{"variation": "express", "keys": [f"user-{chance.randint(0, 999)}"]}]
    return FLAG | {
        "key": f"flag-{number}",
        "rules": rules,
        "targets": targets * chance.randint(0, 1),
    }


def _condition(chance: random.Random, depth: int) -> Json:
    if depth and chance.random() < 0.5:
        children = [_condition(chance, depth - 1) for _ in range(chance.randint(1, 4))]
        return chance.choice(({"all": children}, {"any": children}, {"not": children[0]}))
    attribute, op, values = chance.choice(
        (
            ("country", "in", chance.sample(COUNTRIES + ELSEWHERE, chance.randint(1, 8))),
            ("plan", "notEquals", ["free"]),
            ("email", "endsWith", [f"{chance.randint(0, 9)}@example.org"]),
            ("email", "matches", [rf"^user-\d*{chance.randint(0, 9)}@"]),
            ("appVersion", "semverLessThan", [f"{chance.randint(1, 9)}.0.0"]),
            ("groups", "contains", ["beta"]),
            ("age", "greaterThan", [chance.randint(18, 80)]),
        )
    )
    if chance.random() < 0.15:
        return {"op": "segment", "values": [SEGMENT]}
    return {"attribute": attribute, "op": op, "values": values}


def ruleset_of(flags: list[Json]) -> Ruleset:
    """Read from JSON, as an SDK reads what it gets."""
    segments = (SEGMENT_DOCUMENT, SEGMENT_DOCUMENT | {"key": OTHER_SEGMENT})
    return Ruleset(
        Environment("bench"),
        {flag["key"]: decode_flag(encode(flag)) for flag in flags},
        {str(each["key"]): decode_segment(encode(each)) for each in segments},
    )


@cache
def asking() -> tuple[Context, ...]:
    """Contexts for the evaluations of one flag: of the question's, one in each EARLY-th."""
    return tuple(Context.of(each) for each in contexts()[:: len(contexts()) // EARLY])[:EARLY]


def settle(evaluator: Evaluator) -> None:
    """Evaluate every flag until it is settled."""
    for key in evaluator.ruleset.flags:
        for context in asking():
            evaluator.detail(key, context, DEFAULT, NOW_MS)


def early_us(evaluator: Evaluator, key: str) -> list[float]:
    """How long each of a flag's next evaluations takes."""
    detail = evaluator.detail
    return [_us(lambda: detail(key, context, DEFAULT, NOW_MS)) for context in asking()]  # noqa: B023


def settling_us(early: list[float], settled: list[float]) -> float:
    """What the early evaluations cost together, over as many settled ones."""
    return sum(early) - sum(settled)


def _us(what: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    what()
    return (time.perf_counter_ns() - began) / 1_000


def timed_us(what: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returned, and how long it took."""
    began = time.perf_counter_ns()
    answer = what()
    return answer, (time.perf_counter_ns() - began) / 1_000


def middle_and_high(times: list[float]) -> str:
    """The median and the 99th percentile, in us."""
    ordered = sorted(times)
    return f"{median(ordered):8.1f} us (p99 {ordered[len(ordered) * 99 // 100]:.1f})"
