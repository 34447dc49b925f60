"""What became of a webhook's deliveries; one of them once more, and a ping."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from halyard_protocol.problems import Problem
from msgspec import Meta

from domain.state import Webhook
from eventstore.log import StoredEvent
from eventstore.searching import Search
from eventstore.webhooks import Delivery
from server.http.call import Call
from server.http.faults import Malformed, NotFound, NotServedHere, TooManyAttempts
from server.http.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor, write_cursor
from server.http.project_keys import project_key
from server.http.queries import MinSeqQuery, Query
from server.http.reads import seen
from server.http.replies import Reply, ok
from server.http.routes import Route, reading
from server.http.webhooks import TAG, WEBHOOK, desk_of, seen_for_write, webhook_of
from server.webhooks.courier import SPAN
from server.webhooks.messages import delivery_id

_DELIVERIES = f"{WEBHOOK}/deliveries"


class DeliveryQuery(MinSeqQuery, frozen=True):
    """Which deliveries to list."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = None
    """``nextCursor`` of the page before."""
    outcome: Literal["delivered", "failed", "gone"] | None = None


class DeliveryView(msgspec.Struct, frozen=True, rename="camel"):
    """A delivery: what came of its last attempt, and how many there were."""

    id: str
    first_seq: int
    last_seq: int
    events: int
    outcome: str
    """``delivered``, ``failed`` or ``gone``."""
    attempts: int
    status: int | None
    """What the receiver answered; null where it did not."""
    duration_ms: int
    error: str
    """Why it was not delivered; empty where it was."""
    excerpt: str
    """How the answer begins."""
    created_at: datetime
    attempted_at: datetime


class AttemptView(msgspec.Struct, frozen=True, rename="camel"):
    """What came of an attempt that was made for this request."""

    id: str
    outcome: str
    status: int | None
    duration_ms: int
    error: str
    excerpt: str


async def list_deliveries(call: Call) -> Reply:
    """A page of deliveries, those attempted last first."""
    query, desk = call.query_as(DeliveryQuery), desk_of(call)
    hook = webhook_of(call, await seen(call))
    found = await desk.table.deliveries(
        project_key(call), hook.id, query.limit + 1, _before(query.cursor), query.outcome
    )
    page = found[: query.limit]
    more = _cursor(page[-1]) if len(found) > query.limit else None
    return ok(Page(tuple(map(_view, page)), more))


def _cursor(last: Delivery) -> str:
    return write_cursor(f"{last.attempted_at.isoformat()} {last.id}")


def _before(cursor: str | None) -> tuple[datetime, str] | None:
    text = read_cursor(cursor)
    if text is None:
        return None
    at, _, named = text.partition(" ")
    try:
        time = datetime.fromisoformat(at)
        if time.tzinfo is None:
            raise ValueError(at)
        return time.astimezone(UTC), str(uuid.UUID(named))
    except (ValueError, OverflowError):
        raise Malformed(Problem("?cursor", "is not one that was given out")) from None


def _view(each: Delivery) -> DeliveryView:
    return DeliveryView(**msgspec.structs.asdict(each))


async def read_delivery(call: Call) -> Reply:
    """One delivery."""
    hook = webhook_of(call, await seen(call))
    return ok(_view(await _known(call, hook.id)))


async def _known(call: Call, hook_id: str) -> Delivery:
    named = call.parameters["delivery"]
    try:
        canonical = str(uuid.UUID(named))
    except ValueError:
        raise NotFound("delivery", named) from None
    known = await desk_of(call).table.delivery(project_key(call), hook_id, canonical)
    if known is None:
        raise NotFound("delivery", named)
    return known


async def redeliver(call: Call) -> Reply:
    """Send one delivery once more, at once and out of turn, under the same id."""
    project = project_key(call)
    hook = webhook_of(call, await seen_for_write(call))
    known = await _known(call, hook.id)
    events: list[StoredEvent] = []
    if known.events:
        span = Search(after=known.first_seq - 1, before=known.last_seq + 1, limit=SPAN)
        read = await call.dependencies.store.search(project, span)
        events = [
            e for e in read if hook.filter.wants(e.type, e.entity_kind, e.entity_key, e.environment)
        ]
        if delivery_id(project, hook, events) != known.id:
            raise Malformed(
                Problem("", "the webhook wants other events by now: replay from a seq instead")
            )
    return await _made(call, hook, events, known.id)


async def ping(call: Call) -> Reply:
    """Send a delivery without events, at once, also of a disabled webhook."""
    hook = webhook_of(call, await seen_for_write(call))
    return await _made(call, hook, (), str(uuid.uuid4()))


async def _made(call: Call, hook: Webhook, events: Sequence[StoredEvent], named: str) -> Reply:
    """An attempt, written down. Raises :class:`TooManyAttempts`."""
    desk, project = desk_of(call), project_key(call)
    if desk.by_hand.locked():
        raise TooManyAttempts
    async with desk.by_hand:
        attempt, _ = await desk.attempts.make(project, hook, events, named)
    await desk.table.record(project, hook.id, attempt)
    return ok(
        AttemptView(
            attempt.delivery_id,
            attempt.outcome,
            attempt.status,
            attempt.duration_ms,
            attempt.error,
            attempt.excerpt,
        )
    )


def _sending(path: str, summary: str, handler: object) -> Route:
    return Route(
        method="POST",
        path=path,
        summary=summary,
        handler=handler,  # type: ignore[arg-type]
        permission="webhook:write",
        tag=TAG,
        query=Query,
        response=AttemptView,
        refuses=(NotServedHere, TooManyAttempts),
    )


ROUTES: tuple[Route, ...] = (
    reading(
        _DELIVERIES,
        list_deliveries,
        "List what became of a webhook's deliveries",
        permission="webhook:read",
        tag=TAG,
        query=DeliveryQuery,
        response=Page[DeliveryView],
        refuses=(NotServedHere,),
    ),
    reading(
        f"{_DELIVERIES}/{{delivery}}",
        read_delivery,
        "Read what became of a delivery",
        permission="webhook:read",
        tag=TAG,
        query=MinSeqQuery,
        response=DeliveryView,
        refuses=(NotServedHere,),
    ),
    _sending(
        f"{_DELIVERIES}/{{delivery}}/redeliver",
        "Send a delivery once more, under the same id",
        redeliver,
    ),
    _sending(f"{WEBHOOK}/ping", "Send a delivery without events, to try a webhook", ping),
)
