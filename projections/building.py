"""Writing one environment's ruleset into a new generation, catching up, and swapping it in.

Nobody reads the generation before it is complete and at least as far as the one it replaces; one
that was lost on the way (Redis was flushed, or went back to a dump) is abandoned whole.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from eventstore.contents import Content, Contents
from projections.comparison import content_of_build
from projections.documents import VersionedDocument
from projections.fold import FOLD_VERSION
from projections.reading import HistoryForked, LogReader
from projections.rulesets import Meta
from projections.script import RedisClient
from projections.touches import EnvironmentVersions
from projections.writing import Build

STEP_BYTES = 256 * 1024
STEP_DOCUMENTS = 500

Outcome: TypeAlias = Literal["SWAPPED", "LOST", "OVERTAKEN", "MOVED"]
"""As :data:`~projections.writing.SwapAnswer` has it; after LOST and MOVED, begin again."""


class Builder:
    """Builds the rulesets of one log from its reader's fold, which it advances where it must."""

    def __init__(
        self, redis: RedisClient, contents: Contents, reader: LogReader, epoch: int
    ) -> None:
        self._redis = redis
        self._contents = contents
        self._reader = reader
        self._epoch = epoch

    async def build(self, env: str, live: Meta | None, *, same: bool = False) -> Outcome:
        """Replace ``live``, the active ruleset as it was seen last, by what the log gives.

        Args:
            env: the environment's id.
            live: None where there is none.
            same: ``live`` was compared, and is what this fold gives at the same seq.

        Raises :class:`~projections.reading.HistoryForked` where ``live`` has seen more of the log
        than there is, and whatever the reader, the store or Redis raise.
        """
        content = await self._settle(env, live, same=same)
        build = Build(self._redis, env, secrets.token_hex(6))
        versions = self._reader.fold.environments.by_id[env]
        written = 0
        while await self._write(build, versions, written):
            written = versions.changed
            generation = "" if live is None else live.generation
            answer = await build.swap(len(versions.versions), content.number, generation)
            if answer != "BEHIND":
                await self._tidy(build, answer)
                return answer
            await self._advance()
        return "LOST"

    async def _settle(self, env: str, live: Meta | None, *, same: bool) -> Content:
        comparable = live if live is not None and live.epoch == self._epoch else None
        while True:
            settled = await self._contents.get(self._reader.log_id, env)
            content = content_of_build(settled, comparable, FOLD_VERSION, same=same)
            if content == settled or await self._contents.settle(
                self._reader.log_id, env, content, settled
            ):
                return content

    async def _write(self, build: Build, versions: EnvironmentVersions, since: int) -> bool:
        """Bring the generation from ``since`` to the fold. False where it was lost."""
        documents = self._reader.fold.documents(versions.id, since)
        for step in _steps(documents):
            if not await build.write({}, step):
                return False
        return await build.write(self._fields(build.generation, versions), ())

    def _fields(self, generation: str, versions: EnvironmentVersions) -> dict[str, str | int]:
        return {
            "epoch": self._epoch,
            "generation": generation,
            "fold": FOLD_VERSION,
            "horizon": 0,
            "changed": versions.changed,
            "hash": versions.hash.hex(),
            "seq": self._reader.fold.seq,
            "project": self._reader.log_id,
            "environment": versions.key,
        }

    async def _advance(self) -> None:
        before = self._reader.fold.seq
        await self._reader.advance()
        if self._reader.fold.seq == before:
            detail = f"it ends at seq {before}, and Redis has seen more of it"
            raise HistoryForked(self._reader.log_id, detail)

    @staticmethod
    async def _tidy(build: Build, answer: Outcome) -> None:
        if answer in ("OVERTAKEN", "MOVED"):
            await build.abandon()


def _steps(documents: Iterable[VersionedDocument]) -> Iterator[list[VersionedDocument]]:
    step: list[VersionedDocument] = []
    size = 0
    for document in documents:
        step.append(document)
        size += len(document.body)
        if size >= STEP_BYTES or len(step) >= STEP_DOCUMENTS:
            yield step
            step, size = [], 0
    if step:
        yield step
