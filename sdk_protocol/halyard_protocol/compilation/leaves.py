"""The expression of one comparison, operator by operator.

Each has the form ``<inlined> if <the attribute is of a usual type> else other(leaf, x, now)``,
where ``other`` asks the operator's own definition, which also knows arrays, absence and strangers.
An operator without an entry in the table is only that.

What is inlined may rely on the values having been understood (no value has a problem).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from halyard_protocol.compilation.source import Source
from halyard_protocol.conditions import Json, Leaf
from halyard_protocol.instants import read_duration, read_instant
from halyard_protocol.operators import OPERATIONS, Operation, equals
from halyard_protocol.semver import precedence

_NUMBERS = (int, float)
_FEW = 8
"""Values: a tuple of so many is looked through as quickly as a set."""


class Inline(NamedTuple):
    """What decides an attribute ``x`` of the usual types."""

    types: tuple[type, ...]
    """Exactly these."""
    decides: str
    """The expression."""


def comparison(source: Source, leaf: Leaf, value: str) -> str:
    """The expression of a leaf that compares ``value``, the expression of its attribute."""
    operation = OPERATIONS[leaf.op]
    bound = source.bind_aside(leaf)
    unusual = f"other({bound}, "
    if equals in (operation.test, operation.test_element):
        unusual = f"any_equal({_words(source, leaf)}, {bound}, "
    inline = _inline(source, leaf, operation)
    if inline is None:
        return f"{unusual}{value}, now)"
    first, *more = (of.__name__ for of in inline.types)
    usual = f"(x := {value}).__class__ is {first}"
    usual = " or ".join((usual, *(f"x.__class__ is {name}" for name in more)))
    negation = "not " if operation.negated else ""
    return f"({negation}({inline.decides}) if {usual} else {unusual}x, now))"


def _words(source: Source, leaf: Leaf) -> str:
    """The values, to look for an array's strings in: those that are no strings equal none."""
    if len(leaf.values) <= _FEW:
        return source.bind_aside(leaf.values)
    return source.bind(frozenset(value for value in leaf.values if isinstance(value, str)))


def _inline(source: Source, leaf: Leaf, operation: Operation) -> Inline | None:
    name = leaf.op
    if operation.negated:
        name = name.removeprefix("not")
        name = name[0].lower() + name[1:]
    write = _INLINED.get(name)
    return write(source, leaf.values) if write is not None and leaf.values else None


def _equality(source: Source, values: tuple[Json, ...]) -> Inline | None:
    strings = [value for value in values if isinstance(value, str)]
    if strings:
        return Inline((str,), _among(source, strings))
    if all(isinstance(value, bool) for value in values):
        return Inline((bool,), f"x in {source.bind(frozenset(values))}")
    if not any(isinstance(value, bool) for value in values):
        return Inline((int,), _among(source, list(values)))
    return None


def _among(source: Source, values: list[Any]) -> str:
    if len(values) == 1:
        return f"x == {source.bind(values[0])}"
    return f"x in {source.bind(frozenset(values))}"


def _containing(source: Source, values: tuple[Json, ...]) -> Inline | None:
    strings = [value for value in values if isinstance(value, str)]
    return Inline((str,), f"{source.bind(strings[0])} in x") if len(strings) == 1 else None


def _starting(source: Source, values: tuple[Json, ...]) -> Inline:
    return Inline((str,), f"x.startswith({source.bind(_alone(values))})")


def _ending(source: Source, values: tuple[Json, ...]) -> Inline:
    return Inline((str,), f"x.endswith({source.bind(_alone(values))})")


def _alone(values: tuple[Json, ...]) -> Any:
    """One value by itself, which is quicker than in a tuple."""
    return values[0] if len(values) == 1 else values


def _matching(source: Source, values: tuple[Json, ...]) -> Inline | None:
    return Inline((str,), f"search({source.bind(values[0])}, x)") if len(values) == 1 else None


def _above(sign: str) -> Callable[[Source, tuple[Json, ...]], Inline]:
    """Above any of the values is above the least of them."""
    return lambda source, values: Inline(_NUMBERS, f"x {sign} {source.bind(_least(values))}")


def _below(sign: str) -> Callable[[Source, tuple[Json, ...]], Inline]:
    return lambda source, values: Inline(_NUMBERS, f"x {sign} {source.bind(_greatest(values))}")


def _least(values: Iterable[Any]) -> Any:
    return min(_ordered(values), default=math.nan)


def _greatest(values: Iterable[Any]) -> Any:
    return max(_ordered(values), default=math.nan)


def _ordered(values: Iterable[Any]) -> Iterator[Any]:
    """All but NaN: nothing is above or below it, and among others it hides the least."""
    return (value for value in values if value == value)  # noqa: PLR0124 as said


def _before(source: Source, values: tuple[Json, ...]) -> Inline:
    limit = source.bind(_greatest(map(read_instant, values)))
    return Inline((str,), f"(y := instant(x)) is not None and y < {limit}")


def _after(source: Source, values: tuple[Json, ...]) -> Inline:
    limit = source.bind(_least(map(read_instant, values)))
    return Inline((str,), f"(y := instant(x)) is not None and y > {limit}")


def _ago(sign: str) -> Callable[[Source, tuple[Json, ...]], Inline | None]:
    def write(source: Source, values: tuple[Json, ...]) -> Inline | None:
        if len(values) != 1:
            return None
        limit = f"before_now({source.bind(read_duration(str(values[0])))}, now)"
        return Inline((str,), f"(y := instant(x)) is not None and y {sign} {limit}")

    return write


_IS_VERSION = "len(x) <= LONGEST_VERSION and (y := precedence(x)) is not None"


def _version_equal(source: Source, values: tuple[Json, ...]) -> Inline:
    versions = source.bind(frozenset(_precedences(values)))
    return Inline((str,), f"len(x) <= LONGEST_VERSION and precedence(x) in {versions}")


def _version_above(source: Source, values: tuple[Json, ...]) -> Inline:
    limit = source.bind(_least(_precedences(values)))
    return Inline((str,), f"{_IS_VERSION} and y > {limit}")


def _version_below(source: Source, values: tuple[Json, ...]) -> Inline:
    limit = source.bind(_greatest(_precedences(values)))
    return Inline((str,), f"{_IS_VERSION} and y < {limit}")


def _precedences(values: tuple[Json, ...]) -> list[Any]:
    return [precedence(str(value)) for value in values]


_INLINED: dict[str, Callable[[Source, tuple[Json, ...]], Inline | None]] = {
    "equals": _equality,
    "in": _equality,
    "contains": _containing,
    "startsWith": _starting,
    "endsWith": _ending,
    "matches": _matching,
    "greaterThan": _above(">"),
    "greaterThanOrEqual": _above(">="),
    "lessThan": _below("<"),
    "lessThanOrEqual": _below("<="),
    "before": _before,
    "after": _after,
    "olderThan": _ago("<"),
    "newerThan": _ago(">"),
    "semverEquals": _version_equal,
    "semverGreaterThan": _version_above,
    "semverLessThan": _version_below,
}
"""By the positive operator."""
