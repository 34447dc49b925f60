"""Cursors and pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.faults import Malformed
from server.http.paging import page_of, read_cursor, write_cursor


@given(st.text())
def test_a_cursor_is_read_as_it_was_written(last: str) -> None:
    if last.isascii() or max(last) < "\ud800" or max(last) > "\udfff":
        assert read_cursor(write_cursor(last)) == last


@pytest.mark.parametrize("cursor", ["!", "a", "é", "_w", "====", "aGk=="])
def test_what_was_never_a_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_cursor(cursor)
    assert refused.value.errors[0].path == "?cursor"


KEYS = st.sets(st.text(alphabet="abc", min_size=1, max_size=4))


@given(KEYS, KEYS, st.integers(1, 5))
def test_pages_hold_every_wanted_key_once_and_in_order(
    keys: set[str], unwanted: set[str], limit: int
) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        page = page_of(
            keys, limit, cursor, lambda key: None if key in unwanted else key, lambda key: key
        )
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        assert page.items
    assert seen == sorted(keys - unwanted)


@given(KEYS, KEYS, st.integers(1, 3))
def test_what_comes_or_goes_between_pages_shifts_nothing(
    keys: set[str], others: set[str], limit: int
) -> None:
    first = page_of(keys, limit, None, lambda key: key, lambda key: key)
    if first.next_cursor is not None:
        rest = page_of(others, 1000, first.next_cursor, lambda key: key, lambda key: key)
        assert list(rest.items) == sorted(key for key in others if key > first.items[-1])
