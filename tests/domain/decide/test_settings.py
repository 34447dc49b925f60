from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH
from halyard_protocol.ruleset import Bucket, Prerequisite, Rollout, Serve, Target

from domain import commands as c
from domain import events as e
from domain.errors import Archived, InvalidCommand, LimitReached, UnknownEntity, WouldCycle
from tests.support.decider import flag, given

SOON = datetime(2026, 4, 1, tzinfo=UTC)
HALF = Serve(rollout=Rollout(buckets=(Bucket("on", 50_000), Bucket("off", 50_000))))
ALICE = (Target("on", keys=("alice",)),)


def needs(dependent: str, *flags: str, environment: str = "staging") -> c.ChangePrerequisites:
    return c.ChangePrerequisites(
        dependent, environment, tuple(Prerequisite(each, ("on",)) for each in flags)
    )


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (c.EnableFlag("a", "staging"), e.FlagEnabled()),
        (c.ChangeOffVariation("a", "staging", "on"), e.OffVariationChanged("on")),
        (c.ChangeOffVariation("a", "staging", None), e.OffVariationChanged(None)),
        (c.ChangeFallthrough("a", "staging", HALF), e.FallthroughChanged(HALF)),
        (c.ChangeTargets("a", "staging", ALICE), e.TargetsChanged(ALICE)),
        (c.SetExpiry("a", "staging", SOON), e.ExpirySet(SOON)),
        (c.SetExposureTracking("a", "staging", True), e.ExposureTrackingSet(True)),
        (needs("a", "b"), e.PrerequisitesChanged((Prerequisite("b", ("on",)),))),
    ],
)
def test_each_change_concerns_one_environment_and_then_yields_nothing(
    command: c.Command, event: e.Event
) -> None:
    history = given(flag("a"), flag("b"))
    elsewhere = history.state.settings["a", "production"]
    assert history.when(command) == (event,)
    assert history.revision("flag", "a", "staging") == 1
    assert history.revision("flag", "a") == 1
    assert history.state.settings["a", "production"] is elsewhere
    assert history.when(command) == ()
    assert history.revision("flag", "a", "staging") == 1


@pytest.mark.parametrize(
    ("command", "undo", "event"),
    [
        (c.EnableFlag("a", "staging"), c.DisableFlag("a", "staging"), e.FlagDisabled()),
        (c.SetExpiry("a", "staging", SOON), c.ClearExpiry("a", "staging"), e.ExpiryCleared()),
    ],
)
def test_what_was_set_can_be_taken_back(
    command: c.Command, undo: c.Command, event: e.Event
) -> None:
    history = given(flag("a"))
    untouched = history.state.settings["a", "staging"]
    assert history.when(undo) == ()
    assert history.do(command).when(undo) == (event,)
    assert history.state.settings["a", "staging"] == untouched


def test_the_same_instant_in_another_zone_is_no_change() -> None:
    history = given(flag("a"), c.SetExpiry("a", "staging", SOON))
    there = SOON.astimezone(timezone(timedelta(hours=5)))
    assert history.when(c.SetExpiry("a", "staging", there)) == ()


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (c.ChangeOffVariation("a", "staging", "maybe"), "/offVariation"),
        (c.ChangeFallthrough("a", "staging", Serve("maybe")), "/fallthrough/variation"),
        (
            c.ChangeFallthrough(
                "a", "staging", Serve(rollout=Rollout(buckets=(Bucket("on", 99_999),)))
            ),
            "/fallthrough/rollout/buckets",
        ),
        (c.ChangeTargets("a", "staging", (Target("maybe"),)), "/targets/0/variation"),
        (c.SetExpiry("a", "staging", datetime(2026, 4, 1)), "/expiresAt"),  # noqa: DTZ001
        (needs("a", "nowhere"), "/prerequisites/0/flag"),
        (needs("a", "a"), "/prerequisites/0/flag"),
        (needs("a", "b", "b"), "/prerequisites/1/flag"),
        (
            c.ChangePrerequisites("a", "staging", (Prerequisite("b", ("maybe",)),)),
            "/prerequisites/0/variations/0",
        ),
        (
            c.ChangePrerequisites("a", "staging", (Prerequisite("b"),)),
            "/prerequisites/0/variations",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_fields_path(command: c.Command, path: str) -> None:
    [problem] = given(flag("a"), flag("b")).refusal(command, InvalidCommand).problems
    assert problem.path == path


@pytest.mark.parametrize("command", [c.EnableFlag("x", "staging"), c.EnableFlag("a", "nowhere")])
def test_a_flag_and_an_environment_must_be_there(command: c.Command) -> None:
    given(flag("a")).refusal(command, UnknownEntity)


def test_prerequisites_that_go_round_are_refused_with_the_way() -> None:
    history = given(*map(flag, "abcd"), needs("a", "d", "b"), needs("b", "c"))
    refusal = history.refusal(needs("c", "d", "a"), WouldCycle)
    assert refusal.keys == ("c", "a", "b", "c")
    assert "c -> a -> b -> c" in str(refusal)


def test_prerequisites_may_go_round_over_different_environments() -> None:
    history = given(flag("a"), flag("b"), needs("a", "b"))
    history.do(needs("b", "a", environment="production"))


def test_prerequisites_may_meet_again_without_going_round() -> None:
    given(*map(flag, "abcd"), needs("b", "d"), needs("c", "d")).do(needs("a", "b", "c"))


def test_a_flag_that_is_archived_is_no_prerequisite() -> None:
    history = given(flag("a"), flag("b"), c.ArchiveFlag("b"))
    assert history.refusal(needs("a", "b"), Archived).flag == "b"


def test_a_chain_of_prerequisites_is_not_longer_than_evaluation_goes() -> None:
    keys = [f"f{number:02}" for number in range(MAX_PREREQUISITE_DEPTH + 2)]
    halfway = len(keys) // 2
    links = list(pairwise(keys))
    history = given(*map(flag, keys))
    for dependent, needed in links[: halfway - 1] + links[halfway + 1 :]:
        history.do(needs(dependent, needed))
    history.do(needs(*links[halfway]))
    refusal = history.refusal(needs(*links[halfway - 1]), LimitReached)
    assert refusal.limit == MAX_PREREQUISITE_DEPTH
    history.do(needs(links[0][0]), needs(*links[halfway - 1]))
