"""The work behind `halyard keys`: ordinary commands through the ordinary writer.

Running servers hear of them by their poll of the log's heads, within a quarter of a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from domain.commands import IssueSdkKey, RevokeSdkKey, RotateSdkKey, SetSdkKeyOrigins
from domain.errors import Refusal, UnknownEntity
from domain.facts import Entity, environment_entity
from domain.state import Environment, ProjectState
from eventstore.store import EventStore
from server.cli.exits import fail
from server.cli.installations import with_store
from server.credentials import fingerprint, new_id, new_sdk_key
from server.http.views import SdkKeyView, sdk_key_view
from server.writing.errors import WritingError
from server.writing.submission import Submission
from server.writing.writers import Writers

T = TypeVar("T")

ACTOR = "operator"
"""Who acts where somebody works on the database itself: no account says who it is."""


class IssuedKey(msgspec.Struct, frozen=True, rename="camel"):
    """A new key, with the only copy of its secret."""

    id: str
    environment: str
    kind: Literal["server", "client"]
    key: str


class RotatedKey(IssuedKey, frozen=True):
    """A successor; the old key lives until ``replaced_expires_at``."""

    replaced: str
    replaced_expires_at: datetime | None


Work = Callable[[Writers, str], Awaitable[T]]


def on_project(data_dir: Path | None, project: str, work: Work[T]) -> T:
    """Do ``work`` on a project; a refusal ends the program with its sentence."""

    async def write(store: EventStore) -> T:
        async with writers_on(store) as writers:
            return await work(writers, project)

    try:
        return with_store(data_dir, write)
    except (Refusal, WritingError) as refusal:
        fail(str(refusal))


@asynccontextmanager
async def writers_on(store: EventStore) -> AsyncIterator[Writers]:
    """The writers of all logs, for as long as a command takes."""
    try:
        async with asyncio.TaskGroup() as tasks:
            writers = Writers(store, tasks, lambda _log, _seq: None)
            yield writers
            writers.stop()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def issue(
    environment: str,
    kind: Literal["server", "client"],
    name: str,
    origins: tuple[str, ...] = (),
) -> Work[IssuedKey]:
    """Draw a key of an environment."""

    async def work(writers: Writers, project: str) -> IssuedKey:
        known = _environment((await writers.state(project)).state, environment)
        secret = new_sdk_key(known.id, kind)
        command = IssueSdkKey(
            environment=environment,
            key=new_id(),
            kind=kind,
            name=name,
            sha256=fingerprint(secret) if kind == "server" else None,
            client_key=secret if kind == "client" else None,
            origins=origins,
        )
        await writers.submit(project, Submission.of(ACTOR, command))
        return IssuedKey(command.key, environment, kind, secret)

    return work


def rotate(environment: str, key: str, overlap_hours: int) -> Work[RotatedKey]:
    """Draw the successor of a key, and set the key's own end."""

    async def work(writers: Writers, project: str) -> RotatedKey:
        state = (await writers.state(project)).state
        known = _environment(state, environment)
        old = state.keys.get((key, environment))
        if old is None:
            raise UnknownEntity(Entity("key", key, environment))
        secret = new_sdk_key(known.id, old.kind)
        command = RotateSdkKey(
            environment=environment,
            key=key,
            successor=new_id(),
            sha256=fingerprint(secret) if old.kind == "server" else None,
            client_key=secret if old.kind == "client" else None,
            overlap_hours=overlap_hours,
        )
        answer = await writers.submit(project, Submission.of(ACTOR, command))
        now = (await writers.state(project, answer.seq)).state.keys[key, environment]
        return RotatedKey(command.successor, environment, old.kind, secret, key, now.expires_at)

    return work


def listing(environment: str | None) -> Work[list[SdkKeyView]]:
    """The keys of one environment, or of all."""

    async def work(writers: Writers, project: str) -> list[SdkKeyView]:
        state = (await writers.state(project)).state
        if environment is not None:
            _environment(state, environment)
        rows = [row for _, row in sorted(state.keys.items())]
        wanted = (row for row in rows if environment in {None, row.environment})
        return [sdk_key_view(state, row) for row in wanted]

    return work


def set_origins(environment: str, key: str, origins: tuple[str, ...]) -> Work[int]:
    """Say whose pages may use a key; answers the seq of the event, or of the log's head."""

    async def work(writers: Writers, project: str) -> int:
        command = SetSdkKeyOrigins(environment=environment, key=key, origins=origins)
        return (await writers.submit(project, Submission.of(ACTOR, command))).seq

    return work


def revoke(environment: str, key: str) -> Work[int]:
    """Revoke a key; answers the seq of the event."""

    async def work(writers: Writers, project: str) -> int:
        command = RevokeSdkKey(environment=environment, key=key)
        return (await writers.submit(project, Submission.of(ACTOR, command))).seq

    return work


def _environment(state: ProjectState, key: str) -> Environment:
    known = state.environments.get(key)
    if known is None:
        raise UnknownEntity(environment_entity(key), state.environments)
    return known


def view_row(view: SdkKeyView) -> tuple[object, ...]:
    """A key for a table."""
    return (
        view.id,
        view.environment,
        view.kind,
        view.name or None,
        view.client_key,
        " ".join(view.origins) or None,
        view.created_at,
        view.expires_at,
        view.revoked_at,
    )
