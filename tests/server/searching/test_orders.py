"""Orders that are kept, and pages that are cut from them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from server.searching import orders
from server.searching.entries import FlagEntry, flag_entry
from server.searching.orders import Order, SortBy
from tests.support.project_logs import ProjectLog

seeds = st.integers(0, 2**32).map(random.Random)
SORTS: tuple[SortBy, ...] = ("key", "name", "created", "changed")


def some_entries(number: int) -> list[FlagEntry]:
    log = ProjectLog()
    for each in range(number):
        log.do(c.CreateFlag(f"flag-{each:02}", name=f"Name {each % 3}"))
    return [flag_entry(log.state, key) for key in sorted(log.state.flags)]


@given(seeds, st.sampled_from(SORTS), st.booleans())
def test_what_is_beyond_a_place_follows_it(
    draw: random.Random, by: SortBy, descending: bool
) -> None:
    entries = some_entries(9)
    order = Order(by, draw.sample(entries, 9))
    entries.sort(key=order.place, reverse=descending)
    for index, entry in enumerate(entries):
        beyond = order.chunks(order.place(entry), descending=descending)
        assert [each for chunk in beyond for each in chunk] == entries[index + 1 :]


@pytest.mark.parametrize("descending", [False, True])
def test_chunks_make_up_the_whole(monkeypatch: pytest.MonkeyPatch, descending: bool) -> None:
    monkeypatch.setattr(orders, "CHUNK", 4)
    entries = some_entries(9)
    chunks = list(Order("key", entries).chunks(None, descending=descending))
    assert max(map(len, chunks)) == 4
    assert [each for chunk in chunks for each in chunk] == entries[:: -1 if descending else 1]
