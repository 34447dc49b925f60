"""One webhook, for as long as its lease lasts: read, deliver what is wanted, move the cursor.

The log is cut into deliveries by the log alone: at the end of each delta, and at each hundredth seq
within a long one. So whoever comes after a crash cuts it alike, and what had been sent already is
sent again under the same id.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

import structlog
from msgspec.structs import replace

from domain.state import Webhook
from domain.webhook_commands import DisableWebhook
from eventstore.errors import StoreError
from eventstore.log import StoredEvent
from eventstore.store import EventStore
from eventstore.webhooks import Attempt, Lease
from server.webhooks.attempts import Attempts
from server.webhooks.counters import WebhookCounters
from server.webhooks.messages import delivery_id
from server.webhooks.posting import Answer
from server.webhooks.retrying import Again, Over, next_step
from server.writing.errors import LogUnknown
from server.writing.submission import Submission
from server.writing.writers import Writers

ACTOR: Final = "halyard"
"""Who disables a webhook that is gone or dead."""
SPAN: Final = 100
"""Events of one delivery at most; their seqs lie within the same hundred."""
PAGE: Final = 5 * SPAN
MISSING_S: Final = 5.0
"""How soon to look again for a webhook that is not in the log yet."""
ABANDONED: Final = timedelta(minutes=10)
"""After which one that never came into the log is forgotten."""
UNDECIDED_S: Final = 60.0
"""How soon to try again what was to be disabled, and is not."""
LETTING_GO_S: Final = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What every courier of a process works with."""

    store: EventStore
    writers: Writers
    attempts: Attempts
    counters: WebhookCounters
    dead_after: timedelta
    lease: timedelta = timedelta(seconds=45)
    """Longer than an attempt takes, by far."""
    turn_s: float = 30.0
    """After which another webhook has its turn."""


def spans(page: Sequence[StoredEvent]) -> Iterator[Sequence[StoredEvent]]:
    """The deliveries that a page could be cut into; an unfinished one at its end is left out."""
    begin = 0
    for index, event in enumerate(page):
        if event.ends_delta or event.seq % SPAN == 0:
            yield page[begin : index + 1]
            begin = index + 1


