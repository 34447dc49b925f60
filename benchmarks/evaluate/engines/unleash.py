"""Unleash's engine, Yggdrasil, by the Python bindings that Unleash's own SDK stands on.

Rules are strategies, the first that applies decides, each with its variants; keys are `userId`; a
segment is a list of constraints. A variant has a name and a payload but no reason. Metrics are not
counted: `check_variant` is the quicker of the two ways to ask. It encodes a context each time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from yggdrasil_engine.engine import UnleashEngine

from benchmarks.evaluate.question import (
    COUNTRIES,
    EARLY_ADOPTERS,
    KEY,
    OLD_VERSION,
    SHARE,
    Attributes,
)

NAME = "yggdrasil-engine"


def _strategy(order: int, constraints: list[dict[str, Any]], **weights: int) -> dict[str, Any]:
    return {
        "name": "flexibleRollout",
        "sortOrder": order,
        "parameters": {"rollout": "100", "stickiness": "userId", "groupId": KEY},
        "constraints": constraints,
        "variants": [
            {
                "name": value,
                "weight": weight,
                "stickiness": "userId",
                "payload": {"type": "string", "value": value},
            }
            for value, weight in weights.items()
        ],
    }


def _in(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {"contextName": name, "operator": "IN", "values": list(values)}


STATE = {
    "version": 2,
    "segments": [{"id": 1, "constraints": [_in("userId", EARLY_ADOPTERS)]}],
    "features": [
        {
            "name": KEY,
            "type": "release",
            "enabled": True,
            "strategies": [
                _strategy(1, [_in("country", COUNTRIES), _in("plan", ["premium"])], express=1_000),
                _strategy(2, [], guided=1_000) | {"segments": [1]},
                _strategy(
                    3,
                    [
                        {
                            "contextName": "appVersion",
                            "operator": "SEMVER_GT",
                            "value": OLD_VERSION,
                        }
                    ],
                    new=SHARE * 10,
                    classic=1_000 - SHARE * 10,
                ),
                _strategy(4, [], classic=1_000),
            ],
        }
    ],
}


class Unleash:
    def __init__(self) -> None:
        self._engine = UnleashEngine()
        self._engine.take_state(json.dumps(STATE))

    def prepare(self, attributes: Attributes) -> Any:
        words = {name: value for name, value in attributes.items() if isinstance(value, str)}
        return {"userId": words.pop("key"), "properties": words}

    def ask(self, contexts: Sequence[Any]) -> None:
        detail = self._engine.check_variant
        for context in contexts:
            detail(KEY, context)

    def answer(self, context: Any) -> str:
        value: str = self._engine.check_variant(KEY, context).variant.payload["value"]
        return value


def engine() -> Unleash:
    return Unleash()
