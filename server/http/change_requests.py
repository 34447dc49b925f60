"""Change requests: commands that are looked at before they are carried out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from domain import change_request_commands as c
from domain.approvals import REHEARSAL, approvals_required, cause_of
from domain.commands import Command
from domain.completing import held_commands
from domain.decide import decide
from domain.difference import row_changes, row_of
from domain.errors import Refusal, RequestClosed
from domain.evolve import evolve
from domain.facts import Entity, Issuer
from domain.state import Approval, ChangeRequest, ChangeRequestStatus, ProjectState
from domain.undoing import Remark
from server.http.authorisation import REQUESTS, Sight
from server.http.bodies import Shape, read_as
from server.http.call import Call
from server.http.differences import ChangeView, change_views
from server.http.event_views import Actor
from server.http.faults import NotFound
from server.http.paging import DEFAULT_LIMIT, Page, read_cursor, write_cursor
from server.http.planned import recorded_answer
from server.http.project_keys import project_key
from server.http.queries import Limit, MinSeqQuery, WriteQuery
from server.http.reads import Seen, present, seen
from server.http.replies import Reply
from server.http.routes import CHANGE_REQUEST, PROJECT, Route, command_route, reading
from server.http.warrants import standing_approvals
from server.http.writes import WriteAnswer, Writing, submit, write_reply

_TAG = "change requests"
_PATH = ("changeRequest",)


class RequestListQuery(MinSeqQuery, frozen=True):
    """Which change requests to list."""

    state: Literal["open", "rejected", "applied", "withdrawn", "any"] = "open"
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    """``nextCursor`` of the page before."""


class ApplyBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Why now; the title of the request where left out."""

    comment: Annotated[str, Meta(max_length=2000)] = ""


class ApprovalView(msgspec.Struct, frozen=True):
    """Who approved, and when."""

    account: Actor
    at: datetime
    counts: bool
    """False where whoever gave it may no longer, so that it is as if it were not there."""


class MovedView(msgspec.Struct, frozen=True):
    """An entity that was changed since the request was written: it cannot be applied."""

    entity: Entity
    base: int
    """Its revision when the request was written."""
    revision: int


class RequestView(msgspec.Struct, frozen=True, rename="camel"):
    """A change request."""

    id: str
    title: str
    description: str
    state: ChangeRequestStatus
    commands: tuple[dict[str, Any], ...]
    authors: tuple[Actor, ...]
    approvals: tuple[ApprovalView, ...]
    required_approvals: int
    """How many its environments ask for, at present."""
    environments: tuple[str, ...]
    """Those that ask for any."""
    moved: tuple[MovedView, ...]
    """Conflicts with what happened since; an edit takes them in."""
    revision: int
    created_at: datetime
    closed_at: datetime | None


class RequestDifference(msgspec.Struct, frozen=True):
    """What would differ, were the request applied now."""

    changes: tuple[ChangeView, ...]
    obstacles: tuple[Remark, ...]
    """Commands that would be refused, and why."""


def _entity(request: str) -> Entity:
    return Entity("change-request", request)


def _request(call: Call, now: Seen) -> ChangeRequest:
    key = call.parameters["changeRequest"]
    row = now.state.change_requests.get(key)
    if row is None or not _is_within(_sight(call), row):
        raise NotFound("change request", key)
    return row


def _sight(call: Call) -> Sight:
    return Sight(call, project_key(call), REQUESTS)


def _is_within(sight: Sight, row: ChangeRequest) -> bool:
    """Whether every environment is seen that the commands touch."""
    return sight.everywhere or all(sight.reaches(base.environment) for base in row.base)


async def list_requests(call: Call) -> Reply:
    """A page of change requests, the newest first."""
    query, now = call.query_as(RequestListQuery), await seen(call)
    sight = _sight(call)
    rows = [
        row
        for row in now.state.change_requests.values()
        if query.state in ("any", row.status) and _is_within(sight, row)
    ]
    rows.sort(key=_place, reverse=True)
    after = read_cursor(query.cursor)
    if after is not None:
        rows = [row for row in rows if _place(row) < after]
    page = rows[: query.limit]
    more = write_cursor(_place(page[-1])) if len(rows) > len(page) else None
    names = await _names(call, page)
    views = tuple(_view(now.state, row, names, _standing(call, now, row)) for row in page)
    return now.reply(Page(views, more))


def _place(row: ChangeRequest) -> str:
    return f"{row.created_at.isoformat()} {row.id}"


async def read_request(call: Call) -> Reply:
    """One change request."""
    now = await seen(call)
    row = _request(call, now)
    names = await _names(call, (row,))
    return now.reply(_view(now.state, row, names, _standing(call, now, row)), _entity(row.id))


async def _names(call: Call, rows: Iterable[ChangeRequest]) -> dict[str, str]:
    accounts = {account for row in rows for account in row.authors}
    accounts |= {approval.account for row in rows for approval in row.approvals}
    return dict(await call.dependencies.actor_names(accounts)) if accounts else {}


def _standing(call: Call, now: Seen, row: ChangeRequest) -> tuple[Approval, ...]:
    """Those that count; of a request that is closed, all that it had."""
    dependencies = call.dependencies
    installation = dependencies.writers.system_at_hand
    if row.closed_at is not None or installation is None:
        return row.approvals
    # What is hidden from who looks counts all the same.
    at_hand = dependencies.writers.at_hand(project_key(call))
    state = now.state if at_hand is None else at_hand.state
    return standing_approvals(dependencies.accesses, installation, state, row)


