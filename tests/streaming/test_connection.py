"""What happens to connections that do not behave, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
import weakref
from typing import Any

import msgspec
import pytest
import redis.asyncio
from halyard_protocol.codec import encode
from halyard_protocol.messages import (
    Resume,
    Snapshot,
    TrackingEvent,
    Welcome,
    track_frame,
)
from halyard_sdk import AsyncClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from streaming.handshake import Wire
from streaming.live_keys import REFUSED
from streaming.settings import StreamSettings
from tests.streaming.stage import QUICK, Client, Stage, no, stage, until, upgrade_request
from tests.streaming.writing import ENV, OTHER_KEY, SERVER_KEY, Ruleset, key_document

pytestmark = pytest.mark.usefixtures("ruleset")


async def refusal(running: Stage, key: str | None, hello: str = '{"type":"hello"}') -> Any:
    """How a connection with this key ends."""
    async with running.dial(key) as connection:
        with contextlib.suppress(ConnectionClosed):
            await connection.send(hello)
        return await Client(connection).closed()


@pytest.mark.parametrize(
    "key", [None, "nonsense", f"{ENV}-s-wrong", f"{ENV}-x-wrong", "unknownunkno-s-secret"]
)
async def test_a_wrong_key_is_told_after_the_handshake(on_stage: Stage, key: str | None) -> None:
    assert await refusal(on_stage, key) == (4401, REFUSED)


async def test_an_unknown_environment_is_refused_for_good_only_in_a_current_world(
    redis_client: redis.asyncio.Redis,
) -> None:
    async with stage(redis_client, is_current=no) as running:
        code, reason = await refusal(running, "unknownunkno-s-secret")
        assert (code, reason) == (1011, "keys cannot be checked at present")
        await until(lambda: not running.gateway.hub.environments)


async def test_a_wrong_key_is_not_refused_for_good_while_the_ruleset_is_missing(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await ruleset.vanish()
        assert (await refusal(on_stage, f"{ENV}-s-wrong"))[0] == 1011
        async with on_stage.client(OTHER_KEY) as other:
            await other.synchronise()


async def test_a_key_that_was_issued_a_moment_ago_is_looked_for(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    key = f"{ENV}-s-fresh"
    async with on_stage.client() as client:
        await client.synchronise()
        document = {"id": "k3", "kind": "server", "name": "three"}
        await ruleset.change_in_silence((key_document(key), document))
        async with on_stage.client(key) as fresh:
            await fresh.synchronise()


async def test_revoking_a_key_closes_its_connections_and_no_others(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as revoked, on_stage.client(OTHER_KEY) as other:
        await revoked.synchronise()
        await other.synchronise()
        await ruleset.change((key_document(SERVER_KEY), None))
        assert await revoked.closed() == (4401, REFUSED)
        await other.reach(11)
        assert (await refusal(on_stage, SERVER_KEY))[0] == 4401


async def test_a_key_that_is_not_in_another_epoch_is_closed_with_it(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as gone, on_stage.client(OTHER_KEY) as other:
        await gone.synchronise()
        await other.synchronise()
        del ruleset.documents[key_document(SERVER_KEY)]
        await ruleset.swap("g2", epoch=8)
        assert await gone.closed() == (4401, REFUSED)
        assert (await other.next_of(Snapshot)).epoch == "8.1"


async def test_the_key_may_come_in_the_query(on_stage: Stage) -> None:
    on_stage.url += f"?key={SERVER_KEY}"
    async with on_stage.dial(None) as connection:
        client = Client(connection)
        assert (await client.synchronise()).intent == "full"


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[]",
        '{"no":"type"}',
        '{"type":"hello","resume":{"epoch":7}}',
        '{"type":"hello","resume":"x"}',
        '{"type":"track","events":[{"at":1}]}',
        '{"type":"track","events":{}}',
        b'{"type":"hello"}',
        "x" * 70_000,
    ],
)
async def test_a_frame_that_cannot_be_read_closes_for_good(
    on_stage: Stage, frame: str | bytes
) -> None:
    async with on_stage.dial() as connection:
        await connection.send(frame)
        code, reason = await Client(connection).closed()
    assert code == 4400
    assert reason


async def test_tracking_events_are_counted_by_environment(on_stage: Stage) -> None:
    counters = on_stage.gateway.counters
    frame = track_frame(
        [encode(TrackingEvent("bought", 1, {"user": "alice"}, 2.5, {"a": [1]}))] * 3
    )
    async with on_stage.client() as client:
        await client.synchronise()
        await client.connection.send(frame.decode())
        await client.hello()
        await client.connection.send('{"type":"track"}')
        await client.hello()
    assert counters.tracking_events == {ENV: 3}
    assert counters.tracking_events_refused == 0


async def test_tracking_events_count_for_nobody_before_the_key_is_judged(
    redis_client: redis.asyncio.Redis,
) -> None:
    judging = asyncio.Event()

    async def is_current(_environment: str) -> bool:
        await judging.wait()
        return True

    frame = track_frame([encode(TrackingEvent("bought", 1))]).decode()
    async with stage(redis_client, is_current=is_current) as running:
        counters = running.gateway.counters
        ending = asyncio.create_task(refusal(running, "unknownunkno-s-secret", frame))
        await until(lambda: counters.tracking_events_refused == 1)
        judging.set()
        assert (await ending)[0] == 4401
        assert not counters.tracking_events


@pytest.mark.parametrize("data", [b"\x81\xff", b"\xc1\x80\0\0\0\0", b"\x01\x81\0\0\0\0x"])
def test_what_was_read_goes_with_the_connection(data: bytes) -> None:
    # A circle of references would go with the next full collection: no number of bytes calls that.
    gc.disable()
    try:
        wire = Wire(65_536)
        wire.state = OPEN
        wire.receive_data(data)
        wire.end()
        held = weakref.ref(wire)
        del wire
        assert held() is None
    finally:
        gc.enable()


async def test_a_huge_frame_is_refused_by_its_header(on_stage: Stage) -> None:
    async with on_stage.dial() as connection:
        code, _ = await sent_raw(connection, b"\x81\xff" + (1 << 40).to_bytes(8) + b"\0\0\0\0")
    assert code == 4400


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(Frame(Opcode.TEXT, b"{}").serialize(mask=False), id="not masked"),
        pytest.param(b"\xf1\x80\0\0\0\0", id="reserved bits"),
        pytest.param(b"\x80\x80\0\0\0\0", id="continues nothing"),
        pytest.param(b"\x81\x82\0\0\0\0\xff\xff", id="not UTF-8"),
    ],
)
async def test_a_frame_against_the_rules_closes_for_good(on_stage: Stage, data: bytes) -> None:
    async with on_stage.dial() as connection:
        code, _ = await sent_raw(connection, data)
    assert code == 4400


async def sent_raw(connection: Any, data: bytes) -> Any:
    connection.transport.write(data)
    return await Client(connection).closed()


async def test_a_message_in_fragments_is_put_together(on_stage: Stage) -> None:
    async with on_stage.dial() as connection:
        await connection.send(['{"type":', '"hel', 'lo"}'])
        assert isinstance(await Client(connection).next(), Welcome)


async def test_unknown_messages_are_ignored(on_stage: Stage) -> None:
    async with on_stage.client() as client:
        await client.connection.send('{"type":"novelty","x":[1]}')
        assert (await client.hello()).intent == "full"


async def test_a_ping_is_answered(on_stage: Stage) -> None:
    async with on_stage.dial() as connection:
        await asyncio.wait_for(await connection.ping(), 5)


async def test_closing_is_answered(on_stage: Stage) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await client.connection.close()
        assert client.connection.close_code == 1000
    await until(lambda: not on_stage.gateway.connections)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"Content-Length: 5\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n", b"400"),
        (b"Content-Length: 0\r\n", b"101"),
        (b"X: y\r\n" * 200, b"431"),
        (b"Sec-WebSocket-Key: c2Vjb25k\r\n", b"400"),
        (b"Sec-WebSocket-Version: 8\r\n", b"400"),
        (b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", b"400"),
        (b"X-\xc3\xbc: \xe9\r\n", b"400"),
        (b"X: \xe9\r\n", b"101"),
    ],
)
async def test_unusual_upgrade_requests_are_answered(
    on_stage: Stage, more: bytes, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", on_stage.port)
    writer.write(upgrade_request().removesuffix(b"\r\n") + more + b"\r\n")
    assert (await reader.readline()).split()[1] == status
    writer.transport.abort()
    await until(lambda: not on_stage.server.server_state.connections)


async def test_another_path_is_not_found(on_stage: Stage) -> None:
    on_stage.url += "/elsewhere"
    with pytest.raises(InvalidStatus) as refused:
        await on_stage.dial()
    assert refused.value.response.status_code == 404
    assert on_stage.gateway.counters.refused == 1


async def test_a_target_that_is_no_address_is_not_found(on_stage: Stage) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", on_stage.port)
    writer.write(upgrade_request().replace(b" /stream/v1", b" //["))
    assert (await reader.readline()).split()[1] == b"404"
    writer.close()


async def test_our_subprotocol_is_chosen_where_it_is_offered(on_stage: Stage) -> None:
    async with on_stage.dial(subprotocols=["other", "halyard.v1"]) as connection:
        assert connection.subprotocol == "halyard.v1"
    async with on_stage.dial() as connection:
        assert connection.subprotocol is None


async def test_foreign_subprotocols_are_refused(on_stage: Stage) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await on_stage.dial(subprotocols=["halyard.v99"])
    assert refused.value.response.status_code == 400


async def test_more_connections_than_allowed_are_sent_away_before_the_upgrade(
    redis_client: redis.asyncio.Redis,
) -> None:
    async with stage(redis_client, StreamSettings(max_connections=1)) as running:
        async with running.client() as client:
            await client.synchronise()
            with pytest.raises(InvalidStatus) as refused:
                await running.dial()
            assert refused.value.response.status_code == 503
            assert 10 <= int(refused.value.response.headers["Retry-After"]) <= 30
            assert running.gateway.counters.refused == 1


async def test_a_client_that_says_nothing_is_closed(redis_client: redis.asyncio.Redis) -> None:
    impatient = StreamSettings(hello_timeout_s=0.3, heartbeat_s=0.2)
    async with stage(redis_client, impatient) as running, running.client() as client:
        assert await client.closed() == (4408, "no hello in time")


async def test_a_client_that_is_not_there_any_more_is_cut(
    redis_client: redis.asyncio.Redis,
) -> None:
    quick = msgspec.structs.replace(QUICK, closing_s=0.3)
    async with stage(redis_client, quick) as running, running.client() as client:
        await client.synchronise()
        client.connection.transport.pause_reading()  # and so it answers no pings
        await until(lambda: running.gateway.counters.cut == 1)
        assert running.gateway.counters.closes == {4408: 1}
        client.connection.transport.abort()


async def test_a_client_that_stood_still_learns_that_it_was_too_slow(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    # Little is sent, so that it all fits into what the kernel holds: only pings tell.
    async with stage(redis_client, QUICK) as running, running.client() as client:
        await client.synchronise()
        client.connection.transport.pause_reading()
        for _ in range(20):
            await ruleset.change(("flag:a", {}))
        await until(lambda: running.gateway.counters.closes == {4408: 1})
        client.connection.transport.resume_reading()
        assert await client.closed() == (4408, "pings were not answered")
        async with running.client() as again:
            welcome = await again.synchronise(Resume("7.1", client.seq))
            assert welcome.intent in ("changes", "none")
            await again.reach(ruleset.seq)


async def test_a_client_that_reads_a_little_now_and_then_is_closed_in_the_end(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    strict = StreamSettings(stall_s=1.2, behind_s=2.4, closing_s=0.3, heartbeat_s=1)
    async with stage(redis_client, strict) as running:
        loop, closes = asyncio.get_running_loop(), running.gateway.counters.closes
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            reader.setblocking(False)
            await loop.sock_connect(reader, ("127.0.0.1", running.port))
            hello = Frame(Opcode.TEXT, b'{"type":"hello"}').serialize(mask=True)
            await loop.sock_sendall(reader, upgrade_request())
            assert (await loop.sock_recv(reader, 2_000)).startswith(b"HTTP/1.1 101 ")
            await loop.sock_sendall(reader, hello)
            await until(lambda: running.gateway.counters.snapshots == 1)
            await ruleset.change(("flag:a", {"salt": "x" * 9_000_000}))
            began_s = time.monotonic()
            while not closes and time.monotonic() - began_s < 20:
                await loop.sock_recv(reader, 2_000)
                await asyncio.sleep(0.01)
            assert closes == {4408: 1}
            assert time.monotonic() - began_s > strict.stall_s + 1
            await until(lambda: not running.gateway.connections)


async def test_a_client_that_does_not_read_is_closed_after_a_while(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    strict = StreamSettings(stall_s=0.4, closing_s=0.3, heartbeat_s=2)
    async with stage(redis_client, strict) as running, running.client() as client:
        await client.synchronise()
        client.connection.transport.pause_reading()
        closes = running.gateway.counters.closes
        while not closes:
            await ruleset.change(("flag:a", {"salt": "x" * 1_000_000}))
        assert closes == {4408: 1}
        await until(lambda: not running.gateway.connections)
        client.connection.transport.abort()


async def test_a_client_that_does_not_answer_a_close_is_cut(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    quick = StreamSettings(closing_s=0.3, heartbeat_s=60)
    async with stage(redis_client, quick) as running, running.client() as client:
        await client.synchronise()
        client.connection.transport.pause_reading()
        await ruleset.change((key_document(SERVER_KEY), None))
        await until(lambda: running.gateway.counters.cut == 1)
        client.connection.transport.abort()


async def test_a_client_that_vanishes_during_the_handshake_leaves_nothing(
    on_stage: Stage,
) -> None:
    connection = await on_stage.dial()
    connection.transport.abort()
    await until(lambda: not on_stage.gateway.connections)
    assert QUICK.linger_s > 0
    environments = on_stage.gateway.hub.environments
    await until(lambda: ENV not in environments or not environments[ENV].connections)


async def test_what_the_sdk_tracks_arrives(on_stage: Stage) -> None:
    async with AsyncClient(on_stage.url.removesuffix("/stream/v1"), SERVER_KEY) as flags:
        assert await flags.wait_ready(10)
        for _ in range(3_000):
            flags.track("bought", {"kind": "multi", "user": {"key": "alice"}}, 9.95, {"a": [1]})
    assert on_stage.gateway.counters.tracking_events == {ENV: 3_000}
    assert flags.dropped_events == 0
