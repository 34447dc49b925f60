"""The hash chain: the database's formula and ours are one, and no mutation goes unseen."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.chain import MAX_PROBLEMS, Verification, Verifier, chained_hash, verify
from eventstore.log import NewCommand, NewEvent, StoredEvent
from eventstore.store import EventStore
from tests.support.logs import Tamper, append, fill

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
int8 = st.integers(-(2**63), 2**63 - 1)
int4 = st.integers(-(2**31), 2**31 - 1)
new_events = st.builds(
    NewEvent,
    event_id=texts,
    entity_kind=texts,
    entity_key=texts,
    environment=st.none() | texts,
    revision=int8,
    type=texts,
    schema_version=int4,
    critical=st.booleans(),
    body=st.binary(max_size=200),
)
new_commands = st.builds(
    NewCommand,
    actor_id=texts,
    idempotency_key=st.builds(lambda: str(uuid4())),
    request_hash=st.just(b""),
    outcome=st.just(b""),
    command_id=texts,
    events=st.lists(new_events, min_size=1, max_size=4).map(tuple),
    correlation_id=st.none() | texts,
    causation_id=st.none() | texts,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(commands=st.lists(new_commands, min_size=1, max_size=4))
async def test_the_database_hashes_as_documented(
    store: EventStore, commands: list[NewCommand]
) -> None:
    head = await store.head("demo")
    await append(store, "demo", *commands)
    previous = head.last_hash
    for event in await store.read("demo", head.last_seq, 100):
        assert event.hash == chained_hash(previous, event)
        previous = event.hash
    assert previous == (await store.head("demo")).last_hash


async def test_an_untouched_log_verifies(store: EventStore) -> None:
    head = (await fill(store, "demo", 30)).head
    (seventh,) = await store.read("demo", 6, 1)
    seen: list[tuple[int, int]] = []
    found = await verify(store, "demo", {7: seventh.hash}, lambda done, of: seen.append((done, of)))
    assert found == Verification(head, 30, ())
    assert seen == [(30, 30)]


async def test_a_log_without_events_verifies(store: EventStore) -> None:
    assert (await verify(store, "demo")).problems == ()


async def test_appends_may_go_on_while_a_log_is_verified(store: EventStore) -> None:
    await fill(store, "demo", 5)
    verifier = Verifier({})
    head = await store.head("demo")
    verifier.check(await store.read("demo", 0, 10, upto=head.last_seq))
    await fill(store, "demo", 5)
    verifier.finish(head, *await store.ends("demo"))
    assert verifier.problems == []


ALTERATIONS = {
    "event_id": "'x'",
    "environment": "NULL",
    "entity_kind": "'segment'",
    "entity_key": "entity_key || 'x'",
    "revision": "revision + 1",
    "type": "'FlagDisabled'",
    "schema_version": "2",
    "critical": "NOT critical",
    "body": "body || ' '::bytea",
    "actor_id": "'somebody'",
    "command_id": "'x'",
    "correlation_id": "NULL",
    "causation_id": "''",
    "ends_delta": "NOT ends_delta",
    "recorded_at": "recorded_at + interval '1 microsecond'",
    "hash": "sha256(hash)",
}


def test_every_column_is_tried() -> None:
    assert set(ALTERATIONS) == set(StoredEvent.__struct_fields__) - {"log_id", "seq"}


async def test_an_altered_column_is_noticed(store: EventStore, tamper: Tamper) -> None:
    for column, altered in ALTERATIONS.items():
        log_id = f"log-{column}"
        await fill(store, log_id, 9)
        await tamper(f"UPDATE event SET {column} = {altered} WHERE seq = 5 AND log_id = '{log_id}'")
        assert (await verify(store, log_id)).problems[0].seq == 5, column


COPY = "CREATE TEMP TABLE copied AS SELECT * FROM event WHERE seq ="
PASTE = "INSERT INTO event SELECT * FROM copied"
MOVE = "UPDATE event SET seq = -seq; UPDATE event SET seq ="
HEAD = "UPDATE log_head SET last_seq ="
MUTATIONS = {
    "one in the middle removed": ("DELETE FROM event WHERE seq = 5", 6),
    "the first removed": ("DELETE FROM event WHERE seq = 1", 2),
    "the tail cut off": ("DELETE FROM event WHERE seq > 7", 9),
    "all removed": ("DELETE FROM event", 9),
    "the head lowered": (f"{HEAD} 7", 7),
    "the head raised": (f"{HEAD} 12", 12),
    "the head's hash changed": ("UPDATE log_head SET last_hash = sha256(last_hash)", 9),
    "the head removed": ("DELETE FROM log_head", 9),
    "the tail and the head cut": (f"DELETE FROM event WHERE seq > 7; {HEAD} 7", 7),
    "one repeated at the end": (f"{COPY} 9; UPDATE copied SET seq = 10; {PASTE}", 10),
    "one inserted, the rest moved up": (
        f"{COPY} 5; {MOVE} -seq + (-seq > 4)::integer; {PASTE}; {HEAD} 10",
        6,
    ),
    "one removed, the rest moved down": (
        f"DELETE FROM event WHERE seq = 5; {MOVE} -seq - (-seq > 5)::integer; {HEAD} 8",
        5,
    ),
    "two swapped": (f"{MOVE} CASE seq WHEN -5 THEN 6 WHEN -6 THEN 5 ELSE -seq END", 5),
}


@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_mutation_is_noticed(store: EventStore, tamper: Tamper, name: str) -> None:
    await fill(store, "demo", 9)
    mutation, noticed_at = MUTATIONS[name]
    await tamper(mutation)
    problems = (await verify(store, "demo")).problems
    assert problems[0].seq == noticed_at, problems


async def test_a_whole_new_chain_is_noticed_by_a_checkpoint(
    store: EventStore, tamper: Tamper
) -> None:
    kept = (await fill(store, "demo", 4)).head
    await tamper("TRUNCATE event; TRUNCATE command; TRUNCATE log_head")
    await fill(store, "demo", 9)
    assert (await verify(store, "demo")).problems == ()
    problems = (await verify(store, "demo", {4: kept.last_hash, 12: kept.last_hash})).problems
    assert [problem.seq for problem in problems] == [4, 12]


async def test_a_log_full_of_problems_is_reported_in_part(
    store: EventStore, tamper: Tamper
) -> None:
    await fill(store, "demo", MAX_PROBLEMS + 20)
    await tamper("UPDATE event SET actor_id = 'nobody'")
    assert len((await verify(store, "demo")).problems) == MAX_PROBLEMS
