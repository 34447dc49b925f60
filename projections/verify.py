"""Holding rulesets in Redis against a fresh fold of the log, each at the seq that it claims.

Reads only. May run beside projectors and while the log grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import msgspec

from domain.events import EnvironmentCreated
from domain.upcast import MalformedEvent, UnknownEvent, decode_event
from eventstore.log import StoredEvent
from eventstore.searching import Search
from eventstore.store import EventStore
from projections.comparison import Audit, Difference, differences
from projections.fold import FOLD_VERSION
from projections.reading import LogReader, Progress, open_log
from projections.rulesets import Rulesets, read_active, read_meta, read_pairs
from projections.script import RedisClient

_PAGE = 1_000

Problem: TypeAlias = Literal["missing", "other epoch", "other fold", "other history", "documents"]
"""Why a ruleset is not what the log gives: there is none; it is of another epoch of the log; it was
written by another version of the fold, and cannot be compared; it claims changes that the log does
not have, or lacks some; or documents differ."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """How one environment's ruleset stands."""

    environment: str
    """The environment's id."""
    key: str
    """The environment's key; empty where the ruleset is missing."""
    seq: int
    """Where it was compared; 0 where the ruleset is missing."""
    problem: Problem | None = None
    """None where the ruleset is exactly what the log gives."""
    differences: tuple[Difference, ...] = ()


async def verify(
    store: EventStore, redis: RedisClient, log_id: str, progress: Progress | None = None
) -> tuple[Finding, ...]:
    """Compare the rulesets of all environments of a log.

    Raises :class:`~projections.reading.Poisoned` where the log cannot be folded as far as Redis
    claims to be, and what the store or Redis raise.
    """
    examiner = Examiner(store, redis, log_id, progress)
    ordered = await examiner.environments()
    return tuple([(await examiner.examine(env))[0] for env in ordered])


async def environment_ids(store: EventStore, log_id: str) -> tuple[str, ...]:
    """The ids of all environments a log ever had, the oldest first."""
    ids: list[str] = []
    after = 0
    while True:
        search = Search(type=EnvironmentCreated.__name__, after=after, limit=_PAGE)
        page = await store.search(log_id, search)
        ids += _ids_in(page)
        if len(page) < _PAGE:
            return tuple(ids)
        after = page[-1].seq


def _ids_in(page: Iterable[StoredEvent]) -> Iterator[str]:
    for stored in page:
        # One that cannot be read stops the fold, which says so.
        with suppress(UnknownEvent, MalformedEvent):
            yield decode_event(stored.type, stored.schema_version, stored.body).id


async def read_audit(redis: RedisClient, env: str) -> Audit | None:
    """A ruleset with all there is to compare; None where there is none. One script."""
    answer: Any = await read_active(redis, env, "audit")
    meta = None if answer is None else read_meta(answer[0])
    if meta is None:
        return None
    index = {name: int(float(score)) for name, score in read_pairs(answer[2]).items()}
    return Audit(meta, read_pairs(answer[1]), index)


class Examiner:
    """Examines the environments of one log, with one fold for all of them where that is possible.

    ``reader`` stands, after each examination, where the ruleset was compared.
    """

    def __init__(
        self, store: EventStore, redis: RedisClient, log_id: str, progress: Progress | None = None
    ) -> None:
        self._store = store
        self._redis = redis
        self._log_id = log_id
        self._progress = progress
        self.reader: LogReader | None = None

    async def environments(self) -> tuple[str, ...]:
        """All environments of the log, in the order in which the fold will meet them."""
        rulesets = Rulesets(self._redis)
        places = []
        for env in await environment_ids(self._store, self._log_id):
            meta = await rulesets.meta(env)
            places.append((float("inf") if meta is None else meta.seq, env))
        return tuple(env for _, env in sorted(places))

    async def examine(self, env: str) -> tuple[Finding, Audit | None]:
        """Compare one environment's ruleset with the log at the seq that the ruleset claims."""
        audit = await read_audit(self._redis, env)
        if audit is None:
            return Finding(environment=env, key="", seq=0, problem="missing"), None
        meta = audit.meta
        problem: Problem | None = None
        found: tuple[Difference, ...] = ()
        if meta.epoch != (await self._store.head(self._log_id)).epoch:
            problem = "other epoch"
        elif meta.fold != FOLD_VERSION:
            problem = "other fold"
        else:
            problem, found = await self._compare(env, audit)
        finding = Finding(
            environment=env,
            key=meta.environment,
            seq=meta.seq,
            problem=problem,
            differences=found,
        )
        return finding, audit

    async def _compare(
        self, env: str, audit: Audit
    ) -> tuple[Problem | None, tuple[Difference, ...]]:
        fold = (await self._reader_at(env, audit.meta.seq)).fold
        versions = fold.environments.by_id.get(env)
        if versions is None or fold.seq < audit.meta.seq:
            return "other history", ()
        if (versions.changed, versions.hash.hex()) != (audit.meta.changed, audit.meta.hash):
            return "other history", ()
        found = differences(audit, fold.documents(env))
        return ("documents" if found else None), found

    async def _reader_at(self, env: str, seq: int) -> LogReader:
        reader = self.reader
        if reader is None or _has_passed(reader, env, seq):
            reader = await open_log(self._store, self._log_id, from_snapshot=False)
        self.reader = reader
        await reader.advance(seq, self._progress)
        return reader

    async def reader_at_end(self) -> LogReader:
        """The fold at the log's end."""
        if self.reader is None:
            self.reader = await open_log(self._store, self._log_id, from_snapshot=False)
        await self.reader.advance(None, self._progress)
        return self.reader


def _has_passed(reader: LogReader, env: str, seq: int) -> bool:
    """Whether the fold has changes of the environment that a ruleset at ``seq`` cannot have."""
    versions = reader.fold.environments.by_id.get(env)
    return versions is not None and versions.changed > seq
