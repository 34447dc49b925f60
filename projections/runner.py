"""The projector role of one process: every project's log, each in a task of its own.

Any number of processes may run one against the same PostgreSQL and Redis: correctness never needs
exactly one.

Concurrency: a log's task awaits only its own log, so that one which is slow, poisoned or far behind
delays no other. All tasks stand in one group: a fault of the program in any of them is raised by
:meth:`Projector.run`, and is meant to stop the process.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from eventstore.follow import Follower
from eventstore.log import SYSTEM_LOG
from eventstore.store import EventStore
from projections.counters import ProjectorCounters
from projections.log_projector import (
    CHECK_S,
    TOMBSTONES_KEPT,
    LogLag,
    LogProjector,
    LogStanding,
)
from projections.script import RedisClient

LOGS_CHECKED_PER_S = 40
"""Without wake-ups; with more logs than this allows, each is looked at less often. A loss that one
of them finds is looked for in all at once, so that a flush never waits for its turn."""


class Projector:
    """Projects all logs but the installation's own; tombstones are kept for a time."""

    def __init__(
        self,
        store: EventStore,
        redis: RedisClient,
        tombstones_kept: timedelta = TOMBSTONES_KEPT,
    ) -> None:
        self.counters = ProjectorCounters()
        self._store = store
        self._redis = redis
        self._follower = Follower(store)
        self._tombstones_kept = tombstones_kept
        self._logs: dict[str, LogProjector] = {}
        self._alarmed_at_s = float("-inf")

    def nudge(self, log_id: str, seq: int) -> None:
        """Somebody says that a log has reached ``seq``. Never blocks."""
        self._follower.nudge(log_id, seq)

    async def run(self) -> None:
        """Project until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follower.run())
            async for wake in self._follower:
                if wake.log_id != SYSTEM_LOG:
                    self._wake(wake.log_id, tasks)

    def _wake(self, log_id: str, tasks: asyncio.TaskGroup) -> None:
        projector = self._logs.get(log_id)
        if projector is None:
            projector = LogProjector(self._store, self._redis, log_id, self._alarm, self.counters)
            self._logs[log_id] = projector
            projector.tombstones_kept = self._tombstones_kept
            tasks.create_task(projector.run(), name=f"project {log_id}")
            self._pace()
        projector.wake()

    def _pace(self) -> None:
        for projector in self._logs.values():
            projector.check_s = max(CHECK_S, len(self._logs) / LOGS_CHECKED_PER_S)

    def _alarm(self) -> None:
        """Redis lost a ruleset: look for all of them, once for all who notice."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._alarmed_at_s < CHECK_S:
            return
        self._alarmed_at_s = now_s
        for projector in self._logs.values():
            projector.doubt()

    def lags(self) -> list[LogLag]:
        """How far behind each log is, in no order."""
        return [log.lag() for log in self._logs.values()]

    def standings(self) -> tuple[LogStanding, ...]:
        """How each log is projected by this process, by log id."""
        return tuple(log.standing() for _, log in sorted(self._logs.items()))
