"""Lines and constants become a function.

A line is text of this package; what comes from a ruleset enters as a constant only, through
:meth:`Source.bind`. The compiled code of a shape (the text) is kept and shared by all functions of
that shape, which differ in the constants that their cells hold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from halyard_protocol.compilation import calls

_KEPT_LENGTH = 16_384
"""Shapes longer than this are rare, and not kept."""


class Source:
    """The body of a function in the making.

    Attributes:
        head: lines that stand before all others.
    """

    def __init__(self, parameters: str) -> None:
        self.head: list[str] = []
        self._parameters = parameters
        self._lines: list[str] = []
        self._constants: list[Any] = []
        self._aside: list[Any] = []
        self._names: dict[Any, str] = {}
        """Of the constants that are equal only to those of their own type."""

    def bind(self, constant: Any) -> str:
        """The name by which the lines get at ``constant``."""
        if constant.__class__ not in (str, frozenset):
            return self._bound(constant)
        name = self._names.get(constant)
        if name is None:
            name = self._names[constant] = self._bound(constant)
        return name

    def bind_aside(self, constant: Any) -> str:
        """The same for a constant that few calls get at, as answers are.

        Each constant of :meth:`bind` is handed over at every call, those of here all at once.
        """
        self._aside.append(constant)
        return f"aside[{len(self._aside) - 1}]"

    def _bound(self, constant: Any) -> str:
        self._constants.append(constant)
        return f"c{len(self._constants) - 1}"

    def line(self, text: str, depth: int = 0) -> None:
        """Add a line, ``depth`` blocks deep."""
        self._lines.append(f"{'  ' * depth}{text}")

    def text(self) -> str:
        """What is parsed: a function that binds the constants and answers the function itself."""
        names = ", ".join(("aside", *(f"c{number}" for number in range(len(self._constants)))))
        body = "\n".join(f"    {line}" for line in (*self.head, *self._lines))
        return f"def bound({names}):\n  def made({self._parameters}):\n{body}\n  return made\n"

    def function(self) -> Callable[..., Any]:
        """The function; it shares its code with every other of the same shape."""
        text = self.text()
        shape = _shape(text) if len(text) <= _KEPT_LENGTH else _parsed(text)
        made: Callable[..., Any] = shape(tuple(self._aside), *self._constants)
        return made


def _parsed(text: str) -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    code = compile(text, "<halyard>", "exec", dont_inherit=True)
    exec(code, calls.NAMES, scope)  # noqa: S102 the text is ours: constants are bound, not written
    shape: Callable[..., Any] = scope["bound"]
    return shape


_shape = lru_cache(maxsize=512)(_parsed)
