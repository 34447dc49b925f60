"""One log, projected: read on, fold, and bring each environment's ruleset to where the fold is.

Life cycle: :meth:`LogProjector.run` goes round for ever: at every wake-up, and after ``check_s``
even without one, to find what Redis lost. It ends by cancellation only.

Invariants:
    A poisoned log stands still before the delta that cannot be applied, and is kept in Redis up to
    there. Trouble with PostgreSQL or Redis is waited out. Anything else is a fault of this program
    and is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from redis.exceptions import RedisError

from eventstore.errors import StoreError
from eventstore.log import empty_head
from eventstore.store import EventStore
from projections.counters import ProjectorCounters
from projections.fold import VoidedTooLate
from projections.keeper import HeadMoved, RulesetKeeper
from projections.reading import HistoryForked, LogReader, Poisoned, open_log, voided_seqs
from projections.script import RedisClient
from projections.standing import Standing

CHECK_S = 0.5
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
SYNC_EVERY_S = 0.2
"""While far behind the log's end, rulesets are brought up to date this often."""
TOMBSTONES_KEPT = timedelta(days=30)
PRUNE_EVERY_S = 3600.0


class EnvironmentStanding(msgspec.Struct, frozen=True):
    """How one environment's ruleset stands, as far as this process knows."""

    environment: str
    """The environment's id."""
    key: str
    standing: Standing | None
    """None where Redis was not asked yet, could not be, or where ``idle``."""
    idle: bool
    """A newer program writes this ruleset."""


class LogStanding(msgspec.Struct, frozen=True):
    """How one log is projected by this process."""

    log_id: str
    epoch: int
    last_seq: int
    """Of the log, as last heard."""
    seq: int
    """Folded through here."""
    poisoned: str
    """The event that cannot be applied, and why; empty for none."""
    trouble: str
    """Why the last round failed; empty where it did not."""
    environments: tuple[EnvironmentStanding, ...]


class LogLag(msgspec.Struct, frozen=True):
    """How far behind its log a projector is."""

    log_id: str
    events: int
    """Of the log, as last heard, that were not folded."""
    seconds: float
    """Since there is something to do that is not done: events, or a ruleset that Redis lost."""
    poisoned: bool
    troubled: bool
    """The last round failed."""


