"""Who takes part in the soak: processes that are killed, SDKs that must converge, callers."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from halyard_protocol.session.replica import Replica
from halyard_sdk import AsyncClient
from halyard_sdk.status import State

from eventstore.store import EventStore
from projections.reading import open_log

_CLK_PAUSE_S = 0.05
_PROJECT = "soak"
API = f"/api/v1/projects/{_PROJECT}"
ENVIRONMENT = "development"


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds."""

    resident_mb: float
    descriptors: int
    tasks: int | None
    """asyncio's, where the process tells them in its metrics."""


async def footprint(pid: int, url: str) -> Footprint:
    """Of a running process, as the kernel and its own metrics have it. Linux only."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident_kb = int(status.split("VmRSS:")[1].split()[0])
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    async with httpx.AsyncClient(base_url=url) as http:
        found = re.search(
            r"^halyard_asyncio_tasks ([0-9.]+)$", (await http.get("/metrics")).text, re.M
        )
    return Footprint(resident_kb / 1024, descriptors, int(float(found[1])) if found else None)


def digest(documents: Iterable[tuple[str, bytes]]) -> str:
    """Of documents by name, in whatever order they come."""
    whole = hashlib.sha256()
    for name, body in sorted(documents):
        whole.update(f"{name} {len(body)}\n".encode())
        whole.update(body)
    return whole.hexdigest()[:16]


def digest_of_replica(replica: Replica | None) -> str:
    """Of what an SDK has, exactly as it came."""
    if replica is None:
        return "nothing"
    return digest(
        [
            ("environment", replica.environment),
            *((f"flag:{key}", body) for key, body in replica.flags.sources.items()),
            *((f"segment:{key}", body) for key, body in replica.segments.sources.items()),
        ]
    )


async def digest_of_log(store: EventStore) -> tuple[str, int]:
    """Of what the log gives when it is folded anew, and the seq of its end."""
    reader = await open_log(store, _PROJECT, from_snapshot=False)
    await reader.advance()
    ids = reader.fold.environments.by_id
    env = next(name for name, of in ids.items() if of.key == ENVIRONMENT)
    documents = reader.fold.documents(env)
    told = [
        (document.name, document.body)
        for document in documents
        if not document.deleted and not document.name.startswith("key:")
    ]
    return digest(told), reader.fold.seq


class Crowd:
    """Real SDKs, some of which come and go."""

    def __init__(self, urls: tuple[str, ...], chance: random.Random) -> None:
        self.clients: list[AsyncClient] = []
        self.joined = 0
        self._urls = urls
        self._chance = chance

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.clients)

    async def join(self, key: str, count: int) -> list[AsyncClient]:
        """So many more, each at one of the addresses."""
        fresh = [AsyncClient(self._chance.choice(self._urls), key) for _ in range(count)]
        for client in fresh:
            await client.start()
        self.clients += fresh
        self.joined += count
        return fresh

    async def churn(self, key: str, count: int) -> None:
        """So many leave, and as many come."""
        self._chance.shuffle(self.clients)
        leaving, self.clients = self.clients[:count], self.clients[count:]
        await asyncio.gather(*(client.close() for client in leaving))
        await self.join(key, count)

    def forget(self, clients: list[AsyncClient]) -> None:
        """These are no part of it any more."""
        self.clients = [client for client in self.clients if client not in clients]

    def digests(self) -> Counter[str]:
        """How many have which ruleset."""
        return Counter(digest_of_replica(c._follower._session.replica) for c in self.clients)

    def states(self) -> Counter[str]:
        """How many are ready, and so on."""
        return Counter(client.status.state.value for client in self.clients)

    async def close(self) -> None:
        """All leave."""
        await asyncio.gather(*(client.close() for client in self.clients))


async def all_stopped(clients: list[AsyncClient], within_s: float) -> bool:
    """Whether all of them were told for good that their key is refused."""
    try:
        async with asyncio.timeout(within_s):
            while any(client.status.state is not State.OFFLINE for client in clients):
                await asyncio.sleep(_CLK_PAUSE_S)
    except TimeoutError:
        return False
    return True


class Caller:
    """Posts one command after the other, each until it is answered, however often the API dies."""

    def __init__(self, url: str, token: str, number: int, chance: random.Random) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._number = number
        self._chance = chance
        self._posted = 0
        self.answers: Counter[int] = Counter()

    async def work(self, done: asyncio.Event, pause_s: float) -> None:
        """Until ``done``."""
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=15) as http:
            while not done.is_set():
                await self._insist(http, *self._next())
                await asyncio.sleep(pause_s)

    def _next(self) -> tuple[str, Any]:
        self._posted += 1
        flag = f"flag-{self._chance.randrange(200)}"
        kind = self._chance.random()
        if kind < 0.8:
            what = self._chance.choice(("enable", "disable"))
            return f"{API}/flags/{flag}/environments/{ENVIRONMENT}/{what}", None
        if kind < 0.9:
            return f"{API}/flags", {"key": f"extra-{self._number}-{self._posted}"}
        what = self._chance.choice(("archive", "restore"))
        return f"{API}/flags/flag-{200 + self._chance.randrange(50)}/{what}", None

    async def _insist(self, http: httpx.AsyncClient, path: str, body: Any) -> None:
        headers = {"Idempotency-Key": f"{self._number}-{self._posted}"}
        while True:
            try:
                answer = await http.post(path, headers=headers, json=body)
            except httpx.TransportError:
                await asyncio.sleep(_CLK_PAUSE_S)  # it is being started again
                continue
            if answer.status_code < 500:
                self.answers[answer.status_code] += 1
                return
            await asyncio.sleep(_CLK_PAUSE_S)
