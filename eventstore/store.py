"""All reads and writes of the logs.

Concurrency: an :class:`EventStore` holds no state but its pool; any number of tasks may use one.
Whatever is raised is a :class:`~eventstore.errors.StoreError`. A task that is cancelled during a
write does not know whether it happened: as after a lost connection, the record of commands does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from itertools import starmap
from typing import Any

import asyncpg
from msgspec.structs import replace

from domain.facts import Entity
from eventstore import appending
from eventstore.contents import Contents
from eventstore.errors import translating, translating_block
from eventstore.log import (
    AppendAnswer,
    Batch,
    Head,
    NewCommand,
    Recorded,
    Snapshot,
    StoredEvent,
    empty_head,
)
from eventstore.searching import (
    Search,
    Slice,
    reach_statement,
    search_statement,
    slice_statement,
    unit_statement,
)
from eventstore.statements import statement

PAGE_SIZE = 2_000
NEWEST_SNAPSHOTS = 3
SNAPSHOT_SPAN = 2_000
"""Of the older snapshots one is kept in each span of this many events."""
NEAR_EVENTS = 250_000
"""So far back from a new snapshot; of those from before, in five times the span."""
MAX_SEQ = 2**63 - 1


class EventStore:
    """The logs of one database. Also the way to its snapshots, contents and epochs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.contents = Contents(pool)
        """The numbers behind wire epochs."""

    async def append(self, batch: Batch) -> AppendAnswer:
        """Append a batch in one transaction and one round trip, or say why nothing was written.

        ``Duplicate`` goes before the others: commands that had been recorded are answered from
        the record, however far the log has gone on. Acknowledged means durable.
        """
        with translating:
            async with self._pool.acquire() as connection:
                return await appending.append(connection, batch)

    @asynccontextmanager
    async def append_locked(self, log_id: str) -> AsyncIterator[LockedLog]:
        """A transaction that holds the log's head: nobody else appends until it ends.

        For a caller that was behind too often: read the rest, decide, append. Leaving the block
        commits; an exception in it rolls back.
        """
        async with (
            translating_block(self._pool.acquire()) as connection,
            translating_block(connection.transaction()),
        ):
            with translating:
                head = await connection.fetchrow(statement("lock_head"), log_id)
            yield LockedLog(connection, Head(*head))

    async def head(self, log_id: str) -> Head:
        """Where a log ends; for one without events the head that its first append must expect."""
        row = await self._row("head", log_id)
        return empty_head(log_id) if row is None else Head(*row)

    async def heads(self) -> tuple[Head, ...]:
        """The heads of all logs, by log id."""
        return tuple(Head(*row) for row in await self._rows(statement("heads")))

    async def positions(self) -> tuple[tuple[str, int, int], ...]:
        """``(log_id, epoch, last_seq)`` of all logs, in no order: the poll beneath wake-ups."""
        return tuple(tuple(row) for row in await self._rows(statement("positions")))

    async def read(
        self, log_id: str, after: int, limit: int, upto: int | None = None
    ) -> list[StoredEvent]:
        """The events with ``after < seq <= upto``, ``limit`` of them at most, in order."""
        if upto is None:
            rows = await self._rows(statement("read"), log_id, after, limit)
        else:
            rows = await self._rows(statement("read_upto"), log_id, after, upto, limit)
        return _events(rows)

    async def read_pages(
        self, log_id: str, after: int, upto: int | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncGenerator[list[StoredEvent], None]:
        """All events with ``after < seq <= upto`` in pages that end where a delta ends.

        A page is longer than ``page_size`` only where a single delta is. Ends at the log's end,
        as it was when the last page was read.
        """
        coming = asyncio.ensure_future(self.read(log_id, after, page_size, upto))
        held: list[StoredEvent] = []
        try:
            while len(page := await coming) == page_size:
                # The next page is on its way while the caller works on this one.
                coming = asyncio.ensure_future(self.read(log_id, page[-1].seq, page_size, upto))
                held += page
                whole = _whole_deltas(held)
                if whole:
                    yield held[:whole]
                    held = held[whole:]
            if held or page:
                yield held + page
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    async def search(self, log_id: str, search: Search) -> list[StoredEvent]:
        """The events of a log that match; ``search.limit`` of them at most."""
        text, arguments = search_statement(log_id, search)
        return _events(await self._rows(text, *arguments))

    async def search_slice(self, log_id: str, search: Search, walked: int) -> Slice:
        """The same, looking at ``walked`` events at most of those that one index leads to.

        It takes a bounded time, however few of them match; see :class:`Slice` for how far it came.
        """
        if search.before is None:
            # What is appended between the two statements must not count as looked at; nor must it
            # shift where a slice from the newest on has ended.
            search = replace(search, before=(await self.head(log_id)).last_seq + 1)
        text, arguments = slice_statement(log_id, search, walked)
        found = _events(await self._rows(text, *arguments))
        if len(found) == search.limit:
            return Slice(tuple(found), found[-1].seq)
        text, arguments = reach_statement(log_id, search, walked)
        reached = await self._rows(text, *arguments)
        return Slice(tuple(found), reached[0][0] if reached else None)

    async def events_between_revisions(
        self, log_id: str, entity: Entity, after_revision: int, limit: int = 100
    ) -> list[StoredEvent]:
        """What happened to one entity after a revision of it, in order; the newest ``limit``."""
        text, arguments = unit_statement(log_id, entity, 1)
        newest = _events(await self._rows(text, *arguments))
        # Revisions are dense, so the newest event tells how many to take, and where to stop.
        wanted = newest[0].revision - after_revision if newest else 0
        if wanted <= 1:
            return newest[: max(wanted, 0)]
        text, arguments = unit_statement(log_id, entity, min(wanted, limit))
        return _events(await self._rows(text, *arguments))[::-1]

    async def seq_at(self, log_id: str, at: datetime) -> int:
        """The seq of the newest event recorded at or before an aware instant; 0 before them all."""
        row = await self._row("seq_at", log_id, at)
        return 0 if row is None else int(row[0])

    async def carried_out(
        self, log_id: str, causes: Iterable[str]
    ) -> dict[tuple[str, str, str, str | None], int]:
        """By cause, entity kind, key and environment: the newest event that has the cause."""
        rows = await self._rows(statement("carried_out"), log_id, list(causes))
        return {(row[0], row[1], row[2], row[3]): row[4] for row in rows}

    async def recorded(
        self, log_id: str, keys: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], Recorded]:
        """Those of the ``(actor id, idempotency key)`` that were accepted, with their answers."""
        pairs = list(keys)
        actors, names = [actor for actor, _ in pairs], [name for _, name in pairs]
        rows = await self._rows(statement("recorded"), log_id, actors, names)
        return {(row[0], row[1]): Recorded(*row[2:]) for row in rows}

    async def save_snapshot(self, snapshot: Snapshot) -> bool:
        """Store a fold's state; older ones are thinned out. False where it is not on this log.

        Kept are the newest few, and one in every few thousand events, so that no past moment is
        further than that from a snapshot.
        """
        fold = (snapshot.log_id, snapshot.fold, snapshot.fold_version)
        digest = sha256(snapshot.state).digest()
        on_log = await self._row(
            "save_snapshot", *fold, snapshot.seq, snapshot.hash, digest, snapshot.state
        )
        near = snapshot.seq - NEAR_EVENTS
        await self._rows(statement("thin_snapshots"), *fold, NEWEST_SNAPSHOTS, SNAPSHOT_SPAN, near)
        return bool(on_log[0])

    async def load_snapshot(
        self, log_id: str, fold: str, fold_version: int, upto: int | None = None
    ) -> Snapshot | None:
        """The newest intact snapshot of a fold with ``seq <= upto`` that lies on this log."""
        upto = MAX_SEQ if upto is None else upto
        while row := await self._row("load_snapshot", log_id, fold, fold_version, upto):
            seq, chain_hash, digest, state = row
            if sha256(state).digest() == digest:
                return Snapshot(log_id, fold, fold_version, seq, chain_hash, state)
            upto = seq - 1
        return None

    async def ends(self, log_id: str) -> tuple[int, int]:
        """The seq of the head and that of the newest event; they differ only after tampering."""
        row = await self._row("ends", log_id)
        return row[0], row[1]

    async def bump_epoch(self, log_id: str) -> int | None:
        """Say that a log's history may have forked. The new epoch, or None without such a log."""
        row = await self._row("bump_epoch", log_id)
        return None if row is None else int(row[0])

    async def bump_all_epochs(self) -> None:
        """Say that every log's history may have forked: after a restore, for instance."""
        with translating:
            await self._pool.execute(statement("bump_all_epochs"))

    async def _rows(self, text: str, *arguments: Any) -> list[asyncpg.Record]:
        with translating:
            rows: list[asyncpg.Record] = await self._pool.fetch(text, *arguments)
            return rows

    async def _row(self, name: str, *arguments: Any) -> asyncpg.Record:
        with translating:
            return await self._pool.fetchrow(statement(name), *arguments)


class LockedLog:
    """A log whose head is held; valid inside its ``append_locked`` block only."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy, head: Head) -> None:
        self._connection = connection
        self.head = head
        """Where the log ends, for as long as the block lasts."""

    async def read(self, after: int, limit: int = PAGE_SIZE) -> list[StoredEvent]:
        """The events after a seq, ``limit`` of them at most, in order."""
        with translating:
            rows = await self._connection.fetch(statement("read"), self.head.log_id, after, limit)
        return _events(rows)

    async def append(self, commands: tuple[NewCommand, ...]) -> AppendAnswer:
        """Append at the head; durable once the block has ended. Never answers ``Behind``."""
        head = self.head
        batch = Batch(head.log_id, head.last_seq, head.last_hash, commands)
        return await appending.append(self._connection, batch)


def _events(rows: list[asyncpg.Record]) -> list[StoredEvent]:
    return list(starmap(StoredEvent, rows))


def _whole_deltas(events: list[StoredEvent]) -> int:
    """How many events there are through the last one that ends a delta."""
    return next((n for n in range(len(events), 0, -1) if events[n - 1].ends_delta), 0)