def _view(
    state: ProjectState,
    row: ChangeRequest,
    names: dict[str, str],
    standing: tuple[Approval, ...],
) -> RequestView:
    required = _required(state, row) if row.closed_at is None else {}
    return RequestView(
        row.id,
        row.title,
        row.description,
        row.status,
        row.commands,
        tuple(Actor(account, names.get(account)) for account in row.authors),
        tuple(
            ApprovalView(Actor(each.account, names.get(each.account)), each.at, each in standing)
            for each in row.approvals
        ),
        max(required.values(), default=0),
        tuple(sorted(required)),
        tuple(_moved(state, row)) if row.closed_at is None else (),
        state.revision(_entity(row.id)),
        row.created_at,
        row.closed_at,
    )


def _required(state: ProjectState, row: ChangeRequest) -> dict[str, int]:
    required: dict[str, int] = {}
    for command in held_commands(row.commands):
        required |= approvals_required(state, command)
    return required


def _moved(state: ProjectState, row: ChangeRequest) -> Iterable[MovedView]:
    for base in row.base:
        entity = Entity(base.kind, base.key, base.environment)
        if state.revision(entity) != base.revision:
            yield MovedView(entity, base.revision, state.revision(entity))


async def request_difference(call: Call) -> Reply:
    """What would differ, were the request approved and applied now."""
    now = await seen(call)
    row = _request(call, now)
    by = Issuer(call.actor_id, datetime.now(UTC), REHEARSAL)
    outcome, obstacles = now.state.overlay(), []
    touched = {Entity(base.kind, base.key, base.environment): None for base in row.base}
    for command in held_commands(row.commands):
        try:
            for fact in decide(outcome, command, by):
                evolve(outcome, fact, 0, by.now)
        except Refusal as refusal:
            obstacles.append(Remark(command.addressed(project_key(call)), str(refusal)))
    changes = [
        change
        for entity in touched
        for change in row_changes(entity, row_of(now.state, entity), row_of(outcome, entity))
    ]
    return now.reply(RequestDifference(change_views(changes), tuple(obstacles)), _entity(row.id))


async def apply(call: Call) -> Reply:
    """Carry a request out: all of its commands as they are decided now, or none."""
    body = read_as(call.body, ApplyBody)
    recorded = await recorded_answer(call)
    if recorded is not None:
        return write_reply(recorded)
    now = await present(call)
    row = _request(call, now)
    if row.status != "open":
        raise RequestClosed(row.id, row.status)
    comment = body.comment or call.query_as(WriteQuery).comment or row.title
    held = tuple(_on_base(row, project_key(call)))
    # As it was read here: what was edited and approved meanwhile holds other commands.
    read_at = now.state.revision(_entity(row.id))
    applied = c.ApplyChangeRequest(row.id, expected_revision=read_at)
    commands = tuple(
        replace(command, comment=command.comment or comment) for command in (*held, applied)
    )
    answer = await submit(
        call, project_key(call), *commands, numbered=True, causation_id=cause_of(row.id)
    )
    return write_reply(answer)


def _on_base(row: ChangeRequest, project: str) -> Iterable[Command]:
    """The commands, the first on each entity expecting the revision that the author saw."""
    base = {Entity(each.kind, each.key, each.environment): each.revision for each in row.base}
    for command in held_commands(row.commands):
        revision = base.pop(command.addressed(project), None)
        yield command if revision is None else replace(command, expected_revision=revision)


def _address(call: Call, command: c.OpenChangeRequest) -> str:
    return f"{call.path}/{command.change_request}"


def _on_request(method: str, tail: str, summary: str, command: type[Any]) -> Route:
    shape = Shape(command=command, path=_PATH)
    return command_route(method, f"{CHANGE_REQUEST}{tail}", summary, Writing(shape=shape), tag=_TAG)


ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/change-requests",
        list_requests,
        "List change requests, newest first",
        permission="change-request:read",
        tag=_TAG,
        query=RequestListQuery,
        response=Page[RequestView],
    ),
    command_route(
        "POST",
        f"{PROJECT}/change-requests",
        "Open a change request",
        Writing(
            shape=Shape(command=c.OpenChangeRequest, renamed={"id": "changeRequest"}),
            status=201,
            located=_address,
        ),
        tag=_TAG,
    ),
    reading(
        CHANGE_REQUEST,
        read_request,
        "Read a change request",
        permission="change-request:read",
        tag=_TAG,
        query=MinSeqQuery,
        response=RequestView,
    ),
    _on_request("PATCH", "", "Make a change request another one", c.EditChangeRequest),
    reading(
        f"{CHANGE_REQUEST}/diff",
        request_difference,
        "What a change request would change now",
        permission="change-request:read",
        tag=_TAG,
        query=MinSeqQuery,
        response=RequestDifference,
    ),
    _on_request("POST", "/approve", "Approve of a change request", c.ApproveChangeRequest),
    _on_request("POST", "/reject", "Ask for another version of it", c.RejectChangeRequest),
    _on_request("POST", "/withdraw", "Withdraw a change request", c.WithdrawChangeRequest),
    Route(
        method="POST",
        path=f"{CHANGE_REQUEST}/apply",
        summary="Carry a change request out",
        handler=apply,
        permission="change-request:write",
        tag=_TAG,
        query=WriteQuery,
        request=ApplyBody,
        body_optional=True,
        response=WriteAnswer,
    ),
)
