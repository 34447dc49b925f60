"""Each test logs in a process of its own: set-up is global, and pytest has its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from server.logs import without_password

SCRIPT = """
import logging, sys, structlog
from server.logs import set_up_logs
early = structlog.get_logger("early")
set_up_logs(*sys.argv[1:])
early.info("from structlog", number=7)
logging.getLogger("uvicorn.error").warning("from %s", "uvicorn")
logging.getLogger("elsewhere").info("from the standard library")
early.debug("too quiet")
def fail(token):
    raise ValueError("broken")
try:
    fail(" ".join(["hly", "secret"]))
except ValueError:
    early.exception("failed")
"""


def logged(level: str, form: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, level, form],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_every_line_is_one_json_object_with_time_and_level() -> None:
    lines = [json.loads(line) for line in logged("info", "json")]
    assert [line["event"] for line in lines] == [
        "from structlog",
        "from uvicorn",
        "from the standard library",
        "failed",
    ]
    assert lines[0]["number"] == 7
    assert all({"timestamp", "level"} <= line.keys() for line in lines)


def test_an_exception_is_part_of_its_json_line() -> None:
    assert "ValueError: broken" in json.loads(logged("error", "json")[-1])["exception"]


def test_what_is_less_severe_than_the_level_is_not_logged() -> None:
    assert [json.loads(line)["event"] for line in logged("warning", "json")] == [
        "from uvicorn",
        "failed",
    ]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(form: str) -> None:
    text = "\n".join(logged("info", form))
    assert "ValueError: broken" in text
    assert "hly secret" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db:5432/halyard?x=1", "postgresql://me:***@db:5432/halyard?x=1"),
        ("rediss://:secret@cache/0", "rediss://:***@cache/0"),
        ("postgresql://me@db/halyard", "postgresql://me@db/halyard"),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
