"""The writer of one log: a bounded queue, one task, the folded state.

Life cycle: made when the log is first used; :meth:`LogWriter.run` loads the state and then works
until it is cancelled. A submission that waits when that happens is answered with
``StoreUnavailable`` (its outcome is unknown to the caller, who may send it again).

Only the task changes the folded state, and only between two awaits: readers may look at any time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Generic, assert_never

import msgspec
import structlog
from msgspec.structs import replace

from domain.errors import StaleRevision
from eventstore.errors import StoreBusy, StoreError, StoreUnavailable
from eventstore.log import Appended, Batch, Behind, Duplicate, Forked, NewCommand, Recorded
from eventstore.store import EventStore
from server.writing.aggregate import Decider, StateT
from server.writing.counters import WritingCounters
from server.writing.errors import (
    FoldOutdated,
    IdempotencyMismatch,
    LogPoisoned,
    NotReached,
    Overloaded,
)
from server.writing.folded_log import MICROSECOND, FoldedLog, whole_deltas
from server.writing.history import LogHistory
from server.writing.planning import Plan, Refused, plan_batch
from server.writing.records import new_command
from server.writing.submission import Answer, Submission, decode_outcome

MAX_BATCH = 256
MAX_QUEUED = 4_096
MANY_COMMANDS = 2_000
"""More are decided in a thread: seventy thousand take over a second, and others are to be heard."""
BEHINDS_BEFORE_LOCK = 3
"""So many in a row, and the batch is decided under the log's lock: nobody starves."""
UNKNOWN_OUTCOME_RETRIES = 6
RETRY_BASE_S = 0.05
SNAPSHOT_EVERY = 2_000
MAX_TRIES = 64
"""So often a batch is planned before the log itself is taken for damaged. Each try settles some of
it, or has read on; a writer that is behind more often than this decides under the lock."""
LOOK_AGAIN_S = 1.0

Published = Callable[[str, int], None]
"""Called with the log and its new seq after each commit; must not block."""

log = structlog.get_logger(__name__)


