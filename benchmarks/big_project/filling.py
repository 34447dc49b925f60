"""The log that people leave behind: decided and appended as the server does, in big batches.

Every event is one that the domain made of the state as it was then, so a fold of any part of the
log is a project as there could have been one. Snapshots are kept as often as a server keeps them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice, repeat

from benchmarks.big_project import changes
from benchmarks.database_stage import PROJECT
from domain import commands as c
from domain.state import ProjectState
from eventstore.log import Appended, Batch
from eventstore.store import EventStore
from server.credentials import new_id
from server.writing.deciders import PROJECT as DECIDER
from server.writing.folded_log import FoldedLog
from server.writing.history import LogHistory
from server.writing.log_writer import SNAPSHOT_EVERY
from server.writing.planning import plan_batch
from server.writing.records import new_command
from server.writing.submission import Submission

FLAGS = 10_000
SEGMENTS = 500
EVENTS = 200_000
BATCH = 400
RARE_PLACES = (0.2, 0.5, 0.8)
"""How far along the log the rare person does something, as shares of its length."""


async def fill(
    store: EventStore,
    log_id: str = PROJECT,
    events: int = EVENTS,
    flags: int = FLAGS,
    segments: int = SEGMENTS,
) -> None:
    """Make the project, with so many events at least, and no more than a batch beyond."""
    chance = random.Random(1)  # the same project in each run
    folded = FoldedLog(log_id, DECIDER)
    history = LogHistory(store, DECIDER)
    source = _asked(chance, log_id, flags, segments)
    rare = [int(events * place) for place in RARE_PLACES]
    async with asyncio.TaskGroup() as saving:
        while folded.seq < events:
            batch = list(islice(source, 1 if folded.seq == 0 else min(BATCH, events - folded.seq)))
            if rare and rare[0] <= folded.seq:
                batch.append(_rare(changes.flag_key(rare.pop(0) % flags)))
            await _append(store, folded, batch)
            if folded.seq - folded.stored_at >= SNAPSHOT_EVERY:
                saving.create_task(history.save(folded))
                await asyncio.sleep(0)  # it takes hold of the state before this goes on


def _asked(chance: random.Random, log_id: str, flags: int, segments: int) -> Iterator[Submission]:
    project = c.CreateProject(project=log_id, name="Big")
    ever = (changes.change(chance, flags, segments) for _ in repeat(None))
    for asked in chain((project,), changes.founding(chance, flags, segments), ever):
        yield Submission.of(changes.person(chance), c.complete(asked, new_id))


def _rare(flag: str) -> Submission:
    asked = c.DescribeFlag(flag=flag, description="as before", comment=changes.RARE_WORDS)
    return Submission.of(changes.RARE_PERSON, asked)


async def _append(
    store: EventStore, folded: FoldedLog[ProjectState], batch: list[Submission]
) -> None:
    """Each as a command of its own; those that change nothing leave nothing behind."""
    now = max(datetime.now(UTC), folded.last_at)
    plan = plan_batch(folded, batch, now)
    if plan.refused:
        raise plan.refused[0].reason
    accepted = [each for each in plan.accepted if each.facts]
    commands = tuple(new_command(each) for each in accepted)
    answer = await store.append(Batch(folded.log_id, folded.seq, folded.hash, commands))
    assert isinstance(answer, Appended), answer
    facts = [fact for each in accepted for fact in each.facts]
    folded.extend(facts, answer.first_at, answer.head.last_hash)
