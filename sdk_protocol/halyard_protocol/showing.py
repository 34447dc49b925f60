"""Makes what strangers wrote fit to be shown: any value becomes small and sound JSON.

Attributes are whatever a caller has. Nothing of theirs is called, not even where a type of theirs
derives from one of JSON's: methods are taken from the type of Python that a value derives from.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Any, Final

from halyard_protocol.limits import MAX_SAFE_INTEGER

MAX_TEXT: Final = 200
"""Characters of a text; a longer one is cut there and ends in an ellipsis."""

MAX_ITEMS: Final = 20
"""Elements and members of one value, on all levels together."""

MAX_NESTING: Final = 4
"""Levels of lists and objects; what nests deeper is left empty."""

# A metaclass can hide the name of its types behind a property that raises.
_name_of_type = type.__dict__["__name__"].__get__


class Showing:
    """Turns one value into JSON.

    Attributes:
        items: elements and members that were shown.
        cut: whether something was left out.
        foreign: whether something is no JSON.
    """

    __slots__ = ("cut", "foreign", "items")

    def __init__(self) -> None:
        self.items = 0
        self.cut = False
        self.foreign = False

    def json(self, value: Any, level: int = 0) -> Any:
        """The value as JSON; never raises."""
        of = type(value)
        if value is None or of is bool:
            return value
        if issubclass(of, str):
            return self.text(value)
        if issubclass(of, int):
            return self._integer(int.__int__(value), of)
        if issubclass(of, float):
            number = float.__float__(value)
            return number if isfinite(number) else self._stranger(of)
        if issubclass(of, dict | list | tuple):
            return self._several(value, level)
        return self._stranger(of)

    def text(self, value: str) -> str:
        """A text without what JSON cannot hold, which is half of a surrogate pair."""
        start = str.__getitem__(value, slice(MAX_TEXT + 1))
        if len(start) > MAX_TEXT:
            self.cut = True
            start = start[:MAX_TEXT] + "\N{HORIZONTAL ELLIPSIS}"
        sound = start.encode("utf-8", "replace").decode()
        self.foreign |= sound != start
        return sound

    def _integer(self, number: int, of: type) -> Any:
        if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
            return number
        try:
            near = float(number)
        except OverflowError:
            return self._stranger(of)
        self.cut = True
        return near

    def _several(self, value: Any, level: int) -> Any:
        room = 0 if level == MAX_NESTING else MAX_ITEMS - self.items
        keyed = issubclass(type(value), dict)
        # Taken out at one go: another thread may be changing the value meanwhile.
        taken = list(islice(_iterate(value), room + 1))
        self.cut |= len(taken) > room
        self.items += len(taken[:room])
        if keyed:
            return {self._name(name): self.json(of, level + 1) for name, of in taken[:room]}
        return [self.json(item, level + 1) for item in taken[:room]]

    def _name(self, name: Any) -> str:
        return self.text(name) if issubclass(type(name), str) else self._stranger(type(name))

    def _stranger(self, of: type) -> str:
        self.foreign = True
        return self.text(f"<{_name_of_type(of)}>")


def _iterate(value: Any) -> Iterator[Any]:
    if issubclass(type(value), dict):
        return iter(dict.items(value))
    return list.__iter__(value) if issubclass(type(value), list) else tuple.__iter__(value)


def text(value: str) -> str:
    """A text of at most :data:`MAX_TEXT` characters that JSON can hold."""
    return Showing().text(value)


def whole(number: int) -> int:
    """A whole number that every language can hold; the nearest one where it cannot."""
    return max(-MAX_SAFE_INTEGER, min(number, MAX_SAFE_INTEGER))
