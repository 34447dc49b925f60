"""What happens to connections that do not behave, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
import redis.asyncio
from halyard_protocol.codec import encode
from halyard_protocol.messages import TrackingEvent, Welcome, track_frame
from halyard_sdk import AsyncClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from streaming.settings import StreamSettings
from tests.streaming.stage import QUICK, Client, Stage, no, stage, until
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
    assert await refusal(on_stage, key) == (4401, "the key is wrong or was revoked")


async def test_a_client_key_is_told_that_it_cannot_be_served(on_stage: Stage) -> None:
    code, reason = await refusal(on_stage, f"{ENV}-c-public")
    assert code == 4403
    assert "client keys" in reason


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
        assert await revoked.closed() == (4401, "the key is wrong or was revoked")
        await other.reach(11)
        assert (await refusal(on_stage, SERVER_KEY))[0] == 4401


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


async def test_another_path_is_not_found(on_stage: Stage) -> None:
    on_stage.url += "/elsewhere"
    with pytest.raises(InvalidStatus) as refused:
        await on_stage.dial()
    assert refused.value.response.status_code == 404
    assert on_stage.gateway.counters.refused == 1


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
            assert refused.value.response.headers["Retry-After"] == "2"


async def test_a_client_that_says_nothing_is_closed(redis_client: redis.asyncio.Redis) -> None:
    impatient = StreamSettings(hello_timeout_s=0.3, heartbeat_s=0.2)
    async with stage(redis_client, impatient) as running, running.client() as client:
        assert await client.closed() == (4408, "no hello in time")


async def test_a_client_that_is_not_there_any_more_is_cut(on_stage: Stage) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        client.connection.transport.pause_reading()  # and so it answers no pings
        await until(lambda: on_stage.gateway.counters.cut == 1)
        client.connection.transport.abort()


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
    await until(lambda: not on_stage.gateway.hub.environments[ENV].connections)


async def test_what_the_sdk_tracks_arrives(on_stage: Stage) -> None:
    async with AsyncClient(on_stage.url.removesuffix("/stream/v1"), SERVER_KEY) as flags:
        assert await flags.wait_ready(10)
        for _ in range(3_000):
            flags.track("bought", {"kind": "multi", "user": {"key": "alice"}}, 9.95, {"a": [1]})
    assert on_stage.gateway.counters.tracking_events == {ENV: 3_000}
    assert flags.dropped_events == 0
