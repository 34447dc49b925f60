"""Snapshots of which only what is asked for is read: the same state, whatever is asked first."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import pages
from domain.commands import Command
from domain.facts import Entity
from domain.pages import dump, load, pages_of
from domain.state import ProjectState, digest
from tests.domain.test_sequences import Run, fold
from tests.support.commands import HISTORIES


def state_of(run: Run, upto: int) -> ProjectState:
    state = ProjectState()
    fold(state, tuple(run.facts[:upto]), 0)
    return state


@given(HISTORIES, st.data())
@settings(max_examples=60, deadline=None)
def test_what_was_loaded_is_what_was_dumped_and_goes_on_as_it_would_have(
    history: list[Command], data: st.DataObject
) -> None:
    run = Run(history)
    cut = data.draw(st.integers(0, len(run.facts)))
    before = state_of(run, cut)
    written = dump(before)
    assert load(written) == before
    assert dump(load(written)) == written
    restored = load(written)
    fold(restored, tuple(run.facts[cut:]), cut)
    assert digest(restored) == digest(run.state)


@given(HISTORIES, st.data())
@settings(max_examples=60, deadline=None)
def test_rows_are_found_one_by_one_in_any_order(
    history: list[Command], data: st.DataObject
) -> None:
    state = Run(history).state
    restored = load(dump(state))
    rows = [(name, key) for name in TABLES for key in getattr(state, name)]
    data.draw(st.randoms(use_true_random=False)).shuffle(rows)
    for name, key in rows:
        table = getattr(restored, name)
        assert table.get(key) == getattr(state, name)[key]
        assert key in table.overlay()
    assert restored.flags.get("there is none") is None
    assert restored == state


TABLES = ("flags", "settings", "segments", "marks")


@pytest.mark.parametrize(
    "ask",
    [
        len,
        lambda table: sorted(map(str, table)),
        lambda table: sorted(map(str, dict(table.items()))),
        lambda table: len(list(table.values())),
        lambda table: dict(table.copy().items()),
        lambda table: dict(table.overlay().items()),
        lambda table: list(table.noted()),
        lambda table: list(table.overlay().noted()),
    ],
)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_asked_as_a_whole_reads_all_of_its_pages(
    ask: Callable[[Any], Any], name: str
) -> None:
    state = Run([]).state
    assert ask(getattr(load(dump(state)), name)) == ask(getattr(state, name))


def test_one_row_reads_one_page_and_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "BLOCK_BYTES", 1)
    state = Run([]).state
    restored = load(dump(state))
    inside = pages_of(restored)
    assert inside is not None
    key = next(iter(state.flags))
    assert restored.flags[key] == state.flags[key]
    assert len(inside._inflated) == 1
    assert f"flag/{key}" not in inside._numbers
    assert len(inside._numbers) == len({pages.name_of(entity) for entity in state.marks}) - 1


def test_a_change_waits_until_its_page_is_read() -> None:
    state = load(dump(Run([]).state))
    inside = pages_of(state)
    assert inside is not None
    happened: list[str] = []
    one, other = sorted(Run([]).state.flags)[:2]
    inside.wait(lambda _, event: happened.append(event))
    inside.defer(Entity("flag", one, "staging"), one)
    inside.defer(Entity("flag", other), other)
    assert (state.flags[one].key, happened) == (one, [one])
    assert len(state.flags) == len(Run([]).state.flags)
    assert happened == [one, other]


def test_a_state_that_nobody_needs_is_gone_without_a_look_for_cycles() -> None:
    state = load(dump(Run([]).state))
    inside = pages_of(state)
    assert inside is not None
    assert len(state.flags) > 0
    gone = weakref.ref(inside)
    gc.disable()
    try:
        del state, inside
        assert gone() is None
    finally:
        gc.enable()


def test_a_change_that_cannot_be_is_told_each_time_its_page_is_read() -> None:
    state = load(dump(Run([]).state))
    inside = pages_of(state)
    assert inside is not None
    key = next(iter(Run([]).state.flags))

    def fail(_: ProjectState, event: str) -> None:
        raise ValueError(event)

    inside.wait(fail)
    inside.defer(Entity("flag", key), "cannot be")
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be"):
            state.flags.get(key)
        with pytest.raises(ValueError, match="cannot be"):
            len(state.marks)


@pytest.mark.parametrize("source", [b"", b"{}", b"{}\n", b"\xff\n", b"[1]\nabc"])
def test_other_bytes_are_refused(source: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        load(source)


def test_equal_states_have_equal_bytes_however_they_came_about() -> None:
    state = Run([]).state
    again = load(dump(state))
    for name in TABLES:
        rows = list(getattr(again, name).items())
        random.Random(3).shuffle(rows)
        table = getattr(again, name)
        for key, row in rows:
            table.remove(key)
            table.put(key, row)
    assert dump(again) == dump(state)
