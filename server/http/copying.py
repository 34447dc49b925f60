"""A flag as it is set in one environment, taken to another one; and a whole flag, taken anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from msgspec.structs import replace

from domain.commands import Command
from domain.difference import Change, row_changes
from domain.errors import UnknownEntity
from domain.evolve import initial_settings
from domain.facts import Entity, environment_entity
from domain.state import FlagDefinition, FlagSettings, ProjectState
from domain.transitions import (
    creation,
    prerequisite_steps,
    settings_commands,
    targeting_steps,
)
from server.http.bodies import read_as
from server.http.call import Call
from server.http.concurrency import etag, expected_revision
from server.http.faults import Malformed
from server.http.planned import carry_out, refuse_if_match, rehearsed, unchanged
from server.http.queries import WriteQuery
from server.http.reads import present
from server.http.replies import JSON, Reply
from server.http.routes import FLAG, Route
from server.http.writes import CausedEvent, WriteAnswer, caused, location, write_reply
from server.writing.submission import Answer

_TAG = "flags"

Part: TypeAlias = Literal[
    "targets",
    "rules",
    "fallthrough",
    "offVariation",
    "prerequisites",
    "enabled",
    "expiry",
    "exposureTracking",
]
_FIELDS: dict[Part, str] = {
    "targets": "targets",
    "rules": "rules",
    "fallthrough": "fallthrough",
    "offVariation": "off_variation",
    "prerequisites": "prerequisites",
    "enabled": "enabled",
    "expiry": "expires_at",
    "exposureTracking": "track_exposures",
}
WHO_GETS_WHAT: tuple[Part, ...] = (
    "targets",
    "rules",
    "fallthrough",
    "offVariation",
    "prerequisites",
)
"""Copied unless told otherwise: neither whether the flag is on, nor until when."""


class CopyBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """From which environment to which one, and what of it."""

    from_: str = msgspec.field(name="from")
    to: str
    parts: tuple[Part, ...] = WHO_GETS_WHAT
    dry_run: bool = False
    """Only tell what would change."""
    comment: str = ""


class CopyAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What changed in the environment that was copied to, or would."""

    seq: int
    """The end of the project's log after it; of a dry run, before it."""
    revision: int
    """Of the flag in that environment, after it."""
    events: tuple[CausedEvent, ...]
    replayed: bool
    dry_run: bool
    changes: tuple[Change, ...]
    """None are told with a repeated answer."""


class CloneBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What the new flag is called; all else is taken over, but for the salt."""

    key: str
    name: str | None = None
    """Left out, that of the flag that is cloned."""
    comment: str = ""


async def copy_settings(call: Call) -> Reply:
    """A flag's settings, or some parts, from one environment to another one."""
    body, flag = read_as(call.body, CopyBody), call.parameters["flag"]
    if body.from_ == body.to:
        raise Malformed(Problem("/to", "is another environment than 'from'"))
    before: list[FlagSettings] = []

    async def plan() -> tuple[Command, ...]:
        now = await present(call)
        key = now.flag(call).key
        before[:] = [_settings(now.state, key, body.to)]
        taken = _taken(before[0], _settings(now.state, key, body.from_), body.parts)
        commands = settings_commands(now.state, key, body.to, taken)
        return tuple(
            _submitted(call, now.state, commands or (unchanged(now.state, key, body.to),), body)
        )

    if body.dry_run:
        seq = (await present(call)).seq
        rehearsal = await rehearsed(call, plan)
        answer, state = replace(rehearsal.answer, seq=seq), rehearsal.state
    else:
        answer = await carry_out(call, plan)
        state = (await present(call)).state
    changes = _changes(state, Entity("flag", flag, body.to), before)
    return _reply(body, answer, changes)


def _changes(state: ProjectState, entity: Entity, before: list[FlagSettings]) -> tuple[Change, ...]:
    """What differs from before; nothing is known of it where an answer is repeated."""
    after = state.settings.get((entity.key, entity.environment or ""))
    return tuple(change for row in before for change in row_changes(entity, row, after))


def _settings(state: ProjectState, flag: str, environment: str) -> FlagSettings:
    if environment not in state.environments:
        raise UnknownEntity(environment_entity(environment), state.environments)
    return state.settings[flag, environment]


def _taken(held: FlagSettings, source: FlagSettings, parts: tuple[Part, ...]) -> FlagSettings:
    fields = [_FIELDS[part] for part in parts]
    return replace(held, **{field: getattr(source, field) for field in fields})


def _submitted(
    call: Call, state: ProjectState, commands: tuple[Command, ...], body: CopyBody
) -> Iterator[Command]:
    """The commands as the caller wants them, resting on the target as it was seen."""
    comment = body.comment or call.query_as(WriteQuery).comment
    wanted = expected_revision(call)
    if wanted is None:
        wanted = state.revision(Entity("flag", call.parameters["flag"], body.to))
    first, *others = (replace(command, comment=comment) for command in commands)
    yield replace(first, expected_revision=wanted)
    yield from others


def _reply(body: CopyBody, answer: Answer, changes: tuple[Change, ...]) -> Reply:
    content = CopyAnswer(
        seq=answer.seq,
        revision=answer.revision,
        events=caused(answer.events),
        replayed=answer.replayed,
        dry_run=body.dry_run,
        changes=changes,
    )
    return Reply(200, encode(content), JSON, (etag(answer.revision),))


async def clone_flag(call: Call) -> Reply:
    """A new flag like this one, in all environments."""
    refuse_if_match(call)
    body = read_as(call.body, CloneBody)
    comment = body.comment or call.query_as(WriteQuery).comment

    async def plan() -> tuple[Command, ...]:
        now = await present(call)
        held = now.flag(call)
        name = held.name if body.name is None else body.name
        wanted = replace(held, key=body.key, name=name, salt="", archived_at=None)
        commands = _clone(now.state, held.key, wanted)
        return tuple(replace(command, comment=comment) for command in commands)

    answer = await carry_out(call, plan)
    path = call.path.removesuffix(f"/{call.parameters['flag']}/clone")
    return write_reply(answer, location(f"{path}/{body.key}"), status=201)


def _clone(state: ProjectState, of: str, wanted: FlagDefinition) -> Iterator[Command]:
    yield creation(wanted)
    begun = initial_settings(wanted)
    for environment in sorted(state.environments):
        settings = state.settings[of, environment]
        yield from targeting_steps(wanted.key, environment, begun, settings)
        yield from prerequisite_steps(wanted.key, environment, begun, settings)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{FLAG}/copy",
        summary="Copy how a flag is set from one environment to another one",
        handler=copy_settings,
        permission="flag:write",
        tag=_TAG,
        query=WriteQuery,
        request=CopyBody,
        response=CopyAnswer,
    ),
    Route(
        method="POST",
        path=f"{FLAG}/clone",
        summary="Create a flag like this one, in all environments",
        handler=clone_flag,
        permission="flag:write",
        tag=_TAG,
        query=WriteQuery,
        request=CloneBody,
        response=WriteAnswer,
        status=201,
    ),
)
