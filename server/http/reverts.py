"""Putting things back: first a plan, read with ``GET``; then the same ``POST`` with its token.

The token says at which seq the plan was made and what it rests on. Where that has moved since, the
answer is 412 with what came between, and nothing has happened.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from msgspec.structs import replace

from domain.approvals import REHEARSAL
from domain.facts import Entity, Issuer
from domain.undoing import Clash, Remark
from eventstore.searching import Search
from server.http.authorisation import Sight
from server.http.bodies import read_as
from server.http.call import Call
from server.http.differences import ChangeView, change_views, seq_of
from server.http.event_views import EventView, event_views
from server.http.faults import Malformed, NotFound, PlanOutdated, RevertClash
from server.http.planned import recorded_answer
from server.http.project_keys import project_key
from server.http.queries import Query, WriteQuery
from server.http.replies import Reply, ok
from server.http.routes import FLAG, PROJECT, SEGMENT, Route, reading
from server.http.writes import WriteAnswer, submit, write_reply
from server.reverting.pasts import Unit
from server.reverting.plans import NotRevertible, Planner, RevertPlan
from server.writing.submission import Answer, Result

BETWEEN = 100
_TOKEN = re.compile(r"([0-9]{1,18})-([0-9a-f]{64})")


class ReturnQuery(Query, frozen=True):
    """Back to which moment."""

    to: str | None = None
    """A seq, or an RFC 3339 time: as it was then."""
    environment: str | None = None
    """Of a flag: only as it was set there; all of it where left out."""


class SegmentReturnQuery(Query, frozen=True):
    """Back to which moment."""

    to: str | None = None
    """A seq, or an RFC 3339 time: as it was then."""


class UndoQuery(Query, frozen=True):
    """How much to undo."""

    whole: bool = False
    """All events of the command or batch, not only this one."""
    overwrite: bool = False
    """Also what was edited since."""


class _Applied(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    token: str
    """That of the plan."""
    comment: str = ""


class SegmentReturnBody(_Applied, frozen=True):
    """Back to which moment, by which plan."""

    to: int | str


class ReturnBody(SegmentReturnBody, frozen=True):
    """Back to which moment, by which plan."""

    environment: str | None = None


class UndoBody(_Applied, frozen=True):
    """How much to undo, by which plan."""

    whole: bool = False
    overwrite: bool = False


class RevertPlanView(msgspec.Struct, frozen=True, rename="camel"):
    """What a revert would do; nothing of it has happened."""

    seq: int
    """Of the state that it was made on."""
    reverts: str
    """The ``causationId`` that its events will have."""
    applicable: bool
    """Whether it can be applied as it is."""
    token: str
    commands: tuple[dict[str, Any], ...]
    changes: tuple[ChangeView, ...]
    """What would differ from now on."""
    overwrites: tuple[EventView, ...]
    """Later edits that would be lost, the newest hundred."""
    more_overwrites: bool
    clashes: tuple[Clash, ...]
    """Parts that were edited since; they go back only with ``overwrite``."""
    left: tuple[Remark, ...]
    """What stays as it is, though it was otherwise then."""
    obstacles: tuple[Remark, ...]
    """Why it cannot be applied."""


Make: TypeAlias = Callable[[Planner], Awaitable[RevertPlan]]


async def plan_flag(call: Call) -> Reply:
    """What it takes to put a flag back."""
    query = call.query_as(ReturnQuery)
    unit: Unit = ("flag", call.parameters["flag"])
    return await _told(call, await _returning(call, unit, "?to", query.to, query.environment))


async def plan_segment(call: Call) -> Reply:
    """What it takes to put a segment back."""
    query = call.query_as(SegmentReturnQuery)
    unit: Unit = ("segment", call.parameters["segment"])
    return await _told(call, await _returning(call, unit, "?to", query.to))


async def plan_change(call: Call) -> Reply:
    """What it takes to undo one change."""
    query = call.query_as(UndoQuery)
    return await _told(call, await _undoing(call, whole=query.whole, overwrite=query.overwrite))


async def revert_flag(call: Call) -> Reply:
    """Put a flag back, as planned."""
    body = read_as(call.body, ReturnBody)
    unit: Unit = ("flag", call.parameters["flag"])
    make = await _returning(call, unit, "/to", str(body.to), body.environment)
    return await _apply(call, make, body)


async def revert_segment(call: Call) -> Reply:
    """Put a segment back, as planned."""
    body = read_as(call.body, SegmentReturnBody)
    unit: Unit = ("segment", call.parameters["segment"])
    return await _apply(call, await _returning(call, unit, "/to", str(body.to)), body)


async def revert_change(call: Call) -> Reply:
    """Undo one change, as planned."""
    body = read_as(call.body, UndoBody)
    make = await _undoing(call, whole=body.whole, overwrite=body.overwrite)
    return await _apply(call, make, body)


async def _returning(
    call: Call, unit: Unit, name: str, to: str | None, environment: str | None = None
) -> Make:
    end = await _end(call)
    if to is None:
        raise Malformed(Problem(name, "is needed: a seq, or an RFC 3339 time"))
    seq = await seq_of(call, name, to, end)
    kind, key = unit
    if kind == "flag":
        Sight(call, project_key(call)).require(environment)
    ever = Search(entity_kind=kind, entity_key=key, limit=1)
    if not await call.dependencies.store.search(project_key(call), ever):
        raise NotFound(kind, key)
    return lambda planner: planner.returning(unit, seq, environment)


async def _undoing(call: Call, *, whole: bool, overwrite: bool) -> Make:
    text, end = call.parameters["seq"], await _end(call)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(end))):
        raise NotFound("event", text)
    seq = int(text)
    if not 1 <= seq <= end:
        raise NotFound("event", text)
    sight = Sight(call, project_key(call))
    if not sight.everywhere:
        (event,) = await call.dependencies.store.read(project_key(call), seq - 1, 1)
        sight.require(None if whole else event.environment)
    return lambda planner: planner.undoing(seq, whole=whole, overwrite=overwrite)


async def _end(call: Call) -> int:
    log_id = project_key(call)
    end = (await call.dependencies.store.head(log_id)).last_seq
    if end == 0:
        raise NotFound("project", log_id)
    return end


async def _planned(call: Call, make: Make) -> tuple[int, RevertPlan]:
    """A plan, and a seq that its state has at least."""
    folded = await call.dependencies.writers.state(project_key(call))
    by = Issuer(call.actor_id, datetime.now(UTC), REHEARSAL)
    seq = folded.seq
    return seq, await make(Planner(call.dependencies.store, folded, by))


async def _told(call: Call, make: Make) -> Reply:
    seq, plan = await _planned(call, make)
    view = RevertPlanView(
        seq,
        plan.reverts,
        not plan.obstacles and (not plan.clashes or _overwrites(call)),
        f"{seq}-{_digest(plan)}",
        tuple(msgspec.json.decode(encode(command)) for command in plan.commands),
        change_views(plan.changes),
        await event_views(call, plan.overwritten),
        plan.more_overwritten,
        plan.clashes,
        plan.left,
        plan.obstacles,
    )
    return ok(view)


def _overwrites(call: Call) -> bool:
    return isinstance(call.query, UndoQuery) and call.query.overwrite


def _digest(plan: RevertPlan) -> str:
    """Of what a plan does, and of the revisions that it rests on."""
    revisions = sorted((str(entity), revision) for entity, revision in plan.revisions.items())
    return hashlib.sha256(encode((plan.reverts, plan.commands, revisions))).hexdigest()


async def _apply(call: Call, make: Make, body: _Applied) -> Reply:
    recorded = await recorded_answer(call)
    if recorded is not None:
        return write_reply(recorded)
    match = _TOKEN.fullmatch(body.token)
    if match is None:
        raise Malformed(Problem("/token", "is that of a plan: ask for one with GET first"))
    _, plan = await _planned(call, make)
    if _digest(plan) != match[2]:
        raise await _outdated(call, plan, int(match[1]))
    if plan.obstacles:
        first = plan.obstacles[0]
        raise NotRevertible(f"{first.entity}: {first.reason}")
    if plan.clashes and not getattr(body, "overwrite", False):
        raise RevertClash(plan.clashes)
    comment = body.comment or call.query_as(WriteQuery).comment
    commands = tuple(replace(command, comment=comment) for command in plan.commands)
    if not commands:
        return write_reply(await _nothing(call, plan))
    return write_reply(await submit(call, project_key(call), *commands, causation_id=plan.reverts))


async def _nothing(call: Call, plan: RevertPlan) -> Answer:
    """The answer where it is as it shall be already."""
    seq = (await call.dependencies.writers.state(project_key(call))).seq
    return Answer(seq, (Result(max(plan.revisions.values(), default=0), ()),))


async def _outdated(call: Call, plan: RevertPlan, seq: int) -> PlanOutdated | Malformed:
    log_id, dependencies = project_key(call), call.dependencies
    state = (await dependencies.writers.state(log_id)).state
    moved = [entity for entity in plan.revisions if state.mark(entity).seq > seq]
    if not moved:
        return Malformed(Problem("/token", "is of another plan than the rest of the body"))
    between = [event for entity in moved for event in await _since(call, entity, seq)]
    between.sort(key=lambda event: event.seq)
    return PlanOutdated(await event_views(call, between[-BETWEEN:]))


async def _since(call: Call, entity: Entity, seq: int) -> list[Any]:
    search = Search(
        entity_kind=entity.kind,
        entity_key=entity.key,
        environment=entity.environment,
        after=seq,
        newest_first=True,
        limit=BETWEEN,
    )
    events = await call.dependencies.store.search(project_key(call), search)
    return [event for event in events if event.environment == entity.environment]


def _applying(path: str, handler: Any, summary: str, permission: str, body: Any) -> Route:
    return Route(
        method="POST",
        path=path,
        summary=summary,
        handler=handler,
        permission=permission,
        tag="history",
        query=WriteQuery,
        request=body,
        response=WriteAnswer,
        refuses=(PlanOutdated, NotRevertible, RevertClash),
    )


ROUTES: tuple[Route, ...] = (
    reading(
        f"{FLAG}/revert",
        plan_flag,
        "Plan to put a flag back as it was",
        permission="event:read",
        tag="history",
        query=ReturnQuery,
        response=RevertPlanView,
    ),
    _applying(f"{FLAG}/revert", revert_flag, "Put a flag back as it was", "flag:write", ReturnBody),
    reading(
        f"{SEGMENT}/revert",
        plan_segment,
        "Plan to put a segment back as it was",
        permission="event:read",
        tag="history",
        query=SegmentReturnQuery,
        response=RevertPlanView,
    ),
    _applying(
        f"{SEGMENT}/revert",
        revert_segment,
        "Put a segment back as it was",
        "segment:write",
        SegmentReturnBody,
    ),
    reading(
        f"{PROJECT}/events/{{seq}}/revert",
        plan_change,
        "Plan to undo one change",
        permission="event:read",
        tag="history",
        query=UndoQuery,
        response=RevertPlanView,
        refuses=(NotRevertible,),
    ),
    _applying(
        f"{PROJECT}/events/{{seq}}/revert",
        revert_change,
        "Undo one change",
        "command:submit",
        UndoBody,
    ),
)
