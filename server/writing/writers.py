"""All logs that this process writes to or answers from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from domain.commands import CreateProject
from domain.errors import Refusal
from domain.state import ProjectState
from domain.system.state import SystemState
from domain.system.vocabulary import SYSTEM_LOG
from eventstore.errors import StoreError
from eventstore.follow import Follower
from eventstore.store import EventStore
from server.writing.aggregate import Decider, StateT
from server.writing.counters import WritingCounters
from server.writing.deciders import PROJECT, SYSTEM
from server.writing.errors import LogPoisoned, LogUnknown, WritingError
from server.writing.folded_log import MICROSECOND, FoldedLog
from server.writing.history import LogHistory
from server.writing.log_writer import LogWriter, Published
from server.writing.planning import Rehearsal, rehearse
from server.writing.submission import Answer, Submission

MIN_SEQ_TIMEOUT_S = 5.0
MAX_PAST = 4
"""States that were: pages and evaluations of one moment follow each other."""
MAX_IN_USE = 256
"""Projects whose state is kept in memory; the one used longest ago makes room for another."""


class Writers:
    """One :class:`LogWriter` for each log in use, each with its task in ``tasks``.

    A writer that crashes takes the task group, and so the process, with it.
    """

    def __init__(self, store: EventStore, tasks: asyncio.TaskGroup, published: Published) -> None:
        self.counters = WritingCounters()
        self._store = store
        self._tasks = tasks
        self._published = published
        self._listening: dict[str, list[Callable[[int], None]]] = {}
        """By log: whom to tell that it has grown."""
        self._projects: dict[str, LogWriter[ProjectState]] = {}
        """In the order of their last use."""
        self._past: dict[tuple[str, int], FoldedLog[ProjectState]] = {}
        """States that were, in the order of their last use."""
        self._system: LogWriter[SystemState] | None = None
        self._running: dict[LogWriter[Any], asyncio.Task[None]] = {}

    async def submit(self, log_id: str, submission: Submission) -> Answer:
        """Have a submission decided and appended; see :meth:`LogWriter.submit`."""
        began_s, commands = time.perf_counter(), len(submission.commands)
        try:
            answer = await self._submit(log_id, submission)
        except (Refusal, WritingError, StoreError) as error:
            self.counters.settled(commands, time.perf_counter() - began_s, error)
            raise
        self.counters.settled(commands, time.perf_counter() - began_s)
        return answer

    async def _submit(self, log_id: str, submission: Submission) -> Answer:
        if log_id == SYSTEM_LOG:
            return await self._system_writer().submit(submission)
        if isinstance(submission.commands[0], CreateProject):
            return await self._create(log_id, submission)
        return await (await self._known(log_id)).submit(submission)

    async def rehearse(self, project: str, submission: Submission) -> Rehearsal:
        """What a submission would come to on a project as it is; valid until the next ``await``.

        Raises a :class:`~domain.errors.Refusal`, or what :meth:`state` raises.
        """
        folded = await self.state(project)
        now = max(datetime.now(UTC), folded.last_at + MICROSECOND)
        return rehearse(folded, submission, now)

    async def state(self, project: str, min_seq: int = 0) -> FoldedLog[ProjectState]:
        """A project as it is, at ``min_seq`` at least.

        Raises :class:`LogUnknown`, :class:`~server.writing.errors.NotReached` or
        :class:`~server.writing.errors.LogPoisoned`.
        """
        folded = await (await self._known(project)).folded(min_seq, MIN_SEQ_TIMEOUT_S)
        if folded.state.project is None:
            raise LogUnknown(project)
        return folded

    async def state_at(self, project: str, at: int | datetime) -> FoldedLog[ProjectState]:
        """A project as it was at a seq or an instant. Raises :class:`LogUnknown`."""
        await self._known(project)
        seq = at if isinstance(at, int) else await self._store.seq_at(project, at)
        folded = await self._past_state(project, seq)
        if folded.state.project is None:
            raise LogUnknown(project, at)
        return folded

    async def _past_state(self, project: str, seq: int) -> FoldedLog[ProjectState]:
        """One that was asked for of late, if it is still what was; it does not change any more."""
        history = LogHistory(self._store, PROJECT)
        known = self._past.pop((project, seq), None)
        if known is None or not await history.still_holds(known):
            known = await history.load(project, upto=seq)
        if known.seq == seq:
            self._past[project, seq] = known
        if len(self._past) > MAX_PAST:
            del self._past[next(iter(self._past))]
        return known

    async def system(self, min_seq: int = 0) -> FoldedLog[SystemState]:
        """The installation as it is."""
        return await self._system_writer().folded(min_seq, MIN_SEQ_TIMEOUT_S)

    @property
    def system_at_hand(self) -> FoldedLog[SystemState] | None:
        """The installation as far as it was read, without waiting."""
        return None if self._system is None else self._system.at_hand

    def at_hand(self, project: str) -> FoldedLog[ProjectState] | None:
        """A project as far as it was read, without waiting; None where it is not in memory."""
        writer = self._projects.get(project)
        return None if writer is None else writer.at_hand

    async def projects(self) -> tuple[str, ...]:
        """The keys of all projects that have not been deleted, sorted; poisoned ones, too."""
        heads = await self._store.heads()
        keys = [head.log_id for head in heads if head.log_id != SYSTEM_LOG and head.last_seq > 0]
        return tuple([key for key in keys if await self._is_alive(key)])

    async def exists(self, project: str) -> bool:
        """Whether there is such a project, or was."""
        return (await self._store.head(project)).last_seq > 0

    async def follow(self, follower: Follower) -> None:
        """Hear of growth that nobody told of, and of restores, until cancelled."""
        epochs: dict[str, int] = {}
        async for wake in follower:
            self._wake(wake.log_id, wake.seq)
            writer = self._in_use(wake.log_id)
            if writer is None:
                continue
            writer.hear_of(wake.seq)
            if wake.epoch is None:
                continue
            if wake.seq < writer.seq or epochs.get(wake.log_id) != wake.epoch:
                writer.look_again()
            epochs[wake.log_id] = wake.epoch

    def hear_of(self, log_id: str, seq: int) -> None:
        """Somebody says that a log has grown; only logs in use are read on."""
        writer = self._in_use(log_id)
        if writer is not None:
            writer.hear_of(seq)
        self._wake(log_id, seq)

    def on_growth(self, log_id: str, wake: Callable[[int], None]) -> Callable[[], None]:
        """Have ``wake`` called with the seq that a log has reached, whoever wrote it.

        What it is called for is committed; it may be called for the same seq again, and must not
        block. The answer stops it.
        """
        self._listening.setdefault(log_id, []).append(wake)

        def stop() -> None:
            listening = self._listening[log_id]
            listening.remove(wake)
            if not listening:
                del self._listening[log_id]

        return stop

    def _grown(self, log_id: str, seq: int) -> None:
        """This process has committed."""
        self._published(log_id, seq)
        self._wake(log_id, seq)

    def _wake(self, log_id: str, seq: int) -> None:
        for wake in self._listening.get(log_id, ()):
            wake(seq)

    def _in_use(self, log_id: str) -> LogWriter[Any] | None:
        return self._system if log_id == SYSTEM_LOG else self._projects.get(log_id)

    @property
    def queued(self) -> tuple[int, int]:
        """How many logs are in use, and how many submissions wait before all of them."""
        return len(self._running), sum(writer.queued for writer in self._running)

    def stop(self) -> None:
        """End all tasks; who waits is told that the server is stopping."""
        for task in self._running.values():
            task.cancel()

    async def _create(self, log_id: str, submission: Submission) -> Answer:
        """Submit to a log that may not exist; where it then does not, it costs no memory."""
        writer = self._writer(log_id)
        try:
            return await writer.submit(submission)
        except Refusal:
            if writer.idle and not await self.exists(log_id):
                self._dismiss(log_id)
            raise

    async def _is_alive(self, project: str) -> bool:
        try:
            folded = await self._writer(project).folded()
        except LogPoisoned:
            return True  # for all that can be known
        return folded.state.project is not None

    async def _known(self, log_id: str) -> LogWriter[ProjectState]:
        """The writer of a log that has events: asking for others must not cost memory."""
        writer = self._projects.get(log_id)
        if writer is not None:
            return self._writer(log_id)
        if (await self._store.head(log_id)).last_seq == 0:
            raise LogUnknown(log_id)
        return self._writer(log_id)

    def _writer(self, log_id: str) -> LogWriter[ProjectState]:
        """The writer of a log, the one used last from now on."""
        writer = self._projects.pop(log_id, None)
        if writer is None:
            self._make_room()
            writer = self._new_writer(log_id, PROJECT)
            self._start(writer)
        self._projects[log_id] = writer
        return writer

    def _make_room(self) -> None:
        """Let go of the states that were not asked for the longest, if nobody waits for them."""
        excess = len(self._projects) - MAX_IN_USE + 1
        idle = [log_id for log_id, writer in self._projects.items() if writer.idle]
        for log_id in idle[: max(excess, 0)]:
            self._dismiss(log_id)

    def _dismiss(self, log_id: str) -> None:
        writer = self._projects.pop(log_id, None)
        if writer is not None:
            self._running.pop(writer).cancel()

    def _system_writer(self) -> LogWriter[SystemState]:
        if self._system is None:
            self._system = self._new_writer(SYSTEM_LOG, SYSTEM)
            self._start(self._system)
        return self._system

    def _new_writer(self, log_id: str, decider: Decider[StateT]) -> LogWriter[StateT]:
        return LogWriter(log_id, decider, self._store, self._grown, self.counters)

    def _start(self, writer: LogWriter[Any]) -> None:
        task = self._tasks.create_task(writer.run(), name=f"writer of {writer.log_id}")
        self._running[writer] = task
