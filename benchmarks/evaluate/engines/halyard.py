"""Halyard's SDK: the client of its test kit, which evaluates as every client does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from halyard_sdk import Context, testing

from benchmarks.evaluate.question import (
    COUNTRIES,
    DEFAULT,
    EARLY_ADOPTERS,
    KEY,
    OLD_VERSION,
    SALT,
    SEGMENT,
    SHARE,
    Attributes,
)

NAME = None

FLAG: dict[str, Any] = {
    "key": KEY,
    "version": 7,
    "type": "string",
    "enabled": True,
    "variations": [
        {"key": value, "value": value} for value in ("express", "guided", "new", "classic")
    ],
    "offVariation": "classic",
    "rules": [
        {
            "id": "premium-nearby",
            "when": {
                "all": [
                    {"attribute": "country", "op": "in", "values": list(COUNTRIES)},
                    {"attribute": "plan", "op": "equals", "values": ["premium"]},
                ]
            },
            "serve": {"variation": "express"},
        },
        {
            "id": "early",
            "when": {"op": "segment", "values": [SEGMENT]},
            "serve": {"variation": "guided"},
        },
        {
            "id": "new-app",
            "when": {"attribute": "appVersion", "op": "semverGreaterThan", "values": [OLD_VERSION]},
            "serve": {
                "rollout": {
                    "buckets": [
                        {"variation": "new", "weight": SHARE * 1_000},
                        {"variation": "classic", "weight": 100_000 - SHARE * 1_000},
                    ]
                }
            },
        },
    ],
    "fallthrough": {"variation": "classic"},
    "salt": SALT,
}
"""The flag as it travels; the other engines' are translations of it."""

SEGMENT_DOCUMENT: dict[str, Any] = {
    "key": SEGMENT,
    "included": [{"keys": list(EARLY_ADOPTERS)}],
    "salt": SALT,
}


class Halyard:
    """Asked with prepared contexts."""

    def __init__(self) -> None:
        self._client = testing.client()
        self._client.put_segment(SEGMENT_DOCUMENT)
        self._client.put(FLAG)

    def prepare(self, attributes: Attributes) -> Any:
        return Context.of(attributes)

    def ask(self, contexts: Sequence[Any]) -> None:
        detail = self._client.detail
        for context in contexts:
            detail(KEY, context, DEFAULT)

    def answer(self, context: Any) -> str:
        value: str = self._client.detail(KEY, context, DEFAULT).value
        return value


def engine() -> Halyard:
    return Halyard()
