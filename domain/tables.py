"""Rows by key, of which a view can be changed without the original seeing it.

A fold keeps its rows in private dictionaries for speed. A command that is decided but not yet
stored must not be seen by readers, so it is folded into an overlay: a table that holds only what
differs from its parent, and is merged into it, or dropped. Overlays may stand on overlays.

Only folds write to a table. Rows are values and are replaced, never changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Any = object()
_GONE: Any = object()


class Table(Generic[K, V]):
    """A dictionary, or the difference to one."""

    __slots__ = ("_parent", "_rows")

    def __init__(self, parent: Table[K, V] | None = None) -> None:
        self._parent = parent
        """None for a table that stands by itself; only an overlay holds ``_GONE`` rows."""
        self._rows: dict[K, V] = {}

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
        return (key for key, _ in self.items())

    def __len__(self) -> int:
        if self._parent is None:
            return len(self._rows)
        return len(self._parent) + sum(map(self._growth, self._rows.items()))

    def _growth(self, item: tuple[K, V]) -> int:
        key, row = item
        return (row is not _GONE) - (self._parent is not None and key in self._parent)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> Iterator[tuple[K, V]]:
        """All rows, in no order that a decision may rest on."""
        if self._parent is not None:
            yield from ((key, row) for key, row in self._parent.items() if key not in self._rows)
        yield from ((key, row) for key, row in self._rows.items() if row is not _GONE)

    def values(self) -> Iterator[V]:
        """All rows without their keys."""
        return (row for _, row in self.items())

    def put(self, key: K, row: V) -> None:
        """Store a row in place of any of the same key."""
        self._rows[key] = row

    def remove(self, key: K) -> None:
        """Drop a row. Raises ``KeyError``."""
        if self._parent is None:
            del self._rows[key]
        elif key in self:
            self._rows[key] = _GONE
        else:
            raise KeyError(key)

    def clear(self) -> None:
        """Drop all rows."""
        for key in list(self):
            self.remove(key)

    def overlay(self) -> Table[K, V]:
        """A view that can be changed without this table seeing it."""
        return Table(self)

    def absorb(self, overlay: Table[K, V]) -> None:
        """Take over what an overlay of this table changed."""
        for key, row in overlay._rows.items():
            if row is not _GONE:
                self._rows[key] = row
            elif key in self:
                self.remove(key)
