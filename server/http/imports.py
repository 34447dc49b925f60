"""A document becomes a project, or what a project is changed to: planned, shown, or done at once.

The plan is made in a thread, from a copy of the state; the writer decides it once more, all or
nothing. Who was faster is seen by revisions: the plan expects those that it was made from.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, cast

import msgspec
from halyard_protocol.codec import convert, encode
from halyard_protocol.problems import Problem
from halyard_protocol.strict import unknown_fields
from msgspec.structs import replace

from domain.approvals import REHEARSAL
from domain.commands import Command, RenameProject
from domain.decoding import problem_of
from domain.exported import ProjectExport
from domain.facts import Entity, EntityKind, Issuer
from domain.importing import EntityChange, ImportPlan, plan_import
from domain.state import ProjectState
from server.credentials import new_id
from server.http.authorisation import access_to
from server.http.call import Call
from server.http.concurrency import idempotency_key
from server.http.event_views import EventEntity
from server.http.exports import YAML
from server.http.faults import (
    ImportRefused,
    Malformed,
    NotFound,
    NotJson,
    NotYaml,
    TooManyImports,
)
from server.http.json_reading import read_json
from server.http.planned import recorded_answer
from server.http.project_keys import project_key
from server.http.queries import WriteQuery
from server.http.reads import SEQ_HEADER
from server.http.replies import JSON, Reply
from server.http.routes import PROJECT, Route
from server.http.warrants import check_project
from server.http.writes import permit_bypass, submit
from server.http.yaml_documents import read_yaml
from server.writing.errors import LogUnknown
from server.writing.submission import Answer

IMPORT_LIMIT_BYTES = 64 * 1024 * 1024
"""Ten thousand flags in three environments are a third of it."""
MAX_LISTED = 1_000
MAX_UNKNOWN = 20
"""Unknown fields that are named at once."""

_YAML_TYPES = (YAML.decode(), "application/x-yaml", "text/yaml", "text/x-yaml")


class ImportQuery(WriteQuery, frozen=True):
    """How far to go."""

    dry_run: bool = False
    """Say what would be done, and what stands against it; do nothing."""
    prune: bool = False
    """End what the document does not name."""
    create: bool = False
    """Begin the project where it is not there."""


class ImportedEntity(msgspec.Struct, frozen=True):
    """What becomes of one entity; ``events`` are the types of its events, in order."""

    entity: EventEntity
    action: Literal["created", "changed", "deleted"]
    events: tuple[str, ...]


class ImportAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was done, or with ``dryRun`` would be."""

    dry_run: bool
    seq: int
    """Of the project's log, after it."""
    created: int
    changed: int
    deleted: int
    entities: tuple[ImportedEntity, ...]
    """At most 1,000 of them; the three figures count all."""
    refusals: tuple[Problem, ...] = ()
    """With ``dryRun``: what stands against it, by its place in the document."""
    replayed: bool = False


async def import_project(call: Call) -> Reply:
    """Plan; refuse, show or do it. Raises :class:`~server.http.faults.TooManyImports`."""
    key = project_key(call)
    if call.headers.get(b"if-match") is not None:
        reason = "is of one entity: an import expects the revisions that it was planned on"
        raise Malformed(Problem("If-Match", reason))
    recorded = await recorded_answer(call)
    if recorded is not None:
        return _reply(_changes_of(recorded), recorded.seq, replayed=True)
    async with call.dependencies.import_turns.one():
        return await _imported(call, key)


async def _imported(call: Call, key: str) -> Reply:
    query = call.query_as(ImportQuery)
    document = await asyncio.to_thread(_read, call.body, call.header(b"content-type") or "")
    document = replace(document, project=replace(document.project, key=key))
    state, seq = await _newest(call, key, create=query.create)
    plan = await _plan(call, state, document)
    if query.dry_run:
        return _reply(plan.changes, seq, plan.refusals, dry_run=True)
    if plan.refusals:
        raise ImportRefused(plan.refusals)
    commands = plan.commands or _nothing(call, state)
    if not commands:
        return _reply((), seq)
    digest = hashlib.sha256(call.body).hexdigest()[:16]
    commented = (replace(each, comment=query.comment) for each in commands)
    answer = await submit(call, key, *commented, causation_id=f"import:{digest}")
    return _reply(plan.changes, answer.seq, replayed=answer.replayed)


