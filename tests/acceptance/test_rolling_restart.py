"""Two gateways on one port are replaced one after the other, under SDKs and with changes flowing.

No SDK is without news for more than a second, nobody is refused for good, every change arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from halyard_protocol.messages import (
    Changes,
    Goodbye,
    Heartbeat,
    Hello,
    Resume,
    Snapshot,
    decode_server_message,
    encode_message,
)
from halyard_sdk.status import State, Status
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.program import HalyardProcess, free_port
from tests.support.witness import Witness

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(120)]

TOKEN = "hly_token_of_the_rolling_restart"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SDKS = 5
CLIENTS = 150
TURN_S = 0.2
"""From one change to the next."""


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": "1",
        "HALYARD_LOG_FORMAT": "json",
    }


class Raw:
    """A client of another language: it follows the rules, and keeps nothing but its position."""

    def __init__(self, url: str, key: str) -> None:
        self.at: Resume | None = None
        self.arrived = asyncio.Event()
        self.faults: list[str] = []
        self._url = url.replace("http", "ws") + "/stream/v1"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._newest: ClientConnection | None = None

    async def live(self) -> None:
        """Stay connected until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._follow(0))

    async def _follow(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        connection = await self._connected()
        before, self._newest = self._newest, connection
        await connection.send(encode_message(Hello(protocol=1, resume=self.at)).decode())
        try:
            async for frame in connection:
                self._take(frame)
                if before is not None:
                    self._tasks.create_task(before.close())
                    before = None
        except ConnectionClosed as closed:
            self.faults.append(f"closed: {closed}")
        if self._newest is connection:
            self._tasks.create_task(self._follow(0.05))

    async def _connected(self) -> ClientConnection:
        while True:
            try:
                return await connect(
                    self._url,
                    additional_headers=self._headers,
                    compression=None,
                    process_exception=lambda error: error,
                )
            except (InvalidHandshake, OSError):
                await asyncio.sleep(0.05)

    def _take(self, frame: str | bytes) -> None:
        text = frame if isinstance(frame, bytes) else frame.encode()
        match decode_server_message(text):
            case Snapshot(epoch=epoch, seq=seq):
                self._reach(epoch, seq)
            case Changes(epoch=epoch, from_=from_, to=to):
                if self.at is None or epoch != self.at.epoch or from_ > self.at.seq:
                    self.faults.append(f"a gap: {self.at} and {from_}")
                self._reach(epoch, to)
            case Heartbeat(epoch=epoch, seq=seq):
                self._reach(epoch, seq)
            case Goodbye(reconnect_after_ms=after_ms):
                self._tasks.create_task(self._follow(after_ms / 1000))
            case _:
                pass

    def _reach(self, epoch: str, seq: int) -> None:
        self.at = Resume(epoch, max(seq, 0 if self.at is None else self.at.seq))
        self.arrived.set()


class Changing:
    """Changes a flag again and again, and notes when each change was accepted."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.accepted: dict[int, float] = {}
        self._http = http

    async def run(self, done: asyncio.Event) -> None:
        """Until ``done``."""
        while not done.is_set():
            what = ("enable", "disable")[len(self.accepted) % 2]
            path = f"/api/v1/projects/shop/flags/banner/environments/development/{what}"
            answer = (await self._http.post(path)).json()
            self.accepted[answer["seq"]] = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), TURN_S)


class Watched(Witness):
    """Notes when each position was reached, and since when it was stale."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(url, key)
        self.reached: dict[int, float] = {}
        self.stale: list[Status] = []
        self.client.on_change(lambda _: self._note())
        self.client.on_status(self._noted)

    def _note(self) -> None:
        assert self.replica is not None
        self.reached.setdefault(self.replica.seq, time.monotonic())

    def _noted(self, status: Status) -> None:
        if self.reached and status.state is not State.READY:
            self.stale.append(status)

    def worst_s(self, accepted: dict[int, float]) -> float:
        """The longest that a change was on its way."""
        return max(
            min(at for to, at in self.reached.items() if to >= seq) - accepted_s
            for seq, accepted_s in accepted.items()
        )


@contextlib.asynccontextmanager
async def a_project(http: httpx.AsyncClient) -> AsyncIterator[str]:
    """With a flag; gives a server key."""
    made = await http.post("/api/v1/projects", json={"key": "shop", "name": "Shop"})
    assert made.status_code == 201, made.text
    await http.post("/api/v1/projects/shop/flags", json={"key": "banner"})
    keys = "/api/v1/projects/shop/environments/development/keys"
    yield (await http.post(keys, json={"kind": "server"})).json()["secret"]


async def test_two_gateways_on_one_port_are_replaced_and_nobody_is_stale(
    tmp_path: Path, env: dict[str, str]
) -> None:
    port, done = free_port(), asyncio.Event()

    def gateway(name: str) -> HalyardProcess:
        log = tmp_path / f"{name}.log"
        return HalyardProcess(
            "serve", "--roles", "gateway", "--reuse-port", log=log, port=port, env=env
        )

    async with AsyncExitStack() as stack:
        api = HalyardProcess("serve", "--roles", "api,projector", log=tmp_path / "api", env=env)
        old, new = [[gateway(f"{age}-{n}") for n in range(2)] for age in ("old", "new")]
        await asyncio.gather(*(stack.enter_async_context(each) for each in (api, *old)))
        http = httpx.AsyncClient(base_url=api.url, headers=HEADERS, timeout=30)
        await stack.enter_async_context(http)
        key = await stack.enter_async_context(a_project(http))
        await asyncio.gather(*(listening(each) for each in old))
        sdks = [await stack.enter_async_context(Watched(old[0].url, key)) for _ in range(SDKS)]
        raw, changing = [Raw(old[0].url, key) for _ in range(CLIENTS)], Changing(http)
        async with asyncio.TaskGroup() as tasks:
            lives = [tasks.create_task(each.live()) for each in raw]
            for client in raw:
                await client.arrived.wait()
            for sdk in sdks:
                await sdk.reach(1)
            flowing = tasks.create_task(changing.run(done))
            await asyncio.gather(*(stack.enter_async_context(each) for each in new))
            await asyncio.gather(*(listening(each) for each in new))
            for leaving in old:
                assert await leaving.stop() == 0, leaving.output()
            done.set()
            await flowing
            last = max(changing.accepted)
            for sdk in sdks:
                await sdk.reach(last)
            for client in raw:
                await caught_up(client, last)
            for life in lives:
                life.cancel()
        assert [fault for client in raw for fault in client.faults] == []
        for sdk in sdks:
            assert sdk.faults == []
            assert sdk.stale == []
            assert sdk.worst_s(changing.accepted) < 1
        for each in new:
            await each.kill()  # there is nobody left to say goodbye to


async def listening(process: HalyardProcess) -> None:
    """Another process on the port may have said that it is ready: wait for this one's word."""
    async with asyncio.timeout(30):
        while '"listening"' not in process.output():
            await asyncio.sleep(0.02)


async def caught_up(raw: Raw, seq: int) -> None:
    async with asyncio.timeout(10):
        while raw.at is None or raw.at.seq < seq:
            raw.arrived.clear()
            await raw.arrived.wait()
