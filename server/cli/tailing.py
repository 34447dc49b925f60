"""The newest events of a log, and those that come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from eventstore.follow import Follower
from eventstore.log import SYSTEM_LOG, StoredEvent
from eventstore.searching import Search
from eventstore.store import PAGE_SIZE, EventStore
from server.cli.event_records import event_line, event_record
from server.cli.exits import Exit, fail
from server.cli.output import print_json_line, screen

Printer = Callable[[StoredEvent], None]


def line_printer(as_json: bool) -> Printer:
    """What prints each event."""
    if as_json:
        return lambda event: print_json_line(event_record(event))
    return lambda event: screen.out(event_line(event), highlight=False)


async def tail(
    store: EventStore, log_id: str | None, wanted: Search, follow: bool, show: Printer
) -> None:
    """Show the newest ``wanted.limit`` events that match, and with ``follow`` those that come."""
    log_id = await require_log(store, log_id) if log_id else await only_project(store)
    head = await store.head(log_id)
    if wanted.limit:
        newest = replace(wanted, newest_first=True, before=head.last_seq + 1)
        for event in reversed(await store.search(log_id, newest)):
            show(event)
    if follow:
        await _follow(store, log_id, replace(wanted, limit=PAGE_SIZE), head.last_seq, show)


async def _follow(
    store: EventStore, log_id: str, wanted: Search, after: int, show: Printer
) -> None:
    follower = Follower(store)
    polling = asyncio.create_task(follower.run())
    try:
        async for wake in follower:
            if wake.log_id == log_id:
                after = await _show_since(store, log_id, replace(wanted, after=after), show)
    finally:
        polling.cancel()


async def _show_since(store: EventStore, log_id: str, wanted: Search, show: Printer) -> int:
    """Show what matches after ``wanted.after``; answers where the log was read to."""
    head = await store.head(log_id)
    after = wanted.after
    while page := await store.search(
        log_id, replace(wanted, after=after, before=head.last_seq + 1)
    ):
        for event in page:
            show(event)
        after = page[-1].seq
    return head.last_seq


async def require_log(store: EventStore, log_id: str) -> str:
    """The id itself; ends the program where there is no such log: a slip is not calm."""
    if (await store.head(log_id)).last_seq == 0:
        fail(f"there is no log '{log_id}'")
    return log_id


async def only_project(store: EventStore) -> str:
    """The one project of a small installation; ends the program where there are more, or none."""
    projects = [head.log_id for head in await store.heads() if head.log_id != SYSTEM_LOG]
    if len(projects) != 1:
        known = f"there are {', '.join(projects)}" if projects else "there is no project yet"
        fail(f"name a log: {known}", Exit.USAGE)
    return projects[0]
