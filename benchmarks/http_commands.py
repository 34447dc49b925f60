"""Commands per second over HTTP: 32 keep-alive connections, 1,000 flags, one core for the server.

wrk turns one flag after the other on, then off, so that every request is a command that changes
something: it is authenticated, decided, appended, hash-chained, synced to disk, projected and
published. The floor is the same server answering `/healthz` to the same wrk. The
server's one process does everything (api, projector, gateway); PostgreSQL and wrk share the other
core with whatever the first one leaves. Does not measure TLS.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import uvloop

from benchmarks.server_stage import API, TOKEN, Stage, server_stage

CONNECTIONS = 32
THREADS = 2
SECONDS = 10
FLAGS = 1_000
BATCH = 20
"""Commands in one request, where several are sent together: each is permitted by itself."""

COMMANDS = """
local threads = 0
function setup(thread) thread:set("number", threads); threads = threads + 1 end
function init(args) count = 0; environment = ({{"development", "staging"}})[number + 1] end
function request()
  local what = (math.floor(count / {flags}) % 2 == 0) and "enable" or "disable"
  local flag = "{api}/flags/flag-" .. (count % {flags})
  local path = flag .. "/environments/" .. environment .. "/" .. what
  count = count + 1
  return wrk.format("POST", path, {{["Authorization"] = "Bearer {token}"}})
end
"""

BATCHES = """
local threads = 0
function setup(thread) thread:set("number", threads); threads = threads + 1 end
function init(args) count = 0; environment = ({{"development", "staging"}})[number + 1] end
function request()
  local commands = {{}}
  for n = 1, {batch} do
    local what = (math.floor(count / {flags}) % 2 == 0) and "DisableFlag" or "EnableFlag"
    commands[n] = string.format('{{"type":"%s","flag":"flag-%d","environment":"%s"}}',
      what, count % {flags}, environment)
    count = count + 1
  end
  local headers = {{["Authorization"] = "Bearer {token}", ["Content-Type"] = "application/json"}}
  local body = '{{"commands":[' .. table.concat(commands, ",") .. "]}}"
  return wrk.format("POST", "{api}/commands:batch", headers, body)
end
"""


def wrk(url: str, script: Path | None = None) -> str:
    """Run wrk, and return what it prints."""
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    command += ["-s", str(script)] if script else []
    return subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout


def rate(report: str) -> float:
    """Requests per second."""
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert found is not None, report
    return float(found[1])


def percentile(report: str, which: str) -> str:
    """As wrk writes it, with its unit."""
    found = re.search(rf"(?m)^\s+{which}%\s+(\S+)", report)
    return found[1] if found else "?"


async def seq(stage: Stage) -> int:
    """Of the newest event."""
    async with stage.api() as http:
        newest = await http.get(f"{API}/events", params={"limit": 1})
        newest.raise_for_status()
        return int(newest.json()["items"][0]["seq"])


async def measure() -> None:
    """Answer health checks, take commands, answer health checks."""
    async with server_stage(FLAGS, cpus={0}) as stage:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "commands.lua"
            script.write_text(COMMANDS.format(flags=FLAGS, api=API, token=TOKEN))
            floor = await asyncio.to_thread(wrk, f"{stage.process.url}/healthz")
            before = await seq(stage)
            report = await asyncio.to_thread(wrk, stage.process.url, script)
            events = await seq(stage) - before
            script.write_text(BATCHES.format(flags=FLAGS, api=API, token=TOKEN, batch=BATCH))
            batches = await asyncio.to_thread(wrk, stage.process.url, script)
        commands = rate(report)
        print(f"/healthz, same server, same wrk: {rate(floor):,.0f} requests/s")
        print(f"commands: {commands:,.0f} /s (goal: >= 3,000), {events:,} events in the log")
        print(f"          p50 {percentile(report, '50')}, p99 {percentile(report, '99')}")
        print(f"ratio:    {commands / rate(floor):.2f} of /healthz")
        print(f"in batches of {BATCH}: {rate(batches) * BATCH:,.0f} commands/s")
        print(f"          p50 {percentile(batches, '50')}, p99 {percentile(batches, '99')}")
        for each in (report, batches):
            refused = re.search(r"Non-2xx or 3xx responses: (\d+)", each)
            if refused:
                print(f"          {refused[1]} answers were refusals")


def main() -> int:
    """Measure, where wrk is installed."""
    if shutil.which("wrk") is None:
        print("not measured: wrk is not installed (apt-get install wrk)")
        return 0
    uvloop.run(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
