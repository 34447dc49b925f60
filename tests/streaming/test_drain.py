"""Leaving, with clients that follow and clients that do not."""

from __future__ import annotations

import asyncio
import signal
import socket
import time

import pytest
import redis.asyncio
from halyard_protocol.messages import Goodbye
from websockets.exceptions import InvalidStatus

from streaming.drain import DrainingServer, drain
from streaming.gateway import LONGEST_LEAVING_WAIT_S
from streaming.settings import StreamSettings
from tests.streaming.stage import Client, Stage, stage, until, upgrade_request
from tests.streaming.writing import ENV, Ruleset, key_document

pytestmark = pytest.mark.usefixtures("ruleset")


async def test_every_client_is_asked_to_leave_at_a_time_of_its_own(on_stage: Stage) -> None:
    clients = [Client(await on_stage.dial()) for _ in range(4)]
    for client in clients:
        await client.synchronise()
    draining = asyncio.create_task(drain(on_stage.gateway, window_s=2, grace_s=2))
    goodbyes = [await client.next_of(Goodbye) for client in clients]
    assert sorted(goodbye.reconnect_after_ms for goodbye in goodbyes) == [0, 500, 1000, 1500]
    assert not on_stage.gateway.status().ready
    for client in clients:
        await client.connection.close()
    async with asyncio.timeout(1):
        await draining


