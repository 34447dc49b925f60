"""JSON Schema of what travels, generated from the types.

``python -m halyard_protocol.schema DIR`` writes it to files, for implementers in other languages
and for tools. That command apart, nothing here touches the disk, and nothing else in the package
imports this module. The schemas are open: readers ignore unknown fields, and so do they.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import msgspec

from halyard_protocol import messages
from halyard_protocol.conditions import (
    OPERATORS,
    SEGMENT_OPERATORS,
    VALUELESS_OPERATORS,
    Condition,
)
from halyard_protocol.evaluation import Detail
from halyard_protocol.explanation import Explanation
from halyard_protocol.ruleset import Environment, Flag, Segment

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CONDITION = "Condition"
_LOCAL = "#/$defs/"
_RULESET = "ruleset.json#/$defs/"

_DOCUMENTS: dict[str, dict[str, Any]] = {
    "environment": {"$ref": f"{_RULESET}Environment"},
    "flags": {"type": "array", "items": {"$ref": f"{_RULESET}Flag"}},
    "segments": {"type": "array", "items": {"$ref": f"{_RULESET}Segment"}},
}
"""What the raw JSON in messages is, by the field that holds it."""


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by the name of its file."""
    return {
        "ruleset.json": _ruleset(),
        "stream.json": _stream(),
        "detail.json": _schema("Halyard: the answer of an evaluation", Detail),
        "explanation.json": _schema("Halyard: an answer and its trace", Explanation),
    }


def _schema(title: str, of: Any) -> dict[str, Any]:
    return {"$schema": _DIALECT, "title": title, **msgspec.json.schema(of)}


def _ruleset() -> dict[str, Any]:
    types = (Flag, Segment, Environment)
    _, components = msgspec.json.schema_components(
        types, schema_hook=_schema_of_condition, ref_template=f"{_LOCAL}{{name}}"
    )
    return {
        "$schema": _DIALECT,
        "title": "Halyard: the documents of a ruleset",
        "anyOf": [{"$ref": f"{_LOCAL}{of.__name__}"} for of in types],
        "$defs": {**components, _CONDITION: _condition()},
    }


def _schema_of_condition(of: type) -> dict[str, Any]:
    if of is Condition:
        return {"$ref": f"{_LOCAL}{_CONDITION}"}
    raise NotImplementedError(f"no schema of {of}")


def _condition() -> dict[str, Any]:
    """One node of a rule's ``when``, as this version understands it."""
    this = {"$ref": f"{_LOCAL}{_CONDITION}"}
    several = {"type": "array", "items": this}
    compared = OPERATORS - SEGMENT_OPERATORS - VALUELESS_OPERATORS
    named = {"kind": {"type": "string", "default": "user"}, "attribute": {"type": "string"}}
    values = {"type": "array", "items": {"type": ["string", "number", "boolean"]}}
    return {
        "title": _CONDITION,
        "oneOf": [
            _closed({"all": several}, "all"),
            _closed({"any": several}, "any"),
            _closed({"not": this}, "not"),
            _closed(
                {**named, "op": _one_of(compared), "values": values, "zone": {"type": "string"}},
                "attribute", "op", "values",
            ),
            _closed(
                {**named, "op": _one_of(VALUELESS_OPERATORS), "zone": {"type": "string"}},
                "attribute", "op",
            ),
            _closed(
                {
                    "op": _one_of(SEGMENT_OPERATORS),
                    "values": {"type": "array", "items": {"type": "string"}},
                },
                "op", "values",
            ),
        ],
    }  # fmt: skip


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _one_of(words: frozenset[str]) -> dict[str, Any]:
    return {"enum": sorted(words)}


def _stream() -> dict[str, Any]:
    server, client = _members(messages.ServerMessage), _members(messages.ClientMessage)
    _, components = msgspec.json.schema_components(
        (*server, *client, messages.Value), ref_template=f"{_LOCAL}{{name}}"
    )
    for holder in ("Snapshot", "Put"):
        components[holder]["properties"].update(_DOCUMENTS)
    components["Values"]["properties"]["values"]["additionalProperties"] = {
        "$ref": f"{_LOCAL}{messages.Value.__name__}"
    }
    return {
        "$schema": _DIALECT,
        "title": "Halyard: the messages of /stream/v1",
        "anyOf": [{"$ref": f"{_LOCAL}ServerMessage"}, {"$ref": f"{_LOCAL}ClientMessage"}],
        "$defs": {
            **components,
            "ServerMessage": {"anyOf": [{"$ref": f"{_LOCAL}{of.__name__}"} for of in server]},
            "ClientMessage": {"anyOf": [{"$ref": f"{_LOCAL}{of.__name__}"} for of in client]},
        },
    }


def _members(union: Any) -> tuple[type, ...]:
    return get_args(union) or (union,)


def encoded(schema: dict[str, Any]) -> bytes:
    """A schema as it stands in its file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def main(folder: str) -> None:
    """Write every schema into an existing folder."""
    for name, schema in schemas().items():
        (Path(folder) / name).write_bytes(encoded(schema))


if __name__ == "__main__":
    main(sys.argv[1])