class Courier:
    """Works on one lease, once."""

    def __init__(self, means: Means, lease: Lease) -> None:
        self._means = means
        self._table = means.attempts.table
        self._lease = lease
        self._until_s = time.monotonic() + means.turn_s
        self._renew_at_s = self._next_renewal()

    async def work(self) -> None:
        """Deliver until nothing is left, an attempt fails, or it is another's turn.

        Raises :class:`~eventstore.errors.StoreError`, and what ``Writers`` raises; then the lease
        runs out. Cancelled, it lets go of it.
        """
        try:
            while await self._round():
                pass
        except asyncio.CancelledError:
            await self._let_go()
            raise

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(LETTING_GO_S):
                await self._rest(datetime.now(UTC))
        except (StoreError, TimeoutError):
            log.info("a webhook's lease was left to run out", webhook=self._lease.webhook)

    async def _round(self) -> bool:
        """One page of the log; whether there is to be another round."""
        lease, store = self._lease, self._means.store
        head = await store.head(lease.log_id)
        try:
            folded = await self._means.writers.state(lease.log_id, head.last_seq)
        except LogUnknown:
            await self._table.forget(lease.log_id, lease.webhook)
            return False
        hook, looked = folded.state.webhooks.get(lease.webhook), folded.seq
        if hook is None:
            await self._missing()
            return False
        self._begin_where_told(hook)
        if not hook.enabled:
            self._lease = replace(self._lease, seen_seq=looked)
            await self._rest(datetime.now(UTC))
            return False
        page = await store.read(lease.log_id, self._lease.seq, PAGE, upto=looked)
        if not await self._through(hook, page):
            return False
        if len(page) == PAGE:
            return await self._keep()
        return await self._finish(hook, page, looked)

    def _begin_where_told(self, hook: Webhook) -> None:
        """It was created, enabled or replayed since the cursor was moved last."""
        if hook.begun_at > self._lease.begun_at:
            self._lease = replace(
                self._lease,
                begun_at=hook.begun_at,
                seq=hook.begins_after,
                attempts=0,
                failing_since=None,
            )

    async def _through(self, hook: Webhook, page: Sequence[StoredEvent]) -> bool:
        """Deliver what is wanted of a page; False where this turn has ended."""
        for span in spans(page):
            wanted = [
                event
                for event in span
                if hook.filter.wants(
                    event.type, event.entity_kind, event.entity_key, event.environment
                )
            ]
            if wanted:
                now = await self._current(hook.id)
                if now is None or not now.enabled or now.begun_at > self._lease.begun_at:
                    return await self._keep()
                if not await self._deliver(now, wanted, span[-1].seq):
                    return False
            self._lease = replace(self._lease, seq=span[-1].seq)
        return True

    async def _current(self, webhook: str) -> Webhook | None:
        """As it is by now: its secret may have been replaced while earlier ones were sent."""
        folded = await self._means.writers.state(self._lease.log_id)
        return folded.state.webhooks.get(webhook)

    async def _finish(self, hook: Webhook, page: Sequence[StoredEvent], looked: int) -> bool:
        """Everything through ``looked`` is dealt with, but for a delta that goes on behind it."""
        whole = not page or page[-1].seq == self._lease.seq
        self._lease = replace(self._lease, seen_seq=looked if whole else self._lease.seq)
        if any(event.entity_kind == "webhook" and event.entity_key == hook.id for event in page):
            named = (hook.target, hook.secret, hook.previous_secret or hook.secret)
            await self._table.forget_credentials(self._lease.log_id, hook.id, named)
        await self._rest(datetime.now(UTC))
        return False

    async def _missing(self) -> None:
        """Created, and the event is on its way; or deleted; or it never came to be."""
        lease, now = self._lease, datetime.now(UTC)
        if lease.begun_at or now - lease.created_at > ABANDONED:
            await self._table.forget(lease.log_id, lease.webhook)
        else:
            await self._rest(now + timedelta(seconds=MISSING_S))

    async def _deliver(self, hook: Webhook, wanted: Sequence[StoredEvent], end: int) -> bool:
        """One attempt; whether to go on."""
        lease = self._lease
        if time.monotonic() >= self._renew_at_s and not await self._renew():
            return False
        attempt, answer = await self._means.attempts.make(
            lease.log_id, hook, wanted, delivery_id(lease.log_id, hook, wanted)
        )
        if attempt.outcome != "delivered":
            await self._failed(hook, attempt, answer)
            return False
        self._lease = replace(lease, seq=end, attempts=0, failing_since=None)
        if time.monotonic() >= self._until_s:
            await self._rest(datetime.now(UTC), attempt)
            return False
        return await self._keep(attempt)

    async def _failed(self, hook: Webhook, attempt: Attempt, answer: Answer) -> None:
        now = datetime.now(UTC)
        since = self._lease.failing_since or now
        self._lease = replace(self._lease, attempts=self._lease.attempts + 1, failing_since=since)
        step = next_step(
            answer.status,
            attempts=self._lease.attempts,
            failing_since=since,
            now=now,
            dead_after=self._means.dead_after,
            chance=random.random(),  # noqa: S311 - it spreads retries, it hides nothing
            retry_after=answer.retry_after,
        )
        match step:
            case Again(at=at):
                await self._rest(at, attempt)
            case Over(reason=reason):
                # Whoever has slept through the end of the lease judges by what was long ago.
                if await self._rest(now + timedelta(seconds=UNDECIDED_S), attempt):
                    await self._disable(hook, DisableWebhook(hook.id, reason, comment=answer.error))
            case _:
                assert_never(step)

    async def _disable(self, hook: Webhook, command: DisableWebhook) -> None:
        lease = self._lease
        await self._means.writers.submit(lease.log_id, Submission.of(ACTOR, command))
        self._means.counters.disabled[command.reason] += 1
        log.warning(
            "webhook disabled", project=lease.log_id, webhook=hook.id, reason=command.reason
        )

    async def _keep(self, attempt: Attempt | None = None) -> bool:
        """Write down how far it is, and hold on; False where somebody else has it."""
        self._renew_at_s = self._next_renewal()
        return await self._table.settle(self._lease, self._means.lease, attempt=attempt)

    async def _rest(self, due_at: datetime, attempt: Attempt | None = None) -> bool:
        """Write down how far it is, and let go; False where somebody else has it."""
        length = self._means.lease
        return await self._table.settle(self._lease, length, attempt=attempt, due_at=due_at)

    async def _renew(self) -> bool:
        self._renew_at_s = self._next_renewal()
        return await self._table.renew(self._lease, self._means.lease)

    def _next_renewal(self) -> float:
        return time.monotonic() + self._means.lease.total_seconds() / 3
