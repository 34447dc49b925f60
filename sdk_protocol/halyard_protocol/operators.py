"""What each operator means: one table, one function per operator.

Nothing is coerced: "3" is not 3, true is not 1, and 3 is 3.0. A function gets one element of the
attribute and one value, and never raises, whatever the attribute is. A value that an operator
cannot read (a pattern that does not compile, a number where a version is due) has a *problem*:
commands refuse it, and evaluation does not match the rule that holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from halyard_protocol.addresses import is_in_range, read_range
from halyard_protocol.conditions import Json
from halyard_protocol.instants import before_now, read_duration, read_instant
from halyard_protocol.patterns import pattern_problem, search
from halyard_protocol.semver import precedence

_MANY = 100
"""Elements of an array."""


def equals(element: Any, value: Any) -> bool:
    """Strings, numbers and booleans, each among their own."""
    if isinstance(element, str):
        return isinstance(value, str) and element == value
    if isinstance(element, bool) or isinstance(value, bool):
        return element is value
    if isinstance(element, int | float) and isinstance(value, int | float):
        return element == value
    return False


def _both(element: Any, value: Any, of: type | tuple[type, ...]) -> bool:
    return isinstance(element, of) and isinstance(value, of)


def _contains(element: Any, value: Any) -> bool:
    return _both(element, value, str) and value in element


def _starts_with(element: Any, value: Any) -> bool:
    return _both(element, value, str) and element.startswith(value)


def _ends_with(element: Any, value: Any) -> bool:
    return _both(element, value, str) and element.endswith(value)


def _matches(element: Any, value: Any) -> bool:
    return _both(element, value, str) and search(value, element)


def _is_number(source: object) -> bool:
    return isinstance(source, int | float) and not isinstance(source, bool)


def _greater_than(element: Any, value: Any) -> bool:
    return _is_number(element) and _is_number(value) and element > value


def _greater_than_or_equal(element: Any, value: Any) -> bool:
    return _is_number(element) and _is_number(value) and element >= value


def _less_than(element: Any, value: Any) -> bool:
    return _is_number(element) and _is_number(value) and element < value


def _less_than_or_equal(element: Any, value: Any) -> bool:
    return _is_number(element) and _is_number(value) and element <= value


def _before(element: Any, value: Any) -> bool:
    instant, limit = read_instant(element), read_instant(value)
    return instant is not None and limit is not None and instant < limit


def _after(element: Any, value: Any) -> bool:
    instant, limit = read_instant(element), read_instant(value)
    return instant is not None and limit is not None and instant > limit


def _ago(value: Json, now_ms: int) -> Json:
    """The instant that lies a duration before now."""
    duration = read_duration(value) if isinstance(value, str) else None
    return None if duration is None else before_now(duration, now_ms)


def _semver_equals(element: Any, value: Any) -> bool:
    if not _both(element, value, str):
        return False
    version, other = precedence(element), precedence(value)
    return version is not None and version == other


def _semver_greater_than(element: Any, value: Any) -> bool:
    if not _both(element, value, str):
        return False
    version, other = precedence(element), precedence(value)
    return version is not None and other is not None and version > other


def _semver_less_than(element: Any, value: Any) -> bool:
    return _semver_greater_than(value, element)


def _ip_in_range(element: Any, value: Any) -> bool:
    if not _both(element, value, str):
        return False
    within = read_range(value)
    return within is not None and is_in_range(element, within)


def _scalar_problem(value: Json) -> str | None:
    if isinstance(value, str | int | float):
        return None
    return "is a string, a number or a boolean"


def _string_problem(value: Json) -> str | None:
    return None if isinstance(value, str) else "is a string"


def _number_problem(value: Json) -> str | None:
    return None if _is_number(value) else "is a number"


def _pattern_problem(value: Json) -> str | None:
    if not isinstance(value, str):
        return "is a string with a regular expression"
    problem = pattern_problem(value)
    return None if problem is None else f"is not a regular expression of RE2: {problem}"


def _instant_problem(value: Json) -> str | None:
    if read_instant(value) is not None:
        return None
    return "is an instant: RFC 3339 as in '2026-12-01T09:00:00Z', or epoch milliseconds"


def _duration_problem(value: Json) -> str | None:
    if isinstance(value, str) and read_duration(value) is not None:
        return None
    return "is an ISO 8601 duration as in 'P7D' or 'PT1H30M'"


def _version_problem(value: Json) -> str | None:
    if isinstance(value, str) and precedence(value) is not None:
        return None
    return "is a version as in '2.1.0' or '2.1.0-rc.1', without a leading 'v'"


def _range_problem(value: Json) -> str | None:
    if isinstance(value, str) and read_range(value) is not None:
        return None
    return "is a range of addresses as in '10.0.0.0/8' or '2001:db8::/32'"


class Operation(NamedTuple):
    """One operator on an attribute that is present."""

    test: Callable[[Any, Any], bool]
    """Tells whether one element matches one value."""
    problem: Callable[[Json], str | None]
    """What is wrong with one of the leaf's values, as the end of a sentence about it."""
    negated: bool = False
    """Matches where the test does not."""
    test_element: Callable[[Any, Any], bool] | None = None
    """Used in place of ``test`` for the elements of an array."""
    value_at: Callable[[Json, int], Json] | None = None
    """Turns a value into what ``test`` gets, given the instant of evaluation."""


