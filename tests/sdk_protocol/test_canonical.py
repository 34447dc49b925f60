"""The canonical form of JSON: the examples of RFC 8785, and what ECMAScript makes of numbers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from halyard_protocol.canonical import canonical, canonical_object
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rulesets import json_values


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (0.000001, "0.000001"),
        (0.000000000000000000000000001, "1e-27"),
        (1.5e-7, "1.5e-7"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e30, "1e+30"),
        (333333333.33333329, "333333333.3333333"),
        (5e-324, "5e-324"),
        (-1.7976931348623157e308, "-1.7976931348623157e+308"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (10**309, "null"),
        (True, "true"),
    ],
)
def test_a_number_is_written_as_ecmascript_writes_it(number: Any, written: str) -> None:
    assert canonical(number) == written.encode()


def test_members_stand_in_the_order_of_code_units() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = canonical(dict.fromkeys(names))
    assert list(json.loads(written)) == [
        "\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


def test_texts_escape_what_they_must_and_no_more() -> None:
    assert (
        canonical("\u20ac$\u000f\nA'\x42\"\\/\x7f")
        == '"\u20ac$\\u000f\\nA\'B\\"\\\\/\x7f"'.encode()
    )


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical(object())


@given(value=json_values)
def test_it_says_the_same_and_is_its_own_canonical_form(value: Any) -> None:
    written = canonical(value)
    read = msgspec.json.decode(written)
    assert canonical(read) == written
    if isinstance(value, dict):
        members = {key: canonical(item) for key, item in value.items()}
        assert canonical_object(members) == written


@given(texts=st.text())
def test_texts_are_those_that_the_standard_library_writes(texts: str) -> None:
    assert canonical(texts) == json.dumps(texts, ensure_ascii=False).encode()
