"""Ten thousand SDKs connect at once to 3,000 flags, and come back after two restarts.

Measures: how long until every one of them is synchronised (has received its snapshot to the last
byte; the bytes hash equal to those that a client of other code inflated, read and compared with
HTTP's), with 20 real SDKs among them that decode and evaluate; the server's memory, its kernel
buffers (of both ends: the clients are on the same machine), processor time. Then how long after a
restart, once by SIGTERM and once by kill -9, until all of them have resumed without a snapshot,
counted from the moment that the new process listens. Each restart has a crowd of its own: how long
an SDK waits grows with its failures, and only a minute of health lets it forget those before.

Goals: 60 s, 600 MB resident, one hash, 15 s, and neither a snapshot nor anybody refused for good.
The crowd dials in one instant, obeys Retry-After, and shares the two cores with the server,
PostgreSQL and Valkey. Does not measure TLS or a network.
"""

from __future__ import annotations

import time
from typing import Any

import httpx

from benchmarks.stream.generator import Crowd, crowd
from benchmarks.stream.goals import Goals, run
from benchmarks.stream.probe import Seen, probe
from benchmarks.stream.project import Changer, flag_key
from benchmarks.stream.resources import MIB, kernel_bytes, processor_s, resident_bytes, watched
from benchmarks.stream.sdks import CONTEXT, Sdks, digest, real_sdks
from benchmarks.stream.stage import Stage, stream_stage

CONNECTIONS = 10_000
SDKS = 20
SYNCHRONISED_S, RESUMED_S, RESIDENT_MIB = 60, 15, 600
PATIENCE_S = 120
"""How long is waited beyond a goal, to see by how much it was missed."""


async def server_says(stage: Stage) -> str:
    """The digest of what the server itself evaluates for the SDKs' context."""
    attributes: dict[str, Any] = {**CONTEXT, "targetingKey": CONTEXT["key"]}
    del attributes["key"]
    headers = {"X-API-Key": stage.key}
    async with httpx.AsyncClient(base_url=stage.server.url, headers=headers, timeout=60) as http:
        answer = await http.post("/ofrep/v1/evaluate/flags", json={"context": attributes})
        answer.raise_for_status()
        return digest({flag["key"]: flag["value"] for flag in answer.json()["flags"]})


async def storm(goals: Goals, stage: Stage, clients: Crowd, connections: int) -> None:
    """All connect at once."""
    seen = await probe(stage.server.url, stage.key)
    goals.note(
        f"snapshot: {seen.json_bytes:,} bytes of JSON, {seen.flags:,} flags, "
        f"{seen.sent_bytes:,} bytes sent{' (deflated)' if seen.deflated else ''}"
    )
    goals.exactly("the stream's snapshot is what HTTP answers", seen.is_what_http_says, True)
    pid = stage.server.pid
    before = {"server": processor_s(pid), "generator": processor_s(clients.pid)}
    quiet_resident, quiet_kernel = resident_bytes(pid), kernel_bytes()
    async with watched(lambda: stage.server.running_pid) as peaks:
        async with real_sdks(stage.server.url, stage.key, SDKS) as sdks:
            await clients.add(connections, stage.key, deflate=seen.deflated)
            status = await clients.synchronised(SYNCHRONISED_S + PATIENCE_S)
            worked = {
                "server": processor_s(pid) - before["server"],
                "generator": processor_s(clients.pid) - before["generator"],
            }
            await judge_sdks(goals, stage, sdks, status["first_dial_s"])
        judge_storm(goals, status, seen, connections)
    goals.at_most(
        "resident memory of the server, at its most", peaks.resident / MIB, RESIDENT_MIB, "MB"
    )
    goals.note(f"resident before: {quiet_resident / MIB:.0f} MB")
    goals.note(
        f"kernel's TCP buffers, both ends: {peaks.kernel / MIB:.0f} MB at the most, "
        f"{quiet_kernel / MIB:.0f} MB before"
    )
    goals.note(
        f"processor: server {worked['server']:.1f} s, generator {worked['generator']:.1f} s; "
        f"{status['bytes'] / MIB:,.0f} MB received"
    )


def judge_storm(goals: Goals, status: Any, seen: Seen, connections: int) -> None:
    """What the crowd says after the storm."""
    took_s = status["last_synchronised_s"] - status["first_dial_s"]
    goals.exactly("synchronised", status["synchronised"], connections)
    goals.at_most("until the last of them was", took_s, SYNCHRONISED_S, "s")
    goals.exactly(
        "hashes of what they received",
        {payload["hash"]: payload["count"] for payload in status["payloads"]},
        {seen.hash: connections},
    )
    goals.exactly("refused for good", status["given_up"], 0)
    goals.note(troubles(status))


def troubles(status: Any) -> str:
    """What else befell the crowd, as it counts it."""
    names = ("refused", "closes", "cuts", "unreachable", "timeouts", "silences", "gaps", "repeats")
    return "on the way: " + ", ".join(f"{name} {status[name]}" for name in names if status[name])


async def judge_sdks(goals: Goals, stage: Stage, sdks: Sdks, begun_s: float) -> None:
    """The real SDKs among the crowd."""
    ready = await sdks.ready()
    last_s = max(ready) - begun_s if all(ready) else float("inf")
    goals.at_most("until the last real SDK could evaluate", last_s, SYNCHRONISED_S, "s")
    answers = {(report["flags"], report["digest"]) for report in await sdks.report()}
    expected = await server_says(stage)
    goals.exactly(
        "real SDKs answer what the server answers", {each[1] for each in answers}, {expected}
    )


async def restart(goals: Goals, stage: Stage, clients: Crowd, *, kill: bool) -> None:
    """The server goes, and another one comes in its place."""
    how = "kill -9" if kill else "SIGTERM"
    async with stage.api() as http:
        changer = Changer(http, [flag_key(number) for number in range(10)])
        last = await changer.change()
    await clients.at(last.seq, 30)
    await clients.mark()
    gone_s = time.monotonic()
    stage.server.running_pid = None
    await (stage.server.kill() if kill else stage.server.stop())
    stopped_s = time.monotonic()
    await stage.server.start()
    listening_s = stage.server.listening_s
    status = await clients.synchronised(RESUMED_S + PATIENCE_S)
    goals.exactly(f"{how}: synchronised again", status["synchronised"], clients.size)
    goals.at_most(
        f"{how}: from listening until the last had resumed",
        max(0.0, status["last_synchronised_s"] - listening_s),
        RESUMED_S,
        "s",
    )
    intents = status["intents"]
    goals.exactly(f"{how}: snapshots needed", intents["full"] + status["messages"]["snapshot"], 0)
    goals.exactly(f"{how}: refused for good", status["given_up"], 0)
    goals.note(
        f"{how}: {intents['none']:,} none, {intents['changes']:,} changes; the old process was "
        f"gone after {stopped_s - gone_s:.1f} s, the new one listened after another "
        f"{listening_s - stopped_s:.1f} s"
    )
    goals.note(f"{how}: {troubles(status)}")


async def measure(goals: Goals, connections: int) -> None:
    """The storm, and both restarts."""
    async with stream_stage() as stage:
        async with crowd(stage.server.port) as clients:
            await storm(goals, stage, clients, connections)
            await restart(goals, stage, clients, kill=False)
        async with crowd(stage.server.port) as clients:
            await clients.add(connections, stage.key, deflate=True, over_s=10)
            await clients.synchronised(PATIENCE_S)
            await restart(goals, stage, clients, kill=True)


if __name__ == "__main__":
    run(measure, CONNECTIONS)