async def _plan(call: Call, state: ProjectState, document: ProjectExport) -> ImportPlan:
    """Refused to whoever may not carry it out, also where it is only shown: it tells of things."""
    query, cause = call.query_as(ImportQuery), ""
    if query.bypass_approval:
        await permit_bypass(call, document.project.key)
        cause = REHEARSAL  # what else the writer asks of a bypass, it asks then
    by = Issuer(call.actor_id, datetime.now(UTC), cause)
    permit = partial(check_project, access_to(call))
    return await asyncio.to_thread(
        plan_import, state, document, by, new_id, prune=query.prune, permit=permit
    )


def _nothing(call: Call, state: ProjectState) -> tuple[Command, ...]:
    """What is recorded under the request's key where the project is as it says already."""
    if idempotency_key(call) is None or state.project is None:
        return ()
    entity = Entity("project", state.project.key)
    return (RenameProject(state.project.name, expected_revision=state.revision(entity)),)


def _changes_of(answer: Answer) -> tuple[EntityChange, ...]:
    """What the same import did when it was asked for first."""
    types: dict[Entity, list[str]] = {}
    for event in answer.events:
        entity = Entity(cast("EntityKind", event.entity_kind), event.entity_key, event.environment)
        types.setdefault(entity, []).append(event.type)
    return tuple(EntityChange(entity, tuple(events)) for entity, events in types.items())


async def _newest(call: Call, key: str, *, create: bool) -> tuple[ProjectState, int]:
    """A copy of the state at the log's end: what nobody told this process of counts too."""
    writers = call.dependencies.writers
    head = await call.dependencies.store.head(key)
    try:
        folded = await writers.state(key, head.last_seq)
    except LogUnknown:
        if not create:
            raise
        return ProjectState(), head.last_seq
    if folded.state.project is None and not create:
        raise NotFound("project", key)
    return folded.state.copy(), folded.seq


def _read(body: bytes, content_type: str) -> ProjectExport:
    """Raises :class:`NotJson`, :class:`NotYaml` or :class:`Malformed`, naming each field."""
    is_yaml = content_type.partition(";")[0].strip().lower() in _YAML_TYPES
    content: Any = read_yaml(body) if is_yaml else read_json(body)
    if not isinstance(content, dict):
        raise Malformed(Problem("", "is a document as it is exported: an object"))
    try:
        unknown = unknown_fields(content, ProjectExport)[:MAX_UNKNOWN]
        if unknown:
            raise Malformed(*(Problem(path, "is not a field here") for path in unknown))
        document = convert(content, ProjectExport)
    except msgspec.ValidationError as error:
        raise Malformed(problem_of(str(error))) from error
    except RecursionError as error:
        raise NotJson("it nests too deeply") from error
    _refuse_repeats(document)
    return document


def _refuse_repeats(document: ProjectExport) -> None:
    for part in ("environments", "segments", "flags"):
        times = Counter(each.key for each in getattr(document, part))
        twice = [key for key, count in times.items() if count > 1]
        if twice:
            raise Malformed(Problem(f"/{part}", f"'{twice[0]}' is there twice: keep one"))


def _reply(
    changes: tuple[EntityChange, ...],
    seq: int,
    refusals: tuple[Problem, ...] = (),
    *,
    dry_run: bool = False,
    replayed: bool = False,
) -> Reply:
    entities = tuple(map(_told, changes))
    actions = Counter(each.action for each in entities)
    answer = ImportAnswer(
        dry_run=dry_run,
        seq=seq,
        created=actions["created"],
        changed=actions["changed"],
        deleted=actions["deleted"],
        entities=entities[:MAX_LISTED],
        refusals=refusals,
        replayed=replayed,
    )
    return Reply(200, encode(answer), JSON, ((SEQ_HEADER, b"%d" % seq),))


def _told(change: EntityChange) -> ImportedEntity:
    action: Literal["created", "changed", "deleted"] = "changed"
    if change.events[-1].endswith("Deleted"):
        action = "deleted"
    elif change.events[0].endswith("Created"):
        action = "created"
    entity = change.entity
    return ImportedEntity(
        EventEntity(entity.kind, entity.key, entity.environment), action, change.events
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{PROJECT}/import",
        summary="Bring a project to what a document says, all or nothing",
        handler=import_project,
        permission="project:write",
        tag="projects",
        query=ImportQuery,
        request=ProjectExport,
        response=ImportAnswer,
        body_content_types=("application/json", YAML.decode()),
        body_limit_bytes=IMPORT_LIMIT_BYTES,
        refuses=(NotYaml, ImportRefused, TooManyImports),
    ),
)
