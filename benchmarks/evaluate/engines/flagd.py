"""flagd's evaluator for Python: JSON Logic, behind the types of OpenFeature.

The rules are one `if`; the segment is one of its shared `$evaluators`. Membership compares with a
list. The result has a variant and a reason, but does not name the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from benchmarks.evaluate.question import (
    COUNTRIES,
    DEFAULT,
    EARLY_ADOPTERS,
    KEY,
    OLD_VERSION,
    SEGMENT,
    SHARE,
    Attributes,
)

NAME = "openfeature-flagd-core"


def configuration() -> dict[str, Any]:
    """Made anew: what reads it changes it."""
    targeting = {
        "if": [
            {
                "and": [
                    {"in": [{"var": "country"}, list(COUNTRIES)]},
                    {"==": [{"var": "plan"}, "premium"]},
                ]
            },
            "express",
            {"$ref": SEGMENT},
            "guided",
            {"sem_ver": [{"var": "appVersion"}, ">", OLD_VERSION]},
            {"fractional": [["new", SHARE], ["classic", 100 - SHARE]]},
            "classic",
        ]
    }
    return {
        "flags": {
            KEY: {
                "state": "ENABLED",
                "variants": {value: value for value in ("express", "guided", "new", "classic")},
                "defaultVariant": "classic",
                "targeting": targeting,
            }
        },
        "$evaluators": {SEGMENT: {"in": [{"var": "targetingKey"}, list(EARLY_ADOPTERS)]}},
    }


class Flagd:
    def __init__(self) -> None:
        self._core = FlagdCore()
        self._core.set_flags(configuration())

    def prepare(self, attributes: Attributes) -> Any:
        return EvaluationContext(attributes["key"], attributes)

    def ask(self, contexts: Sequence[Any]) -> None:
        detail = self._core.resolve_string_value
        for context in contexts:
            detail(KEY, DEFAULT, context)

    def answer(self, context: Any) -> str:
        value: str = self._core.resolve_string_value(KEY, DEFAULT, context).value
        return value


def engine() -> Flagd:
    return Flagd()
