"""Keeps the file of the last known ruleset up to date, off the hot path.

A change schedules a write; those that come before it is done share it. However large the ruleset
and however slow the disk, writing takes a small share of the time.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from halyard_protocol.session.client import ClientSession

from halyard_sdk.lastknown import LastKnown, Saved
from halyard_sdk.status import wall_clock

DELAY_S = 2.0
"""From a change to its write, at least."""
REST_FACTOR = 20
"""From one write to the next, at least: this many times what the last one took."""


class Keeper:
    """Writes one follower's file. Used from one event loop; the writing happens in a thread."""

    def __init__(self, file: LastKnown) -> None:
        self.file = file
        self._timer: asyncio.TimerHandle | None = None  # a write is scheduled
        self._writing = False
        self._unwritten = False  # something changed since the last write began
        self._took_s = 0.0
        self._vouched_at_s = 0.0  # of what the file holds

    def load(self) -> Saved | None:
        """What the file holds, or None. Blocks."""
        saved = self.file.load()
        if saved is not None:
            self._vouched_at_s = saved.vouched_at_s
        return saved

    def schedule(self, session: ClientSession, tasks: asyncio.TaskGroup) -> None:
        """The session's replica is a new one: write it, soon."""
        self._unwritten = True
        if self._timer is None and not self._writing:
            delay_s = max(DELAY_S, REST_FACTOR * self._took_s)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_s, self._start, session, tasks)

    def finish(self, session: ClientSession) -> None:
        """Write what is not in the file yet, be it only until when it was complete. Blocks."""
        if self._timer is not None:
            self._timer.cancel()
        if session.replica is not None and _vouched_at_s(session) > self._vouched_at_s:
            self.file.save(session.replica, _vouched_at_s(session))

    def _start(self, session: ClientSession, tasks: asyncio.TaskGroup) -> None:
        self._timer, self._writing = None, True
        tasks.create_task(self._write(session, tasks))

    async def _write(self, session: ClientSession, tasks: asyncio.TaskGroup) -> None:
        began_s, vouched_at_s = monotonic(), _vouched_at_s(session)
        self._unwritten = False
        assert session.replica is not None  # noqa: S101 - that it changed is why this runs
        if await asyncio.to_thread(self.file.save, session.replica, vouched_at_s):
            self._vouched_at_s = vouched_at_s
        self._took_s, self._writing = monotonic() - began_s, False
        if self._unwritten:
            self.schedule(session, tasks)


def _vouched_at_s(session: ClientSession) -> float:
    """Unix time until which the session's replica is known to be complete."""
    since_s = monotonic() if session.stale_since_s is None else session.stale_since_s
    return wall_clock(since_s).timestamp()
