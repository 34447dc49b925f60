from __future__ import annotations

from datetime import timedelta

import pytest

from server.cli import checks
from server.cli.checks import Check


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (checks.postgresql_version(160_000, "16.0"), "well"),
        (checks.postgresql_version(150_012, "15.12"), "wrong"),
        (checks.durability("on", "on"), "well"),
        (checks.durability("on", "remote_apply"), "well"),
        (checks.durability("on", "off"), "wrong"),
        (checks.durability("off", "on"), "wrong"),
        (checks.encoding("UTF8"), "well"),
        (checks.encoding("SQL_ASCII"), "wrong"),
        (checks.connections(90, 100), "well"),
        (checks.connections(91, 100), "warning"),
        (checks.clock(timedelta(seconds=-1)), "well"),
        (checks.clock(timedelta(seconds=1.1)), "warning"),
        (checks.clock(timedelta(seconds=-1.1)), "warning"),
        (checks.migrations(()), "well"),
        (checks.migrations(("0002_more",)), "wrong"),
        (checks.redis_version("7.0.0", None), "well"),
        (checks.redis_version("6.2.14", None), "wrong"),
        (checks.redis_version("7.2.4", "8.0.1"), "well"),
        (checks.redis_version("7.2.4", "7.2.5"), "wrong"),
        (checks.redis_version("unknown", None), "wrong"),
        (checks.eviction("noeviction", 0), "well"),
        (checks.eviction("volatile-lru", 0), "wrong"),
        (checks.ruleset_lag("demo", "staging", 0, there=True), "well"),
        (checks.ruleset_lag("demo", "staging", 101, there=True), "warning"),
        (checks.ruleset_lag("demo", "staging", 0, there=False), "wrong"),
        (checks.poisoned("demo", "event 7"), "wrong"),
        (checks.chain("demo", 7, ()), "well"),
        (checks.chain("demo", 7, ("event 3",)), "wrong"),
        (checks.descriptors(4_096), "well"),
        (checks.descriptors(1_024), "warning"),
    ],
)
def test_a_value_is_judged_and_advice_is_given_only_where_it_is_needed(
    check: Check, verdict: str
) -> None:
    assert check.verdict == verdict
    assert bool(check.advice) == (verdict != "well")
