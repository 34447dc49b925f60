"""Events per second of a rebuild of one project's rulesets, on a log of a million events.

The log holds 1,000 flags in three environments, and changes of them in a mix: six in ten turn a
flag on or off, the others change its fallthrough, targets, rules or tags. A rebuild reads every
event, folds it, and writes all documents of all environments into new generations. The floor only
reads the rows, page by page. Does not measure snapshots: a rebuild begins at the first event.
"""

from __future__ import annotations

import random
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import islice

import redis.asyncio
import uvloop
from halyard_protocol.conditions import Leaf
from halyard_protocol.ruleset import Bucket, Rollout, Rule, Serve, Target

from benchmarks.database_stage import PROJECT, database_stage, writers_stage
from domain import events as e
from domain.upcast import encode_event
from eventstore.log import Appended, Batch, NewCommand, NewEvent
from eventstore.store import EventStore
from projections.rebuild import rebuild

EVENTS = 1_000_000
FLAGS = 1_000
BATCH = 1_000
ENVIRONMENTS = ("development", "staging", "production")


def change(chance: random.Random) -> e.Event:
    """One change of a flag in an environment, as people make them."""
    draw = chance.random()
    if draw < 0.6:
        return e.FlagEnabled() if draw < 0.3 else e.FlagDisabled()
    if draw < 0.75:
        share = chance.randrange(100_001)
        buckets = (Bucket("on", share), Bucket("off", 100_000 - share))
        return e.FallthroughChanged(fallthrough=Serve(rollout=Rollout(buckets=buckets)))
    if draw < 0.85:
        keys = tuple(f"user-{chance.randrange(10_000)}" for _ in range(5))
        return e.TargetsChanged(targets=(Target("on", keys=keys),))
    if draw < 0.95:
        countries = tuple(chance.sample(("AT", "BE", "CA", "DE", "ES", "FR", "US"), 3))
        return e.RuleChanged(rule=Rule("first", Leaf("in", countries, "country"), Serve("on")))
    return e.FlagTagged(tags=("a", f"b{chance.randrange(9)}"))


def new_events(chance: random.Random) -> Iterator[NewEvent]:
    """An endless stream of changes, after one rule has been added to each flag everywhere."""
    for number in range(FLAGS):
        for environment in ENVIRONMENTS:
            rule = Rule("first", Leaf("in", ("DE",), "country"), Serve("on"))
            yield event_of(e.RuleAdded(rule=rule, position=0), number, environment)
    while True:
        happened = change(chance)
        everywhere = isinstance(happened, e.FlagTagged)
        place = None if everywhere else chance.choice(ENVIRONMENTS)
        yield event_of(happened, chance.randrange(FLAGS), place)


def event_of(happened: e.Event, flag: int, environment: str | None) -> NewEvent:
    """As the store takes it; revisions are of no interest here."""
    type_name, version, critical, body = encode_event(happened)
    return NewEvent(
        str(uuid.uuid4()),
        "flag",
        f"flag-{flag}",
        environment,
        1,
        type_name,
        version,
        critical,
        body,
    )


async def fill(store: EventStore, count: int) -> None:
    """Append so many events, each a command of its own."""
    source = new_events(random.Random(1))
    head = await store.head(PROJECT)
    while head.last_seq < count:
        commands = tuple(
            NewCommand("bench", event.event_id, b"", b"", event.event_id, (event,))
            for event in islice(source, BATCH)
        )
        answer = await store.append(Batch(PROJECT, head.last_seq, head.last_hash, commands))
        assert isinstance(answer, Appended), answer
        head = answer.head


async def reading(store: EventStore) -> float:
    """The floor: rows per second."""
    count, began = 0, time.perf_counter()
    async for page in store.read_pages(PROJECT, 0):
        count += len(page)
    return count / (time.perf_counter() - began)


async def measure(events: int) -> None:
    """Fill a log, then read it, rebuild it, and read it again."""
    async with database_stage() as servers, redis.asyncio.from_url(servers.redis_url) as client:
        async with writers_stage(servers.database_url, FLAGS) as (_, store):
            began = time.perf_counter()
            await fill(store, events)
            filled_s = time.perf_counter() - began
            print(f"{events:,} events appended in {filled_s:.1f} s", flush=True)
            before = await reading(store)
            began = time.perf_counter()
            rebuilt = await rebuild(store, client, PROJECT)
            took_s = time.perf_counter() - began
            after = await reading(store)
        assert {each.outcome for each in rebuilt} == {"rebuilt"}, rebuilt
        floor = (before + after) / 2
        print(f"reading only: {floor:,.0f} rows/s ({before:,.0f} before, {after:,.0f} after)")
        print(f"rebuild:      {events / took_s:,.0f} events/s in {took_s:.1f} s (goal: >= 100,000)")
        print(f"ratio:        {events / took_s / floor:.2f} of reading only")


def main(events: int = EVENTS) -> None:
    """Measure on uvloop."""
    uvloop.run(measure(events))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
