"""What accounts asked for and may not do: noted for later, and read by who manages accounts."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

import msgspec
from halyard_protocol.problems import Problem

from domain.errors import NotPermitted
from eventstore.refusals import Refused, RefusedAction
from server.http.authorisation import Hidden, access_to
from server.http.call import Call
from server.http.concurrency import read_seq
from server.http.counters import Asked
from server.http.event_views import Actor
from server.http.faults import Malformed, NotServedHere
from server.http.paging import DEFAULT_LIMIT, Page, read_cursor, write_cursor
from server.http.queries import Limit, Query
from server.http.replies import Reply, ok
from server.http.routes import API, Route, reading
from server.writing.errors import WritingError

_Place: TypeAlias = tuple[str | None, str | None]
"""A project and an environment, as they were asked for."""

MAX_TEXT = 200
"""Characters that are kept of what was asked for: a key that there is, is shorter."""


class RefusalQuery(Query, frozen=True):
    """Which refusals to list."""

    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    """``nextCursor`` of the page before."""
    actor: str | None = None
    """Only those of this account."""
    permission: str | None = None
    """Only where this one was lacking."""
    project: str | None = None
    """Only in this one."""


class RefusalView(msgspec.Struct, frozen=True, rename="camel"):
    """What an account asked for, and may not do."""

    actor: Actor
    permission: str
    """What it lacked."""
    project: str | None
    """As it was asked for: there may be no such project. Null for what is of the installation."""
    environment: str | None
    """Also null where it is not to be known to who asks."""
    method: str
    route: str
    """The template of the path."""
    credential: str | None
    """``token`` or ``session``."""
    credential_id: str | None
    address: str | None
    """Null once it was forgotten."""
    times: int
    """How often, within a moment."""
    refused_at: datetime
    """The last time of them."""


def note_refusal(call: Call, asked: Asked, error: Exception) -> None:
    """Note that an account may not do something, where that is what went wrong."""
    keeper, credential = call.dependencies.refusals, call.credential
    if not isinstance(error, NotPermitted | Hidden) or keeper is None:
        return
    if call.account is None or credential is None:
        return
    environment = error.environment if isinstance(error, NotPermitted) else None
    keeper.note(
        RefusedAction(
            actor_id=call.account.id,
            credential_kind=credential.kind,
            credential_id=credential.id,
            permission=error.permission,
            project=_storable(error.project),
            environment=_storable(environment),
            method=asked.method,
            route=asked.route,
            address=call.address or None,
        )
    )


def _storable(asked_for: str | None) -> str | None:
    """What a stranger may have made up, as the database takes it."""
    if asked_for is None:
        return None
    text = asked_for[:MAX_TEXT].replace("\0", "")
    return text.encode(errors="replace").decode()


async def list_refusals(call: Call) -> Reply:
    """A page of them, the newest first."""
    query, dependencies = call.query_as(RefusalQuery), call.dependencies
    if dependencies.refusals is None:
        raise NotServedHere("refusals")
    found = await dependencies.refusals.stored.page(
        query.limit + 1,
        before=_before(query.cursor),
        actor_id=query.actor,
        permission=query.permission,
        project=query.project,
    )
    shown = found[: query.limit]
    names = await dependencies.actor_names({each.action.actor_id for each in shown})
    told = await _told_environments(call, shown)
    items = tuple(_view(each, names.get(each.action.actor_id), told) for each in shown)
    return ok(Page(items, write_cursor(str(shown[-1].id)) if len(found) > len(shown) else None))


def _before(cursor: str | None) -> int | None:
    written = read_cursor(cursor)
    if written is None:
        return None
    before = read_seq(written)
    if before is None:
        raise Malformed(Problem("?cursor", "is not one that was given out"))
    return before


async def _told_environments(call: Call, shown: list[Refused]) -> set[_Place]:
    """Which of the environments that were asked for whoever reads may read themselves."""
    places = {_place(each) for each in shown}
    return {place for place in places if await _is_told(call, *place)}


async def _is_told(call: Call, project: str | None, environment: str | None) -> bool:
    """One that is not there, or cannot be looked at, counts as protected."""
    if project is None or environment is None:
        return False
    access, reading = access_to(call), "environment:read"
    if access.allows(reading, project, environment):
        return True
    if not access.allows(reading, project, environment, protected=False):
        return False
    try:
        state = (await call.dependencies.writers.state(project)).state
    except WritingError:
        return False
    row = state.environments.get(environment)
    return row is not None and not row.protected


def _place(refused: Refused) -> _Place:
    return refused.action.project, refused.action.environment


def _view(refused: Refused, name: str | None, told: set[_Place]) -> RefusalView:
    of = refused.action
    return RefusalView(
        actor=Actor(of.actor_id, name),
        permission=of.permission,
        project=of.project,
        environment=of.environment if _place(refused) in told else None,
        method=of.method,
        route=of.route,
        credential=of.credential_kind,
        credential_id=of.credential_id,
        address=of.address,
        times=refused.times,
        refused_at=refused.refused_at,
    )


ROUTES: tuple[Route, ...] = (
    reading(
        f"{API}/auth/refusals",
        list_refusals,
        "List what accounts asked for and were refused",
        permission="account:read",
        tag="rights",
        query=RefusalQuery,
        response=Page[RefusalView],
        refuses=(NotServedHere,),
    ),
)
