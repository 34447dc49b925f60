"""Webhooks beside the log: credentials, how far each has come, and what became of deliveries.

Concurrency: any number of processes. A webhook is leased to one of them; see ``0006_webhooks.sql``.
Whatever is raised is a :class:`~eventstore.errors.StoreError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import asyncpg
import msgspec

from eventstore.errors import translating, translating_block
from eventstore.statements import statement

DELIVERIES_KEPT: Final = timedelta(days=30)
MAX_DELIVERIES: Final = 10_000
"""Of one webhook."""

CredentialKind: TypeAlias = Literal["target", "secret"]


class Credential(msgspec.Struct, frozen=True):
    """What no event may hold. Its text is never shown by ``repr``."""

    id: str
    kind: CredentialKind
    value: bytes

    def __repr__(self) -> str:
        return f"Credential({self.id!r}, {self.kind!r})"


class Lease(msgspec.Struct, frozen=True):
    """One webhook, held by a process for a while, and how far it has come."""

    log_id: str
    webhook: str
    begun_at: int
    """The event that last said where to go on, as far as that has been done."""
    seq: int
    """Delivered through here, or not wanted."""
    seen_seq: int
    """Looked at through here."""
    attempts: int
    """Of the delivery that comes next."""
    failing_since: datetime | None
    created_at: datetime
    holder: str


class Position(msgspec.Struct, frozen=True):
    """How far a webhook has come."""

    seq: int
    begun_at: int
    attempts: int
    failing_since: datetime | None
    due_at: datetime


class Attempt(msgspec.Struct, frozen=True):
    """What came of one request."""

    delivery_id: str
    first_seq: int
    last_seq: int
    events: int
    outcome: str
    status: int | None
    duration_ms: int
    error: str
    excerpt: str


class Delivery(msgspec.Struct, frozen=True):
    """A delivery as it is known: the outcome of its last attempt, and how many there were."""

    id: str
    first_seq: int
    last_seq: int
    events: int
    outcome: str
    attempts: int
    status: int | None
    duration_ms: int
    error: str
    excerpt: str
    created_at: datetime
    attempted_at: datetime


class Lag(msgspec.Struct, frozen=True):
    """How webhooks stand, of all projects."""

    behind: int
    failing: int
    failing_s: float


class Webhooks:
    """See the module."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    # --- credentials

    async def keep(self, log_id: str, webhook: str, *credentials: Credential) -> None:
        """Store credentials that an event is about to name, and the place where it will stand.

        All or none; what no event comes to name is forgotten in time.
        """
        async with (
            translating_block(self._pool.acquire()) as connection,
            translating_block(connection.transaction()),
        ):
            with translating:
                for each in credentials:
                    await connection.execute(
                        statement("keep_credential"),
                        each.id,
                        log_id,
                        webhook,
                        each.kind,
                        each.value,
                    )
                await connection.execute(statement("begin_webhook"), log_id, webhook)

    async def credentials(
        self, log_id: str, webhook: str, kind: CredentialKind, ids: Iterable[str]
    ) -> dict[str, bytes]:
        """Those of a webhook that are there, by id."""
        rows = await self._rows("webhook_credentials", log_id, webhook, kind, list(ids))
        return {row[0]: row[1] for row in rows}

    async def forget_credentials(self, log_id: str, webhook: str, named: Iterable[str]) -> None:
        """Remove what a webhook does not name any more."""
        await self._value("forget_credentials", log_id, webhook, list(named))

    # --- leases

    async def logs(self) -> frozenset[str]:
        """The logs that have webhooks."""
        return frozenset(row[0] for row in await self._rows("webhook_logs"))

    async def lease(self, holder: str, length: timedelta, most: int) -> list[Lease]:
        """Take webhooks that have something to be done, and that nobody holds."""
        return [Lease(*row) for row in await self._rows("lease_webhooks", holder, length, most)]

    async def renew(self, lease: Lease, length: timedelta) -> bool:
        """Hold on to a webhook from now; False where somebody else has it."""
        return bool(
            await self._value("renew_webhook", lease.log_id, lease.webhook, lease.holder, length)
        )

    async def settle(
        self,
        lease: Lease,
        length: timedelta,
        *,
        attempt: Attempt | None = None,
        due_at: datetime | None = None,
    ) -> bool:
        """Write down how far it has come, and the attempt that brought it there.

        With ``due_at`` the lease ends, and it is taken up again from then on. False where somebody
        else holds it: then only the attempt is written down.
        """
        async with (
            translating_block(self._pool.acquire()) as connection,
            translating_block(connection.transaction()),
        ):
            with translating:
                if attempt is not None:
                    await connection.execute(*_recording(lease.log_id, lease.webhook, attempt))
                moved = await connection.fetchval(
                    statement("move_webhook"),
                    lease.log_id,
                    lease.webhook,
                    lease.holder,
                    lease.begun_at,
                    lease.seq,
                    lease.seen_seq,
                    lease.attempts,
                    lease.failing_since,
                    due_at,
                    length,
                )
        return bool(moved)

    async def hurry(self, log_id: str, webhook: str) -> None:
        """Do not wait for the time at which it was to be tried again."""
        await self._value("hurry_webhook", log_id, webhook)

    async def forget(self, log_id: str, webhook: str) -> None:
        """Remove all that is known of a webhook."""
        await self._value("forget_webhook", log_id, webhook)

    # --- deliveries

    async def record(self, log_id: str, webhook: str, attempt: Attempt) -> None:
        """Write down an attempt that moves nothing."""
        with translating:
            await self._pool.execute(*_recording(log_id, webhook, attempt))

    async def position(self, log_id: str, webhook: str) -> Position | None:
        """How far it has come."""
        rows = await self._rows("webhook_position", log_id, webhook)
        return Position(*rows[0]) if rows else None

    async def deliveries(
        self,
        log_id: str,
        webhook: str,
        limit: int,
        before: tuple[datetime, str] | None = None,
        outcome: str | None = None,
    ) -> list[Delivery]:
        """The deliveries attempted last, the newest first; ``before`` one of them."""
        at, delivery_id = before or (None, None)
        rows = await self._rows(
            "webhook_deliveries", log_id, webhook, at, delivery_id, outcome, limit
        )
        return [Delivery(*row) for row in rows]

    async def delivery(self, log_id: str, webhook: str, delivery_id: str) -> Delivery | None:
        """One delivery, by its id, which is a UUID."""
        rows = await self._rows("webhook_delivery", log_id, webhook, delivery_id)
        return Delivery(*rows[0]) if rows else None

    async def forget_deliveries(self) -> None:
        """Remove the old ones, and those beyond what is kept of one webhook."""
        await self._value("forget_deliveries", DELIVERIES_KEPT, MAX_DELIVERIES)

    async def lag(self) -> Lag:
        """How webhooks stand."""
        return Lag(*(await self._rows("webhook_lag"))[0])

    async def _rows(self, name: str, *arguments: Any) -> list[asyncpg.Record]:
        with translating:
            rows: list[asyncpg.Record] = await self._pool.fetch(statement(name), *arguments)
            return rows

    async def _value(self, name: str, *arguments: Any) -> Any:
        with translating:
            return await self._pool.fetchval(statement(name), *arguments)


def _recording(log_id: str, webhook: str, attempt: Attempt) -> tuple[Any, ...]:
    return (statement("record_delivery"), log_id, webhook, *msgspec.structs.astuple(attempt))
