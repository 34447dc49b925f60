"""A project of 3,000 flags whose ruleset is 5 MB of JSON, and changes of it over HTTP.

Flags are of four sorts, in turn: on for everybody, with rules, split in shares, and with targets;
each has some 1.8 KB of JSON, of which little repeats word for word from flag to flag, so that it is
no easier to deflate than what people write.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.database_stage import PROJECT
from benchmarks.server_stage import API, TOKEN

FLAGS = 3_000
AT_ONCE = 150
"""Flags per batch of commands."""
IN_FLIGHT = 16
WORDS = (
    "account", "amber", "basket", "beacon", "billing", "canary", "checkout", "cobalt", "coupon",
    "delta", "ember", "export", "falcon", "garnet", "harbor", "import", "invoice", "jasper",
    "ledger", "lumen", "meadow", "mobile", "nectar", "onyx", "orders", "payment", "pricing",
    "quartz", "report", "search", "sierra", "signup", "summit", "tablet", "tenant", "topaz",
    "upload", "velvet", "widget", "zephyr",
)  # fmt: skip


def flag_key(number: int) -> str:
    """Of the n-th flag."""
    return f"flag-{number}"


def _words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS, k=count))


def _ids(chance: random.Random, count: int) -> list[str]:
    return [f"{chance.choice(WORDS)}-{chance.randrange(16**6):06x}" for _ in range(count)]


def commands_of(number: int, *, client_side: bool = False) -> list[dict[str, Any]]:
    """What creates one flag, and sets it in development."""
    chance = random.Random(number)  # the same project in each run
    flag = flag_key(number)
    place = {"flag": flag, "environment": "development"}
    creation = {
        "type": "CreateFlag",
        "flag": flag,
        "name": _words(chance, 3),
        "description": _words(chance, 20),
        "clientSide": client_side,
    }
    conditions = [
        {"attribute": "country", "op": "in", "values": ["DE", "FR", "JP"]},
        {"attribute": "tenant", "op": "in", "values": _ids(chance, 16)},
        {"attribute": "age", "op": "greaterThan", "values": [number % 60]},
    ]
    rules = [
        {
            "name": _words(chance, 4),
            "description": _words(chance, 14),
            "when": {"all": [*conditions, {"attribute": "plan", "op": "equals", "values": [plan]}]},
            "serve": {"variation": "on"},
        }
        for plan in _ids(chance, 2)
    ]
    shares = [{"variation": "on", "weight": 30_000}, {"variation": "off", "weight": 70_000}]
    commands: list[dict[str, Any]] = [creation, {"type": "EnableFlag", **place}]
    commands += [{"type": "AddRule", **place, "rule": rule} for rule in rules]
    if number % 4 == 2:
        split = {"rollout": {"buckets": shares}}
        commands.append({"type": "ChangeFallthrough", **place, "fallthrough": split})
    if number % 4 == 3:
        targets = [{"variation": "on", "keys": _ids(chance, 12)}]
        commands.append({"type": "ChangeTargets", **place, "targets": targets})
    return commands


def api(url: str) -> httpx.AsyncClient:
    """An HTTP client with the administrator's token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60)


async def create(url: str, flags: int) -> None:
    """The project, over HTTP."""
    async with api(url) as http:
        await posted(http, "/api/v1/projects", {"key": PROJECT, "name": "Bench"})
        for start in range(0, flags, AT_ONCE):
            numbers = range(start, min(flags, start + AT_ONCE))
            commands = [command for number in numbers for command in commands_of(number)]
            await submitted(http, commands)


async def submitted(http: httpx.AsyncClient, commands: Sequence[dict[str, Any]]) -> Any:
    """Post commands as one batch."""
    return await posted(http, f"{API}/commands:batch", {"commands": list(commands)})


async def posted(http: httpx.AsyncClient, path: str, body: Any = None) -> Any:
    """Post, and read the answer."""
    answer = await http.post(path, json=body)
    if answer.is_error:
        raise RuntimeError(f"POST {path}: {answer.status_code} {answer.text[:500]}")
    return answer.json()


async def issued_key(http: httpx.AsyncClient, kind: str) -> str:
    """A new SDK key of development."""
    path = f"{API}/environments/development/keys"
    return str((await posted(http, path, {"kind": kind}))["secret"])


@dataclass(frozen=True)
class Change:
    """One change of one flag, and when it was ordered and accepted (monotonic clock)."""

    flag: str
    seq: int
    ordered_s: float
    accepted_s: float


class Changer:
    """Turns flags off and on again, each change one event of the log."""

    def __init__(self, http: httpx.AsyncClient, flags: Sequence[str]) -> None:
        self._http = http
        self._flags = flags
        self._enabled = dict.fromkeys(flags, True)
        self._count = 0
        self.made: list[Change] = []

    @property
    def last_seq(self) -> int:
        """Of all that were made."""
        return max(change.seq for change in self.made)

    async def change(self) -> Change:
        """Change the next flag."""
        flag = self._flags[self._count % len(self._flags)]
        self._count += 1
        what = "disable" if self._enabled[flag] else "enable"
        self._enabled[flag] = not self._enabled[flag]
        ordered_s = time.monotonic()
        answer = await posted(self._http, f"{API}/flags/{flag}/environments/development/{what}")
        made = Change(flag, answer["seq"], ordered_s, time.monotonic())
        self.made.append(made)
        return made

    async def keep_on(self, count: int, per_s: float) -> list[Change]:
        """So many changes at an even pace, which a slow answer does not break.

        Up to :data:`IN_FLIGHT` of them wait for their answers at the same time.
        """
        room = asyncio.Semaphore(min(IN_FLIGHT, len(self._flags)))

        async def one() -> Change:
            try:
                return await self.change()
            finally:
                room.release()

        began_s = time.monotonic()
        tasks: list[asyncio.Task[Change]] = []
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await asyncio.sleep(max(0.0, began_s + number / per_s - time.monotonic()))
                await room.acquire()
                tasks.append(group.create_task(one()))
        return sorted((task.result() for task in tasks), key=lambda change: change.seq)


def instants(changes: Sequence[Change]) -> list[tuple[int, float]]:
    """As the crowd wants to be told of them."""
    return [(change.seq, change.accepted_s) for change in changes]
