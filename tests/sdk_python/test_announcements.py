"""What is announced of a client, and when: the decisions, without a clock."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

from halyard_sdk.announcements import RETURN_S, Announcement, Kind, Standing
from halyard_sdk.status import State, Status

READY, STALE, ERROR, CHANGED = Kind.READY, Kind.STALE, Kind.ERROR, Kind.CHANGED


def status(state: State, reason: str = "") -> Status:
    return Status(state, datetime(2026, 11, 21, tzinfo=UTC), reason)


def kinds(*announcements: Announcement) -> list[Kind]:
    return [each.kind for each in announcements]


def test_a_loss_is_stale_first_and_an_error_after_the_grace_period() -> None:
    standing = Standing(5, READY)
    assert standing.status(status(State.STALE, "lost"), 100) == (Announcement(STALE, "lost"),)
    assert standing.deadline_s == 105
    assert standing.status(status(State.STALE, "refused"), 103) == ()
    assert standing.tick(104.9) == ()
    assert standing.tick(105) == (Announcement(ERROR, "refused"),)
    assert standing.deadline_s == inf
    assert standing.status(status(State.STALE, "refused again"), 106) == ()


def test_a_return_is_ready_and_then_names_what_changed() -> None:
    standing = Standing(5, READY)
    standing.status(status(State.STALE), 100)
    standing.tick(105)
    assert standing.status(status(State.READY), 110) == (Announcement(READY),)
    assert standing.changed(frozenset({"a"})) == (Announcement(CHANGED, flags=frozenset({"a"})),)
    assert standing.deadline_s == inf


def test_a_return_without_changes_names_none() -> None:
    standing = Standing(5, READY)
    standing.status(status(State.STALE), 100)
    assert kinds(*standing.status(status(State.READY), 101)) == [READY]
    assert standing.deadline_s == 101 + RETURN_S
    assert standing.tick(standing.deadline_s) == (Announcement(CHANGED),)
    assert standing.deadline_s == inf


def test_a_return_in_time_is_no_error() -> None:
    standing = Standing(5, READY)
    standing.status(status(State.STALE), 100)
    standing.status(status(State.READY), 101)
    assert kinds(*standing.tick(105)) == [CHANGED]


def test_without_grace_a_loss_is_an_error_at_once() -> None:
    standing = Standing(0, READY)
    assert kinds(*standing.status(status(State.STALE), 100)) == [ERROR]
    assert standing.deadline_s == inf


def test_a_late_start_is_a_return() -> None:
    standing = Standing(5, ERROR)
    assert standing.status(status(State.INITIALIZING, "refused"), 100) == ()
    assert standing.deadline_s == inf
    assert kinds(*standing.status(status(State.READY), 101)) == [READY]


def test_what_was_announced_already_is_not_repeated() -> None:
    assert Standing(5, READY).status(status(State.READY), 100) == ()


def test_to_be_refused_for_good_is_an_error_at_once_and_once() -> None:
    standing = Standing(5, READY)
    standing.status(status(State.STALE, "lost"), 100)
    assert standing.status(status(State.OFFLINE, "revoked"), 101) == (
        Announcement(ERROR, "revoked"),
    )
    assert standing.status(status(State.OFFLINE, "closed"), 102) == ()
    assert standing.deadline_s == inf
