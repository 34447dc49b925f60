"""Every shape of event that was ever stored is still read, and still means the same.

``events.json`` holds a project's log and an installation's, with at least one event of each type
and version, and the digest of the state after each. To add a version, append an event of it with
the digest that the failing test names. What stands there is never edited: its bodies are what
somebody's database holds. Only when a fold's version is raised are all digests recorded anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.events import EVENT_TYPES
from domain.evolve import evolve
from domain.facts import Entity, Fact
from domain.state import FOLD_VERSION, ProjectState, digest, dump, load
from domain.stored import Stored
from domain.system.events import SYSTEM_EVENT_TYPES
from domain.system.evolve import evolve_system
from domain.system.state import SYSTEM_FOLD_VERSION, SystemState, digest_system
from domain.upcast import decode_event, encode_event

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("events.json").read_text())
LOGS: list[tuple[str, dict[str, type[Stored]]]] = [
    ("project", EVENT_TYPES),
    ("system", SYSTEM_EVENT_TYPES),
]


def facts(log: str) -> Iterator[tuple[dict[str, Any], Fact[Any], datetime]]:
    for row in GOLDEN[log]:
        event = decode_event(row["type"], row["schemaVersion"], row["body"].encode())
        entity = Entity(row["kind"], row["key"], row["environment"])
        yield row, Fact(event, entity, row["revision"]), datetime.fromisoformat(row["at"])


@pytest.mark.parametrize(("log", "types"), LOGS)
def test_every_version_of_every_event_has_a_sample(
    log: str, types: dict[str, type[Stored]]
) -> None:
    shipped = {
        (name, version)
        for name, event in types.items()
        for version in range(1, event.schema_version + 1)
    }
    assert {(row["type"], row["schemaVersion"]) for row in GOLDEN[log]} == shipped


@pytest.mark.parametrize("log", ["project", "system"])
def test_an_event_of_the_current_version_is_written_as_it_was(log: str) -> None:
    for row, fact, _ in facts(log):
        if row["schemaVersion"] == fact.event.schema_version:
            written = (row["type"], row["schemaVersion"], row["critical"], row["body"].encode())
            assert encode_event(fact.event) == written


def test_the_digests_are_of_the_current_folds() -> None:
    assert GOLDEN["foldVersion"] == FOLD_VERSION
    assert GOLDEN["systemFoldVersion"] == SYSTEM_FOLD_VERSION


@pytest.mark.parametrize(
    ("log", "state", "fold", "digest_of"),
    [
        ("project", ProjectState(), evolve, digest),
        ("system", SystemState(), evolve_system, digest_system),
    ],
)
def test_every_event_folds_to_its_recorded_digest(
    log: str, state: Any, fold: Callable[..., None], digest_of: Callable[[Any], str]
) -> None:
    for row, fact, at in facts(log):
        fold(state, fact, row["seq"], at)
        assert digest_of(state) == row["digest"], f"at seq {row['seq']}: {digest_of(state)}"


def test_a_fold_taken_up_from_any_snapshot_comes_to_the_same_digests() -> None:
    state = ProjectState()
    for row, fact, at in facts("project"):
        state = load(dump(state))
        evolve(state, fact, row["seq"], at)
        assert digest(state) == row["digest"]