class Pending:
    """A submission and the caller who waits for its answer."""

    __slots__ = ("answer", "submission")

    def __init__(self, submission: Submission, answer: asyncio.Future[Answer]) -> None:
        self.submission = submission
        self.answer = answer

    def accept(self, answer: Answer) -> None:
        """Answer, unless the caller has gone."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def refuse(self, reason: BaseException) -> None:
        """Say why not, unless the caller has gone."""
        if not self.answer.done():
            self.answer.set_exception(reason)

    def replay(self, recorded: Recorded) -> None:
        """Answer as before, if it is the same request."""
        if recorded.request_hash != self.submission.request_hash:
            self.refuse(IdempotencyMismatch(self.submission.idempotency_key))
            return
        try:
            self.accept(decode_outcome(recorded.outcome))
        except msgspec.DecodeError as error:
            self.refuse(error)


class LogWriter(Generic[StateT]):
    """Decides and appends for one log, and holds its state for readers."""

    def __init__(
        self,
        log_id: str,
        decider: Decider[StateT],
        store: EventStore,
        published: Published,
        counters: WritingCounters | None = None,
    ) -> None:
        self.log_id = log_id
        self._counters = counters or WritingCounters()
        self._store = store
        self._published = published
        self._history = LogHistory(store, decider)
        self._folded: FoldedLog[StateT] | None = None
        """None before the first load, and after a fork or a poisoned event."""
        self._queue: deque[Pending] = deque()
        self._work = asyncio.Event()
        self._heard_of = 0
        """The highest seq that somebody said the log has."""
        self._look = False
        """Somebody waits for a seq: read on once, whatever was heard."""
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._settling = False
        """A batch is being settled."""
        self._snapshot_due = asyncio.Event()

    # -- for callers -----------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> Answer:
        """Have a submission decided, appended and answered.

        Raises a :class:`~domain.errors.Refusal`, a :class:`~server.writing.errors.WritingError`
        or a :class:`~eventstore.errors.StoreError`. If the caller is cancelled the submission
        may take effect all the same.
        """
        if len(self._queue) >= MAX_QUEUED:
            raise Overloaded(self.log_id, retry_after_s=1.0)
        # A copy, so that the same object submitted twice is still two submissions.
        pending = Pending(replace(submission), asyncio.get_running_loop().create_future())
        self._queue.append(pending)
        self._work.set()
        try:
            return await pending.answer
        except StaleRevision as stale:
            # Here, and not in the task, so that nobody else waits for what one has missed.
            raise await self._history.with_events_between(self.log_id, stale) from stale

    def hear_of(self, seq: int) -> None:
        """Somebody says that the log has reached ``seq``."""
        if seq > self._heard_of:
            self._heard_of = seq
            self._work.set()

    def look_again(self) -> None:
        """Somebody says that the log's history may have changed."""
        self._look = True
        self._work.set()

    @property
    def seq(self) -> int:
        """How far the log was read; 0 before the first load."""
        return 0 if self._folded is None else self._folded.seq

    @property
    def at_hand(self) -> FoldedLog[StateT] | None:
        """The state as far as it was read, without waiting; None where it is not in memory."""
        return self._folded

    @property
    def idle(self) -> bool:
        """Nobody waits for anything."""
        return not self._queue and not self._waiters and not self._settling

    @property
    def queued(self) -> int:
        """Submissions that nobody has begun to settle."""
        return len(self._queue)

    async def folded(self, min_seq: int = 0, timeout_s: float = 5.0) -> FoldedLog[StateT]:
        """The state at the log's end as this process knows it, at ``min_seq`` at least.

        Raises :class:`NotReached` where that takes longer than ``timeout_s``, and
        :class:`LogPoisoned`.
        """
        if self._folded is None or self._folded.seq < min_seq:
            await self._reached(min_seq, timeout_s)
        if self._folded is None:
            raise NotReached(self.log_id, min_seq, 0)
        return self._folded

    async def _reached(self, min_seq: int, timeout_s: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((min_seq, waiter))
        # Not by hear_of: a seq that somebody merely wishes for must not be looked for for ever.
        self._look = True
        self._work.set()
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError as error:
            at = self._folded.seq if self._folded else 0
            raise NotReached(self.log_id, min_seq, at) from error

    # -- the task --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as beside:
                beside.create_task(self._keep_snapshots())
                while True:
                    await self._work.wait()
                    self._work.clear()
                    await self._round()
        finally:
            for pending in self._queue:
                pending.refuse(StoreUnavailable("this server is stopping", outcome_unknown=False))

    async def _round(self) -> None:
        """Settle what is queued, or read on where the log is said to have grown."""
        batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
        batch = [pending for pending in batch if not pending.answer.cancelled()]
        if self._queue:
            self._work.set()
        if batch:
            self._counters.batches.observe(len(batch))
        self._settling = True
        try:
            await self._settle_whatever_comes(batch)
        except BaseException:
            stopping = StoreUnavailable("this server is stopping", outcome_unknown=True)
            self._fail(batch, stopping)
            raise
        finally:
            self._settling = False
        self._wake_waiters()

    async def _settle_whatever_comes(self, batch: list[Pending]) -> None:
        """Settle a batch; what is wrong with the log or the database is told to who waits."""
        try:
            try:
                await self._settle_with_retries(batch)
            except StoreError as error:
                log.warning("append_failed", log=self.log_id, error=str(error), waiting=len(batch))
                await self._fail_singly(batch, error)
        except LogPoisoned as poison:
            self._folded = None
            log.error("log_poisoned", log=self.log_id, seq=poison.seq, problem=poison.problem)
            self._fail(batch, poison)

    async def _settle_with_retries(self, batch: list[Pending]) -> None:
        """Settle a batch; after an unknown outcome send the same commands again."""
        for attempt in range(UNKNOWN_OUTCOME_RETRIES):
            try:
                await self._settle([p for p in batch if not p.answer.done()])
            except FoldOutdated as outdated:
                log.info("folding_anew", log=self.log_id, why=str(outdated))
                self._folded = None
            except (StoreUnavailable, StoreBusy):
                if attempt == UNKNOWN_OUTCOME_RETRIES - 1:
                    # What was heard of is still to be read.
                    asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._work.set)
                    raise
                await asyncio.sleep(RETRY_BASE_S * 2**attempt)
            else:
                return
        raise LogPoisoned(self.log_id, self._heard_of, "its history changes again and again")

    async def _fail_singly(self, batch: list[Pending], error: StoreError) -> None:
        """One submission that the database does not take must not fail its neighbours."""
        waiting = [pending for pending in batch if not pending.answer.done()]
        if isinstance(error, StoreUnavailable | StoreBusy) or len(waiting) == 1:
            self._fail(waiting, error)
            return
        for pending in waiting:
            try:
                await self._settle([pending])
            except StoreError as its_own:
                pending.refuse(its_own)

    def _fail(self, batch: Iterable[Pending], reason: BaseException) -> None:
        for pending in batch:
            pending.refuse(reason)
        for _, waiter in self._waiters:
            if isinstance(reason, LogPoisoned) and not waiter.done():
                waiter.set_exception(reason)

    def _wake_waiters(self) -> None:
        seq = self._folded.seq if self._folded else -1
        for min_seq, waiter in self._waiters:
            if min_seq <= seq and not waiter.done():
                waiter.set_result(None)
        self._waiters = [entry for entry in self._waiters if not entry[1].done()]

    # -- settling a batch ------------------------------------------------------------------------

    async def _settle(self, todo: list[Pending]) -> None:
        folded = await self._current()
        behinds = 0
        for _ in range(MAX_TRIES):
            if not todo:
                return
            plan = await self._plan(folded, todo)
            if not plan.accepted:
                todo = await self._give_refusals(folded, plan, todo)
                continue
            answer = await self._append(folded, plan)
            match answer:
                case Appended():
                    todo = await self._commit(folded, plan, answer, todo)
                case Behind(_, missing):
                    behinds += 1
                    folded.apply(whole_deltas(missing))
                    await self._history.catch_up(folded)
                    if behinds >= BEHINDS_BEFORE_LOCK:
                        todo = await self._settle_locked(folded, todo)
                case Duplicate(recorded):
                    todo = _replay(recorded, todo)
                    await self._history.catch_up(folded)
                case Forked():
                    raise FoldOutdated(self.log_id, "the database says so")
                case _:
                    assert_never(answer)
        raise LogPoisoned(self.log_id, folded.seq + 1, "the log's head does not fit its events")

    async def _current(self) -> FoldedLog[StateT]:
        """The state, read on where there is word of more."""
        folded = self._folded
        looking, self._look = self._look, False
        try:
            if folded is None:
                folded = self._folded = await self._history.load(self.log_id)
                self._heard_of = folded.seq
                self._ask_for_snapshot(folded)
            elif looking or folded.seq < self._heard_of:
                await self._history.catch_up(folded)
        except BaseException:
            self._look = self._look or looking
            raise
        return folded

    async def _plan(self, folded: FoldedLog[StateT], todo: Sequence[Pending]) -> Plan:
        now = max(datetime.now(UTC), folded.last_at + MICROSECOND)
        submissions = [pending.submission for pending in todo]
        if sum(len(submission.commands) for submission in submissions) <= MANY_COMMANDS:
            return plan_batch(folded, submissions, now)
        # Nobody changes the state while this task waits, so that a thread may look at it.
        return await asyncio.to_thread(plan_batch, folded, submissions, now)

    async def _append(
        self, folded: FoldedLog[StateT], plan: Plan
    ) -> Appended | Behind | Duplicate | Forked:
        commands = await _written(plan)
        return await self._store.append(Batch(self.log_id, folded.seq, folded.hash, commands))

    async def _settle_locked(self, folded: FoldedLog[StateT], todo: list[Pending]) -> list[Pending]:
        """Read the rest, decide and append while nobody else can."""
        async with self._store.append_locked(self.log_id) as locked:
            while folded.seq < locked.head.last_seq:
                page = await locked.read(folded.seq)
                if not page:
                    raise LogPoisoned(self.log_id, folded.seq + 1, "the event is missing")
                folded.apply(page)
            if (folded.seq, folded.hash) != (locked.head.last_seq, locked.head.last_hash):
                raise FoldOutdated(self.log_id, "the log's head is another one")
            plan = await self._plan(folded, todo)
            if not plan.accepted:
                return todo
            commands = await _written(plan)
            answer = await locked.append(commands)
        # Only here is it committed.
        match answer:
            case Appended():
                return await self._commit(folded, plan, answer, todo)
            case Duplicate(recorded):
                return _replay(recorded, todo)
            case Behind() | Forked():
                raise FoldOutdated(self.log_id, "the database says so")
            case _:
                assert_never(answer)

    async def _commit(
        self, folded: FoldedLog[StateT], plan: Plan, appended: Appended, todo: list[Pending]
    ) -> list[Pending]:
        """Take over what was committed, answer, and return what is left to do."""
        facts = [fact for accepted in plan.accepted for fact in accepted.facts]
        folded.extend(facts, appended.first_at, appended.head.last_hash)
        waiting = {id(pending.submission): pending for pending in todo}
        for accepted in plan.accepted:
            waiting.pop(id(accepted.submission)).accept(accepted.answer)
        if facts:
            self._published(self.log_id, folded.seq)
        self._wake_waiters()
        await self._refuse(plan.refused, waiting)
        self._ask_for_snapshot(folded)
        return list(waiting.values())

    async def _give_refusals(
        self, folded: FoldedLog[StateT], plan: Plan, todo: list[Pending]
    ) -> list[Pending]:
        """Refuse a batch of which nothing was accepted, if the state was the log's head."""
        head = await self._store.head(self.log_id)
        if (head.last_seq, head.last_hash) != (folded.seq, folded.hash):
            if head.last_seq <= folded.seq:
                raise FoldOutdated(self.log_id, "the log's head is another one")
            await self._history.catch_up(folded)
            return todo
        waiting = {id(pending.submission): pending for pending in todo}
        await self._refuse(plan.refused, waiting)
        return list(waiting.values())

    async def _refuse(self, refused: Sequence[Refused], waiting: dict[int, Pending]) -> None:
        """Give refusals, but replay what had been accepted under the same key."""
        if not refused:
            return
        keys = [each.submission.scoped_key for each in refused]
        recorded = await self._store.recorded(self.log_id, keys)
        for each in refused:
            pending = waiting.pop(id(each.submission))
            known = recorded.get(each.submission.scoped_key)
            if known is not None:
                pending.replay(known)
            else:
                pending.refuse(each.reason)

    def _ask_for_snapshot(self, folded: FoldedLog[StateT]) -> None:
        if folded.seq - folded.stored_at >= SNAPSHOT_EVERY:
            self._snapshot_due.set()

    async def _keep_snapshots(self) -> None:
        """Save what is due beside the commands, none of which waits for it, until cancelled."""
        while True:
            await self._snapshot_due.wait()
            self._snapshot_due.clear()
            if self._folded is None:
                continue
            try:
                await self._history.save(self._folded)
            except StoreError as error:
                log.warning("snapshot_not_saved", log=self.log_id, error=str(error))


async def _written(plan: Plan) -> tuple[NewCommand, ...]:
    """What was accepted, as it is stored."""

    def write() -> tuple[NewCommand, ...]:
        return tuple(new_command(accepted) for accepted in plan.accepted)

    many = sum(len(accepted.facts) for accepted in plan.accepted) > MANY_COMMANDS
    return await asyncio.to_thread(write) if many else write()


def _replay(recorded: dict[tuple[str, str], Recorded], todo: Iterable[Pending]) -> list[Pending]:
    """Answer what had been accepted before; returns the rest."""
    rest: list[Pending] = []
    answered: set[tuple[str, str]] = set()
    for pending in todo:
        key = pending.submission.scoped_key
        if key in recorded and key not in answered:
            pending.replay(recorded[key])
            answered.add(key)
        else:
            rest.append(pending)
    return rest
