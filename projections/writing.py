"""Changing rulesets in Redis: each method is one script that compares before it writes.

A ruleset that is read changes by :func:`apply_update` only, and is replaced by :class:`Build` only.
Two writers at once are harmless: one of them gets an answer other than the one it hoped for. Every
function raises redis-py's errors; after one of those it is unknown whether the script took effect,
and running the same one again is safe.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from projections.documents import VersionedDocument
from projections.rulesets import (
    ATTEMPTS,
    Meta,
    active_generation,
    active_key,
    channel,
    generation_keys,
)
from projections.script import Argument, RedisClient, script

ABANDONED_AFTER_S = 600
"""A generation whose builder falls silent for this long vanishes."""

Answer: TypeAlias = Literal["APPLIED", "DUPLICATE", "GAP", "FORK", "MOVED"]
SwapAnswer: TypeAlias = Literal["SWAPPED", "LOST", "OVERTAKEN", "MOVED", "BEHIND"]


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What brings a ruleset from one seq of its log to a later one.

    Without documents ``to`` is ``since``, and only ``seq`` moves.
    """

    generation: str
    epoch: int
    since: int
    since_hash: str
    to: int
    to_hash: str
    seq: int
    """The log was checked through here; not below ``to``."""
    documents: tuple[VersionedDocument, ...] = ()
    """Those whose version is above ``since``; ``to`` is the highest version."""
    committed_us: int = 0
    """As in :class:`~projections.rulesets.Delta`."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of an update.

    - APPLIED: it was written and published.
    - DUPLICATE: the ruleset has reached ``to``, or is further; at ``to`` exactly, ``seq`` moved.
    - GAP: the ruleset stands neither at ``since`` nor beyond ``to``: go on from its ``changed``.
    - FORK: the ruleset was folded from another history.
    - MOVED: the generation is not the active one, or is gone.
    """

    answer: Answer
    changed: int = 0
    """Of the ruleset before the update; with ``hash`` and ``seq``, unknown where MOVED."""
    hash: str = ""
    seq: int = 0


async def apply_update(redis: RedisClient, env: str, update: Update) -> Verdict:
    """Compare the ruleset with where the update begins, and apply it if that is where it stands."""
    documents = sorted(update.documents, key=lambda document: document.version)
    head = (
        update.generation,
        update.epoch,
        update.since,
        update.since_hash,
        update.to,
        update.to_hash,
        update.seq,
        channel(env),
        update.committed_us,
        time.time_ns() // 1000,
    )
    keys = (active_key(env), *generation_keys(env, update.generation))
    return _verdict(await script("apply").run(redis, keys, [*head, *_flat(documents)]))


async def prune(
    redis: RedisClient, env: str, meta: Meta, horizon: int, tombstones: Sequence[str]
) -> int | None:
    """Drop the named tombstones whose version is not above ``horizon``, and move the horizon there.

    Answers how many went; None where the generation of ``meta`` is not the active one.
    """
    keys = (active_key(env), *generation_keys(env, meta.generation))
    arguments: list[Argument] = [meta.generation, meta.epoch, horizon, *tombstones]
    gone = await script("prune").run(redis, keys, arguments)
    return None if gone < 0 else int(gone)


class Build:
    """A generation in the making. Nobody reads it before :meth:`swap` has answered SWAPPED.

    Every step is compared with a counter in the generation itself, so that a Redis which was
    flushed, or reverted, in between cannot end with half a ruleset.
    """

    def __init__(self, redis: RedisClient, env: str, generation: str) -> None:
        self._redis = redis
        self._env = env
        self._keys = generation_keys(env, generation)
        self._step = 0
        self.generation = generation

    async def write(
        self, fields: dict[str, str | int], documents: Iterable[VersionedDocument]
    ) -> bool:
        """Set fields of the meta and store documents. False where the generation was lost."""
        meta: list[Argument] = [part for field in fields.items() for part in field]
        head = (self._step, ABANDONED_AFTER_S * 1000, len(meta))
        arguments = [*head, *meta, *_flat(documents)]
        self._step = int(await script("build").run(self._redis, self._keys, arguments))
        return self._step > 0

    async def swap(self, documents: int, content: int, compared: str) -> SwapAnswer:
        """Make this the active generation and drop the old one.

        Args:
            documents: how many the generation must hold.
            content: the second part of the wire epoch.
            compared: generation that was active when ``content`` was chosen; empty for none.
        """
        for _ in range(ATTEMPTS):
            live = await active_generation(self._redis, self._env) or ""
            replaced = generation_keys(self._env, live) if live else ()
            answer: bytes = await script("swap").run(
                self._redis,
                (active_key(self._env), *self._keys, *replaced),
                (
                    self.generation,
                    self._step,
                    documents,
                    content,
                    compared,
                    live,
                    channel(self._env),
                ),
            )
            if answer != b"LOOK":
                known: SwapAnswer = msgspec.convert(answer.decode(), SwapAnswer)
                return known
        return "MOVED"

    async def abandon(self) -> None:
        """Drop what was built. Never to be called on an active generation."""
        await script("drop").run(
            self._redis, (active_key(self._env), *self._keys), [self.generation]
        )


def _flat(documents: Iterable[VersionedDocument]) -> list[Argument]:
    return [
        part for document in documents for part in (document.name, document.version, document.body)
    ]


def _verdict(answer: list[Any]) -> Verdict:
    word, *standing = (part.decode() for part in answer)
    if not standing:
        return Verdict(word)
    changed, digest, seq = standing
    return Verdict(word, int(changed), digest, int(seq))
