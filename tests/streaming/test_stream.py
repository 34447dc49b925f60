"""The stream as a client meets it: real sockets, a real server, a real Valkey."""

from __future__ import annotations

from halyard_protocol.messages import Changes, Resume, Snapshot

from tests.streaming.stage import Stage
from tests.streaming.writing import Ruleset


async def test_a_newcomer_is_welcomed_and_gets_a_snapshot(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        welcome = await client.hello()
        snapshot = await client.next()
    assert (welcome.environment, welcome.intent) == ("production", "full")
    assert isinstance(snapshot, Snapshot)
    assert (client.epoch, client.seq, client.flags) == ("7.1", 10, ruleset.flags)


async def test_a_change_reaches_every_client(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as one, on_stage.client() as two:
        for client in (one, two):
            await client.hello()
            await client.until(lambda client=client: client.seq == 10)
        await ruleset.change(("flag:a", {"salt": "t"}), ("flag:b", None), ("flag:d", {}))
        for client in (one, two):
            await client.until(lambda client=client: client.seq == 11)
            assert client.flags == ruleset.flags == {"a": 11, "c": 10, "d": 11}
    assert on_stage.gateway.counters.broadcasts == 1


async def test_resuming_at_the_head_costs_a_welcome(on_stage: Stage, ruleset: Ruleset) -> None:
    async with on_stage.client() as client:
        welcome = await client.hello(Resume("7.1", 10))
        assert welcome.intent == "none"
        await ruleset.change(("flag:a", {}))
        message = await client.next()
        while not isinstance(message, Changes):
            message = await client.next()
    assert (message.from_, message.to, len(message.put.flags)) == (10, 11, 1)
