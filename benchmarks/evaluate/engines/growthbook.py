"""GrowthBook's SDK, by the function that both of its clients stand on, for it is quicker than they.

Contexts are its `UserContext` objects, made beforehand; the function wants the rest of its argument
anew each time. A rollout is a rule that some of its users pass; the others go on to the default
value, which is the same "classic": as an experiment between two values it would be slower. The
segment is a saved group of keys. The result names the rule, not a variation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from growthbook import Options, UserContext
from growthbook.common_types import EvaluationContext, GlobalContext, StackContext
from growthbook.core import eval_feature
from growthbook.growthbook import features_from_dict

from benchmarks.evaluate.question import (
    COUNTRIES,
    EARLY_ADOPTERS,
    KEY,
    OLD_VERSION,
    SEGMENT,
    SHARE,
    Attributes,
)

NAME = "growthbook"

FEATURES = {
    KEY: {
        "defaultValue": "classic",
        "rules": [
            {
                "id": "premium-nearby",
                "condition": {"country": {"$in": list(COUNTRIES)}, "plan": "premium"},
                "force": "express",
            },
            {"id": "early", "condition": {"id": {"$inGroup": SEGMENT}}, "force": "guided"},
            {
                "id": "new-app",
                "condition": {"appVersion": {"$vgt": OLD_VERSION}},
                "force": "new",
                "coverage": SHARE / 100,
                "hashAttribute": "id",
            },
        ],
    }
}
SAVED_GROUPS = {SEGMENT: list(EARLY_ADOPTERS)}


class Growthbook:
    def __init__(self) -> None:
        self._ruleset = GlobalContext(Options(), features_from_dict(FEATURES), SAVED_GROUPS)

    def prepare(self, attributes: Attributes) -> Any:
        return UserContext(attributes={"id": attributes["key"], **attributes})

    def ask(self, contexts: Sequence[Any]) -> None:
        ruleset = self._ruleset
        for user in contexts:
            eval_feature(KEY, EvaluationContext(user, ruleset, StackContext()))

    def answer(self, context: Any) -> str:
        asked = EvaluationContext(context, self._ruleset, StackContext())
        value: str = eval_feature(KEY, asked).value
        return value


def engine() -> Growthbook:
    return Growthbook()
