"""Operators beside other people's readings of the same texts; examples are in the vectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Any

import pytest
from halyard_protocol.addresses import is_in_range, read_range
from halyard_protocol.conditions import OPERATORS, SEGMENT_OPERATORS, VALUELESS_OPERATORS
from halyard_protocol.context import resolve
from halyard_protocol.instants import (
    before_now,
    instant_ms,
    read_duration,
    read_instant,
    time_attributes,
)
from halyard_protocol.operators import OPERATIONS, compare
from halyard_protocol.patterns import pattern_problem, search
from halyard_protocol.semver import precedence
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rulesets import json_values, scalars, strange_values

offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
numbers = st.integers(0, 12)
versions = st.builds(
    lambda release, tail: ".".join(map(str, release)) + ("-" + ".".join(tail) if tail else ""),
    st.lists(numbers, min_size=1, max_size=3),
    st.lists(st.sampled_from(["0", "2", "11", "a", "B", "rc", "-"]), max_size=3),
)


def test_the_table_holds_every_operator_that_compares() -> None:
    assert OPERATIONS.keys() == OPERATORS - SEGMENT_OPERATORS - VALUELESS_OPERATORS


@given(st.sampled_from(sorted(OPERATIONS)), strange_values, st.lists(scalars, max_size=3))
def test_no_attribute_makes_an_operator_raise(op: str, attribute: Any, values: list[Any]) -> None:
    assert compare(OPERATIONS[op], attribute, tuple(values), 0) in (True, False)


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize(
    "number",
    [10**4000, -(10**4000), float("inf"), float("nan"), 1e308],
    ids=["huge", "minus huge", "infinite", "not a number", "nearly infinite"],
)
def test_no_number_is_too_large_for_an_operator(op: str, number: float) -> None:
    for value in (1, 0.5, "P7D", "2026-01-01", number):
        assert compare(OPERATIONS[op], number, (value,), 0) in (True, False)
        assert OPERATIONS[op].problem(value) is None or isinstance(value, str | int | float)


@given(st.sampled_from(sorted(OPERATIONS)), json_values)
def test_no_value_makes_an_operator_raise(op: str, value: Any) -> None:
    assert OPERATIONS[op].problem(value) is None or compare(OPERATIONS[op], "x", (value,), 0) in (
        True,
        False,
    )


@given(
    st.sampled_from(sorted(op for op in OPERATIONS if f"not{op[0].upper()}{op[1:]}" in OPERATIONS)),
    json_values.filter(lambda value: value is not None),
    st.lists(scalars, max_size=3).map(tuple),
)
def test_a_negative_operator_is_the_opposite(op: str, attribute: Any, values: Any) -> None:
    negative = OPERATIONS[f"not{op[0].upper()}{op[1:]}"]
    positive = compare(OPERATIONS[op], attribute, values, 0)
    assert compare(negative, attribute, values, 0) is not positive


@given(st.datetimes(), offsets)
def test_an_instant_is_read_as_python_writes_it(moment: datetime, zone: timezone) -> None:
    aware = moment.replace(tzinfo=zone)
    assert read_instant(aware.isoformat()) == instant_ms(aware)


@given(st.text())
def test_any_text_is_an_instant_a_duration_a_version_a_range_or_none(text: str) -> None:
    for read in (read_instant, read_duration, precedence, read_range, pattern_problem):
        read(text)


@given(versions, versions, versions)
def test_versions_are_in_one_order(one: str, two: str, three: str) -> None:
    first, second, third = map(precedence, (one, two, three))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first < second) + (first == second) + (first > second) == 1
    if first <= second <= third:
        assert first <= third


def test_pre_releases_come_in_the_order_of_the_specification() -> None:
    ascending = (  # the example of section 11
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
        "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0",
    )  # fmt: skip
    for smaller, greater in pairwise(ascending):
        assert compare(OPERATIONS["semverLessThan"], smaller, (greater,), 0)
        assert not compare(OPERATIONS["semverLessThan"], greater, (smaller,), 0)


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_a_range_holds_what_the_standard_library_says(one: Any, two: Any, prefix: int) -> None:
    length = min(prefix, one.max_prefixlen)
    within = read_range(f"{one}/{length}")
    assert within is not None
    if getattr(one, "ipv4_mapped", None) or getattr(two, "ipv4_mapped", None):
        return
    expected = two in ip_network(f"{one}/{length}", strict=False)
    assert is_in_range(str(two), within) is expected
    assert is_in_range(str(one), within)


def test_a_mapped_address_is_its_v4_self() -> None:
    mapped = str(ip_address("::ffff:192.0.2.1"))
    within = read_range("192.0.2.0/24")
    assert within is not None
    assert is_in_range(mapped, within)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 Hypothesis asks so
    st.integers(0, 1200),
)
def test_months_ago_are_in_the_calendars_month(moment: datetime, months: int) -> None:
    now = moment.replace(tzinfo=UTC)
    duration = read_duration(f"P{months}M")
    assert duration is not None
    ago = datetime.fromtimestamp(before_now(duration, instant_ms(now)) / 1000, UTC)
    assert ago.year * 12 + ago.month == now.year * 12 + now.month - months
    assert ago.day <= now.day
    assert ago.day == now.day or now.day > 28


@given(st.integers(-(10**20), 10**20))
def test_time_has_attributes_at_any_instant(now_ms: int) -> None:
    assert time_attributes(now_ms, "Europe/Berlin")["now"] == now_ms


def test_half_a_surrogate_pair_matches_nothing_and_raises_nothing() -> None:
    assert not search("x", "\ud800")
    assert not search("\ud800", "x")
    assert "surrogate" in str(pattern_problem("\ud800"))


@given(st.text(), st.dictionaries(st.text(), json_values))
def test_any_name_resolves_to_something_or_nothing(name: str, attributes: dict[str, Any]) -> None:
    resolve(attributes, name)
    for literal, value in attributes.items():
        if not literal.startswith("/"):
            assert resolve(attributes, literal) is value
        pointer = "/" + literal.replace("~", "~0").replace("/", "~1")
        assert resolve(attributes, pointer) is value


@given(
    st.sampled_from(["equals", "notIn", "contains"]),
    st.lists(scalars | st.just(float("nan")) | st.just([1]) | st.just({"a": 1}), max_size=6),
    st.lists(scalars.filter(lambda value: value is not None), max_size=4).map(tuple),
)
def test_a_long_array_is_compared_as_a_short_one(op: str, array: list[Any], values: Any) -> None:
    short = compare(OPERATIONS[op], array, values, 0)
    assert compare(OPERATIONS[op], [*array, *[None] * 200], values, 0) is short
