"""Bulk evaluations per second over OFREP: 500 flags, another context each time, one core.

A quarter of the flags each serve one variation, have a rule with two conditions, split contexts in
two, and have both targets and a rule. wrk asks with a context that it has not asked with before, so
that no cache of results could help; an answer is some 70 KB. With `If-None-Match`, a thousand
contexts come round, each with the tag of its answer: evaluated and digested as before, but not
sent. The floor is the same server answering `/healthz` to the same wrk. The server's process has
one core, wrk another; what else runs on the machine shows in the rates, but not in the time of the
processor that the server used for each answer. Does not measure TLS.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import uvloop

from benchmarks.http_commands import percentile, rate
from benchmarks.server_stage import API, Stage, server_stage

FLAGS = 500
CONNECTIONS = 16
SECONDS = 8
CONTEXTS = 1_000
BULK = "/ofrep/v1/evaluate/flags"
COUNTRIES = ("DE", "FR", "JP", "US")

CONTEXT = """
local countries = {{"DE", "FR", "JP", "US"}}
local headers = {{["X-API-Key"] = "{key}", ["Content-Type"] = "application/json"}}
local function context(n)
  return '{{"context":{{"targetingKey":"user-' .. n .. '","country":"' .. countries[n % 4 + 1] ..
    '","plan":"pro","age":' .. n % 80 .. '}}}}'
end
"""

ALWAYS_NEW = """
function init(args) count = 0 end
function request()
  count = count + 1
  return wrk.format("POST", "{bulk}", headers, context(count))
end
"""

KNOWN = """
local tags = {{{tags}}}
function init(args) count = 0 end
function request()
  count = count + 1
  local n = count % {contexts}
  headers["If-None-Match"] = tags[n + 1]
  return wrk.format("POST", "{bulk}", headers, context(n))
end
"""


def settings_of(number: int) -> list[dict[str, object]]:
    """The commands that set one flag in development."""
    place = {"flag": f"flag-{number}", "environment": "development"}
    when = {
        "all": [
            {"attribute": "country", "op": "in", "values": ["DE", "FR"]},
            {"attribute": "age", "op": "greaterThan", "values": [number % 60]},
        ]
    }
    rule = {"when": when, "serve": {"variation": "on"}}
    shares = [{"variation": "on", "weight": 30_000}, {"variation": "off", "weight": 70_000}]
    targets = [{"variation": "on", "keys": [f"user-{each}" for each in range(0, 100, 7)]}]
    commands: list[dict[str, object]] = [{"type": "EnableFlag", **place}]
    if number % 4 in (1, 3):
        commands.append({"type": "AddRule", **place, "rule": rule})
    if number % 4 == 2:
        split = {"rollout": {"buckets": shares}}
        commands.append({"type": "ChangeFallthrough", **place, "fallthrough": split})
    if number % 4 == 3:
        commands.append({"type": "ChangeTargets", **place, "targets": targets})
    return commands


async def prepare(stage: Stage) -> None:
    """Set every flag."""
    commands = [command for number in range(FLAGS) for command in settings_of(number)]
    async with stage.api() as http:
        for start in range(0, len(commands), 500):
            body = {"commands": commands[start : start + 500]}
            (await http.post(f"{API}/commands:batch", json=body)).raise_for_status()


async def tags(stage: Stage) -> tuple[list[str], int]:
    """The entity tags of the answers to the contexts that come round, and the size of the last."""
    found, size = [], 0
    headers = {"X-API-Key": stage.key}
    async with httpx.AsyncClient(base_url=stage.process.url, headers=headers) as http:
        for number in range(CONTEXTS):
            attributes = {
                "targetingKey": f"user-{number}",
                "country": COUNTRIES[number % 4],
                "plan": "pro",
                "age": number % 80,
            }
            answer = await http.post(BULK, json={"context": attributes})
            answer.raise_for_status()
            assert len(answer.json()["flags"]) == FLAGS
            found.append(answer.headers["etag"])
            size = len(answer.content)
    return found, size


def processor_s(pid: int) -> float:
    """The processor's time that a process has used."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_with(stage: Stage, what: str, url: str, script: str) -> float:
    """Run wrk on a core of its own; prints a line, answers the rate."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ask.lua"
        path.write_text(script)
        wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(path), url]
        used_s = processor_s(stage.process.pid)
        command = ["taskset", "-c", "1", *wrk]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used_s = processor_s(stage.process.pid) - used_s
    found = re.search(r"(\d+) requests in", report)
    answers = int(found[1]) if found else 1
    p50, p99 = (percentile(report, which) for which in ("50", "99"))
    print(
        f"{what:<22} {rate(report):8,.0f} /s   p50 {p50:>8}   p99 {p99:>8}"
        f"   {used_s / answers * 1e6:6,.0f} us of processor each"
    )
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    if refused:
        print(f"{'':<22} {refused[1]} answers were refusals")
    return rate(report)


async def measure() -> None:
    """Health checks, contexts that are always new, contexts whose answer is known."""
    async with server_stage(FLAGS, cpus={0}) as stage:
        await prepare(stage)
        known, size = await tags(stage)
        context = CONTEXT.format(key=stage.key)
        always_new = context + ALWAYS_NEW.format(bulk=BULK)
        listed = ",".join(json.dumps(tag) for tag in known)
        come_round = context + KNOWN.format(bulk=BULK, contexts=CONTEXTS, tags=listed)
        url = stage.process.url
        print(f"{FLAGS} flags, an answer of {size:,} bytes; goal: >= 1,000 /s on one core")
        floor = await asyncio.to_thread(measure_with, stage, "/healthz", f"{url}/healthz", "")
        bulk = await asyncio.to_thread(measure_with, stage, "bulk", url, always_new)
        await asyncio.to_thread(measure_with, stage, "bulk, If-None-Match", url, come_round)
        print(f"ratio: {bulk / floor:.2f} of /healthz; {bulk * FLAGS:,.0f} flags/s")


def main() -> int:
    """Measure, where wrk is installed."""
    if shutil.which("wrk") is None:
        print("not measured: wrk is not installed (apt-get install wrk)")
        return 0
    uvloop.run(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