class LogProjector:
    """Projects one log.

    Args:
        store: where the log is.
        redis: where its rulesets are to be.
        log_id: the project's key.
        lost: called where a ruleset that was in Redis was found gone.
        counters: those of the process.
    """

    def __init__(
        self,
        store: EventStore,
        redis: RedisClient,
        log_id: str,
        lost: Callable[[], None] = lambda: None,
        counters: ProjectorCounters | None = None,
    ) -> None:
        self._counters = counters or ProjectorCounters()
        self.log_id = log_id
        self._lost = lost
        self.check_s = CHECK_S
        """Seconds after which rulesets are compared even if nobody said anything."""
        self.tombstones_kept = TOMBSTONES_KEPT
        """How long an SDK may be away and still learn of deletions by resuming."""
        self._store = store
        self._log = structlog.get_logger("halyard.projector").bind(log=log_id)
        self._keeper = RulesetKeeper(store, redis, log_id, self._log, self._counters)
        self._woken = asyncio.Event()
        self._reader: LogReader | None = None
        """None until the log was opened, and after what it had folded was of no use any more."""
        self._head = empty_head(log_id)
        self._read_in_epoch = 0
        """The epoch in which the reader's fold was last found to be of the log's history."""
        self._poisoned: Poisoned | None = None
        self._trouble = ""
        self._synced_at_s = 0.0
        self._behind_since_s: float | None = None
        """Since when there is something to do that is not done; None where there is nothing."""
        self._pruned_at_s = float("-inf")

    # --- life

    def wake(self) -> None:
        """Go round soon: the log has grown, or its epoch has changed."""
        self._note_behind()
        self._woken.set()

    def doubt(self) -> None:
        """Go round soon, and ask Redis anew about every ruleset: something was lost there."""
        self._keeper.forget()
        self._woken.set()

    async def run(self) -> None:
        """Project until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self.go_round()
            except (StoreError, RedisError, OSError) as error:
                self._note_trouble(error)
                await asyncio.sleep(FIRST_PAUSE_S)
                # News are not only for whatever is in trouble.
                await self._woken_within(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._trouble, pause_s = "", FIRST_PAUSE_S
                self._note_done()
                await self._rest()

    def _note_behind(self) -> None:
        if self._behind_since_s is None:
            self._behind_since_s = asyncio.get_running_loop().time()

    def _note_done(self) -> None:
        if self._poisoned is None:
            self._behind_since_s = None
        if self._woken.is_set():
            self._note_behind()

    def _note_trouble(self, error: Exception) -> None:
        self._counters.failed_rounds += 1
        self._note_behind()
        if not self._trouble:
            self._log.warning("projection_delayed", error=str(error))
        self._trouble = str(error) or type(error).__name__
        self._keeper.forget()

    async def _rest(self) -> None:
        if not await self._woken_within(self.check_s):
            self._keeper.forget()

    async def _woken_within(self, limit_s: float) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    def lag(self) -> LogLag:
        """How far behind its log this projector is; cheaper than :meth:`standing`."""
        folded, since_s = self._reader.fold.seq if self._reader else 0, self._behind_since_s
        now_s = asyncio.get_running_loop().time()
        return LogLag(
            self.log_id,
            max(0, self._head.last_seq - folded),
            0.0 if since_s is None else now_s - since_s,
            self._poisoned is not None,
            bool(self._trouble),
        )

    def standing(self) -> LogStanding:
        """How things stand now."""
        environments = self._reader.fold.environments.by_id if self._reader else {}
        return LogStanding(
            self.log_id,
            self._head.epoch,
            self._head.last_seq,
            self._reader.fold.seq if self._reader else 0,
            str(self._poisoned or ""),
            self._trouble,
            tuple(
                EnvironmentStanding(
                    env, versions.key, self._keeper.standing(env), env in self._keeper.idle
                )
                for env, versions in environments.items()
            ),
        )

    # --- one round

    async def go_round(self) -> None:
        """Read to the log's end and bring every ruleset there.

        Raises what the store or Redis raise. A history that turns out to be another than the one
        that was folded is begun anew at once.
        """
        self._woken.clear()
        while not await self._try_round():
            pass
        if self._keeper.lost:
            self._keeper.lost = False
            self._lost()

    async def _try_round(self) -> bool:
        """False where another try is needed at once."""
        try:
            await self._read_head()
            if self._head.epoch:
                reader = await self._caught_up()
                await self._sync(reader)
                await reader.save_snapshot()
                await self._prune(reader)
        except HeadMoved:
            return False
        except VoidedTooLate as voided:
            self._log.error("event_voided_late", seq=voided.seq)
            self._reader = None
            self._keeper.distrust()
            return False
        except HistoryForked as fork:
            await self._begin_epoch(fork)
            return False
        except Poisoned as poisoned:
            # A ruleset that is to be replaced has passed what this program cannot apply.
            await self._stop_before(poisoned)
        return True

    async def _read_head(self) -> None:
        head = await self._store.head(self.log_id)
        if head.epoch != self._head.epoch:
            self._keeper.forget()
            self._pardon()
        elif self._poisoned is not None and head.last_seq < self._poisoned.seq:
            self._pardon()
        self._head = head

    def _pardon(self) -> None:
        """History may be another one now: what could not be applied may not be in it."""
        if self._poisoned is not None:
            self._poisoned = self._reader = None

    async def _begin_epoch(self, fork: HistoryForked) -> None:
        """Drop what was folded, and have every SDK start anew, unless somebody saw to that."""
        self._counters.forks += 1
        self._reader = self._poisoned = None
        self._keeper.forget()
        if (await self._store.head(self.log_id)).epoch == self._read_in_epoch:
            epoch = await self._store.bump_epoch(self.log_id)
            self._log.error("history_forked", detail=str(fork), epoch=epoch)

    async def _sync(self, reader: LogReader) -> None:
        await self._keeper.sync(reader, self._head)
        self._synced_at_s = asyncio.get_running_loop().time()

    # --- reading

    async def _caught_up(self) -> LogReader:
        """The reader, at the log's end, or before what cannot be applied."""
        if self._poisoned is not None and await self._is_voided(self._poisoned):
            self._log.info("log_resumed", seq=self._poisoned.seq)
            self._poisoned = self._reader = None
        reader = await self._opened()
        if self._poisoned is not None:
            return reader
        try:
            await self._read_on(reader)
        except Poisoned as poisoned:
            reader = await self._stop_before(poisoned)
        return reader

    async def _opened(self) -> LogReader:
        if self._reader is None:
            upto = None if self._poisoned is None else self._poisoned.seq - 1
            reader = await open_log(self._store, self.log_id, upto=upto)
            if upto is not None:
                await reader.advance(upto)
            self._reader, self._read_in_epoch = reader, self._head.epoch
        return self._reader

    async def _read_on(self, reader: LogReader) -> None:
        now_s = asyncio.get_running_loop().time
        async with aclosing(reader.pages()) as pages:
            async for events in pages:
                self._counters.events += events
                self._read_in_epoch = self._head.epoch
                late = now_s() - self._synced_at_s > SYNC_EVERY_S
                at_end = reader.fold.seq >= self._head.last_seq
                if late and not at_end and self._keeper.knows_all(reader):
                    await self._sync(reader)

    async def _stop_before(self, poisoned: Poisoned) -> LogReader:
        self._log.error(
            "log_poisoned", seq=poisoned.seq, type=poisoned.type, reason=poisoned.reason
        )
        self._counters.poisonings += 1
        self._poisoned, self._reader = poisoned, None
        return await self._opened()

    async def _is_voided(self, poisoned: Poisoned) -> bool:
        return poisoned.seq in await voided_seqs(self._store, self.log_id)

    # --- tombstones

    async def _prune(self, reader: LogReader) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._pruned_at_s < PRUNE_EVERY_S:
            return
        self._pruned_at_s = now_s
        before = datetime.now(UTC) - self.tombstones_kept
        gone = await self._keeper.prune(reader, await self._store.seq_at(self.log_id, before))
        self._counters.tombstones += gone
        if gone:
            self._log.info("tombstones_pruned", count=gone)
