"""Keeping the rulesets of one log where its fold is.

A ruleset is compared with the fold, never with a memory of what was written: whatever has become of
Redis, whoever else writes there, the next comparison finds it. What a keeper remembers only saves
reads, and is checked by the scripts before anything is written.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from msgspec.structs import replace
from redis.exceptions import RedisError

from eventstore.log import Head
from eventstore.store import EventStore
from projections.building import Builder
from projections.cluster import Address, Cluster
from projections.counters import ProjectorCounters
from projections.reading import HistoryForked, LogReader
from projections.rulesets import Meta, Rulesets, active_key
from projections.script import RedisClient
from projections.standing import (
    Standing,
    is_superseded,
    judge,
    next_step,
    standing_after,
    standing_of,
    update_from,
)
from projections.touches import EnvironmentVersions
from projections.writing import Update, apply_update, prune

ATTEMPTS = 8
"""How often a ruleset that others keep changing is looked at before it is left for later."""

PROBE_S = 0.5
"""How long a node of a cluster may take to answer that failed in the round before."""


class HeadMoved(Exception):
    """Redis has seen more of the log, or a later epoch, than the head that was given."""


class RulesetKeeper:
    """The rulesets of one log's environments. For one task."""

    def __init__(
        self,
        store: EventStore,
        redis: RedisClient,
        log_id: str,
        log: structlog.BoundLogger,
        counters: ProjectorCounters | None = None,
    ) -> None:
        self._counters = counters or ProjectorCounters()
        self._store = store
        self._redis = redis
        self._rulesets = Rulesets(redis)
        self._log_id = log_id
        self._log = log
        self._standings: dict[str, Standing] = {}
        """By environment id, like all below; emptied whenever Redis must be asked anew."""
        self._settled: dict[str, str] = {}
        """Generations whose content was found to be the settled one."""
        self._seen: set[str] = set()
        """Rulesets that were in Redis at some time."""
        self._unsound: set[str] | None = set()
        """Rulesets to be replaced however right they look; None stands for all."""
        self.idle: set[str] = set()
        """Rulesets that a newer program writes."""
        self._failing: frozenset[Address | None] = frozenset()
        """Nodes of a cluster that failed in the last round."""
        self.lost = False
        """A ruleset that was there was gone: others may be as well."""

    def standing(self, env: str) -> Standing | None:
        """Where a ruleset stands; None where that must be asked first."""
        return self._standings.get(env)

    def forget(self) -> None:
        """Ask Redis anew: time has passed, or something failed."""
        self._standings.clear()

    def distrust(self) -> None:
        """Replace every ruleset: what was folded into it was voided since."""
        self._unsound = None
        self.forget()

    def knows_all(self, reader: LogReader) -> bool:
        """Whether no ruleset has to be asked where it stands."""
        return self._standings.keys() >= reader.fold.environments.by_id.keys()

    async def sync(self, reader: LogReader, head: Head) -> None:
        """Bring every ruleset to where the fold is.

        Raises :class:`HeadMoved`, :class:`~projections.reading.HistoryForked`, and what the
        reader, the store or Redis raise; what was done until then stays done. Where one node of a
        cluster fails, that is raised after the rulesets on the other nodes were seen to.
        """
        environments = reader.fold.environments.by_id
        if self._unsound is None:
            self._unsound = set(environments)
        in_turn = sorted(environments.values(), key=self._is_unchanged)
        if not isinstance(self._redis, Cluster):
            for versions in in_turn:
                await self._sync_one(versions, reader, head)
        else:
            await self._sync_nodes(in_turn, reader, head, self._redis)

    async def _sync_nodes(
        self, in_turn: list[EnvironmentVersions], reader: LogReader, head: Head, cluster: Cluster
    ) -> None:
        failed: dict[Address | None, Exception] = {}
        in_turn.sort(key=lambda versions: self._node(cluster, versions) in self._failing)
        for versions in in_turn:
            node = self._node(cluster, versions)
            try:
                if node in failed:
                    continue
                if node in self._failing:
                    await self._probe(cluster, versions, node)
                await self._sync_one(versions, reader, head)
            except (RedisError, OSError) as error:
                failed[node] = error
        self._failing = frozenset(failed)
        for failure in failed.values():
            raise failure

    async def _probe(
        self, cluster: Cluster, versions: EnvironmentVersions, node: Address | None
    ) -> None:
        """A node that failed before may hang: the others shall not wait for it again."""
        await cluster.refresh(suspect=node)
        async with asyncio.timeout(PROBE_S):
            await self._rulesets.meta(versions.id)
        self._failing -= {node}

    @staticmethod
    def _node(cluster: Cluster, versions: EnvironmentVersions) -> Address | None:
        return cluster.owner(active_key(versions.id))

    def _is_unchanged(self, versions: EnvironmentVersions) -> bool:
        standing = self._standings.get(versions.id)
        return standing is not None and standing.changed == versions.changed

    async def _sync_one(self, versions: EnvironmentVersions, reader: LogReader, head: Head) -> None:
        for _ in range(ATTEMPTS):
            standing = await self._attached(versions.id, reader, head)
            if standing is None:
                return
            standing = await self._judged(standing, versions, reader)
            update = update_from(standing, head.epoch, reader.fold, versions)
            if update is None:
                return
            await self._apply(versions.id, update, reader)
        self._log.warning("ruleset_contended", environment=versions.id)

    async def _apply(self, env: str, update: Update, reader: LogReader) -> None:
        if update.documents:
            oldest = min(document.version for document in update.documents)
            update = replace(update, committed_us=reader.committed_us(oldest))
        verdict = await apply_update(self._redis, env, update)
        self._counters.updates[verdict.answer] += 1
        if verdict.answer == "APPLIED" and update.committed_us:
            self._counters.fold_s.observe((reader.folded_us - update.committed_us) / 1_000_000)
            self._counters.apply_s.observe(time.time() - reader.folded_us / 1_000_000)
        if verdict.answer == "FORK":
            detail = f"the ruleset of {env} at seq {verdict.seq} is of another history"
            raise HistoryForked(self._log_id, detail)
        after = standing_after(update, verdict)
        if after is None:
            self._standings.pop(env, None)
            self._log.info("ruleset_moved", environment=env, answer=verdict.answer)
        else:
            self._standings[env] = after

    async def _judged(
        self, standing: Standing, versions: EnvironmentVersions, reader: LogReader
    ) -> Standing:
        judgement = judge(standing, reader.fold, versions)
        if judgement == "unknown":
            at = await reader.hash_at(standing.changed)
            judgement = "sound" if at == standing.hash else "forked"
        if judgement == "forked":
            detail = f"the ruleset of {versions.id} claims a change at {standing.changed} in vain"
            raise HistoryForked(self._log_id, detail)
        if judgement == "sound":
            standing = replace(standing, sound=True)
            self._standings[versions.id] = standing
        return standing

    # --- finding out where a ruleset stands, and building one that is not there

    async def _attached(self, env: str, reader: LogReader, head: Head) -> Standing | None:
        """Where the ruleset stands; None where it is not to be written now."""
        for _ in range(ATTEMPTS):
            known = self._standings.get(env)
            if known is not None:
                return known
            await self._attach(env, reader, head)
            if env in self.idle:
                return None
        self._log.warning("ruleset_contended", environment=env)
        return None

    async def _attach(self, env: str, reader: LogReader, head: Head) -> None:
        meta = await self._rulesets.meta(env)
        if meta is not None:
            self._seen.add(env)
        elif env in self._seen:
            self.lost = True
        step = next_step(meta, head.epoch, head.last_seq)
        if step == "ahead":
            await self._ask_again(env, head)
        self._note_idle(env, idle=step == "idle")
        if step == "go on" and meta is not None and await self._is_settled(env, meta):
            self._standings[env] = standing_of(meta)
        elif step != "idle":
            await self._build(env, meta, reader, head)

    async def _ask_again(self, env: str, head: Head) -> None:
        if await self._store.head(self._log_id) != head:
            raise HeadMoved
        raise HistoryForked(self._log_id, f"the ruleset of {env} has seen more of it than there is")

    def _note_idle(self, env: str, *, idle: bool) -> None:
        if idle and env not in self.idle:
            self._log.warning("ruleset_left_to_newer_program", environment=env)
        (self.idle.add if idle else self.idle.discard)(env)

    async def _is_settled(self, env: str, meta: Meta) -> bool:
        if self._unsound is None or env in self._unsound:
            return False
        if self._settled.get(env) != meta.generation:
            settled = await self._store.contents.get(self._log_id, env)
            if is_superseded(meta, settled):
                return False
            self._settled[env] = meta.generation
        return True

    async def _build(self, env: str, live: Meta | None, reader: LogReader, head: Head) -> None:
        builder = Builder(self._redis, self._store.contents, reader, head.epoch)
        outcome = await builder.build(env, live)
        self._counters.builds[outcome] += 1
        if outcome == "SWAPPED":
            self._seen.add(env)
            if self._unsound:
                self._unsound.discard(env)
        self._log.info(
            "ruleset_built",
            environment=env,
            outcome=outcome,
            seq=reader.fold.seq,
            replaced=None if live is None else live.wire_epoch,
        )

    # --- tombstones

    async def prune(self, reader: LogReader, horizon: int) -> int:
        """Drop tombstones up to a seq, where there are any. Answers how many went."""
        gone = 0
        for env in reader.fold.environments.by_id:
            names = reader.fold.tombstones(env, horizon)
            meta = await self._rulesets.meta(env) if names else None
            if meta is not None and meta.horizon < horizon:
                gone += await prune(self._redis, env, meta, horizon, names) or 0
        return gone
