"""A thousand browsers on a client key, each with a user of its own; one flag is changed.

Measures: from the acceptance of a change that concerns half of them (users on the plan ``pro``, by
a rule) to the ``values`` at each of these; whether the other half is told anything; and whether
anything is sent for flags on which nobody's result depends: one that is not for clients, and a rule
for a plan that no user is on.

Goals: p99 of 200 ms, everybody who is concerned, and nobody else. The project has 300 flags more,
50 of them for clients. The browsers send contexts and get values; they are the generator's.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import httpx

from benchmarks.stream.crowd import troubles
from benchmarks.stream.generator import Crowd, crowd
from benchmarks.stream.goals import Goals, run
from benchmarks.stream.project import (
    Change,
    commands_of,
    instants,
    issued_key,
    submitted,
)
from benchmarks.stream.stage import stream_stage

CONNECTIONS = 1_000
FLAGS, CLIENT_FLAGS = 250, 50
CHANGES, PER_S = 120, 10.0
P99_MS = 200
QUIET_CHANGES = 20
BANNER = {"flag": "banner", "environment": "development"}
HIDDEN = {"flag": "hidden", "environment": "development"}
CONTEXT = '{"kind":"user","key":"user-#","country":"DE","age":42,"plan":"%s"}'


def rule(name: str, plan: str, serve: str) -> dict[str, Any]:
    """Serves a variation to the users on one plan."""
    when = {"all": [{"attribute": "plan", "op": "equals", "values": [plan]}]}
    return {"id": name, "when": when, "serve": {"variation": serve}}


async def prepare(http: httpx.AsyncClient) -> None:
    """The flag that is changed, one that no client sees, and others beside them."""
    for number in range(FLAGS, FLAGS + CLIENT_FLAGS):
        await submitted(http, commands_of(number, client_side=True))
    commands: list[dict[str, Any]] = []
    for place, client_side in ((BANNER, True), (HIDDEN, False)):
        commands += [
            {"type": "CreateFlag", "flag": place["flag"], "clientSide": client_side},
            {"type": "EnableFlag", **place},
            {"type": "ChangeFallthrough", **place, "fallthrough": {"variation": "off"}},
            {"type": "AddRule", **place, "rule": rule("pro", "pro", "off")},
            {"type": "AddRule", **place, "rule": rule("nobody", "none-has-it", "off")},
        ]
    await submitted(http, commands)


async def change(
    http: httpx.AsyncClient, place: dict[str, str], name: str, plan: str, number: int
) -> Change:
    """Let a rule serve the other variation than before."""
    serve = "off" if number % 2 else "on"
    ordered_s = time.monotonic()
    command = {"type": "ChangeRule", **place, "rule": rule(name, plan, serve)}
    answer = await submitted(http, [command])
    return Change(place["flag"], answer["seq"], ordered_s, time.monotonic())


async def concerned(goals: Goals, http: httpx.AsyncClient, clients: Crowd) -> None:
    """Changes that give half of the users another value."""
    half = clients.size // 2
    await clients.mark()
    await clients.order("watch")
    made: list[Change] = []
    for number in range(CHANGES):
        made.append(await change(http, BANNER, "pro", "pro", number))
        await asyncio.sleep(max(0.0, made[0].ordered_s + (number + 1) / PER_S - time.monotonic()))
    await asyncio.sleep(1)
    latency = await clients.latencies(instants(made), 0, half)
    goals.exactly("values that reached those concerned", latency["arrived"], CHANGES * half)
    p99_ms = latency["p99_ms"] if latency["arrived"] else math.inf
    goals.at_most("accepted to arrived, p99", p99_ms, P99_MS, "ms")
    goals.note(
        f"p50 {latency['p50_ms']} ms, max {latency['max_ms']} ms; to the last of {half:,}: "
        f"p50 {latency['last_p50_ms']} ms, p99 {latency['last_p99_ms']} ms"
    )
    others = await clients.order(f"tally {half} {clients.size - half}")
    goals.exactly("messages to those whom it does not concern", others["messages"], 0)


async def nobody(goals: Goals, http: httpx.AsyncClient, clients: Crowd) -> None:
    """Changes that give nobody another value."""
    for what, place, name, plan in (
        ("a flag that is not for clients", HIDDEN, "pro", "pro"),
        ("a rule that matches nobody", BANNER, "nobody", "none-has-it"),
    ):
        await clients.mark()
        for number in range(QUIET_CHANGES):
            await change(http, place, name, plan, number)
        await asyncio.sleep(1)
        status = await clients.status()
        goals.exactly(f"{what}: messages sent", status["messages"]["values"], 0)


async def measure(goals: Goals, connections: int) -> None:
    """Both sorts of change."""
    async with stream_stage(FLAGS) as stage, crowd(stage.server.port) as clients:
        async with stage.api() as http:
            await prepare(http)
            key = await issued_key(http, "client")
            await asyncio.sleep(1)
            half = connections // 2
            await clients.add(half, key, context=CONTEXT % "pro", over_s=1)
            await clients.add(connections - half, key, context=CONTEXT % "free", over_s=1)
            status = await clients.synchronised(30)
            goals.exactly("browsers with their values", status["synchronised"], connections)
            goals.note(f"{status['intents']['values']:,} values; {troubles(status)}")
            if status["synchronised"] == 0:
                return  # nothing that could be measured, and silence would look like a success
            await concerned(goals, http, clients)
            await nobody(goals, http, clients)


if __name__ == "__main__":
    run(measure, CONNECTIONS)
