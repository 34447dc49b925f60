from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.faults import Malformed, NotJson
from server.http.json_reading import read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_what_says_everything_once_is_read_as_it_is(content: Any) -> None:
    assert read_json(json.dumps(content).encode()) == content


@pytest.mark.parametrize(
    "body", ['{"a":1,"a":1}', '[{"b":{"a":1,"x":2,"a":3}}]', '{"a":1,"\\u0061":2}']
)
def test_a_name_that_stands_twice_is_named(body: str) -> None:
    with pytest.raises(Malformed, match="'a' stands twice in one object"):
        read_json(body.encode())


def test_one_name_in_two_objects_is_well() -> None:
    assert read_json(b'[{"a":1},{"a":{"a":2}}]') == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a":NaN}', b"\xff", b'"\\ud800"', b"[" * 100_000, b'{"a":' * 100_000, b"1 2"],
)
def test_what_is_no_json_is_no_fault_of_the_server(body: bytes) -> None:
    with pytest.raises(NotJson):
        read_json(body)


def test_a_number_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(NotJson, match="out of range"):
        read_json(b'{"a":' + b"1" * 10_000 + b"}")
