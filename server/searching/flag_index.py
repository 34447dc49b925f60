"""All entries of one state, brought up to date by the marks of what changed.

A state changes in place, and every change leaves the seq of its event in a mark: what lies beyond
the seq that was followed last is what is to be looked at again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime

from domain.state import ProjectState
from server.searching.criteria import Criteria
from server.searching.entries import FlagEntry, flag_entry
from server.searching.orders import Order, Place, SortBy

SLICE_S = 0.003
"""How long an index is built before the loop gets its turn."""


class FlagIndex:
    """Follows one state; :meth:`begin` it once, then :meth:`follow` it before each question."""

    __slots__ = ("_building", "_entries", "_frame", "_orders", "_seq", "_state", "_users")

    def __init__(self) -> None:
        self._state: ProjectState | None = None
        self._seq = 0
        """Of the newest event that is in the entries."""
        self._frame: object = None
        self._entries: dict[str, FlagEntry] = {}
        self._orders: dict[SortBy, Order] = {}
        """Those that were asked for."""
        self._users: dict[str, set[str]] = {}
        """The keys of flags that name a segment in a rule, by the segment's."""
        self._building = asyncio.Lock()

    def covers(self, state: ProjectState) -> bool:
        """Whether this state was begun."""
        return self._state is state

    async def begin(self, state: ProjectState, seq: int) -> None:
        """Build in slices what :meth:`follow` then brings up to date.

        The state may change meanwhile; whoever comes at the same time waits for the same work.
        """
        async with self._building:
            if self.covers(state):
                return
            began_s, entries, frame = time.perf_counter(), {}, _frame(state)
            for key in tuple(state.flags):
                if key in state.flags:
                    entries[key] = flag_entry(state, key)
                if time.perf_counter() - began_s > SLICE_S:
                    await asyncio.sleep(0)
                    began_s = time.perf_counter()
            self._install(state, seq, entries)
            self._frame = frame  # as it was before the first slice

    def follow(self, state: ProjectState, seq: int) -> None:
        """Bring the entries to a state at ``seq``, whichever was followed before."""
        if self._state is not state or seq < self._seq:
            self._install(state, seq, {key: flag_entry(state, key) for key in state.flags})
        elif seq > self._seq:
            changed = [entity for entity, mark in state.marks.items() if mark.seq > self._seq]
            frame = _frame(state)
            keys = {entity.key for entity in changed if entity.kind == "flag"}
            for key in keys if frame == self._frame else {*state.flags, *self._entries}:
                self._look_at(key, state)
            self._seq, self._frame = seq, frame

    def _install(self, state: ProjectState, seq: int, entries: dict[str, FlagEntry]) -> None:
        self._state, self._seq, self._entries = state, seq, entries
        self._frame = _frame(state)
        self._orders, self._users = {}, {}
        for key, entry in entries.items():
            for segment in entry.segments:
                self._users.setdefault(segment, set()).add(key)

    def _look_at(self, key: str, state: ProjectState) -> None:
        old = self._entries.pop(key, None)
        new = flag_entry(state, key, old) if key in state.flags else None
        if new is not None:
            self._entries[key] = new
        for order in self._orders.values():
            order.replace(old, new)
        for segment in () if old is None else old.segments:
            self._users[segment].discard(key)
        for segment in () if new is None else new.segments:
            self._users.setdefault(segment, set()).add(key)

    def __getitem__(self, key: str) -> FlagEntry:
        """The entry of a flag. Raises ``KeyError``."""
        return self._entries[key]

    def find(
        self,
        criteria: Criteria,
        now: datetime,
        by: SortBy = "key",
        after: Place | None = None,
        *,
        descending: bool = False,
    ) -> Iterator[FlagEntry]:
        """The flags that meet all of it at an instant, from beyond a place on, in an order.

        Valid until the index follows a change.
        """
        for chunk in self.order(by).chunks(after, descending=descending):
            yield from criteria.select(chunk, now)

    def order(self, by: SortBy) -> Order:
        """The entries in an order; valid until the index follows a change."""
        if by not in self._orders:
            self._orders[by] = Order(by, self._entries.values())
        return self._orders[by]

    def users(self, segment: str) -> tuple[str, ...]:
        """The flags that name a segment in a rule of any environment, by key."""
        return tuple(sorted(self._users.get(segment, ())))

    def count_users(self, segment: str) -> int:
        """How many there are."""
        return len(self._users.get(segment, ()))


def _frame(state: ProjectState) -> object:
    """What concerns all flags where it is another one: the project, and which environments it has.

    A key may be taken again between two looks; what was made under it is told by time and id.
    """
    project = state.project
    return (
        None if project is None else project.created_at,
        {environment.key: environment.id for environment in state.environments.values()},
    )
