"""Running Lua in Redis by its digest, on a single server and on a cluster alike."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from projections.cluster import Cluster

RedisClient: TypeAlias = Redis | Cluster
"""Must answer in bytes (``decode_responses`` off)."""

Argument: TypeAlias = bytes | str | int

_FOLDER = Path(__file__).parent / "scripts"


class Script:
    """One Lua script. It touches only keys of one hash tag, named or built from the first key."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def run(
        self, redis: RedisClient, keys: Sequence[str], arguments: Sequence[Argument] = ()
    ) -> Any:
        """Run it, teaching it to a server that does not know it. Raises redis-py's errors.

        Cancelled, it is unknown whether the script took effect.
        """
        try:
            answer: Any = await redis.evalsha(self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            answer = await redis.eval(self.source, len(keys), *keys, *arguments)
        _heed_cancellation()
        return answer


def _heed_cancellation() -> None:
    # redis-py writes through asyncio.wait_for, which before Python 3.12 drops a cancellation that
    # comes together with a result: a task that runs scripts in a loop could never be stopped.
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@cache
def script(name: str) -> Script:
    """The script of this name in ``scripts/``."""
    return Script((_FOLDER / f"{name}.lua").read_text(encoding="utf-8"))
