"""Flags of every type in the demo, and what any OpenFeature client has to say of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx

from tests.support.dev import caught_up

ENVIRONMENT = "development"
ALICE = {"targetingKey": "alice", "country": "AT"}
BOB = {"targetingKey": "bob"}
NOBODY: dict[str, Any] = {}


class Told(NamedTuple):
    """What is told of one flag."""

    value: Any
    variant: str
    reason: str


OF_ALICE = {
    "shown": Told(True, "on", "TARGETING_MATCH"),
    "greeting": Told("Servus", "austrian", "TARGETING_MATCH"),
    "rows": Told(25, "some", "DEFAULT"),
    "ratio": Told(2.0, "double", "DEFAULT"),
    "layout": Told({"columns": [1, 2], "dense": True}, "wide", "SPLIT"),
    "retired": Told(False, "off", "DISABLED"),
}
OF_BOB = {
    **OF_ALICE,
    "shown": Told(False, "off", "DEFAULT"),
    "greeting": Told("Hello", "english", "DEFAULT"),
}
OF_NOBODY = {**OF_BOB, "layout": Told({"columns": [], "dense": False}, "narrow", "DEFAULT")}
DEFAULTS: dict[str, Any] = {
    "shown": False,
    "greeting": "default",
    "rows": -1,
    "ratio": -1.5,
    "layout": {"default": True},
    "retired": True,
}
"""By flag, of its type and never what it serves."""

UNSERVED = "unserved"
"""A string flag that is disabled and has no off variation: what callers get is their default."""


def _flag(key: str, flag_type: str, off: str, /, **values: Any) -> dict[str, Any]:
    variations = [{"key": name, "value": value} for name, value in values.items()]
    return {
        "type": "CreateFlag", "flag": key, "flagType": flag_type, "clientSide": True,
        "variations": variations, "offVariation": off, "fallthrough": {"variation": off},
    }  # fmt: skip


COMMANDS: list[dict[str, Any]] = [
    _flag("shown", "boolean", "off", on=True, off=False),
    {"type": "ChangeTargets", "flag": "shown", "targets": [
        {"kind": "user", "variation": "on", "keys": ["alice"]}]},
    _flag("greeting", "string", "english", austrian="Servus", english="Hello"),
    {"type": "AddRule", "flag": "greeting", "rule": {
        "id": "austria", "when": {"attribute": "country", "op": "equals", "values": ["AT"]},
        "serve": {"variation": "austrian"}}},
    _flag("rows", "integer", "some", few=10, some=25),
    _flag("ratio", "number", "double", half=0.5, double=2.0),
    _flag("layout", "json", "narrow",
        narrow={"columns": [], "dense": False}, wide={"columns": [1, 2], "dense": True}),
    {"type": "AddRule", "flag": "layout", "rule": {
        "id": "known", "when": {"attribute": "key", "op": "exists"},
        "serve": {"rollout": {"buckets": [{"variation": "wide", "weight": 100_000}]}}}},
    _flag("retired", "boolean", "off", on=True, off=False),
    {**_flag(UNSERVED, "string", "text", text="never served"), "offVariation": None},
    *({"type": "EnableFlag", "flag": flag}
        for flag in ("shown", "greeting", "rows", "ratio", "layout")),
]  # fmt: skip


async def create_flags(api: httpx.AsyncClient) -> None:
    """Create them, with ``api`` asking as the admin of `halyard dev`."""
    commands = [
        command if command["type"] == "CreateFlag" else {**command, "environment": ENVIRONMENT}
        for command in COMMANDS
    ]
    answer = await api.post("/api/v1/projects/demo/commands:batch", json={"commands": commands})
    assert answer.status_code == 200, answer.text
    await caught_up(api)
