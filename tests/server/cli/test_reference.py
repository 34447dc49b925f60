"""The reference of the command line says what the program says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from server.cli.exits import Exit
from server.cli.main import app
from tests.support.cli import Halyard, json_of

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference" / "cli.md"
SHARED = ("--data-dir", "--json")


def commands(of: Any, path: str = "halyard") -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it."""
    below = getattr(of, "commands", None)
    if below is None:
        yield path, of
        return
    for name, command in below.items():
        yield from commands(command, f"{path} {name}")


ALL = dict(commands(typer.main.get_command(app)))


def section(path: str) -> str:
    """What the reference says of one command."""
    sections = REFERENCE.read_text().split("\n### `")
    found = [text for text in sections if text.startswith((f"{path}`", f"{path} "))]
    assert len(found) == 1, f"{path} has {len(found)} sections"
    return found[0]


@pytest.mark.parametrize("path", ALL)
def test_every_command_its_arguments_and_options_stand_in_the_reference(path: str) -> None:
    command, text = ALL[path], section(path)
    assert command.help.strip() in text
    for parameter in command.params:
        if parameter.opts[0] not in SHARED:
            names = [name if name.startswith("-") else name.upper() for name in parameter.opts]
            row = f"| {', '.join(f'`{name}`' for name in names)} | {parameter.help} |"
            assert row in text


def test_the_reference_has_no_other_command() -> None:
    assert REFERENCE.read_text().count("\n### `halyard ") == len(ALL)


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_stands_in_the_reference(code: Exit) -> None:
    assert f"\n| {code.value} | " in REFERENCE.read_text()


def test_settings_are_listed_for_programs_and_for_people(halyard: Halyard) -> None:
    listed = json_of(halyard("settings", "--json"))["settings"]
    port = next(each for each in listed if each["variable"] == "HALYARD_PORT")
    assert port["default"] == "8080"
    assert "HALYARD_TOMBSTONE_DAYS" in halyard("settings").stdout


def test_help_answers_without_importing_what_is_heavy() -> None:
    script = "import sys, server.cli.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"asyncpg", "redis", "uvicorn", "starlette", "structlog", "uvloop", "eventstore"}
    assert not heavy & set(done.stdout.split())
