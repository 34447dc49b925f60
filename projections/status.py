"""How the rulesets of a log stand to it, from outside of any projector.

The running projector of a process tells more cheaply what it knows:
:meth:`~projections.runner.Projector.standings`.
"""

from __future__ import annotations

import msgspec

from eventstore.store import EventStore
from projections.fold import FOLD_VERSION
from projections.reading import Poisoned, Progress, open_log
from projections.rulesets import Meta, Rulesets
from projections.script import RedisClient
from projections.verify import environment_ids


class EnvironmentStatus(msgspec.Struct, frozen=True):
    """One environment's ruleset in Redis."""

    environment: str
    """The environment's id."""
    meta: Meta | None
    """None where Redis has no ruleset."""
    lag: int
    """Events of the log that the ruleset was not checked against yet."""
    newer_program: bool
    """It was written by a newer version of the fold, and only that one goes on."""


class LogStatus(msgspec.Struct, frozen=True):
    """One log and its rulesets."""

    log_id: str
    epoch: int
    last_seq: int
    poisoned: str
    """The event that this program cannot apply, and why; empty for none."""
    environments: tuple[EnvironmentStatus, ...]
    """The oldest first. Those that ended are left behind by nature: nobody asks after them."""


async def log_status(
    store: EventStore, redis: RedisClient, log_id: str, progress: Progress | None = None
) -> LogStatus:
    """Look at one log. It is folded from its newest snapshot on, to find what cannot be applied."""
    head = await store.head(log_id)
    poisoned = ""
    try:
        await (await open_log(store, log_id)).advance(progress=progress)
    except Poisoned as error:
        poisoned = str(error)
    rulesets = Rulesets(redis)
    environments = [
        _environment(env, await rulesets.meta(env), head.last_seq)
        for env in await environment_ids(store, log_id)
    ]
    return LogStatus(log_id, head.epoch, head.last_seq, poisoned, tuple(environments))


def _environment(env: str, meta: Meta | None, last_seq: int) -> EnvironmentStatus:
    if meta is None:
        return EnvironmentStatus(env, None, last_seq, newer_program=False)
    lag = max(0, last_seq - meta.seq)
    return EnvironmentStatus(env, meta, lag, newer_program=meta.fold > FOLD_VERSION)
