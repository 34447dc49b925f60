"""The strict reading of conditions: everything in the tree must be known, sound and within bounds.

What evaluation quietly does not match is named here, with its path in the tree.
"""

from __future__ import annotations

from collections.abc import Container

from halyard_protocol.conditions import (
    OPERATORS,
    SEGMENT_OPERATORS,
    VALUELESS_OPERATORS,
    All,
    AnyOf,
    Condition,
    Json,
    Leaf,
    Not,
    Unknown,
)
from halyard_protocol.context import TIME, USER
from halyard_protocol.instants import read_zone, time_attributes
from halyard_protocol.limits import MAX_CONDITIONS, MAX_VALUE_LENGTH, MAX_VALUES
from halyard_protocol.operators import OPERATIONS
from halyard_protocol.problems import (
    Problem,
    Problems,
    attribute_problems,
    count_problems,
    hint,
    kind_problems,
    segment_key_problems,
    text_problems,
)

_TIME_ATTRIBUTES = tuple(time_attributes(0, None))


def check_condition(path: str, condition: Condition, segments: Container[str]) -> Problems:
    """A rule's whole ``when``. ``segments`` are the keys that the project has."""
    size = _size(condition)
    if size > MAX_CONDITIONS:
        yield Problem(
            path,
            f"a rule has at most {MAX_CONDITIONS} groups and conditions, not {size}: "
            "use 'in' with several values, or a segment",
        )
    else:
        yield from _check(path, condition, segments)


def _size(condition: Condition) -> int:
    match condition:
        case All(children) | AnyOf(children):
            return 1 + sum(_size(child) for child in children)
        case Not(child):
            return 1 + _size(child)
    return 1


def _check(path: str, condition: Condition, segments: Container[str]) -> Problems:
    match condition:
        case All(children) | AnyOf(children):
            group = "all" if isinstance(condition, All) else "any"
            for index, child in enumerate(children):
                yield from _check(f"{path}/{group}/{index}", child, segments)
        case Not(child):
            yield from _check(f"{path}/not", child, segments)
        case Leaf():
            yield from _check_leaf(path, condition, segments)
        case Unknown():
            yield _unknown(path, condition)


def _unknown(path: str, unknown: Unknown) -> Problem:
    op = unknown.source.get("op") if isinstance(unknown.source, dict) else None
    if isinstance(op, str) and op not in OPERATORS:
        return Problem(f"{path}/op", f"unknown operator '{op}'{hint(op, OPERATORS)}")
    return Problem(path, unknown.problem)


def _check_leaf(path: str, leaf: Leaf, segments: Container[str]) -> Problems:
    if leaf.op in SEGMENT_OPERATORS:
        yield from _check_membership(path, leaf, segments)
        return
    yield from kind_problems(f"{path}/kind", leaf.kind)
    yield from attribute_problems(f"{path}/attribute", leaf.attribute)
    yield from _check_time(path, leaf)
    yield from _check_values(f"{path}/values", leaf)


def _check_membership(path: str, leaf: Leaf, segments: Container[str]) -> Problems:
    given = {"attribute": leaf.attribute != "", "kind": leaf.kind != USER, "zone": bool(leaf.zone)}
    for field, is_given in given.items():
        if is_given:
            yield Problem(f"{path}/{field}", f"'{leaf.op}' asks about the whole context: remove it")
    yield from _check_count(f"{path}/values", leaf)
    for index, key in enumerate(leaf.values):
        if isinstance(key, str):
            yield from segment_key_problems(f"{path}/values/{index}", key, segments)
        else:
            yield Problem(f"{path}/values/{index}", "is the key of a segment, a string")


def _check_time(path: str, leaf: Leaf) -> Problems:
    if leaf.kind == TIME and leaf.attribute.lstrip("/") not in _TIME_ATTRIBUTES:
        names = ", ".join(_TIME_ATTRIBUTES)
        yield Problem(f"{path}/attribute", f"the kind 'time' has the attributes {names}")
    if leaf.zone is None:
        return
    if leaf.kind != TIME:
        yield Problem(f"{path}/zone", "only the kind 'time' has a zone: remove it")
    elif read_zone(leaf.zone) is None:
        yield Problem(f"{path}/zone", f"unknown time zone '{leaf.zone}': write 'Europe/Berlin'")


def _check_values(path: str, leaf: Leaf) -> Problems:
    if leaf.op in VALUELESS_OPERATORS:
        if leaf.values:
            yield Problem(path, f"'{leaf.op}' takes no values: remove them")
        return
    yield from _check_count(path, leaf)
    for index, value in enumerate(leaf.values):
        yield from _check_value(f"{path}/{index}", leaf.op, value)


def _check_count(path: str, leaf: Leaf) -> Problems:
    if not leaf.values:
        yield Problem(path, f"'{leaf.op}' compares with at least one value")
    yield from count_problems(path, leaf.values, MAX_VALUES, "values: use a segment for more")


def _check_value(path: str, op: str, value: Json) -> Problems:
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        yield from text_problems(path, value, MAX_VALUE_LENGTH)
        return
    problem = OPERATIONS[op].problem(value)
    if problem is not None:
        yield Problem(path, f"a value of '{op}' {problem}")
