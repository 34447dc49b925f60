"""Shares are fair: judged over 100,000 keys by chi-square tests, whose keys never change.

The statistic is Pearson's: the sum of (observed - expected)^2 / expected. It is compared with the
upper critical values at a significance of 0.001 of the NIST/SEMATECH e-Handbook of Statistical
Methods, section 1.3.6.7.4: 148.230 for 99 degrees of freedom and 124.839 for 80. As nothing here
is random, a test that passes once passes always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product

import pytest
from halyard_protocol.bucketing import bucket, choose, is_within
from halyard_protocol.context import Context
from halyard_protocol.evaluation import evaluate
from halyard_protocol.ruleset import (
    TOTAL_WEIGHT,
    Bucket,
    Environment,
    Flag,
    Rollout,
    Ruleset,
    Serve,
    Variation,
)

KEYS = 100_000
CRITICAL_99 = 148.230
CRITICAL_80 = 124.839
ROWS = 9


def numbers(key: str, salt: str, seed: int | None = None, count: int = KEYS) -> list[float]:
    return [bucket(key, salt, f"user-{number}", seed) for number in range(count)]


@pytest.fixture(scope="module")
def checkout() -> list[float]:
    """The numbers of 100,000 keys under one flag."""
    return numbers("checkout", "b3c1")


def uniformity(of: Iterable[float], cells: int) -> float:
    """Chi-square of numbers in [0, 1] against equal cells; ``cells - 1`` degrees of freedom."""
    observed = Counter(min(int(number * cells), cells - 1) for number in of)
    expected = observed.total() / cells
    return sum([(observed[cell] - expected) ** 2 / expected for cell in range(cells)])


def dependence(left: Sequence[float], right: Sequence[float]) -> float:
    """Chi-square of a contingency table of 9 by 9 cells; 80 degrees of freedom.

    Each cell is expected to hold an equal part, as both margins are known to be uniform.
    """
    pairs = zip(left, right, strict=True)
    observed = Counter((int(one * ROWS), int(other * ROWS)) for one, other in pairs)
    expected = len(left) / ROWS**2
    cells = product(range(ROWS), range(ROWS))
    return sum([(observed[cell] - expected) ** 2 / expected for cell in cells])


def test_the_formula_is_the_one_that_teams_have() -> None:
    assert bucket("hashKey", "saltyA", "userKeyA") == pytest.approx(0.42157587, abs=1e-8)


def test_keys_are_spread_evenly(checkout: list[float]) -> None:
    assert uniformity(checkout, 100) < CRITICAL_99


def test_keys_are_spread_evenly_under_a_seed() -> None:
    assert uniformity(numbers("", "", seed=61), 100) < CRITICAL_99


def test_an_uneven_spread_would_be_noticed(checkout: list[float]) -> None:
    assert uniformity((number**1.05 for number in checkout), 100) > CRITICAL_99


def test_keys_within_a_share_are_spread_evenly(checkout: list[float]) -> None:
    inside = [number / 0.1 for number in checkout if is_within(number, 10_000)]
    assert uniformity(inside, 100) < CRITICAL_99


def test_a_raised_percentage_removes_nobody(checkout: list[float]) -> None:
    before: set[int] = set()
    for percent in (0, 1, 2, 5, 10, 25, 33, 50, 75, 99, 100):
        weight = percent * TOTAL_WEIGHT // 100
        split = (Bucket("on", weight), Bucket("off", TOTAL_WEIGHT - weight))
        after = {n for n, number in enumerate(checkout) if choose(split, number) is split[0]}
        assert before <= after
        assert len(after) == pytest.approx(KEYS * percent / 100, abs=KEYS * 0.006)
        before = after
    assert len(before) == KEYS


def test_what_is_served_follows_the_weights(checkout: list[float]) -> None:
    flag = Flag(
        key="checkout",
        enabled=True,
        salt="b3c1",
        variations=tuple(Variation(key, key) for key in "abc"),
        fallthrough=Serve(
            rollout=Rollout(buckets=(Bucket("a", 1), Bucket("b", 33_332), Bucket("c", 66_667)))
        ),
    )
    ruleset = Ruleset(Environment("test"), {"checkout": flag}, {})
    for number in range(0, KEYS, 50):
        detail = evaluate(ruleset, "checkout", Context.of(f"user-{number}"), None, 0)
        assert detail.reason.bucket == checkout[number]
        assert detail.variation == ("b" if 0.00001 <= checkout[number] < 0.33333 else "c")


@pytest.mark.parametrize(
    ("key", "salt", "seed"),
    [
        ("checkout-2", "b3c1", None),
        ("search", "b3c1", None),
        ("checkout", "b3c2", None),
        ("checkout", "", None),
        ("checkout", "b3c1", 0),
        ("checkout", "b3c1", 61),
    ],
    ids=["a like key", "another key", "another salt", "no salt", "a seed of 0", "a seed"],
)
def test_flags_salts_and_seeds_split_independently(
    checkout: list[float], key: str, salt: str, seed: int | None
) -> None:
    assert dependence(checkout, numbers(key, salt, seed)) < CRITICAL_80


def test_two_seeds_split_independently() -> None:
    assert dependence(numbers("", "", 61), numbers("", "", 62)) < CRITICAL_80


def test_a_dependence_would_be_noticed(checkout: list[float]) -> None:
    other = numbers("search", "b3c1")
    leaning = [
        number if index % 20 else checkout[index] for index, number in enumerate(other)
    ]  # one in twenty the same
    assert dependence(checkout, leaning) > CRITICAL_80


def test_the_key_and_the_salt_do_not_matter_under_a_seed() -> None:
    assert numbers("checkout", "b3c1", 61, 1_000) == numbers("search", "x", 61, 1_000)
