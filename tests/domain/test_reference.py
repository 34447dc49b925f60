from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from domain import errors
from domain.asked import Asked
from domain.change_request_commands import ChangeRequestCommand
from domain.commands import COMMAND_TYPES
from domain.decide import DECIDERS, TIMED
from domain.events import EVENT_TYPES
from domain.system.commands import SYSTEM_COMMAND_TYPES
from domain.system.events import SYSTEM_EVENT_TYPES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SHARED = {"comment", "expectedRevision"}
COMMANDS: dict[str, type[Asked]] = {**COMMAND_TYPES, **SYSTEM_COMMAND_TYPES}
EVENTS = EVENT_TYPES | SYSTEM_EVENT_TYPES


def rows(page: str) -> dict[str, str]:
    """The rows of a page's tables by what their first cell names."""
    lines = (REFERENCE / page).read_text().splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_its_fields_stand_in_the_reference(name: str) -> None:
    command = COMMANDS[name]
    row = rows("commands.md")[name]
    for field in msgspec.structs.fields(command):
        if field.encode_name not in SHARED:
            mark = "" if field.required else "?"
            assert f"`{field.encode_name}`{mark}:" in row


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_and_its_fields_stand_in_the_reference(name: str) -> None:
    event = EVENTS[name]
    row = rows("events.md")[name]
    assert f"| {'yes' if event.critical else 'no'} |" in row
    for field in msgspec.structs.fields(event):
        if field.encode_name not in SHARED:
            assert f"`{field.encode_name}`" in row


def test_every_refusal_stands_in_the_reference() -> None:
    found = {
        name
        for name, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.Refusal)
    } - {"Refusal", "Conflict"}
    assert found <= set(rows("commands.md"))


def test_every_command_on_one_entity_has_one_that_decides_it() -> None:
    decided = {command.__name__ for command in (*DECIDERS, *TIMED)}
    # Decided together: whose they are matters.
    decided |= {command.__name__ for command in get_args(ChangeRequestCommand)}
    assert decided == set(COMMAND_TYPES) - {"CreateProject", "RotateSdkKey"}
