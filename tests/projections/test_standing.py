"""What is done about a ruleset, by what it says of itself."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from domain import commands as c
from eventstore.contents import Content
from projections.fold import FOLD_VERSION, RulesetFold
from projections.rulesets import Meta
from projections.standing import (
    Judgement,
    Standing,
    Step,
    is_superseded,
    judge,
    next_step,
    standing_after,
    standing_of,
    update_from,
)
from projections.writing import Answer, Verdict
from tests.support.project_logs import ProjectLog

META = Meta(1000, 3, "g1", FOLD_VERSION, 0, 7, "h7", 9, "demo", "production")


@pytest.fixture
def log() -> ProjectLog:
    """Flag alpha changes in production at 5, in development at 6."""
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"))
    log.do(c.EnableFlag("alpha", "production"))
    log.do(c.EnableFlag("alpha", "development"))
    return log


@pytest.fixture
def fold(log: ProjectLog) -> RulesetFold:
    fold = RulesetFold("demo")
    for stored in log.events:
        fold.apply(stored)
    return fold


@pytest.fixture
def exact(log: ProjectLog) -> Standing:
    return Standing("g1", 5, log.events[4].hash.hex(), 6)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, "go on"),
        ({"seq": 10}, "go on"),
        ({"seq": 11}, "ahead"),
        ({"epoch": 999}, "build"),
        ({"epoch": 999, "fold": FOLD_VERSION + 1, "seq": 99}, "build"),
        ({"epoch": 1001}, "ahead"),
        ({"fold": FOLD_VERSION - 1, "seq": 99}, "build"),
        ({"fold": FOLD_VERSION + 1, "seq": 99}, "idle"),
    ],
)
def test_the_next_step_follows_from_epoch_fold_and_seq(changes: dict[str, int], step: Step) -> None:
    assert next_step(replace(META, **changes), 1000, 10) == step


def test_where_there_is_no_ruleset_one_is_built() -> None:
    assert next_step(None, 1000, 10) == "build"


def test_a_ruleset_whose_content_is_not_the_settled_one_is_superseded() -> None:
    assert not is_superseded(META, Content(3, FOLD_VERSION))
    assert is_superseded(META, Content(4, FOLD_VERSION))
    assert is_superseded(META, Content(2, FOLD_VERSION))
    assert is_superseded(META, None)


@pytest.mark.parametrize(
    ("changes", "judgement"),
    [
        ({}, "sound"),
        ({"hash": "other"}, "forked"),
        ({"changed": 6}, "forked"),
        ({"changed": 4}, "unknown"),
        ({"seq": 7, "hash": "other"}, "too early"),
        ({"hash": "other", "sound": True}, "sound"),
    ],
)
def test_a_ruleset_is_judged_by_the_hash_where_it_stands(
    *,
    log: ProjectLog,
    fold: RulesetFold,
    exact: Standing,
    changes: dict[str, object],
    judgement: Judgement,
) -> None:
    versions = fold.environments.by_id[log.environments["production"]]
    assert judge(replace(exact, **changes), fold, versions) == judgement


def test_an_update_holds_what_changed_since_the_ruleset_did(
    log: ProjectLog, fold: RulesetFold, exact: Standing
) -> None:
    versions = fold.environments.by_id[log.environments["production"]]
    behind = Standing("g1", 4, log.events[3].hash.hex(), 4)
    update = update_from(behind, 1000, fold, versions)
    assert update is not None
    assert (update.since, update.to, update.seq) == (4, 5, 6)
    assert [document.name for document in update.documents] == ["flag:alpha"]
    advance = update_from(replace(exact, seq=5), 1000, fold, versions)
    assert advance is not None
    assert (advance.since, advance.to, advance.seq, advance.documents) == (5, 5, 6, ())


def test_there_is_nothing_to_do_for_a_ruleset_that_is_as_far_or_further(
    log: ProjectLog, fold: RulesetFold, exact: Standing
) -> None:
    versions = fold.environments.by_id[log.environments["production"]]
    assert update_from(exact, 1000, fold, versions) is None
    further = Standing("g1", 4, "of another fold", 7)
    assert update_from(further, 1000, fold, versions) is None


def test_a_ruleset_that_claims_to_have_checked_what_it_lacks_is_not_passed_over(
    log: ProjectLog, fold: RulesetFold
) -> None:
    """The script finds the fork: the update begins no later than where the log was checked."""
    versions = fold.environments.by_id[log.environments["production"]]
    lacking = Standing("g1", 4, log.events[3].hash.hex(), 6)
    assert update_from(lacking, 1000, fold, versions) is not None


@pytest.mark.parametrize(
    ("verdict", "after"),
    [
        (Verdict("APPLIED", 4, "h4", 4), (5, 6, True)),
        (Verdict("DUPLICATE", 5, "h5", 5), (5, 6, True)),
        (Verdict("DUPLICATE", 5, "h5", 8), (5, 8, True)),
        (Verdict("DUPLICATE", 9, "h9", 9), (9, 9, False)),
    ],
)
def test_after_an_update_it_is_known_where_the_ruleset_stands(
    *,
    log: ProjectLog,
    fold: RulesetFold,
    verdict: Verdict,
    after: tuple[int, int, bool],
) -> None:
    versions = fold.environments.by_id[log.environments["production"]]
    update = update_from(Standing("g1", 4, "h4", 4), 1000, fold, versions)
    assert update is not None
    standing = standing_after(update, verdict)
    assert standing is not None
    assert (standing.changed, standing.seq, standing.sound) == after


@pytest.mark.parametrize("answer", ["GAP", "MOVED", "FORK"])
def test_after_any_other_answer_it_must_be_read(
    log: ProjectLog, fold: RulesetFold, answer: Answer
) -> None:
    versions = fold.environments.by_id[log.environments["production"]]
    update = update_from(Standing("g1", 4, "h4", 4), 1000, fold, versions)
    assert update is not None
    assert standing_after(update, Verdict(answer)) is None


def test_what_a_ruleset_says_of_itself_is_not_yet_found_sound() -> None:
    assert standing_of(META) == Standing("g1", 7, "h7", 9, sound=False)
