"""The asynchronous client on real sockets, against a peer that says what each test wants."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from halyard_sdk import AsyncClient, Change, State, Status, keeper
from halyard_sdk.connection import open_connection
from halyard_sdk.follower import LARGE_FRAME_BYTES

from tests.support.stream_peer import KEY, TIMEOUT_S, StreamPeer, flag, unavailable


class Heard(list[Any]):
    """What a callback was told, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def __call__(self, news: Any) -> None:
        self.append(news)
        self._news.set()

    async def one(self) -> Any:
        async with asyncio.timeout(TIMEOUT_S):
            while not self:
                self._news.clear()
                await self._news.wait()
        return self.pop(0)

    async def state(self, state: State) -> Status:
        while True:
            status: Status = await self.one()
            if status.state is state:
                return status


def client_of(peer: StreamPeer, **more: Any) -> AsyncClient:
    return AsyncClient(peer.url, KEY, **more)


# --- the plain course


async def test_it_says_who_it_is_and_becomes_ready(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        assert flags.status.state is State.INITIALIZING
        talk = await peer.talk()
        assert talk.authorization == f"Bearer {KEY}"
        assert talk.socket.subprotocol == "halyard.v1"
        await talk.synchronises(3, flag("beta"))
        assert await flags.wait_ready(TIMEOUT_S)
        assert flags.status == Status(State.READY, flags.status.since)
        assert flags.boolean("beta", "alice", default=False)


async def test_a_change_is_told_after_it_can_be_seen(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        heard = Heard()
        flags.on_change("beta", lambda _: heard(flags.variation("beta", "alice", None)))
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", "old"))
        assert await heard.one() == "old"
        await talk.changes(3, 4, flag("other"))
        await talk.changes(4, 5, flag("beta", "new", version=5))
        assert await heard.one() == "new"
        await talk.changes(5, 6, delete={"flags": ["beta"]})
        assert await heard.one() is None


async def test_a_callback_that_raises_disturbs_nothing(
    peer: StreamPeer, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(peer) as flags:
        heard = Heard()
        flags.on_change(lambda _: 1 / 0)
        flags.on_change(heard)
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"))
        assert await heard.one() == Change(frozenset({"beta"}))
        assert flags.status.state is State.READY
    assert "ZeroDivisionError" in caplog.text


async def test_closing_says_goodbye_properly_and_keeps_answering(peer: StreamPeer) -> None:
    flags = client_of(peer)
    await flags.start()
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta"))
    await flags.wait_ready(TIMEOUT_S)
    await asyncio.gather(flags.close(), talk.hears_close())
    await flags.close()
    assert flags.status.state is State.OFFLINE
    assert flags.boolean("beta", "alice", default=False)
    assert await flags.wait_ready(TIMEOUT_S)
    assert not await flags.wait_ready(TIMEOUT_S, stale_ok=False)


async def test_a_client_that_was_never_started_can_be_closed() -> None:
    flags = AsyncClient("http://127.0.0.1:1", KEY)
    await flags.close()
    assert flags.status.state is State.OFFLINE
    assert not await flags.wait_ready(TIMEOUT_S)


async def test_waiting_gives_up_in_time(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        assert not await flags.wait_ready(0.01)


async def test_a_large_snapshot_is_read_beside_the_loop(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        many = [flag(f"flag-{n}", "x" * 1000) for n in range(LARGE_FRAME_BYTES // 1000 + 1)]
        await talk.synchronises(3, *many)
        await talk.changes(3, 4, flag("flag-0", "y", version=4))
        heard = Heard()
        flags.on_change("flag-0", heard)
        assert await flags.wait_ready(TIMEOUT_S)
        while flags.string("flag-0", "alice", "") != "y":
            await heard.one()
        assert len(flags.all_flags("alice")) == len(many)


# --- loss, repetition, garbage


async def test_a_broken_connection_is_stale_and_resumed(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        statuses = Heard()
        flags.on_status(statuses)
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"))
        ready = await statuses.state(State.READY)
        talk.breaks()
        stale = await statuses.state(State.STALE)
        assert stale.since >= ready.since
        again = await peer.talk()
        assert (await again.hears())["resume"] == {"epoch": "1.0", "seq": 3}
        await again.welcomes("none", 3)
        await statuses.state(State.READY)


async def test_a_server_that_is_away_at_first_is_found_when_it_comes(peer: StreamPeer) -> None:
    port = peer.port
    await peer.stop()
    async with client_of(peer) as flags:
        statuses = Heard()
        flags.on_status(statuses)
        assert "cannot connect" in (await statuses.one()).reason
        await peer.start(port)
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"))
        await statuses.state(State.READY)


async def test_repeats_and_gaps_are_told_apart(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        heard = Heard()
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", 1))
        await flags.wait_ready(TIMEOUT_S)
        flags.on_change(heard)
        await talk.changes(3, 5, flag("beta", 2, version=5))
        await talk.changes(3, 5, flag("beta", 2, version=5))
        await talk.changes(4, 5, flag("beta", 3, version=5))
        await talk.changes(6, 7, flag("beta", 4, version=7))
        assert (await talk.hears())["resume"] == {"epoch": "1.0", "seq": 5}
        assert flags.integer("beta", "alice", 0) == 2
        assert flags.status.state is State.STALE
        await talk.welcomes("changes", 7)
        await talk.changes(5, 7, flag("beta", 4, version=7))
        assert await flags.wait_ready(TIMEOUT_S, stale_ok=False)
        assert heard == [Change(frozenset({"beta"}))] * 2


@pytest.mark.parametrize("garbage", ["{", '{"type":"changes"}', '"hello"', "\x00", "[" * 5000])
async def test_garbage_ends_the_connection_not_the_client(peer: StreamPeer, garbage: str) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"))
        await flags.wait_ready(TIMEOUT_S)
        await talk.socket.send(garbage)
        assert await talk.hears_close() == 1007
        again = await peer.talk()
        assert (await again.hears())["resume"] == {"epoch": "1.0", "seq": 3}
        assert flags.boolean("beta", "alice", default=False)


async def test_a_frame_of_the_future_is_ignored(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", 1, invented="later"))
        await talk.says("fireworks", colour="green")
        await talk.changes(3, 4, flag("beta", 2, version=4), invented="later")
        heard = Heard()
        flags.on_change(heard)
        await heard.one()
        assert flags.integer("beta", "alice", 0) == 2


async def test_one_malformed_flag_costs_only_itself(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("good"), {"key": "bad", "rules": "none"})
        await flags.wait_ready(TIMEOUT_S)
        assert flags.boolean("good", "alice", default=False)
        assert flags.detail("bad", "alice", 1).reason.error_code == "MALFORMED_FLAG"


# --- silence


async def test_silence_is_a_loss(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        statuses = Heard()
        flags.on_status(statuses)
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"), beat_s=0.05)
        await statuses.state(State.READY)
        assert "silent" in (await statuses.state(State.STALE)).reason
        again = await peer.talk()
        assert (await again.hears())["resume"] == {"epoch": "1.0", "seq": 3}


async def test_a_ping_is_heard(peer: StreamPeer) -> None:
    from halyard_sdk.address import Address

    connection = await open_connection(Address.of(peer.url, KEY))
    talk = await peer.talk()
    before_s = connection.heard_s
    async with asyncio.timeout(TIMEOUT_S):
        await (await talk.socket.ping())
    assert connection.heard_s > before_s
    await connection.close(1000, "")


# --- closes and refusals


@pytest.mark.parametrize("code", [4400, 4401, 4403])
async def test_a_final_close_stops_and_says_so(
    peer: StreamPeer, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        await talk.closes(code, "the key was revoked")
        assert not await flags.wait_ready(TIMEOUT_S)
        assert flags.status.state is State.OFFLINE
        assert "the key was revoked" in flags.status.reason
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.talks.get(), 0.3)
    assert "will not connect again" in caplog.text
    assert KEY not in caplog.text


async def test_suspected_corruption_begins_afresh_and_answers_meanwhile(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", 1))
        await flags.wait_ready(TIMEOUT_S)
        await talk.closes(4409)
        again = await peer.talk()
        assert "resume" not in await again.hears()
        assert flags.integer("beta", "alice", 0) == 1
        await again.welcomes("full", 3)
        await again.snapshots(3, flag("beta", 2))
        assert await flags.wait_ready(TIMEOUT_S, stale_ok=False)
        assert flags.integer("beta", "alice", 0) == 2


async def test_a_full_server_is_left_alone_for_as_long_as_it_asks(
    peer: StreamPeer, caplog: pytest.LogCaptureFixture
) -> None:
    peer.refuse = lambda: unavailable("1")
    async with client_of(peer) as flags:
        statuses = Heard()
        flags.on_status(statuses)
        assert "503" in (await statuses.one()).reason
        refused_s = asyncio.get_running_loop().time()
        peer.refuse = lambda: None
        await peer.talk()
        assert asyncio.get_running_loop().time() - refused_s >= 1.0


async def test_what_a_server_asked_for_holds_when_the_old_connection_ends_meanwhile(
    peer: StreamPeer,
) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", 1))
        await flags.wait_ready(TIMEOUT_S)
        peer.refuse = lambda: unavailable("1")
        await talk.says("goodbye", reason="deploy", reconnectAfterMs=0)
        await peer.refused.wait()
        refused_s = asyncio.get_running_loop().time()
        peer.refuse = lambda: None
        await talk.closes(1001, "the server is going away")
        await peer.talk()
        assert asyncio.get_running_loop().time() - refused_s >= 0.95


async def test_over_a_limit_it_stays_away_for_a_while(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta", 1))
        await flags.wait_ready(TIMEOUT_S)
        await talk.closes(4429, "too many messages")
        with pytest.raises(TimeoutError):  # the first backoff is 0.1 s at most
            await asyncio.wait_for(peer.talks.get(), 0.5)
        assert flags.status.state is State.STALE


async def test_a_failure_that_repeats_is_logged_once(
    peer: StreamPeer, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0
    enough = asyncio.Event()

    def refuse() -> Any:
        nonlocal tries
        tries += 1
        if tries == 3:
            enough.set()
        return unavailable("0")

    peer.refuse = refuse
    with caplog.at_level(logging.WARNING, "halyard_sdk"):
        async with client_of(peer), asyncio.timeout(TIMEOUT_S):
            await enough.wait()
    assert sum("cannot connect" in line for line in caplog.messages) == 1


# --- hand-over


async def test_a_goodbye_makes_nobody_stale(peer: StreamPeer) -> None:
    async with client_of(peer) as flags:
        statuses, heard = Heard(), Heard()
        old = await peer.talk()
        await old.synchronises(3, flag("beta", 1))
        await flags.wait_ready(TIMEOUT_S)
        flags.on_status(statuses)
        flags.on_change(heard)
        await old.says("goodbye", reason="deploy", reconnectAfterMs=1)
        new = await peer.talk()
        assert (await new.hears())["resume"] == {"epoch": "1.0", "seq": 3}
        await old.changes(3, 4, flag("beta", 2, version=4))
        await heard.one()
        await new.welcomes("changes", 4)
        await new.changes(3, 5, flag("beta", 3, version=5))
        await heard.one()
        assert await old.hears_close() == 1000
        await new.changes(5, 6, flag("beta", 4, version=6))
        await heard.one()
        assert flags.integer("beta", "alice", 0) == 4
        assert statuses == []


# --- the file


async def test_the_file_answers_while_the_server_is_away(peer: StreamPeer, tmp_path: Path) -> None:
    path = tmp_path / "ruleset"
    async with client_of(peer, cache_path=path) as flags:
        await (await peer.talk()).synchronises(3, flag("beta"))
        await flags.wait_ready(TIMEOUT_S)
        ready_since = flags.status.since
    port = peer.port
    await peer.stop()
    async with client_of(peer, cache_path=path) as flags:
        assert flags.boolean("beta", "alice", default=False)
        assert await flags.wait_ready(TIMEOUT_S)
        assert not await flags.wait_ready(0, stale_ok=False)
        assert flags.status.state is State.STALE
        assert flags.status.since >= ready_since
        await peer.start(port)
        talk = await peer.talk()
        assert (await talk.hears())["resume"] == {"epoch": "1.0", "seq": 3}
        await talk.welcomes("none", 3)
        assert await flags.wait_ready(TIMEOUT_S, stale_ok=False)


async def test_a_change_reaches_the_file_without_a_close(
    peer: StreamPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "DELAY_S", 0.0)
    monkeypatch.setattr(keeper, "REST_FACTOR", 0)
    path = tmp_path / "ruleset"
    async with client_of(peer, cache_path=path) as flags:
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"))
        await flags.wait_ready(TIMEOUT_S)
        async with asyncio.timeout(TIMEOUT_S):
            while not path.exists() or b'"seq":3' not in path.read_bytes():
                await asyncio.sleep(0.005)


async def test_a_file_of_another_environment_is_not_used(peer: StreamPeer, tmp_path: Path) -> None:
    path = tmp_path / "ruleset"
    async with client_of(peer, cache_path=path) as flags:
        await (await peer.talk()).synchronises(3, flag("beta"))
        await flags.wait_ready(TIMEOUT_S)
    async with AsyncClient(peer.url, "bbcdefghijkl-s-secret", cache_path=path) as flags:
        assert flags.status.state is State.INITIALIZING
        assert "resume" not in await (await peer.talk()).hears()


async def test_a_file_that_cannot_be_written_is_no_obstacle(
    peer: StreamPeer, tmp_path: Path
) -> None:
    async with client_of(peer, cache_path=tmp_path) as flags:
        await (await peer.talk()).synchronises(3, flag("beta"))
        assert await flags.wait_ready(TIMEOUT_S)
