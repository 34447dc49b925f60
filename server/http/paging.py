"""Pages of a list: at most ``limit`` items, and an opaque cursor to the next.

A cursor holds the place of the last item of the page before, so that items which come or go
meanwhile neither shift the pages nor repeat. It is opaque: clients send back what they were given.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

import msgspec
from halyard_protocol.problems import Problem

from server.http.faults import Malformed
from server.searching.orders import NUMBERED, Place, sort_by

DEFAULT_LIMIT = 100
MAX_LIMIT = 500

T = TypeVar("T")
V = TypeVar("V")


class Page(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """One page of a list; ``next_cursor`` is null on the last one."""

    items: Sequence[T]
    next_cursor: str | None = None


def write_cursor(last: str) -> str:
    """The cursor after the item whose sort key is ``last``."""
    return base64.urlsafe_b64encode(last.encode()).rstrip(b"=").decode()


def read_cursor(cursor: str | None) -> str | None:
    """The sort key in a cursor. Raises :class:`~server.http.faults.Malformed`."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise Malformed(Problem("?cursor", "is not one that was given out")) from error


def write_place(sort: str, place: Place) -> str:
    """The cursor after a place in an order, which is named: in another one it means nothing."""
    return write_cursor(msgspec.json.encode((sort, *place)).decode())


def read_place(cursor: str | None, sort: str) -> Place | None:
    """The place in a cursor of this order. Raises :class:`~server.http.faults.Malformed`."""
    written = read_cursor(cursor)
    if written is None:
        return None
    try:
        of, value, key = msgspec.json.decode(written, type=tuple[str, str | int, str])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Malformed(Problem("?cursor", "is not one that was given out")) from error
    if of != sort:
        raise Malformed(Problem("?cursor", f"was given out for sort={of}: begin anew"))
    if isinstance(value, int) != (sort_by(sort) in NUMBERED):
        raise Malformed(Problem("?cursor", "is not one that was given out"))
    return Place(value, key)


def page_in_order(
    rows: Iterable[tuple[Place, V]], limit: int, sort: str, view: Callable[[V], T]
) -> Page[T]:
    """The first page of rows that are in order and begin behind the cursor."""
    wanted = list(islice(rows, limit + 1))
    items = tuple(view(row) for _, row in wanted[:limit])
    more = len(wanted) > limit
    return Page(items, write_place(sort, wanted[limit - 1][0]) if more else None)


def sorted_page(
    rows: Iterable[tuple[Place, V]],
    limit: int,
    cursor: str | None,
    sort: str,
    view: Callable[[V], T],
) -> Page[T]:
    """One page of rows that are few enough to be sorted for it; ``sort`` may begin with ``-``."""
    after, descending = read_place(cursor, sort), sort.startswith("-")
    beyond = [
        (place, row)
        for place, row in rows
        if after is None or (place < after if descending else place > after)
    ]
    beyond.sort(key=lambda item: item[0], reverse=descending)
    return page_in_order(beyond, limit, sort, view)


def page_of(
    keys: Iterable[str],
    limit: int,
    cursor: str | None,
    row: Callable[[str], V | None],
    view: Callable[[V], T],
) -> Page[T]:
    """One page in the order of ``keys``' code points.

    ``row`` answers None for a key that the filters leave out; only rows of this page are viewed.
    """
    after = read_cursor(cursor)
    ordered = sorted(keys if after is None else (key for key in keys if key > after))
    wanted = list(islice(_kept(ordered, row), limit + 1))
    items = tuple(view(kept) for _, kept in wanted[:limit])
    more = len(wanted) > limit
    return Page(items, write_cursor(wanted[limit - 1][0]) if more else None)


def _kept(keys: Iterable[str], row: Callable[[str], V | None]) -> Iterator[tuple[str, V]]:
    for key in keys:
        kept = row(key)
        if kept is not None:
            yield key, kept
