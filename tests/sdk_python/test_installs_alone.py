"""The SDK in an empty environment, installed as a stranger would: it brings its own, no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

EXPECTED = {"halyard-sdk", "halyard-protocol", "websockets", "msgspec", "google-re2"}

PROGRAM = """
from importlib.resources import files

from halyard_sdk import AsyncClient, Client, testing

assert files("halyard_sdk").joinpath("py.typed").is_file()
assert files("halyard_protocol").joinpath("py.typed").is_file()

with testing.client({"new-checkout": True}) as flags:
    flags.put(testing.flag("theme", "light", "dark").rule("dark", "email", "matches", "^a.*@"))
    assert flags.boolean("new-checkout", "alice", False)
    assert flags.string("theme", {"key": "alice", "email": "alice@example.org"}, "") == "dark"

with Client("http://127.0.0.1:1", "abcdefghijkl-s-secret") as client:
    assert client.string("theme", "alice", "mine") == "mine"
"""

WITH_OPENFEATURE = """
from openfeature import api

from halyard_sdk import testing
from halyard_sdk.openfeature import HalyardProvider

api.set_provider_and_wait(HalyardProvider(testing.client({"new-checkout": True})))
assert api.get_client().get_boolean_value("new-checkout", False)
api.shutdown()
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.acceptance
@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_sdk_works_with_nothing_but_what_it_names(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    before = installed(pip, tmp_path)
    run(*pip, "install", "-q", ROOT / "sdk_protocol", ROOT / "sdk_python", cwd=tmp_path)
    assert installed(pip, tmp_path) - before == EXPECTED
    run(python, "-I", "-W", "error", "-c", PROGRAM, cwd=tmp_path)

    run(*pip, "install", "-q", f"{ROOT / 'sdk_python'}[openfeature]", cwd=tmp_path)
    assert installed(pip, tmp_path) - before == EXPECTED | {"openfeature-sdk"}
    run(python, "-I", "-W", "error", "-c", WITH_OPENFEATURE, cwd=tmp_path)


def installed(pip: tuple[str | Path, ...], cwd: Path) -> set[str]:
    return {package["name"] for package in json.loads(run(*pip, "list", "--format=json", cwd=cwd))}