_EQUALS = Operation(equals, _scalar_problem)
_CONTAINS = Operation(_contains, _scalar_problem, test_element=equals)
_STARTS_WITH = Operation(_starts_with, _string_problem)
_ENDS_WITH = Operation(_ends_with, _string_problem)
_MATCHES = Operation(_matches, _pattern_problem)

OPERATIONS: dict[str, Operation] = {
    "equals": _EQUALS,
    "notEquals": _EQUALS._replace(negated=True),
    "in": _EQUALS,
    "notIn": _EQUALS._replace(negated=True),
    "contains": _CONTAINS,
    "notContains": _CONTAINS._replace(negated=True),
    "startsWith": _STARTS_WITH,
    "notStartsWith": _STARTS_WITH._replace(negated=True),
    "endsWith": _ENDS_WITH,
    "notEndsWith": _ENDS_WITH._replace(negated=True),
    "matches": _MATCHES,
    "notMatches": _MATCHES._replace(negated=True),
    "greaterThan": Operation(_greater_than, _number_problem),
    "greaterThanOrEqual": Operation(_greater_than_or_equal, _number_problem),
    "lessThan": Operation(_less_than, _number_problem),
    "lessThanOrEqual": Operation(_less_than_or_equal, _number_problem),
    "before": Operation(_before, _instant_problem),
    "after": Operation(_after, _instant_problem),
    "olderThan": Operation(_before, _duration_problem, value_at=_ago),
    "newerThan": Operation(_after, _duration_problem, value_at=_ago),
    "semverEquals": Operation(_semver_equals, _version_problem),
    "semverGreaterThan": Operation(_semver_greater_than, _version_problem),
    "semverLessThan": Operation(_semver_less_than, _version_problem),
    "ipInRange": Operation(_ip_in_range, _range_problem),
}
"""Every operator that compares an attribute with values; the others are about presence
(``exists``, ``notExists``) and membership (``segment``, ``notSegment``)."""


def compare(operation: Operation, attribute: Any, values: tuple[Json, ...], now_ms: int) -> bool:
    """Apply an operator to an attribute that is present: any element, any value."""
    value_at = operation.value_at
    if value_at is not None:
        values = tuple(value_at(value, now_ms) for value in values)
    return _any_matches(operation, attribute, values) is not operation.negated


def _any_matches(operation: Operation, attribute: Any, values: tuple[Json, ...]) -> bool:
    test = operation.test
    if not isinstance(attribute, list | tuple):
        return any(test(attribute, value) for value in values)
    test = operation.test_element or test
    if test is equals and len(attribute) > _MANY:
        return _share_one(attribute, values)
    return any(test(element, value) for element in attribute for value in values)


def _share_one(elements: Iterable[Any], values: Iterable[Any]) -> bool:
    """What comparing each with each by :func:`equals` answers, in the time of one pass."""
    known = {_identity(value) for value in values}
    return any(_identity(element) in known for element in elements if _is_scalar(element))


def _identity(scalar: str | int | float) -> tuple[bool, bool, Any]:
    """Equal for what :func:`equals` takes for equal; Python takes 1 and True for that, too."""
    return isinstance(scalar, str), isinstance(scalar, bool), scalar


def _is_scalar(source: object) -> bool:
    # NaN equals nothing, not even itself, but would be found in a set.
    return isinstance(source, str | int | float) and source == source  # noqa: PLR0124 as said
