"""Rebuilding rulesets from the first event on, beside the projectors, without anybody noticing.

SDKs notice only where they must: where what they have is not what the log gives, the new ruleset
has another wire epoch.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from eventstore.store import EventStore
from projections.building import Builder, Outcome
from projections.comparison import Audit
from projections.reading import HistoryForked, Progress
from projections.rulesets import Rulesets
from projections.script import RedisClient
from projections.verify import Examiner, Finding

ATTEMPTS = 5

RebuildOutcome: TypeAlias = Literal["rebuilt", "overtaken", "given up", "not tried"]
"""``overtaken``: what is live is of a later epoch or a newer fold. ``given up``: Redis lost it, or
others replaced it, several times in a row. ``not tried``: a dry run."""

_OUTCOMES: dict[Outcome, RebuildOutcome] = {
    "SWAPPED": "rebuilt",
    "OVERTAKEN": "overtaken",
    "LOST": "given up",
    "MOVED": "given up",
}


class Rebuilt(msgspec.Struct, frozen=True):
    """What was found in one environment, and what became of it."""

    finding: Finding
    """Of the ruleset that was there."""
    outcome: RebuildOutcome
    before: str | None
    """Wire epoch of the ruleset that was there."""
    after: str | None
    """Wire epoch of the one that is there now."""


async def rebuild(
    store: EventStore,
    redis: RedisClient,
    log_id: str,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> tuple[Rebuilt, ...]:
    """Build the rulesets of all environments of a log anew, and swap them in.

    A dry run compares only. Cancelled, or failed, it leaves every ruleset as it was: what was
    written of a new one vanishes by itself. Raises :class:`~projections.reading.Poisoned`,
    :class:`~projections.reading.HistoryForked`, and what the store or Redis raise.
    """
    work = _Rebuild(store, redis, log_id, progress)
    return tuple([await work.environment(env, dry_run=dry_run) for env in await work.all()])


class _Rebuild:
    def __init__(
        self, store: EventStore, redis: RedisClient, log_id: str, progress: Progress | None
    ) -> None:
        self._store = store
        self._redis = redis
        self._log_id = log_id
        self._examiner = Examiner(store, redis, log_id, progress)

    async def all(self) -> tuple[str, ...]:
        return await self._examiner.environments()

    async def environment(self, env: str, *, dry_run: bool) -> Rebuilt:
        finding, audit = await self._examiner.examine(env)
        before = None if audit is None else audit.meta.wire_epoch
        if dry_run:
            return Rebuilt(finding, "not tried", before, before)
        outcome = await self._build(env, finding, audit)
        for _ in range(ATTEMPTS - 1):
            if outcome not in ("LOST", "MOVED"):
                break
            outcome = await self._build(env, *await self._examiner.examine(env))
        meta = await Rulesets(self._redis).meta(env)
        after = None if meta is None else meta.wire_epoch
        return Rebuilt(finding, _OUTCOMES[outcome], before, after)

    async def _build(self, env: str, finding: Finding, audit: Audit | None) -> Outcome:
        reader = await self._examiner.reader_at_end()
        if env not in reader.fold.environments.by_id:
            raise HistoryForked(self._log_id, f"it has lost the environment {env}")
        epoch = (await self._store.head(self._log_id)).epoch
        builder = Builder(self._redis, self._store.contents, reader, epoch)
        live = None if audit is None else audit.meta
        return await builder.build(env, live, same=finding.problem is None)