async def test_the_old_connection_goes_on_being_served(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        draining = asyncio.create_task(drain(on_stage.gateway, window_s=5))
        await client.next_of(Goodbye)
        await ruleset.change(("flag:a", {}))
        await client.reach(11)
    await draining


async def test_whoever_asked_is_told_that_a_drain_begins(on_stage: Stage) -> None:
    told: list[float] = []
    on_stage.gateway.drains.append(told.append)
    await drain(on_stage.gateway, window_s=3)
    assert told == [3]


async def test_newcomers_are_sent_elsewhere(on_stage: Stage) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        draining = asyncio.create_task(drain(on_stage.gateway))
        await client.next_of(Goodbye)
        with pytest.raises(InvalidStatus) as refused:
            await on_stage.dial()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == f"{LONGEST_LEAVING_WAIT_S}"
    await draining


async def test_newcomers_are_not_sent_away_for_longer_than_it_takes_to_leave(
    on_stage: Stage,
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        draining = asyncio.create_task(drain(on_stage.gateway, window_s=1, grace_s=0.5))
        await client.next_of(Goodbye)
        with pytest.raises(InvalidStatus) as refused:
            await on_stage.dial()
        assert refused.value.response.headers["Retry-After"] == "2"
    await draining


async def test_a_client_whose_key_is_being_looked_for_is_told_once_it_was_found(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    judging, asked = asyncio.Event(), asyncio.Event()

    async def is_current(_environment: str) -> bool:
        asked.set()
        await judging.wait()
        return True

    key = f"{ENV}-s-fresh"
    async with stage(redis_client, is_current=is_current) as running, running.client(key) as late:
        await asked.wait()
        draining = asyncio.create_task(drain(running.gateway, window_s=2, grace_s=2))
        await until(lambda: running.gateway.draining)
        await ruleset.change_in_silence((key_document(key), {"id": "k3", "kind": "server"}))
        judging.set()
        assert (await late.next_of(Goodbye)).reconnect_after_ms == 0
        await late.connection.close()
        await draining


async def test_a_client_that_is_behind_is_told_when_it_has_caught_up(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    async with stage(redis_client, StreamSettings()) as running:
        client = Client(await running.dial(max_size=None))
        await client.synchronise()
        client.connection.transport.pause_reading()
        (connection,) = running.gateway.connections
        for _ in range(8):
            await ruleset.change(("flag:a", {"salt": "x" * 1_000_000}))
        await until(lambda: not connection.session.writable)
        draining = asyncio.create_task(drain(running.gateway, window_s=5, grace_s=5))
        await until(lambda: running.gateway.draining)
        client.connection.transport.resume_reading()
        await client.next_of(Goodbye)
        await client.reach(ruleset.seq)
        await client.connection.close()
        await draining


async def test_one_of_several_on_a_port_stops_listening_when_it_begins_to_leave(
    on_stage: Stage,
) -> None:
    server = DrainingServer(on_stage.server.config, on_stage.gateway, shares_port=True)
    server._loop, server.servers = asyncio.get_running_loop(), on_stage.server.servers
    async with on_stage.client() as client:
        await client.synchronise()
        begun = await asyncio.open_connection("127.0.0.1", on_stage.port)
        # More than are taken in one turn of the loop wait in the backlog by then.
        waiting = [socket.create_connection(("127.0.0.1", on_stage.port)) for _ in range(40)]
        server.handle_exit(signal.SIGTERM, None)
        await client.next_of(Goodbye)
        with pytest.raises(ConnectionRefusedError):
            await on_stage.dial()
        # What was accepted before and asks now is sent to the others, without delay.
        begun[1].write(upgrade_request())
        answer = await begun[0].read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 0\r\n" in answer
        begun[1].close()
        for each in waiting:
            each.sendall(upgrade_request())
            each.settimeout(5)
            answer = await asyncio.to_thread(each.recv, 1_000)
            assert answer.startswith(b"HTTP/1.1 503 ")
            each.close()
    await until(lambda: server.should_exit)


async def test_those_who_stay_are_closed_at_the_end(on_stage: Stage) -> None:
    async with on_stage.client() as stays, on_stage.dial(None):
        await stays.synchronise()
        await drain(on_stage.gateway, window_s=0.1, grace_s=0.1)
        assert await stays.closed() == (1001, "the server is going away")


async def test_those_who_stay_are_waited_for_while_others_leave(on_stage: Stage) -> None:
    stays, *leaving = [Client(await on_stage.dial()) for _ in range(4)]
    for client in (stays, *leaving):
        await client.synchronise()
    began_s = time.monotonic()
    draining = asyncio.create_task(drain(on_stage.gateway, window_s=1, grace_s=0.8))
    for client, at_s in zip(leaving, (1.2, 1.7, 2.2), strict=True):
        await client.next_of(Goodbye)
        await asyncio.sleep(began_s + at_s - time.monotonic())
        await client.connection.close()
    assert await stays.closed() == (1001, "the server is going away")
    assert time.monotonic() - began_s > 2.2, "beyond the window and the grace"
    assert not any(client.connection.close_code == 1001 for client in leaving)
    await draining


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    async with stage(redis_client, StreamSettings()) as running, running.client() as client:
        await client.synchronise()
        client.connection.transport.pause_reading()
        while all(connection.session.writable for connection in running.gateway.connections):
            await ruleset.change(("flag:a", {"salt": "x" * 1_000_000}))
        await drain(running.gateway, window_s=0.1, grace_s=0.1)
        assert not running.gateway.connections
        client.connection.transport.abort()


async def test_the_end_of_the_server_closes_connections_by_itself(on_stage: Stage) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        on_stage.server.should_exit = True
        assert (await client.closed())[0] == 1001


async def test_a_signal_drains_before_the_server_exits(on_stage: Stage) -> None:
    server = DrainingServer(on_stage.server.config, on_stage.gateway, window_s=1, grace_s=5)
    server._loop = asyncio.get_running_loop()
    async with on_stage.client() as client:
        await client.synchronise()
        server.handle_exit(signal.SIGTERM, None)
        await client.next_of(Goodbye)
        assert not server.should_exit
    await until(lambda: server.should_exit)


async def test_a_second_signal_ends_the_server_at_once(on_stage: Stage) -> None:
    server = DrainingServer(on_stage.server.config, on_stage.gateway)
    server._loop = asyncio.get_running_loop()
    async with on_stage.client() as client:
        await client.synchronise()
        server.handle_exit(signal.SIGTERM, None)
        await client.next_of(Goodbye)
        server.handle_exit(signal.SIGTERM, None)
        assert server.should_exit
