"""Rows by key, of which a view can be changed without the original seeing it.

A fold keeps its rows in private dictionaries for speed. A command that is decided but not yet
stored must not be seen by readers, so it is folded into an overlay: a table that holds only what
differs from its parent, and is merged into it, or dropped. Overlays may stand on overlays.

Only folds write to a table. Rows are values and are replaced, never changed.

A table may note which of its rows are of a kind that is sought often, and that few rows are of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Any = object()
_GONE: Any = object()


class Table(Generic[K, V]):
    """A dictionary, or the difference to one."""

    __slots__ = ("_growth", "_noted", "_parent", "_rows", "_wanted")

    def __init__(
        self, parent: Table[K, V] | None = None, wanted: Callable[[V], bool] | None = None
    ) -> None:
        self._parent = parent
        """None for a table that stands by itself; only an overlay holds ``_GONE`` rows."""
        self._rows: dict[K, V] = {}
        self._growth = 0
        """Of an overlay: how many rows it has more than its parent. Counting them anew for each
        row that is added would make long batches quadratic."""
        self._wanted: Callable[[V], bool] | None = wanted if parent is None else parent._wanted
        """Which rows are noted."""
        self._noted: set[K] = set()
        """The keys of those among this table's own rows."""

    def get(self, key: K) -> V | None:
        """The row, or None."""
        row = self._rows.get(key, _ABSENT)
        if row is _ABSENT:
            return None if self._parent is None else self._parent.get(key)
        return None if row is _GONE else cast("V", row)

    def __getitem__(self, key: K) -> V:
        """The row. Raises ``KeyError``."""
        row = self.get(key)
        if row is None:
            raise KeyError(key)
        return row

    def __contains__(self, key: object) -> bool:
        return self.get(cast("K", key)) is not None

    def __iter__(self) -> Iterator[K]:
        if self._parent is None:
            return iter(self._rows)
        return (key for key, _ in self.items())

    def __len__(self) -> int:
        if self._parent is None:
            return len(self._rows)
        return len(self._parent) + self._growth

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> Iterator[tuple[K, V]]:
        """All rows, in no order that a decision may rest on."""
        # Lists of thousands are made of this: a table by itself must cost no more than its rows.
        return iter(self._rows.items()) if self._parent is None else self._with_parent(self._parent)

    def _with_parent(self, parent: Table[K, V]) -> Iterator[tuple[K, V]]:
        yield from ((key, row) for key, row in parent.items() if key not in self._rows)
        yield from ((key, row) for key, row in self._rows.items() if row is not _GONE)

    def values(self) -> Iterator[V]:
        """All rows without their keys."""
        if self._parent is None:
            return iter(self._rows.values())
        return (row for _, row in self.items())

    def noted(self) -> Iterator[tuple[K, V]]:
        """The rows that are noted, in no order: as quick as they are few."""
        if self._parent is not None:
            yield from ((key, row) for key, row in self._parent.noted() if key not in self._rows)
        yield from ((key, self._rows[key]) for key in self._noted)

    def put(self, key: K, row: V) -> None:
        """Store a row in place of any of the same key."""
        if self._parent is not None and key not in self:
            self._growth += 1
        self._rows[key] = row
        if self._wanted is not None:
            self._noted.discard(key)
            if self._wanted(row):
                self._noted.add(key)

    def remove(self, key: K) -> None:
        """Drop a row. Raises ``KeyError``."""
        self._noted.discard(key)
        if self._parent is None:
            del self._rows[key]
        elif key in self:
            self._rows[key] = _GONE
            self._growth -= 1
        else:
            raise KeyError(key)

    def clear(self) -> None:
        """Drop all rows."""
        for key in list(self):
            self.remove(key)

    def overlay(self) -> Table[K, V]:
        """A view that can be changed without this table seeing it."""
        return Table(self)

    def copy(self) -> Table[K, V]:
        """The same rows in a table that stands by itself."""
        copied: Table[K, V] = Table(None, self._wanted)
        copied._rows = self._rows.copy() if self._parent is None else dict(self.items())
        copied._noted = {key for key, _ in self.noted()}
        return copied

    def share(self, other: Table[K, V]) -> None:
        """Be another table that stands by itself: what either has, both have from now on."""
        self._rows, self._noted, self._wanted = other._rows, other._noted, other._wanted

    def absorb(self, overlay: Table[K, V]) -> None:
        """Take over what an overlay of this table changed."""
        for key, row in overlay._rows.items():
            if row is not _GONE:
                self.put(key, row)
            elif key in self:
                self.remove(key)
