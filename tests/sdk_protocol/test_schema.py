"""The published JSON Schema says what the types say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from halyard_protocol.conditions import OPERATORS
from halyard_protocol.schema import encoded, main, schemas

PUBLISHED = Path(__file__).parents[2] / "sdk_protocol" / "schema"


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if "$ref" in schema else set()
        return own.union(*map(references, schema.values()))
    return set().union(*map(references, schema)) if isinstance(schema, list) else set()


def test_the_published_schema_is_current() -> None:
    published = {path.name: path.read_bytes() for path in PUBLISHED.glob("*.json")}
    assert published == {name: encoded(schema) for name, schema in schemas().items()}, (
        "run `make schema`"
    )


def test_the_command_writes_every_schema(tmp_path: Path) -> None:
    main(str(tmp_path))
    for name, schema in schemas().items():
        assert (tmp_path / name).read_bytes() == encoded(schema)


def test_every_reference_leads_somewhere() -> None:
    every = schemas()
    for name, schema in every.items():
        for reference in references(schema):
            file, _, pointer = reference.partition("#/$defs/")
            assert pointer in every[file or name]["$defs"], reference


def test_every_operator_is_in_the_schema() -> None:
    shapes = schemas()["ruleset.json"]["$defs"]["Condition"]["oneOf"]
    named = [shape["properties"]["op"]["enum"] for shape in shapes if "op" in shape["properties"]]
    assert sorted(op for ops in named for op in ops) == sorted(OPERATORS)
