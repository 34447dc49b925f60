"""The locked requirements: every one pinned and hashed, from no address in particular."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.house import ROOT

FOLDER = ROOT / "requirements"
LOCKS = sorted(FOLDER.glob("*.txt"))
PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[^\s;]+)( ; [^\\]+)?$")
HASH = re.compile(r"^--hash=sha256:[0-9a-f]{64}$")
NPM = [ROOT / "tests" / "acceptance" / name for name in ("oidc", "ofrep")]


def requirements(lock: Path) -> list[list[str]]:
    """Each requirement of a lock as its parts: the pin, then the hashes."""
    text = re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    joined = text.replace("\\\n", "\0").strip().splitlines()
    return [[part.strip() for part in line.split("\0")] for line in joined]


def pins(lock: Path) -> dict[str, str]:
    return {m["name"]: m["version"] for pin, *_ in requirements(lock) if (m := PINNED.match(pin))}


def wanted(source: Path) -> set[str]:
    lines = (line.strip() for line in source.read_text().splitlines())
    return {line for line in lines if line and not line.startswith(("#", "-"))}


def test_there_are_locks() -> None:
    assert [lock.name for lock in LOCKS] == ["dev.txt", "peers.txt", "server.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    for pin, *hashes in requirements(lock):
        assert PINNED.match(pin), pin
        assert hashes, pin
        assert all(HASH.match(each) for each in hashes), pin


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_address(lock: Path) -> None:
    assert not re.search(r"://| @ |--(extra-)?index|--find-links|--trusted", lock.read_text())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_all_that_was_asked_for(lock: Path) -> None:
    assert wanted(lock.with_suffix(".in")) <= set(pins(lock))


def test_development_runs_on_what_the_server_is_shipped_with() -> None:
    server, dev = pins(FOLDER / "server.txt"), pins(FOLDER / "dev.txt")
    assert {name: dev.get(name) for name in server} == server


def test_the_sdk_is_measured_on_what_the_server_is_shipped_with() -> None:
    server, peers = pins(FOLDER / "server.txt"), pins(FOLDER / "peers.txt")
    both = server.keys() & peers.keys()
    assert {"google-re2", "msgspec", "websockets"} <= both
    assert {name: peers[name] for name in both} == {name: server[name] for name in both}


def test_no_peer_is_among_the_requirements_of_development() -> None:
    peers = wanted(FOLDER / "peers.in") - wanted(FOLDER / "server.in") - {"hatchling"}
    assert len(peers) == 5
    assert not peers & pins(FOLDER / "dev.txt").keys()


def test_what_is_declared_is_what_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["embedded"]]
    names = {re.split(r"[=><~]", each)[0] for each in declared}
    assert wanted(FOLDER / "server.in") - names == {"google-re2"}  # the protocol's
    assert names - wanted(FOLDER / "server.in") == {"halyard-protocol"}


@pytest.mark.parametrize("folder", NPM, ids=lambda folder: folder.name)
def test_every_package_from_npm_is_pinned_and_hashed_and_has_no_address(folder: Path) -> None:
    lock = json.loads((folder / "package-lock.json").read_text())["packages"]
    asked = lock.pop("")["dependencies"]
    assert asked == json.loads((folder / "package.json").read_text())["dependencies"]
    installed = {name: lock[f"node_modules/{name}"]["version"] for name in asked}
    assert installed == asked
    for each in lock.values():
        assert each["integrity"].startswith("sha512-")
        assert "resolved" not in each
