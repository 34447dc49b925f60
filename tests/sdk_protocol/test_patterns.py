"""What a pattern may cost, in time and in memory; what patterns mean is in the vectors."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

import pytest
from halyard_protocol.addresses import read_range
from halyard_protocol.context import path_steps
from halyard_protocol.instants import read_duration, read_instant, read_zone
from halyard_protocol.limits import MAX_SEARCHED_LENGTH, MAX_VALUE_LENGTH
from halyard_protocol.patterns import pattern_problem, search
from halyard_protocol.semver import precedence

MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "pattern",
    [
        "(a?){500}a{500}b",
        "(a|b)*a(a|b){400}c",
        "([ab]?){1000}" * 5 + "c",
        "(" + "[ab]?" * 11 + "){1000}c",
        "((a|b|ab|ba)*(a|b)?){900}c",
        r"(\pL?){20}9",
        "(x+x+)+y",
    ],
)
@pytest.mark.parametrize("text", ["ab" * 1024, "a" * MEGABYTE], ids=["longest", "too long"])
def test_no_pattern_takes_long(pattern: str, text: str) -> None:
    begun = time.thread_time()
    assert not search(pattern, text)
    assert time.thread_time() - begun < 3  # some tenths of a second; 19 s where nothing is bounded


def test_a_pattern_has_at_most_the_length_of_a_value() -> None:
    assert pattern_problem("a" * MAX_VALUE_LENGTH) is None
    assert "1000 characters" in str(pattern_problem("a" * (MAX_VALUE_LENGTH + 1)))


def test_a_pattern_that_repeats_too_much_is_refused() -> None:
    assert pattern_problem(r"\pL{1,20}") is None
    assert "too large" in str(pattern_problem(r"\pL{1,80}"))
    assert not search(r"\pL{1,80}", "a")


def test_a_pattern_is_found_at_the_end_of_the_longest_text() -> None:
    assert search("b$", "a" * (MAX_SEARCHED_LENGTH - 1) + "b")
    assert not search("b$", "a" * MAX_SEARCHED_LENGTH + "b")


@pytest.mark.parametrize(
    "read",
    [read_instant, read_duration, read_zone, precedence, read_range, pattern_problem, path_steps],
    ids=lambda read: read.__name__,
)
def test_no_reader_remembers_what_is_long(read: Callable[[str], object]) -> None:
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(20):
        read(f"/{number}" + "9" * MEGABYTE)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < MEGABYTE
