"""Flags in each order that a list can have: sorted once, and kept sorted from change to change."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never, cast

from server.searching.entries import FlagEntry

SortBy: TypeAlias = Literal["key", "name", "created", "changed"]


def sort_by(sort: str) -> SortBy:
    """What a list is sorted by, of a word that may begin with ``-`` for the other way round."""
    return cast("SortBy", sort.removeprefix("-"))


NUMBERED: Final[tuple[SortBy, ...]] = ("created", "changed")
"""Orders by a number; the others are by a text."""
CHUNK = 512
"""Entries that are looked at together."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Place(NamedTuple):
    """Where something stands in an order; the key is what tells equals apart."""

    value: str | int
    key: str


def instant_us(at: datetime) -> int:
    """Microseconds since 1970: what instants are sorted by."""
    return (at - _EPOCH) // _MICROSECOND


def row_place(by: SortBy, key: str, name: str, created_at: datetime, changed_seq: int) -> Place:
    """Where a row stands that has a key, a name, and two times."""
    match by:
        case "key":
            return Place("", key)
        case "name":
            return Place(name.casefold(), key)
        case "created":
            return Place(instant_us(created_at), key)
        case "changed":
            return Place(changed_seq, key)
        case _:
            assert_never(by)


def entry_place(by: SortBy, entry: FlagEntry) -> Place:
    """Where a flag stands."""
    flag = entry.flag
    return row_place(by, flag.key, flag.name, flag.created_at, entry.changed.seq)


class Order:
    """All entries from first to last, and beside them their places."""

    __slots__ = ("_by", "_entries", "_places")

    def __init__(self, by: SortBy, entries: Iterable[FlagEntry]) -> None:
        self._by = by
        placed = sorted(((self.place(entry), entry) for entry in entries), key=lambda item: item[0])
        self._places = [place for place, _ in placed]
        self._entries = [entry for _, entry in placed]

    def place(self, entry: FlagEntry) -> Place:
        """Where an entry stands."""
        return entry_place(self._by, entry)

    def replace(self, old: FlagEntry | None, new: FlagEntry | None) -> None:
        """Take out one, and put in the other; either may be none."""
        if old is not None:
            at = bisect_left(self._places, self.place(old))
            del self._places[at], self._entries[at]
        if new is not None:
            place = self.place(new)
            at = bisect_left(self._places, place)
            self._places.insert(at, place)
            self._entries.insert(at, new)

    def chunks(self, after: Place | None, *, descending: bool) -> Iterator[list[FlagEntry]]:
        """The entries beyond a place, or all, in lists. Valid until the order changes."""
        entries, places = self._entries, self._places
        if descending:
            end = len(places) if after is None else bisect_left(places, after)
            for stop in range(end, 0, -CHUNK):
                yield entries[max(stop - CHUNK, 0) : stop][::-1]
        else:
            start = 0 if after is None else bisect_right(places, after)
            for begin in range(start, len(places), CHUNK):
                yield entries[begin : begin + CHUNK]
