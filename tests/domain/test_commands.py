from __future__ import annotations

import json
from itertools import count
from typing import Any

import msgspec
import pytest
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import Serve

from domain import commands as c
from domain.errors import InvalidCommand
from domain.facts import Entity, environment_entity

ENABLE = {"type": "EnableFlag", "flag": "checkout", "environment": "production"}


def problems(source: bytes | dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(InvalidCommand) as caught:
        c.decode_command(source)
    return caught.value.problems


def test_a_command_is_read_from_json() -> None:
    source = {**ENABLE, "expectedRevision": 7, "comment": "Launch day"}
    expected = c.EnableFlag("checkout", "production", expected_revision=7, comment="Launch day")
    assert c.decode_command(json.dumps(source).encode()) == expected
    assert c.decode_command(source) == expected


def test_an_unknown_type_is_refused_with_a_suggestion() -> None:
    [problem] = problems({**ENABLE, "type": "EnabelFlag"})
    assert problem.path == "/type"
    assert "did you mean 'EnableFlag'?" in problem.reason


def test_a_missing_type_is_named() -> None:
    [problem] = problems({"flag": "checkout"})
    assert problem == Problem("/type", 'missing: name the command, for example "EnableFlag"')


def test_an_unknown_field_is_named() -> None:
    [problem] = problems({**ENABLE, "environmentKey": "production"})
    assert problem.path == "/environmentKey"


def test_an_unknown_field_deep_inside_is_named() -> None:
    rule = {"id": "r", "when": {"all": []}, "serve": {"variation": "on", "rollouts": {}}}
    [problem] = problems({**ENABLE, "type": "AddRule", "rule": rule})
    assert problem.path == "/rule/serve/rollouts"


def test_a_missing_field_is_named() -> None:
    [problem] = problems({"type": "EnableFlag", "flag": "checkout"})
    assert problem == Problem("/environment", "missing: this field is required")


def test_a_missing_field_deep_inside_is_named() -> None:
    rule = {"id": "r", "when": {"all": []}}
    [problem] = problems({**ENABLE, "type": "ChangeRule", "rule": rule})
    assert problem.path == "/rule/serve"


def test_a_wrong_type_is_named() -> None:
    [problem] = problems({**ENABLE, "type": "TagFlag", "environment": None} | {"tags": ["a", 1]})[
        -1:
    ]
    assert problem == Problem("/tags/1", "is text, not a whole number")


def test_every_unknown_field_is_listed_beside_the_wrong_type() -> None:
    found = problems({**ENABLE, "flag": 1, "x": 1, "y": 2})
    assert [problem.path for problem in found] == ["/x", "/y", "/flag"]


def test_a_negative_expected_revision_is_refused() -> None:
    [problem] = problems({**ENABLE, "expectedRevision": -1})
    assert problem.path == "/expectedRevision"


@pytest.mark.parametrize("source", [b"", b"{", b"[]", b"\xff", b'"EnableFlag"', b"[" * 99_999])
def test_what_is_not_an_object_is_refused(source: bytes) -> None:
    [problem] = problems(source)
    assert problem.path == ""


@pytest.mark.parametrize("name", c.COMMAND_TYPES)
def test_an_empty_command_of_each_type_is_read_or_refused_with_a_path(name: str) -> None:
    fields = msgspec.structs.fields(c.COMMAND_TYPES[name])
    required = [field.encode_name for field in fields if field.required]
    if required:
        assert problems({"type": name})[0].path == f"/{required[0]}"
    else:
        assert type(c.decode_command({"type": name})).__name__ == name


def test_off_variation_may_be_null_or_left_out() -> None:
    left_out = c.decode_command({"type": "CreateFlag", "flag": "a"})
    null = c.decode_command({"type": "CreateFlag", "flag": "a", "offVariation": None})
    assert isinstance(left_out, c.CreateFlag)
    assert isinstance(null, c.CreateFlag)
    assert left_out.off_variation is msgspec.UNSET
    assert null.off_variation is None


def test_a_rule_to_be_added_may_leave_its_id_out() -> None:
    rule = {"when": {"all": []}, "serve": {"variation": "on"}}
    command = c.decode_command({**ENABLE, "type": "AddRule", "rule": rule})
    assert isinstance(command, c.AddRule)
    assert command.rule.id == ""
    assert "id" not in rule


def test_a_command_survives_its_own_json() -> None:
    command = c.CreateFlag(
        "checkout", "Checkout", "boolean", fallthrough=Serve("on"), tags=("a",), comment="why"
    )
    assert c.decode_command(encode(command)) == command


def test_completing_fills_what_was_left_out_and_nothing_else() -> None:
    numbers = count(1)

    def new_id() -> str:
        return f"id{next(numbers)}"

    project = c.complete(c.CreateProject("demo"), new_id)
    assert isinstance(project, c.CreateProject)
    assert [new.id for new in project.environments] == ["id1", "id2", "id3"]
    assert c.complete(project, new_id) == project
    assert c.complete(c.CreateFlag("a"), new_id) == c.CreateFlag("a", salt="id4")
    assert c.complete(c.IssueSdkKey("dev"), new_id) == c.IssueSdkKey("dev", "id5")
    enable = c.EnableFlag("a", "dev")
    assert c.complete(enable, new_id) is enable


@pytest.mark.parametrize(
    ("command", "entity"),
    [
        (c.RenameProject("New"), Entity("project", "demo")),
        (c.CreateProject("shop"), Entity("project", "shop")),
        (c.DeleteEnvironment("dev"), environment_entity("dev")),
        (c.RevokeSdkKey("dev", "k"), Entity("key", "k", "dev")),
        (c.ArchiveFlag("a"), Entity("flag", "a")),
        (c.EnableFlag("a", "dev"), Entity("flag", "a", "dev")),
        (c.DeleteSegment("s"), Entity("segment", "s")),
    ],
)
def test_each_command_addresses_one_entity(command: c.Command, entity: Entity) -> None:
    assert command.addressed("demo") == entity
