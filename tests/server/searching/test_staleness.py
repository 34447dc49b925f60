"""What everybody gets from a flag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from halyard_protocol.conditions import All
from halyard_protocol.ruleset import Bucket, Prerequisite, Ramp, Rollout, Rule, Serve, Target
from msgspec.structs import replace

from domain.state import FlagSettings
from server.searching.staleness import Certainty, certainty, everywhere

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ON = FlagSettings(True, "off", Serve("on"))
OFF = replace(ON, enabled=False)


def ramp(start: int, end: int) -> Serve:
    return Serve(rollout=Rollout(ramp=Ramp("on", "off", NOW, LATER, start, end)))


def buckets(*shares: tuple[str, int]) -> Serve:
    return Serve(rollout=Rollout(buckets=tuple(Bucket(*share) for share in shares)))


def rule(serve: Serve, *, enabled: bool = True) -> Rule:
    return Rule("r", All(()), serve, enabled=enabled)


@pytest.mark.parametrize(
    ("settings", "variation"),
    [
        (OFF, "off"),
        (replace(OFF, off_variation=None), None),
        (ON, "on"),
        (replace(ON, rules=(rule(Serve("on")),), targets=(Target("on", keys=("a",)),)), "on"),
        (replace(ON, rules=(rule(Serve("off"), enabled=False),)), "on"),
        (replace(ON, targets=(Target("off"),)), "on"),
        (replace(ON, fallthrough=buckets(("on", 100_000), ("off", 0))), "on"),
        (replace(ON, prerequisites=(Prerequisite("a", ("on",)),), off_variation="on"), "on"),
    ],
)
def test_where_all_ways_end_at_one_variation_everybody_gets_it(
    settings: FlagSettings, variation: str | None
) -> None:
    assert certainty(settings) == Certainty(variation, None)


@pytest.mark.parametrize(
    "settings",
    [
        replace(ON, rules=(rule(Serve("off")),)),
        replace(ON, targets=(Target("off", keys=("a",)),)),
        replace(ON, prerequisites=(Prerequisite("a", ("on",)),)),
        replace(ON, fallthrough=buckets(("on", 99_999), ("off", 1))),
        replace(ON, fallthrough=ramp(0, 50_000)),
    ],
)
def test_where_ways_end_differently_nothing_is_certain(settings: FlagSettings) -> None:
    assert certainty(settings) is None


def test_a_ramp_to_all_is_certain_from_its_end_on() -> None:
    certain = certainty(replace(ON, fallthrough=ramp(0, 100_000)))
    assert certain == Certainty("on", LATER)
    assert not certain.holds(NOW)
    assert certain.holds(LATER)
    down = certainty(replace(ON, fallthrough=ramp(100_000, 0)))
    assert down == Certainty("off", LATER)


def test_environments_have_in_common_what_holds_in_all_of_them() -> None:
    certain, ramped = Certainty("on", None), Certainty("on", LATER)
    assert everywhere([certain, ramped, Certainty("on", NOW)]) == ramped
    assert everywhere([certain, None]) is None
    assert everywhere([certain, Certainty("off", None)]) is None
    assert everywhere([]) is None
