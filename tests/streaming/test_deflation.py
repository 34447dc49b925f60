"""permessage-deflate over real sockets: who gets it, what it costs, and what cannot be inflated."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest
import redis.asyncio
from halyard_protocol.messages import Changes, Snapshot, Welcome
from halyard_protocol.session.frames import DEFLATED
from halyard_sdk import AsyncClient
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import ClientExtensionFactory
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from streaming.deflation import SharedDeflate, inflated
from streaming.settings import StreamSettings
from tests.streaming.stage import Client, Stage, stage
from tests.streaming.writing import SERVER_KEY, Ruleset

pytestmark = pytest.mark.usefixtures("ruleset")

AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
RSV1 = 0x40


def offering(**offer: Any) -> dict[str, Any]:
    return {"extensions": [ClientPerMessageDeflateFactory(**offer)]}


def answered(client: Client) -> str | None:
    assert client.connection.response is not None
    return client.connection.response.headers.get("Sec-WebSocket-Extensions")


@pytest.mark.parametrize(
    "offer",
    [
        pytest.param({"client_max_window_bits": True}, id="a browser's"),
        pytest.param({"client_max_window_bits": None}, id="the plainest"),
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        {"server_max_window_bits": 15, "client_max_window_bits": 10},
    ],
)
async def test_whoever_offers_it_gets_it_without_context_takeover(
    on_stage: Stage, ruleset: Ruleset, offer: dict[str, Any]
) -> None:
    await ruleset.change(("flag:a", {"salt": "x" * 50_000}))
    async with on_stage.client(**offering(**offer)) as client:
        assert str(answered(client)).startswith(AGREED)
        await client.synchronise()
        assert client.flags == ruleset.flags
        for length in (10, 5_000, 60_000, 10):
            await ruleset.change(("flag:b", {"salt": "y" * length}), ("flag:c", None))
            await client.reach(ruleset.seq)
        assert client.flags == ruleset.flags


async def test_an_offer_that_needs_a_small_window_is_declined(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client(**offering(server_max_window_bits=12)) as client:
        assert answered(client) is None
        await client.synchronise()
        assert client.flags == ruleset.flags


class TwoOffers(ClientPerMessageDeflateFactory):
    """What some clients send: their favourite, and what they accept beside it."""

    def get_request_params(self) -> Any:
        return [("server_max_window_bits", "9"), ("x-unknown", None)]


async def test_another_offer_of_the_same_client_may_do(on_stage: Stage) -> None:
    offers: list[ClientExtensionFactory] = [TwoOffers(), ClientPerMessageDeflateFactory()]
    async with on_stage.client(extensions=offers) as client:
        assert str(answered(client)).startswith(AGREED)


async def test_small_messages_go_as_they_are_and_large_ones_are_shared(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    async with (
        stage(redis_client, StreamSettings(heartbeat_s=60)) as running,
        running.client(**offering()) as one,
        running.client(**offering()) as two,
        running.client() as plain,
    ):
        seen = [spied(client) for client in (one, two, plain)]
        for client in (one, two, plain):
            await client.synchronise()
            assert client.flags == ruleset.flags
        await ruleset.change(("flag:a", {"salt": "x" * 5_000}))
        for client in (one, two, plain):
            await client.next_of(Changes)
            assert client.flags == ruleset.flags
    deflated = [[bool(first & RSV1) for first, _ in frames] for frames in seen]
    assert deflated == [[False, False, True], [False, False, True], [False, False, False]]
    assert seen[0][-1] == seen[1][-1]
    assert seen[0][-1][1] < 500
    assert seen[2][-1][1] > 5_000


def spied(client: Client) -> list[tuple[int, int]]:
    """First byte and length of each text frame that arrives from now on."""
    frames: list[tuple[int, int]] = []
    protocol = client.connection.protocol
    receive = protocol.receive_data

    def receive_data(data: bytes | bytearray) -> None:
        at = 0
        while at < len(data):  # frames arrive in one piece here: they are small
            first, length = data[at], data[at + 1]
            head = 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4]), 4
            if first & 0x0F == Opcode.TEXT:
                frames.append((first, length))
            at += head + length
        receive(data)

    protocol.receive_data = receive_data  # type: ignore[method-assign]
    return frames


def compressed(payload: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def frame(opcode: Opcode, data: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    first, *rest = Frame(opcode, data, fin).serialize(mask=True)
    return bytes((first | RSV1 if rsv1 else first, *rest))


async def test_a_compressed_message_in_fragments_is_put_together(on_stage: Stage) -> None:
    hello = compressed(b'{"type":"hello","sdk":{"name":"in pieces"}}')
    async with on_stage.dial(**offering()) as connection:
        pieces = [
            frame(Opcode.TEXT, hello[:3], fin=False, rsv1=True),
            frame(Opcode.PING, b""),
            frame(Opcode.CONT, b"", fin=False),
            frame(Opcode.CONT, hello[3:]),
        ]
        for piece in pieces:
            connection.transport.write(piece)
        assert isinstance(await Client(connection).next(), Welcome)


async def test_a_message_may_come_uncompressed_all_the_same(on_stage: Stage) -> None:
    async with on_stage.dial(**offering()) as connection:
        connection.transport.write(frame(Opcode.TEXT, b'{"type":', fin=False))
        connection.transport.write(frame(Opcode.CONT, b'"hello"}'))
        assert isinstance(await Client(connection).next(), Welcome)


BOMB = compressed(b'{"type":"hello","x":"' + b"x" * 10_000_000 + b'"}')


@pytest.mark.parametrize(
    ("frames", "deflate"),
    [
        pytest.param([frame(Opcode.TEXT, BOMB, rsv1=True)], True, id="a bomb"),
        pytest.param(
            [
                frame(Opcode.TEXT, BOMB[:100], fin=False, rsv1=True),
                frame(Opcode.CONT, BOMB[100:]),
            ],
            True,
            id="a bomb in fragments",
        ),
        pytest.param(
            [
                frame(Opcode.TEXT, b"\0" * 40_000, fin=False, rsv1=True),
                frame(Opcode.CONT, b"\0" * 40_000, fin=False),
            ],
            True,
            id="too much that is compressed",
        ),
        pytest.param([frame(Opcode.TEXT, b"\xff\xff\xff", rsv1=True)], True, id="nonsense"),
        pytest.param(
            [
                frame(Opcode.TEXT, b"\x01", fin=False, rsv1=True),
                frame(Opcode.CONT, b"\x01", rsv1=True),
            ],
            True,
            id="compressed twice",
        ),
        pytest.param([frame(Opcode.TEXT, compressed(b"{}"), rsv1=True)], False, id="not agreed on"),
    ],
)
async def test_what_cannot_be_inflated_closes_for_good(
    on_stage: Stage, frames: list[bytes], deflate: bool
) -> None:
    options = offering() if deflate else {}
    async with on_stage.dial(**options) as connection:
        for each in frames:
            connection.transport.write(each)
        async with asyncio.timeout(5):
            code, reason = await Client(connection).closed()
    assert code == 4400
    assert reason


def test_inflating_stops_at_the_limit() -> None:
    assert inflated(compressed(b"x" * 100), 100) == b"x" * 100
    assert inflated(compressed(b""), 0) == b""
    for payload, limit in ((b"x" * 101, 100), (b"x", 0)):
        with pytest.raises(PayloadTooBig):
            inflated(compressed(payload), limit)
    with pytest.raises(ProtocolError):
        inflated(b"\xff\xff\xff", 100)


async def test_the_sdk_negotiates_it(on_stage: Stage, ruleset: Ruleset) -> None:
    await ruleset.change(("flag:a", {"salt": "x" * 50_000}))
    async with AsyncClient(on_stage.url.removesuffix("/stream/v1"), SERVER_KEY) as flags:
        assert await flags.wait_ready(10)
        (connection,) = on_stage.gateway.connections
        assert connection.session.wire == DEFLATED


async def test_no_connection_keeps_a_compressor(on_stage: Stage) -> None:
    async with on_stage.client(**offering()) as client:
        await client.synchronise()
        assert any(isinstance(message, Snapshot) for message in client.heard)
        (connection,) = on_stage.gateway.connections
        (extension,) = connection._wire.extensions
        assert isinstance(extension, SharedDeflate)
        assert vars(extension) == {"_begun": None}
