"""The stream as a client meets it: real sockets, a real server, a real Valkey."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis.asyncio
from halyard_protocol.messages import Changes, Heartbeat, Resume, Snapshot
from halyard_protocol.session.feed import Broadcast, Feed
from halyard_protocol.session.server import ServerSession

from streaming import rounds
from streaming.settings import StreamSettings
from tests.streaming.stage import QUICK, Stage, stage, until
from tests.streaming.writing import ENV, Ruleset


async def test_a_newcomer_is_welcomed_and_gets_a_snapshot(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        welcome = await client.hello()
        snapshot = await client.next_of(Snapshot)
    assert (welcome.environment, welcome.intent) == ("production", "full")
    assert welcome.heartbeat_seconds == QUICK.heartbeat_s
    assert (client.epoch, client.seq, client.flags) == ("7.1", 10, ruleset.flags)
    assert b'"region"' in bytes(snapshot.environment)


async def test_a_change_reaches_every_client_by_one_broadcast(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as one, on_stage.client() as two:
        await one.synchronise()
        await two.synchronise()
        await ruleset.change(("flag:a", {"salt": "t"}), ("flag:b", None), ("flag:d", {}))
        for client in (one, two):
            await client.reach(11)
            assert client.flags == ruleset.flags == {"a": 11, "c": 10, "d": 11}
    assert on_stage.gateway.counters.broadcasts == 1
    assert on_stage.gateway.counters.broadcast_frames == 2


async def test_resuming_at_the_head_costs_a_welcome(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        welcome = await client.hello(Resume("7.1", 10))
        assert welcome.intent == "none"
        await ruleset.change(("flag:a", {}))
        changes = await client.next_of(Changes)
    assert (changes.from_, changes.to, len(changes.put.flags)) == (10, 11, 1)
    assert on_stage.gateway.counters.snapshots == 0
    assert on_stage.gateway.counters.welcomes == {"none": 1}


async def test_resuming_from_before_gets_each_changed_document_once(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    for _ in range(3):
        await ruleset.change(("flag:a", {}))
    await ruleset.change(("flag:b", None))
    async with on_stage.client() as client:
        welcome = await client.hello(Resume("7.1", 10))
        changes = await client.next_of(Changes)
    assert welcome.intent == "changes"
    assert on_stage.gateway.counters.welcomes == {"changes": 1}
    assert (changes.from_, changes.to, len(changes.put.flags)) == (10, 14, 1)
    assert changes.delete.flags == ("b",)


async def test_resuming_from_below_the_horizon_or_in_an_older_epoch_gets_everything(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    ruleset.horizon = 8
    await ruleset.write()
    for resume in (Resume("7.1", 5), Resume("6.9", 10), Resume("who knows", 10)):
        async with on_stage.client() as client:
            assert (await client.synchronise(resume)).intent == "full"
            assert client.flags == ruleset.flags


async def test_a_client_that_knows_more_makes_the_gateway_look(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as first:
        await first.synchronise()
        await ruleset.change_in_silence(("flag:a", {}))
        async with on_stage.client() as client:
            assert (await client.hello(Resume("7.1", 11))).intent == "none"
        await first.reach(11)


async def test_a_client_from_the_future_is_held_until_the_ruleset_has_passed_it(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as held, on_stage.client() as live:
        assert (await held.hello(Resume("7.1", 11))).intent == "none"
        await live.synchronise()
        await ruleset.change(("flag:a", {}))
        await live.reach(11)
        await ruleset.change(("flag:b", {}))
        changes = await held.next_of(Changes)
        assert (changes.from_, changes.to) == (11, 12)
        assert not any(isinstance(message, Heartbeat) for message in held.heard)


async def test_a_client_that_was_ahead_goes_on_when_the_log_was_checked_that_far(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        assert (await client.hello(Resume("7.1", 20))).intent == "none"
        ruleset.seq = 25
        await ruleset.write()
        assert (await client.next_of(Heartbeat)).seq == 25


async def test_a_new_epoch_sends_everybody_a_snapshot(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        ruleset.changed = ruleset.seq = 4
        ruleset.documents = {
            name: {**document, "version": min(document["version"], 4)}
            for name, document in ruleset.documents.items()
        }
        await ruleset.swap("g2", epoch=8)
        snapshot = await client.next_of(Snapshot)
    assert (snapshot.epoch, snapshot.seq) == ("8.1", 4)


async def test_a_fault_with_one_connection_ends_neither_the_round_nor_those_after_it(
    on_stage: Stage, ruleset: Ruleset, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = ServerSession.offer

    def faulty(session: ServerSession, feed: Feed, broadcast: Broadcast) -> bytes | None:
        if session is unlucky:
            raise ArithmeticError
        return offer(session, feed, broadcast)

    monkeypatch.setattr(rounds, "SLICE", 2)
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(4):
            clients.append(await stack.enter_async_context(on_stage.client()))
            await clients[-1].synchronise()
        unlucky = list(on_stage.gateway.hub.environments[ENV].connections)[1].session
        monkeypatch.setattr(ServerSession, "offer", faulty)
        for seq in (11, 12):
            await ruleset.change(("flag:a", {}))
            for client in (clients[0], *clients[2:]):
                await client.reach(seq)


async def test_an_honest_rebuild_is_not_noticed(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.swap("g2")
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
        assert sum(isinstance(message, Snapshot) for message in client.heard) == 1


async def test_a_later_hello_resynchronises(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        assert (await client.hello(Resume("7.1", 10))).intent == "none"
        assert (await client.synchronise()).intent == "full"


async def test_heartbeats_tell_how_far_the_log_was_checked(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        ruleset.seq = 25
        await ruleset.write()
        heartbeat = await client.next_of(Heartbeat)
        while heartbeat.seq < 25:
            heartbeat = await client.next_of(Heartbeat)
    assert heartbeat == Heartbeat("7.1", 10, 25)


async def test_keys_are_told_to_nobody(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.change(("key:0123", {"id": "k3", "kind": "server", "name": "three"}))
        changes = await client.next_of(Changes)
    assert changes == Changes("7.1", 10, 11)


async def test_a_slow_reader_gets_one_conflated_frame_and_delays_nobody(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    patient = StreamSettings(heartbeat_s=60, stall_s=60)
    async with stage(redis_client, patient) as running, running.client() as quick:
        await quick.synchronise()
        async with slow_client(running) as slow:
            await slow.synchronise()
            transport = slow.connection.transport
            transport.pause_reading()
            versions = 0
            while not behind(running):
                versions += 1
                await ruleset.change(("flag:a", {"salt": "x" * 200_000}))
                await quick.reach(ruleset.seq)
            for _ in range(20):
                await ruleset.change(("flag:a", {"salt": "y"}), ("flag:b", None))
                await quick.reach(ruleset.seq)
            heard = len(slow.heard)
            transport.resume_reading()
            await slow.reach(ruleset.seq)
            last = slow.heard[-1]
            assert isinstance(last, Changes)
            assert last.to - last.from_ >= 20
            assert len(slow.heard) - heard <= versions + 1
            assert slow.flags == quick.flags == ruleset.flags


def slow_client(running: Stage) -> Any:
    """A client whose kernel takes little, and whose library reads no further than it must."""
    reader = socket.create_connection(("127.0.0.1", running.port))
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return running.client(sock=reader, max_queue=1)


def behind(running: Stage) -> bool:
    """Whether any connection is behind."""
    connections = running.gateway.hub.environments[ENV].connections
    return any(not connection.session.writable for connection in connections)


async def test_an_environment_is_read_once_for_all_who_come(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async def come() -> None:
        async with on_stage.client() as client:
            await client.synchronise()
            assert client.flags == ruleset.flags

    await asyncio.gather(*(come() for _ in range(20)))
    counters = on_stage.gateway.counters
    assert (counters.accepted, counters.snapshots) == (20, 20)
    assert counters.reads < 10
    await until(lambda: not on_stage.gateway.connections)
