"""LaunchDarkly's SDK, with its flag from a file, as it offers for use without its service.

Its terms lack nothing that the flag needs, and its formula of bucketing is Halyard's. No events are
sent. Contexts are its `Context` objects, built beforehand.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ldclient import Config, Context, LDClient
from ldclient.integrations import Files

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

NAME = "launchdarkly-server-sdk"


def _clause(attribute: str, op: str, *values: str) -> dict[str, Any]:
    return {
        "contextKind": "user",
        "attribute": attribute,
        "op": op,
        "values": list(values),
        "negate": False,
    }


FLAG = {
    "key": KEY,
    "version": 7,
    "on": True,
    "variations": ["express", "guided", "new", "classic"],
    "offVariation": 3,
    "prerequisites": [],
    "targets": [],
    "contextTargets": [],
    "rules": [
        {
            "id": "premium-nearby",
            "clauses": [_clause("country", "in", *COUNTRIES), _clause("plan", "in", "premium")],
            "variation": 0,
        },
        {"id": "early", "clauses": [_clause("", "segmentMatch", SEGMENT)], "variation": 1},
        {
            "id": "new-app",
            "clauses": [_clause("appVersion", "semVerGreaterThan", OLD_VERSION)],
            "rollout": {
                "contextKind": "user",
                "variations": [
                    {"variation": 2, "weight": SHARE * 1_000},
                    {"variation": 3, "weight": 100_000 - SHARE * 1_000},
                ],
            },
        },
    ],
    "fallthrough": {"variation": 3},
    "salt": SALT,
}
SEGMENT_DOCUMENT = {
    "key": SEGMENT,
    "version": 1,
    "included": list(EARLY_ADOPTERS),
    "excluded": [],
    "rules": [],
    "salt": SALT,
}


class LaunchDarkly:
    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "flags.json")
            data = {"flags": {KEY: FLAG}, "segments": {SEGMENT: SEGMENT_DOCUMENT}}
            file.write_text(json.dumps(data), encoding="utf-8")
            config = Config(
                "none",
                update_processor_class=Files.new_data_source(paths=[str(file)]),
                send_events=False,
                diagnostic_opt_out=True,
            )
            self._client = LDClient(config, start_wait=10)

    def prepare(self, attributes: Attributes) -> Any:
        return Context.from_dict({"kind": "user", **attributes})

    def ask(self, contexts: Sequence[Any]) -> None:
        detail = self._client.variation_detail
        for context in contexts:
            detail(KEY, context, DEFAULT)

    def answer(self, context: Any) -> str:
        value: str = self._client.variation_detail(KEY, context, DEFAULT).value
        return value


def engine() -> LaunchDarkly:
    return LaunchDarkly()
