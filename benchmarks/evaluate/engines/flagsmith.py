"""Flagsmith's engine, which evaluates all features for one identity at once: here there is one.

Every rule is a segment that overrides the feature, with a priority; all of them are tested. The
environment's part of a context is shared, the identity's is made beforehand. The key is also a
trait, since that is quicker than looking for it by a path; a list cannot be one. The rollout is a
multivariate value of the third override.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flag_engine.engine import get_evaluation_result

from benchmarks.evaluate.question import (
    COUNTRIES,
    EARLY_ADOPTERS,
    KEY,
    OLD_VERSION,
    SEGMENT,
    SHARE,
    Attributes,
)

NAME = "flagsmith-flag-engine"


def _condition(trait: str, operator: str, value: Any) -> dict[str, Any]:
    return {"property": trait, "operator": operator, "value": value}


def _override(
    name: str, priority: int, value: str, *conditions: dict[str, Any], **more: Any
) -> dict[str, Any]:
    feature = {"key": KEY, "name": KEY, "enabled": True, "value": value, "priority": priority}
    return {
        "key": name,
        "name": name,
        "rules": [{"type": "ALL", "conditions": list(conditions)}],
        "overrides": [feature | more],
    }


ROLLOUT = [
    {"key": "new", "value": "new", "weight": SHARE, "priority": 1},
    {"key": "classic", "value": "classic", "weight": 100 - SHARE, "priority": 2},
]
SEGMENTS = (
    _override(
        "premium-nearby",
        1,
        "express",
        _condition("country", "IN", list(COUNTRIES)),
        _condition("plan", "EQUAL", "premium"),
    ),
    _override(SEGMENT, 2, "guided", _condition("key", "IN", list(EARLY_ADOPTERS))),
    _override(
        "new-app",
        3,
        "classic",
        _condition("appVersion", "GREATER_THAN", f"{OLD_VERSION}:semver"),
        variants=ROLLOUT,
    ),
)
ENVIRONMENT = {
    "environment": {"key": "bench", "name": "bench"},
    "features": {KEY: {"key": KEY, "name": KEY, "enabled": True, "value": "classic"}},
    "segments": {segment["key"]: segment for segment in SEGMENTS},
}


class Flagsmith:
    def prepare(self, attributes: Attributes) -> Any:
        traits = {name: value for name, value in attributes.items() if isinstance(value, str)}
        key = attributes["key"]
        return {**ENVIRONMENT, "identity": {"identifier": key, "key": key, "traits": traits}}

    def ask(self, contexts: Sequence[Any]) -> None:
        for context in contexts:
            get_evaluation_result(context)["flags"][KEY]

    def answer(self, context: Any) -> str:
        value: str = get_evaluation_result(context)["flags"][KEY]["value"]
        return value


def engine() -> Flagsmith:
    return Flagsmith()
