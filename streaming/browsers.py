"""The connections with client keys of one environment: they get values, worked out in slices.

What is worked out, and who is sent what, is decided by an
:class:`~halyard_protocol.session.audience.Audience`; this gives it the rulesets, the time and the
loop's patience. Nothing of it exists for an environment without such connections.

Three things set it to work: a ruleset that changed, a client that says who it is, and one timer for
all that time changes here (results, and clients that say who they are too often). The work goes in
slices of a few milliseconds, between which the loop gets its turn.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from halyard_protocol.session.audience import Audience
from halyard_protocol.session.leaning import THE_ENVIRONMENT, Place
from halyard_protocol.session.values_server import ValuesSession

if TYPE_CHECKING:
    from streaming.connection import Connection
    from streaming.environment import Environment

SLICE_S = 0.002
"""How long is evaluated before the loop gets its turn."""
WRITES = 256
"""Frames of one slice: uvloop sends them after it, for about as long again."""
PAUSE_S = 0.5
"""One client is answered no more often than this; of what it says meanwhile, the last counts."""
LONGEST_WAIT_S = 10.0
"""The timer's: the wall clock, which results follow, may be set meanwhile."""


def now_ms() -> int:
    """The instant of evaluation."""
    return time.time_ns() // 1_000_000


class _Seat:
    """One connection, as the shell knows it.

    Attributes:
        free_s: when it may be answered again, on the monotonic clock.
        paused: it waits for that.
    """

    __slots__ = ("connection", "free_s", "paused")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.free_s = 0.0
        self.paused = False


class Browsers:
    """See the module."""

    __slots__ = (
        "_audience",
        "_environment",
        "_paused",
        "_preparing",
        "_scheduled",
        "_seats",
        "_timer",
        "_wakes_s",
    )

    def __init__(self, environment: Environment) -> None:
        self._seats: dict[ValuesSession, _Seat] = {}
        self._environment = environment
        self._audience = Audience(environment.feed)
        self._preparing: Iterator[None] | None = None
        """Reads the documents of a ruleset that came as a whole."""
        self._paused: deque[tuple[float, ValuesSession]] = deque()
        """Who is to be answered, and when; all wait equally long, so it is in order."""
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_s = math.inf

    # --- connections

    def __bool__(self) -> bool:
        return bool(self._seats)

    def connections(self) -> list[Connection]:
        """Those whose keys are live here."""
        return [seat.connection for seat in self._seats.values()]

    def join(self, session: ValuesSession, connection: Connection) -> None:
        """A connection's key was found live."""
        session.audience = self._audience
        self._seats[session] = _Seat(connection)
        self.follow()

    def leave(self, session: ValuesSession) -> None:
        """A connection is closing, or gone."""
        if self._seats.pop(session, None) is not None:
            session.leave()
        if not self._seats and self._timer is not None:
            self._timer.cancel()
            self._timer, self._wakes_s = None, math.inf

    def heard(self, session: ValuesSession) -> None:
        """A client said who it is: have that answered, now or in a moment."""
        now_s, seat = time.monotonic(), self._seats[session]
        if seat.paused:
            return
        if now_s >= seat.free_s:
            self._proceed(session, seat, now_s)
        else:
            seat.paused = True
            self._paused.append((seat.free_s, session))
            self._wake_by(seat.free_s)

    def _proceed(self, session: ValuesSession, seat: _Seat, now_s: float) -> None:
        seat.free_s, seat.paused = now_s + PAUSE_S, False
        if session.asked is not None:
            self._environment.answer(seat.connection)
        else:
            session.move()
        self.wake()

    # --- news

    def follow(self) -> None:
        """The feed has another ruleset than before, or somebody has come."""
        feed, audience = self._environment.feed, self._audience
        if not self._seats or (feed.epoch, feed.changed) == (audience.epoch, audience.changed):
            return
        evaluator = self._environment.evaluator
        if not evaluator.prepared:
            self._preparing = self._preparing or evaluator.preparing()
        elif self._preparing is None:
            self._hand_over(self._changed_places())
        self.wake()

    def _changed_places(self) -> list[Place] | None:
        """Where the ruleset differs from the audience's; None where the feed cannot tell."""
        feed, audience = self._environment.feed, self._audience
        if audience.epoch != feed.epoch or audience.changed < feed.horizon:
            return None
        places: list[Place] = []
        newest = reversed(feed.documents.values())
        for document in takewhile(lambda each: each.version > audience.changed, newest):
            match document.kind:
                case "flag":
                    places.append(("flag", document.key))
                case "segment":
                    places.append(("segment", document.key))
                case "environment":
                    places.append(THE_ENVIRONMENT)
                case "key" | "":
                    pass
        return places

    def _hand_over(self, places: list[Place] | None) -> None:
        feed = self._environment.feed
        evaluator = self._environment.evaluator.current()
        self._audience.follow(evaluator, feed.epoch, feed.changed, places)

    # --- work

    def wake(self) -> None:
        """There may be something to do."""
        if not self._scheduled and self._busy:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._slice)

    @property
    def _busy(self) -> bool:
        return self._preparing is not None or self._audience.busy

    def _slice(self) -> None:
        self._scheduled = False
        ends_s, at_ms, writes = time.perf_counter() + SLICE_S, now_ms(), WRITES
        while self._busy and writes > 0 and time.perf_counter() < ends_s:
            if self._preparing is not None:
                self._prepare(self._preparing)
            else:
                writes -= self._step(at_ms)
        self.wake()
        if not self._scheduled:
            self._wait()

    def _prepare(self, preparing: Iterator[None]) -> None:
        if next(preparing, self) is self:
            self._preparing = None
            self._hand_over(None)

    def _step(self, at_ms: int) -> int:
        sent = self._audience.step(at_ms)
        for session, frame in sent:
            self.send(session, frame)
        return len(sent)

    def send(self, session: ValuesSession, frame: bytes | None) -> None:
        """Write a frame, if there is one; and go on with what else there is."""
        if frame is not None:
            self._environment.counters.value_frames += 1
            self._environment.send(self._seats[session].connection, frame)
        self.wake()

    # --- time

    def _wait(self) -> None:
        """Nothing is left to do: until when?"""
        if not self._seats:
            return
        due_ms = self._audience.due_ms
        if due_ms < math.inf or self._audience.timed:
            self._wake_by(time.monotonic() + max(0.0, due_ms - now_ms()) / 1000)

    def _wake_by(self, at_s: float) -> None:
        now_s = time.monotonic()
        at_s = min(at_s, now_s + LONGEST_WAIT_S)
        if at_s >= self._wakes_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_s = at_s
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, at_s - now_s), self._woken)

    def _woken(self) -> None:
        self._timer, self._wakes_s = None, math.inf
        now_s = time.monotonic()
        while self._paused and self._paused[0][0] <= now_s:
            _, session = self._paused.popleft()
            seat = self._seats.get(session)
            if seat is not None:
                self._proceed(session, seat, now_s)
        if self._paused:
            self._wake_by(self._paused[0][0])
        self._audience.tick(now_ms())
        self.wake()
        if not self._scheduled:
            self._wait()
