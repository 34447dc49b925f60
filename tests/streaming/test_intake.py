"""Those who send much, or what costs much to read: bounded, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import zlib

import msgspec
import pytest
import redis.asyncio
from halyard_protocol.messages import Heartbeat
from websockets.frames import Frame, Opcode

from streaming import intake
from streaming.handshake import Wire
from tests.streaming.browser import CLIENT_KEY, with_client_key
from tests.streaming.stage import QUICK, Stage, stage, until, upgrade_request
from tests.streaming.writing import SERVER_KEY, Ruleset

pytestmark = pytest.mark.usefixtures("ruleset")


async def test_a_client_that_floods_is_closed_and_nobody_else_waits(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    settings = msgspec.structs.replace(QUICK, heartbeat_s=30, closing_s=0.3)
    async with (
        stage(redis_client, settings) as running,
        running.client() as flooding,
        running.client() as other,
    ):
        await other.synchronise()
        hello = Frame(Opcode.TEXT, b'{"type":"hello"}').serialize(mask=True)
        flooding.connection.transport.write(hello * 5_000)
        assert await flooding.closed() == (4429, "too many messages")
        assert sum(running.gateway.counters.welcomes.values()) <= 1_000 / 25 + 1
        await ruleset.change(("flag:a", {}))
        await other.reach(11)


async def test_nobody_waits_while_much_is_read_of_others(on_stage: Stage) -> None:
    later = b'{"type":"later","x":"%b"}' % (b"x" * 60_000)
    frame = Frame(Opcode.TEXT, later).serialize(mask=True)
    received, most = on_stage.gateway.counters, 0
    with socket.create_connection(("127.0.0.1", on_stage.port)) as flooding:
        flooding.send(upgrade_request())
        await until(lambda: len(on_stage.gateway.connections) == 1)
        flooding.setblocking(False)
        written, before = 0, received.bytes_received
        with contextlib.suppress(BlockingIOError):
            while written < 10 * len(frame):
                written += flooding.send(frame)
        began = before
        while received.bytes_received - began < written:
            await asyncio.sleep(0)
            most = max(most, received.bytes_received - before)
            before = received.bytes_received
    assert written > 400_000
    assert most <= 256 * 1024, "more than one piece was read in one turn of the loop"


async def test_what_inflates_to_much_is_read_over_many_turns_of_the_loop(on_stage: Stage) -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    later = compressor.compress(b'{"type":"later","x":"%b"}' % (b"x" * 65_000))
    later += compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]
    frame = bytearray(Frame(Opcode.TEXT, later).serialize(mask=True))
    frame[0] |= 0x40  # RSV1: deflated
    async with on_stage.client(compression="deflate") as client:
        await client.synchronise()
        before = on_stage.gateway.counters.bytes_received
        client.connection.transport.write(bytes(frame * 200))
        ponged = asyncio.ensure_future(await client.connection.ping())
        await until(lambda: on_stage.gateway.counters.bytes_received > before)
        turns = 0
        while not ponged.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 50


@pytest.mark.parametrize("end", [False, True])
async def test_who_began_the_oldest_of_too_many_unfinished_messages_is_cut_off(
    on_stage: Stage, monkeypatch: pytest.MonkeyPatch, *, end: bool
) -> None:
    monkeypatch.setattr(intake, "MOST_UNFINISHED_BYTES", 100_000)
    begun = Frame(Opcode.TEXT, b'{"type":"later","x":"%b' % (b"x" * 40_000), fin=False)
    rest = Frame(Opcode.CONT, b'"}', fin=True)
    async with on_stage.client() as first, on_stage.client() as second, on_stage.client() as third:
        for client in (first, second, third):
            await client.synchronise()
            client.connection.transport.write(begun.serialize(mask=True))
            if end:
                client.connection.transport.write(rest.serialize(mask=True))
            await (await client.connection.ping())
        if end:
            await (await first.connection.ping())
        else:
            assert await first.closed() == (1006, "")
        for client in (second, third):
            await (await client.connection.ping())


async def test_who_is_cut_off_gives_back_at_once_what_was_held(on_stage: Stage) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        (connection,) = on_stage.gateway.connections
        wires = {each for each in gc.get_objects() if type(each) is Wire}
        client.connection.transport.write(b"\x81\xfe\x80\0\0\0\0\0" + b" " * 20_000)
        # Pongs that the client sends meanwhile are more of the same message.
        await until(lambda: any(each.unfinished >= 20_000 for each in wires))
        connection.cut()
        assert not any(each.unfinished for each in wires)
        assert await client.closed() == (1006, "")


async def test_a_client_key_may_not_send_as_much_as_a_server(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    await with_client_key(ruleset)
    settings = msgspec.structs.replace(QUICK, heartbeat_s=30, closing_s=0.3)
    later = '{"type":"later","x":"' + "x" * 60_000 + '"}'
    async with stage(redis_client, settings) as running:
        for key, sent in ((SERVER_KEY, (1000, "")), (CLIENT_KEY, (4429, "too many messages"))):
            async with running.client(key) as client:
                await until(lambda: any(each.environment for each in running.gateway.connections))
                for _ in range(20):
                    await client.connection.send(later)
                if key == SERVER_KEY:
                    await client.synchronise()
                    await client.connection.close()
                assert await client.closed() == sent


@pytest.mark.parametrize("kind", [b"later", b"identify"])
async def test_what_nests_too_deeply_is_refused_at_once(on_stage: Stage, kind: bytes) -> None:
    async with on_stage.client() as client:
        deep = b'{"type":"%b","context":%b%b}' % (kind, b"[" * 30_000, b"]" * 30_000)
        await client.connection.send(deep, text=True)
        assert await client.closed() == (4400, "JSON nests too deeply")


async def test_pings_are_counted_as_well(redis_client: redis.asyncio.Redis) -> None:
    settings = msgspec.structs.replace(
        QUICK, heartbeat_s=30, frames_per_heartbeat=50, closing_s=0.3
    )
    async with stage(redis_client, settings) as running, running.client() as client:
        await client.synchronise()
        client.connection.transport.write(Frame(Opcode.PING, b"").serialize(mask=True) * 100)
        assert (await client.closed())[0] == 4429


async def test_what_may_be_sent_is_granted_anew_with_each_heartbeat(
    redis_client: redis.asyncio.Redis,
) -> None:
    settings = msgspec.structs.replace(QUICK, frames_per_heartbeat=60)
    async with stage(redis_client, settings) as running, running.client() as client:
        await client.synchronise()
        for _ in range(4):
            await client.hello()
            await client.next_of(Heartbeat)
            await client.next_of(Heartbeat)
