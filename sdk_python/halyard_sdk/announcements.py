"""Tells of a client's status in the way of OpenFeature's providers, in order, from one thread.

Lost, a server is STALE at first and an ERROR after a while (the grace period); on return it is
READY, and CHANGED names what may answer otherwise than before the loss, if anything.

Pattern: :class:`Standing` decides and knows no clock; :class:`Announcer` has the clock and the
thread. The client's callbacks only leave news, so no listener can hold up the client.

Life cycle of an announcer: made, ``begin()`` once it is known how starting went, ``close()``.
Before ``begin`` it hears, and says nothing; there is no thread before nor after.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from math import inf
from time import monotonic
from typing import TypeAlias

from halyard_sdk.listeners import Change, Listeners
from halyard_sdk.status import State, Status

SETTLE_S = 0.1
"""From ``begin`` to the first announcement: whoever started us says by itself how that went, and
must have said it by then."""
RETURN_S = 0.05
"""How long a return waits for its changes, which follow at once where there are any."""
JOIN_TIMEOUT_S = 3.0


class Kind(Enum):
    """The events of OpenFeature's providers."""

    READY = auto()
    STALE = auto()
    ERROR = auto()
    CHANGED = auto()


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event."""

    kind: Kind
    message: str = ""
    """What went wrong, in words."""
    flags: frozenset[str] = frozenset()
    """With CHANGED: the keys of all flags that may answer otherwise."""


Announcements: TypeAlias = tuple[Announcement, ...]


class Standing:
    """What has been announced, and what is to be announced next. Times are seconds, monotonic.

    Args:
        grace_s: from STALE to ERROR; with 0 or less there is no STALE.
        shown: what was announced about the start, by somebody else: READY or ERROR.
    """

    def __init__(self, grace_s: float, shown: Kind) -> None:
        self._grace_s = grace_s
        self._shown = shown
        self._is_final = False  # it was announced that the client will not connect again
        self._reason = ""  # why it is stale
        self._error_at_s = inf
        self._changed_at_s = inf

    @property
    def deadline_s(self) -> float:
        """When ``tick`` will have something to say; infinity while nothing is due."""
        return min(self._error_at_s, self._changed_at_s)

    def status(self, status: Status, now_s: float) -> Announcements:
        """The client has this status."""
        match status.state:
            case State.READY:
                return self._ready(now_s)
            case State.OFFLINE:
                return self._offline(status.reason)
            case _:
                return self._behind(status.reason, now_s)

    def changed(self, flags: frozenset[str]) -> Announcements:
        """These flags may answer otherwise."""
        self._changed_at_s = inf
        return (Announcement(Kind.CHANGED, flags=flags),)

    def tick(self, now_s: float) -> Announcements:
        """Time has passed."""
        due: Announcements = ()
        if self._changed_at_s <= now_s:
            due += self.changed(frozenset())
        if self._error_at_s <= now_s:
            due += self._error(self._reason)
        return due

    def _ready(self, now_s: float) -> Announcements:
        if self._shown is Kind.READY:
            return ()
        self._shown = Kind.READY
        self._error_at_s, self._changed_at_s = inf, now_s + RETURN_S
        return (Announcement(Kind.READY),)

    def _behind(self, reason: str, now_s: float) -> Announcements:
        self._reason = reason
        if self._shown is not Kind.READY:
            return ()
        if self._grace_s <= 0:
            return self._error(reason)
        self._shown = Kind.STALE
        self._error_at_s = now_s + self._grace_s
        return (Announcement(Kind.STALE, reason),)

    def _offline(self, reason: str) -> Announcements:
        if self._is_final:
            return ()
        self._is_final = True
        return self._error(reason)

    def _error(self, reason: str) -> Announcements:
        self._shown = Kind.ERROR
        self._error_at_s = inf
        return (Announcement(Kind.ERROR, reason),)


class Announcer:
    """Hears of a client and makes announcements.

    After a fork the child goes on, with a thread of its own once it hears something.

    Args:
        grace_s: as of :class:`Standing`.
        status: the client's present status.
        tell: is given each announcement, in the announcer's thread.
    """

    def __init__(
        self,
        grace_s: float,
        status: Callable[[], Status],
        tell: Callable[[Announcement], object],
    ) -> None:
        self._grace_s = grace_s
        self._status = status
        self._listeners: Listeners[Announcement] = Listeners()
        self._listeners.add(tell)
        self._news: deque[Status | Change] = deque()
        self._standing: Standing | None = None  # until begun
        self._settled = False
        self._closed = False
        self._was = status().state
        self._has_first_ahead = False
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        _announcers().add(self)

    def hear_status(self, status: Status) -> None:
        """The client has a new status."""
        with self._condition:
            if self._standing is None:
                # The change from nothing to the first ruleset is no news: starting tells of it.
                first = (self._was, status.state) == (State.INITIALIZING, State.READY)
                self._has_first_ahead = first
            self._was = status.state
            if self._settled:
                self._leave(status)

    def hear_change(self, change: Change) -> None:
        """Flags of the client may answer otherwise."""
        with self._condition:
            if self._has_first_ahead:
                self._has_first_ahead = False
            elif self._standing is not None:
                self._leave(change)

    def begin(self, shown: Kind) -> None:
        """From now on announce what differs from ``shown``, READY or ERROR. Once counts."""
        with self._condition:
            if self._standing is None and not self._closed:
                self._standing = Standing(self._grace_s, shown)
                self._see_to_thread()

    def close(self) -> None:
        """Say nothing more; the thread ends before this returns, unless it is the caller's."""
        with self._condition:
            self._closed = True
            thread = self._thread
            self._condition.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_TIMEOUT_S)

    def _leave(self, news: Status | Change) -> None:
        if self._closed:
            return
        match news, self._news[-1] if self._news else None:
            case Change(flags), Change(before):
                self._news[-1] = Change(flags | before)
            case _:
                self._news.append(news)
        self._see_to_thread()
        self._condition.notify()

    def _see_to_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="halyard-openfeature", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        if not self._settle():
            return
        while (announcements := self._next()) is not None:
            for announcement in announcements:
                self._listeners.tell(announcement)

    def _settle(self) -> bool:
        """Let the start be told of; then see how things stand. False where closed meanwhile."""
        with self._condition:
            if self._settled:
                return True
            if self._condition.wait_for(lambda: self._closed, SETTLE_S):
                return False
            self._settled = True
        # Not under the lock, which callbacks of the client want. What was heard meanwhile is newer.
        status = self._status()
        with self._condition:
            self._news.appendleft(status)
        return True

    def _next(self) -> Announcements | None:
        """Wait until something may have to be announced; None when closed."""
        with self._condition:
            standing = self._standing
            if standing is None:
                return None
            while not self._closed and not self._news and monotonic() < standing.deadline_s:
                due_in_s = standing.deadline_s - monotonic()
                self._condition.wait(None if due_in_s == inf else due_in_s)
            if self._closed:
                return None
            overdue = standing.tick(monotonic())
            return overdue + self._told(standing) if self._news else overdue

    def _told(self, standing: Standing) -> Announcements:
        match self._news.popleft():
            case Status() as status:
                return standing.status(status, monotonic())
            case Change(flags):
                return standing.changed(flags)

    def _after_fork(self) -> None:
        """In the child: the thread is the parent's, which may have held the lock."""
        self._condition = threading.Condition()
        self._thread = None
        self._news.clear()
        self._listeners.after_fork()


@cache
def _announcers() -> weakref.WeakSet[Announcer]:
    """Every announcer of this process, to be told of forks."""
    announcers: weakref.WeakSet[Announcer] = weakref.WeakSet()

    def after_fork() -> None:
        for announcer in announcers:
            announcer._after_fork()

    if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to survive
        os.register_at_fork(after_in_child=after_fork)
    return announcers
