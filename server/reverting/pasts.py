"""Flags and segments as they were at some seqs, from their own events alone.

What an event means for a flag depends on the flag, on the project, and on its environments; the
fold looks at nothing else. So a state that is folded from just those events has the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from domain.state import ProjectState
from eventstore.log import StoredEvent
from eventstore.searching import Search
from eventstore.store import EventStore
from server.writing.deciders import PROJECT
from server.writing.folded_log import fold_stored
from server.writing.history import LogHistory

Unit: TypeAlias = tuple[Literal["flag", "segment"], str]
"""A flag with all its settings, or a segment."""

PAGE = 2_000


async def pasts(
    store: EventStore, log_id: str, units: Iterable[Unit], seqs: Sequence[int]
) -> tuple[ProjectState, ...]:
    """The state at each of the rising ``seqs``: the project, its environments, and ``units``.

    Each state is a view of the one before it, so none may be changed. Raises
    :class:`~server.writing.errors.LogPoisoned` or a store's error.
    """
    voided = frozenset(await LogHistory(store, PROJECT).voids(log_id))
    events = await _events_of(store, log_id, units, seqs[-1])
    states: list[ProjectState] = []
    folded = 0
    for seq in seqs:
        state = states[-1].overlay() if states else ProjectState()
        while folded < len(events) and events[folded].seq <= seq:
            fold_stored(PROJECT, state, events[folded], voided)
            folded += 1
        states.append(state)
    return tuple(states)


async def _events_of(
    store: EventStore, log_id: str, units: Iterable[Unit], upto: int
) -> list[StoredEvent]:
    searches = [
        Search(entity_kind="project"),
        Search(entity_kind="environment"),
        *(Search(entity_kind=kind, entity_key=key) for kind, key in units),
    ]
    found: list[StoredEvent] = []
    for search in searches:
        found += await all_events(store, log_id, search, upto)
    return sorted(found, key=lambda event: event.seq)


async def all_events(
    store: EventStore, log_id: str, search: Search, upto: int
) -> list[StoredEvent]:
    """Every event of a search up to a seq, in order."""
    found: list[StoredEvent] = []
    while True:
        after = found[-1].seq if found else search.after
        page = await store.search(
            log_id,
            Search(
                entity_kind=search.entity_kind,
                entity_key=search.entity_key,
                after=after,
                before=upto + 1,
                limit=PAGE,
            ),
        )
        found += page
        if len(page) < PAGE:
            return found
