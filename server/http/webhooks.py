"""Webhooks: who is told of a project's events. Addresses and secrets go in, and never out again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from halyard_protocol.strict import unknown_fields
from msgspec import UNSET, Meta, UnsetType

from domain import limits
from domain.commands import Command, decode_command
from domain.decoding import problem_of
from domain.errors import InvalidCommand
from domain.facts import Entity
from domain.state import ProjectState, Webhook
from domain.webhook_commands import DeleteWebhook
from domain.webhooks import AS_JSON, Template, WebhookFilter
from eventstore.webhooks import Credential, Position
from server.credentials import new_id
from server.http.bodies import Shape, read_object, with_precondition
from server.http.call import Call
from server.http.concurrency import etag
from server.http.faults import Malformed, NotFound, NotServedHere
from server.http.paging import Page, page_of
from server.http.project_keys import project_key
from server.http.queries import ListQuery, ReadQuery, WriteQuery
from server.http.reads import Seen, contains, seen
from server.http.replies import JSON, Reply
from server.http.routes import PROJECT, Route, command_route, reading
from server.http.views import View
from server.http.writes import WriteAnswer, Writing, location, submit, write_answer, write_reply
from server.webhooks.destinations import (
    InvalidDestination,
    Target,
    header_problem,
    read_destination,
)
from server.webhooks.dispatch import WebhookDesk
from server.webhooks.signing import new_secret

WEBHOOKS = f"{PROJECT}/webhooks"
WEBHOOK = f"{WEBHOOKS}/{{webhook}}"
TAG = "webhooks"

B = TypeVar("B", bound=msgspec.Struct)


class WebhookView(View, frozen=True):
    """A webhook. Its whole address, the values of its headers and its secret are never shown."""

    id: str
    name: str
    description: str
    address: str
    """Scheme, host and port of where it goes."""
    headers: tuple[str, ...]
    """The names of headers of its own."""
    filter: WebhookFilter
    template: Template
    enabled: bool
    disabled_because: str
    """``asked``, ``gone`` (it answered 410), ``dead`` (it failed for too long), or empty."""
    former_secret_until: datetime | None
    """Until when deliveries are signed with the former secret as well."""


class WebhookProgress(msgspec.Struct, frozen=True, rename="camel"):
    """How far deliveries have come."""

    delivered_seq: int
    """Events through this one were delivered, or were not wanted."""
    attempts: int
    """Of the delivery that comes next; 0 while nothing fails."""
    failing_since: datetime | None
    next_attempt_at: datetime | None


class WebhookDetail(WebhookView, frozen=True):
    """One webhook, with how far it has come; null where that is not known (yet), or not of now."""

    progress: WebhookProgress | None


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    expected_revision: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class NewWebhookBody(_Body, frozen=True):
    """A webhook to be. ``headers`` are sent along with each delivery, and never shown again."""

    url: str
    name: str = ""
    """Where left out: the host."""
    description: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    filter: WebhookFilter = WebhookFilter()
    template: Template = AS_JSON
    enabled: bool = True


class WebhookEditBody(_Body, frozen=True):
    """What can be changed. A new ``url`` has no headers but those that come with it."""

    url: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    filter: WebhookFilter | UnsetType = UNSET
    template: Template | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class RotateSecretBody(_Body, frozen=True):
    """For how long deliveries are signed with the former secret, too."""

    overlap_s: Annotated[int, Meta(ge=0, le=limits.WEBHOOK_OVERLAP_S)] = 86_400


class ReplayBody(_Body, frozen=True):
    """Where to go on."""

    from_seq: Annotated[int, Meta(ge=1, le=limits.LAST_SEQ)]


class SecretAnswer(WriteAnswer, frozen=True, kw_only=True):
    """What deliveries are signed with, shown this once."""

    id: str
    secret: str | None
    """Null where the answer repeats an earlier one: it was shown then."""


def desk_of(call: Call) -> WebhookDesk:
    """Raises :class:`NotServedHere`."""
    desk = call.dependencies.webhooks
    if desk is None:
        raise NotServedHere("webhooks")
    return desk


def webhook_of(call: Call, now: Seen) -> Webhook:
    """The webhook in the path. Raises :class:`NotFound`."""
    key = call.parameters["webhook"]
    hook = now.state.webhooks.get(key)
    if hook is None:
        raise NotFound("webhook", key)
    return hook


def read_body(call: Call, of: type[B]) -> B:
    """The body. Raises :class:`Malformed` naming each field that is not as it must be."""
    content = with_precondition(call, read_object(call.body))
    problems = [Problem(path, "unknown field") for path in unknown_fields(content, of)]
    if problems:
        raise Malformed(*problems)
    try:
        return msgspec.convert(content, of)
    except msgspec.ValidationError as error:
        raise Malformed(problem_of(str(error))) from error


async def list_webhooks(call: Call) -> Reply:
    """A page of webhooks."""
    query = call.query_as(ListQuery)
    now = await seen(call)

    def wanted(key: str) -> Webhook | None:
        row = now.state.webhooks[key]
        found = not query.search or contains(query.search, row.name, row.description, row.address)
        return row if found else None

    def view(row: Webhook) -> WebhookView:
        return WebhookView(**_shown(now.state, row))

    return now.reply(page_of(now.state.webhooks, query.limit, query.cursor, wanted, view))


async def read_webhook(call: Call) -> Reply:
    """One webhook, and how far it has come."""
    now = await seen(call)
    hook = webhook_of(call, now)
    progress = None
    if call.query_as(ReadQuery).at is None:
        position = await desk_of(call).table.position(project_key(call), hook.id)
        progress = None if position is None else _progress(hook, position)
    detail = WebhookDetail(**_shown(now.state, hook), progress=progress)
    return now.reply(detail, Entity("webhook", hook.id))


def _progress(hook: Webhook, position: Position) -> WebhookProgress:
    """Where it was told to go on since it was looked at last, that is where it is."""
    if hook.begun_at > position.begun_at:
        return WebhookProgress(hook.begins_after, 0, None, None)
    due_at = position.due_at if position.failing_since and hook.enabled else None
    return WebhookProgress(position.seq, position.attempts, position.failing_since, due_at)


def _shown(state: ProjectState, row: Webhook) -> dict[str, Any]:
    mark, until = state.mark(Entity("webhook", row.id)), row.previous_until
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "address": row.address,
        "headers": row.headers,
        "filter": row.filter,
        "template": row.template,
        "enabled": row.enabled,
        "disabled_because": row.disabled_because,
        "former_secret_until": until if until and until > datetime.now(UTC) else None,
        "revision": mark.revision,
        "created_at": row.created_at,
        "updated_at": mark.at,
    }


async def create_webhook(call: Call) -> Reply:
    """Keep the address and a new secret, then have the event name them."""
    body, desk = read_body(call, NewWebhookBody), desk_of(call)
    project = project_key(call)
    await call.dependencies.writers.state(project)  # a project that is not there keeps nothing
    address, target = _target(body.url, body.headers)
    secret, hook_id = new_secret(), new_id()
    kept = Credential(new_id(), "secret", secret.encode())
    command = _command(
        "CreateWebhook",
        body,
        webhook=hook_id,
        name=body.name or address.partition("//")[2],
        address=address,
        target=target.id,
        secret=kept.id,
        headers=tuple(body.headers),
        **_given(body, "description", "filter", "template", "enabled"),
    )
    await desk.table.keep(project, hook_id, target, kept)
    answer = await submit(call, project, command)
    hook_id = answer.events[0].entity_key
    desk.look()
    created = SecretAnswer(
        **msgspec.structs.asdict(write_answer(answer)),
        id=hook_id,
        secret=None if answer.replayed else secret,
    )
    headers = (etag(answer.revision), location(f"{call.path}/{hook_id}"))
    return Reply(201, encode(created), JSON, headers)


def _target(url: str, headers: dict[str, str]) -> tuple[str, Credential]:
    """What may be shown of an address, and what is kept. Raises :class:`Malformed`."""
    problems = []
    try:
        address = read_destination(url).origin
    except InvalidDestination as error:
        problems.append(Problem("/url", str(error)))
        address = ""
    for name, value in headers.items():
        wrong = header_problem(name, value)
        if wrong is not None:
            problems.append(Problem(f"/headers/{name[: limits.ID_LENGTH]}", wrong))
    if problems:
        raise Malformed(*problems)
    return address, Credential(new_id(), "target", msgspec.json.encode(Target(url, headers)))


def _given(body: msgspec.Struct, *names: str) -> dict[str, Any]:
    return {name: getattr(body, name) for name in names}


def _command(type_name: str, body: _Body, **fields: Any) -> Command:
    """A command of these fields. Raises :class:`InvalidCommand`."""
    content = {"type": type_name, **msgspec.to_builtins(fields)}
    if body.comment is not UNSET:
        content["comment"] = body.comment
    if body.expected_revision is not UNSET:
        content["expectedRevision"] = body.expected_revision
    return decode_command(content)


async def edit_webhook(call: Call) -> Reply:
    """Everything that the body names, or nothing."""
    body, desk, project = read_body(call, WebhookEditBody), desk_of(call), project_key(call)
    now = await seen_for_write(call)
    hook = webhook_of(call, now)
    fields: list[tuple[str, dict[str, Any]]] = list(_edits(body))
    if body.url is not UNSET or body.headers is not UNSET:
        address, target = await _new_target(desk, project, hook, body)
        await desk.table.keep(project, hook.id, target)
        names = tuple(msgspec.json.decode(target.value, type=Target).headers)
        fields.append(
            (
                "ChangeWebhookTarget",
                {"address": address, "target": target.id, "headers": names},
            )
        )
    if not fields:
        raise Malformed(Problem("", "names nothing to change"))
    commands, bare = [], msgspec.structs.replace(body, expected_revision=UNSET)
    for index, (name, given) in enumerate(fields):
        # Only the first command meets the revision that the caller saw: it moves it itself.
        commands.append(_command(name, bare if index else body, webhook=hook.id, **given))
    answer = await submit(call, project, *commands)
    await desk.table.hurry(project, hook.id)
    desk.look()
    return write_reply(answer)


async def seen_for_write(call: Call) -> Seen:
    """The project as it is: what a write is about is decided anew when it is decided."""
    folded = await call.dependencies.writers.state(project_key(call))
    return Seen(folded.state, folded.seq, folded.last_at)


def _edits(body: WebhookEditBody) -> Iterator[tuple[str, dict[str, Any]]]:
    described = {
        name: value
        for name, value in (("name", body.name), ("description", body.description))
        if value is not UNSET
    }
    if described:
        yield "DescribeWebhook", described
    if body.filter is not UNSET:
        yield "ChangeWebhookFilter", {"filter": body.filter}
    if body.template is not UNSET:
        yield "ChangeWebhookTemplate", {"template": body.template}
    if body.enabled is not UNSET:
        yield ("EnableWebhook" if body.enabled else "DisableWebhook"), {}


async def _new_target(
    desk: WebhookDesk, project: str, hook: Webhook, body: WebhookEditBody
) -> tuple[str, Credential]:
    """A new address takes no headers over: they may be secrets between us and the old one."""
    headers = {} if body.headers is UNSET else body.headers
    if body.url is not UNSET:
        return _target(body.url, headers)
    kept = await desk.table.credentials(project, hook.id, "target", (hook.target,))
    if hook.target not in kept:
        raise Malformed(Problem("/url", "is not known any more: give it anew"))
    return _target(msgspec.json.decode(kept[hook.target], type=Target).url, headers)


async def rotate_secret(call: Call) -> Reply:
    """Draw another secret."""
    body, desk, project = read_body(call, RotateSecretBody), desk_of(call), project_key(call)
    hook = webhook_of(call, await seen_for_write(call))
    secret = new_secret()
    kept = Credential(new_id(), "secret", secret.encode())
    command = _command(
        "RotateWebhookSecret", body, webhook=hook.id, secret=kept.id, overlapS=body.overlap_s
    )
    await desk.table.keep(project, hook.id, kept)
    answer = await submit(call, project, command)
    rotated = SecretAnswer(
        **msgspec.structs.asdict(write_answer(answer)),
        id=hook.id,
        secret=None if answer.replayed else secret,
    )
    return Reply(200, encode(rotated), JSON, (etag(answer.revision),))


async def replay(call: Call) -> Reply:
    """Go on from an earlier event, or from a later one."""
    body, desk, project = read_body(call, ReplayBody), desk_of(call), project_key(call)
    hook = webhook_of(call, await seen_for_write(call))
    if not hook.enabled:
        raise InvalidCommand(Problem("/fromSeq", "nothing is delivered: enable the webhook first"))
    command = _command("ReplayWebhook", body, webhook=hook.id, fromSeq=body.from_seq)
    answer = await submit(call, project, command)
    await desk.table.hurry(project, hook.id)
    desk.look()
    return write_reply(answer)


def _writing(method: str, path: str, summary: str, handler: Any, **more: Any) -> Route:
    return Route(
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        permission="webhook:write",
        tag=TAG,
        query=WriteQuery,
        refuses=(NotServedHere,),
        **more,
    )


ROUTES: tuple[Route, ...] = (
    reading(
        WEBHOOKS,
        list_webhooks,
        "List webhooks",
        permission="webhook:read",
        tag=TAG,
        query=ListQuery,
        response=Page[WebhookView],
    ),
    _writing(
        "POST",
        WEBHOOKS,
        "Create a webhook; its secret is shown this once",
        create_webhook,
        request=NewWebhookBody,
        response=SecretAnswer,
        status=201,
    ),
    reading(
        WEBHOOK,
        read_webhook,
        "Read a webhook, and how far it has come",
        permission="webhook:read",
        tag=TAG,
        query=ReadQuery,
        response=WebhookDetail,
        refuses=(NotServedHere,),
    ),
    _writing(
        "PATCH",
        WEBHOOK,
        "Edit a webhook: all that the body names, or nothing",
        edit_webhook,
        request=WebhookEditBody,
        response=WriteAnswer,
    ),
    command_route(
        "DELETE",
        WEBHOOK,
        "Delete a webhook",
        Writing(shape=Shape(command=DeleteWebhook, path=("webhook",))),
        tag=TAG,
    ),
    _writing(
        "POST",
        f"{WEBHOOK}/rotate-secret",
        "Replace what a webhook's deliveries are signed with",
        rotate_secret,
        request=RotateSecretBody,
        body_optional=True,
        response=SecretAnswer,
    ),
    _writing(
        "POST",
        f"{WEBHOOK}/replay",
        "Deliver again from a seq on, or go on from a later one",
        replay,
        request=ReplayBody,
        response=WriteAnswer,
    ),
)
