"""Writes rulesets into a real Valkey as a projector does: the same scripts, the same messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, cast

import redis.asyncio

from projections.rulesets import active_key, channel, generation_keys
from projections.script import script

ENV = "env000000001"
SERVER_KEY = f"{ENV}-s-secret-one"
OTHER_KEY = f"{ENV}-s-secret-two"


def key_document(key: str) -> str:
    return f"key:{hashlib.sha256(key.encode()).hexdigest()}"


def flag(key: str, version: int, **fields: Any) -> dict[str, Any]:
    return {"key": key, "version": version, **fields}


class Ruleset:
    """One environment's ruleset: what is in Redis, and a fold to compare with."""

    def __init__(self, redis: redis.asyncio.Redis, env: str = ENV) -> None:
        self.redis = redis
        self.env = env
        self.epoch = 7
        self.content = 1
        self.generation = "g1"
        self.changed = 0
        self.seq = 0
        self.horizon = 0
        self.committed_us = self.sent_us = 0
        """What deltas say of their times; 0 is what those of old projectors come to."""
        self.documents: dict[str, dict[str, Any]] = {}

    @property
    def wire_epoch(self) -> str:
        return f"{self.epoch}.{self.content}"

    @property
    def flags(self) -> dict[str, int]:
        """Flag key -> version of those that live."""
        return {
            document["key"]: document["version"]
            for name, document in self.documents.items()
            if name.startswith("flag:") and not document.get("deleted")
        }

    async def create(self, *flags: str) -> Ruleset:
        """A ruleset with an environment, two server keys and these flags, at seq 10."""
        self.put("environment", 1, key="production", attributes={"region": "eu"})
        self.put(key_document(SERVER_KEY), 2, id="k1", kind="server", name="one")
        self.put(key_document(OTHER_KEY), 3, id="k2", kind="server", name="two")
        for key in flags:
            self.put(f"flag:{key}", 10, key=key, salt="s")
        self.changed = self.seq = 10
        await self.write()
        return self

    def put(self, name: str, version: int, /, **fields: Any) -> None:
        self.documents[name] = {**fields, "version": version}

    async def write(self) -> None:
        """Put the whole of it into Redis, as the active generation, without a word about it."""
        meta_key, documents_key, index_key = generation_keys(self.env, self.generation)
        async with self.redis.pipeline() as pipe:
            pipe.delete(meta_key, documents_key, index_key)
            pipe.hset(meta_key, mapping=cast("Any", self._meta()))
            for name, document in self.documents.items():
                pipe.hset(documents_key, name, json.dumps(document))
                pipe.zadd(index_key, {name: document["version"]})
            pipe.set(active_key(self.env), self.generation)
            await pipe.execute()

    def _meta(self) -> dict[str, int | str]:
        return {
            "epoch": self.epoch,
            "content": self.content,
            "generation": self.generation,
            "fold": 1,
            "horizon": self.horizon,
            "changed": self.changed,
            "hash": f"h{self.changed}",
            "seq": self.seq,
            "project": "demo",
            "environment": "production",
            "step": 3,
        }

    async def change(self, *changes: tuple[str, dict[str, Any] | None]) -> None:
        """One delta: flag key -> fields, or None for a tombstone; applied by the real script."""
        since, to = self.changed, self.seq + 1
        arguments: list[str | int] = [self.generation, self.epoch, since, f"h{since}", to, f"h{to}"]
        arguments += [to, channel(self.env), self.committed_us, self.sent_us]
        self._record(to, changes)
        for name, _ in changes:
            arguments += [name, to, json.dumps(self.documents[name])]
        keys = [active_key(self.env), *generation_keys(self.env, self.generation)]
        answer = await script("apply").run(self.redis, keys, arguments)
        assert answer[0] == b"APPLIED", answer

    async def change_in_silence(self, *changes: tuple[str, dict[str, Any] | None]) -> None:
        """The same delta, of which no message tells."""
        self._record(self.seq + 1, changes)
        await self.write()

    def _record(self, to: int, changes: Sequence[tuple[str, dict[str, Any] | None]]) -> None:
        for name, fields in changes:
            document = {"version": to, **({"deleted": True} if fields is None else fields)}
            if name.startswith("flag:"):
                document["key"] = name.removeprefix("flag:")
            self.documents[name] = document
        self.changed = self.seq = to

    async def swap(self, generation: str, *, epoch: int | None = None) -> None:
        """Make another generation the active one, and say so."""
        self.generation, self.epoch = generation, epoch or self.epoch
        await self.write()
        message = {"type": "swap", "epoch": self.wire_epoch, "to": self.changed, "seq": self.seq}
        await self.redis.spublish(channel(self.env), json.dumps(message))

    async def vanish(self) -> None:
        """As after a FLUSHALL, for this environment."""
        await self.redis.delete(active_key(self.env), *generation_keys(self.env, self.generation))
