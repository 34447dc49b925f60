"""What is announced of a client, and when: the decisions without a clock, then the thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf
from queue import Queue
from time import monotonic

import pytest
from halyard_sdk.announcements import (
    RETURN_S,
    SETTLE_S,
    Announcement,
    Announcer,
    Kind,
    Standing,
)
from halyard_sdk.listeners import Change
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


# --- the thread


class Stage:
    """An announcer, of a client that this is in place of."""

    def __init__(self) -> None:
        self.now = status(State.INITIALIZING)
        self.told: Queue[Announcement] = Queue()
        self.may_look = threading.Event()
        self.may_look.set()
        self.announcer = Announcer(60, self._look, self.told.put)

    def _look(self) -> Status:
        assert self.may_look.wait(10)
        return self.now

    def becomes(self, state: State) -> None:
        self.now = status(state)
        self.announcer.hear_status(self.now)

    def changes(self, *flags: str) -> None:
        self.announcer.hear_change(Change(frozenset(flags)))

    def tells(self) -> Announcement:
        return self.told.get(timeout=10)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.announcer.close()
    assert stage.told.empty()


def changed(*flags: str) -> Announcement:
    return Announcement(CHANGED, flags=frozenset(flags))


def test_the_first_ruleset_is_no_change(stage: Stage) -> None:
    stage.becomes(State.READY)
    stage.announcer.begin(READY)
    stage.changes("a", "b")  # heard late, as it may be: the client tells from a thread of its own
    stage.changes("c")
    assert stage.tells() == changed("c")


def test_what_changed_before_the_beginning_is_not_told(stage: Stage) -> None:
    stage.becomes(State.READY)
    stage.changes("a", "b")
    stage.changes("a")
    stage.announcer.begin(READY)
    stage.changes("c")
    assert stage.tells() == changed("c")


def test_whoever_began_can_tell_of_that_first(stage: Stage) -> None:
    stage.becomes(State.STALE)
    began_s = monotonic()
    stage.announcer.begin(READY)
    assert stage.tells().kind is STALE
    assert monotonic() - began_s >= SETTLE_S


def test_a_status_that_passed_while_beginning_is_not_told(stage: Stage) -> None:
    stage.becomes(State.STALE)
    stage.may_look.clear()
    stage.announcer.begin(READY)
    stage.becomes(State.READY)
    stage.changes("a")
    stage.may_look.set()
    assert stage.tells() == changed("a")


def test_changes_that_nobody_was_told_of_yet_become_one(stage: Stage) -> None:
    stage.becomes(State.STALE)
    stage.may_look.clear()
    stage.announcer.begin(READY)
    stage.changes("a")
    stage.changes("b")
    stage.may_look.set()
    assert stage.tells().kind is STALE
    assert stage.tells() == changed("a", "b")


def test_a_listener_that_raises_ends_nothing() -> None:
    told: Queue[Announcement] = Queue()

    def tell(announcement: Announcement) -> None:
        told.put(announcement)
        raise ValueError("a listener's fault")

    announcer = Announcer(60, lambda: status(State.READY), tell)
    announcer.begin(READY)
    for key in ("a", "b"):
        announcer.hear_change(Change(frozenset({key})))
        assert told.get(timeout=10) == changed(key)
    announcer.close()


def test_closed_it_says_nothing_and_begins_no_more(stage: Stage) -> None:
    stage.announcer.close()
    stage.announcer.begin(READY)
    stage.becomes(State.STALE)
    stage.changes("a")
    assert stage.told.empty()
