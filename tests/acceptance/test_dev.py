"""`halyard dev`, as somebody meets it who has just cloned the repository."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from halyard_sdk import AsyncClient
from websockets.asyncio.client import connect

from tests.support.dev import api, caught_up, record
from tests.support.program import HalyardProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

FLAG = "/api/v1/projects/demo/flags/new-checkout"
IN_DEVELOPMENT = f"{FLAG}/environments/development"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def halyard(tmp_path: Path, data_dir: Path) -> AsyncIterator[HalyardProcess]:
    process = HalyardProcess("dev", "--data-dir", str(data_dir), log=tmp_path / "dev.log")
    async with process:
        yield process


async def resume(known: Any, resume: dict[str, Any] | None) -> tuple[Any, Any]:
    """The welcome, and the message after it where there is one, of one connection."""
    key = known["keys"]["development"]["server"]
    headers = {"Authorization": f"Bearer {key}"}
    async with connect(known["streamUrl"], additional_headers=headers) as socket:
        hello: dict[str, Any] = {
            "type": "hello",
            "sdk": {"name": "t", "version": "1"},
            "protocol": 1,
        }
        await socket.send(json.dumps({**hello, **({"resume": resume} if resume else {})}))
        welcome = json.loads(await socket.recv())
        return welcome, None if welcome["intent"] == "none" else json.loads(await socket.recv())


async def pasted(example: str) -> str:
    """What three lines of Python print."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


def example_of(output: str) -> str:
    """The example as the welcome prints it."""
    lines = output[output.index("from halyard_sdk") :].splitlines()
    return "\n".join(line.strip() for line in lines[:3])


async def test_the_pasted_example_follows_a_change_and_history_tells_of_it(
    halyard: HalyardProcess, data_dir: Path
) -> None:
    known = await record(halyard, data_dir)
    example = example_of(halyard.output())
    assert await pasted(example) == "True"
    async with (
        api(known) as http,
        AsyncClient(known["url"], known["keys"]["development"]["server"]) as flags,
    ):
        assert await flags.wait_ready(10)
        changed = asyncio.Event()
        flags.on_change("new-checkout", lambda _: changed.set())
        answer = await http.post(f"{IN_DEVELOPMENT}/disable")
        assert answer.status_code == 200
        async with asyncio.timeout(5):
            await changed.wait()
        assert flags.variation("new-checkout", "alice", True) is False
        assert await pasted(example) == "False"

        history = (await http.get(f"{FLAG}/history")).json()["items"]
        newest = history[0]
        assert (newest["type"], newest["seq"]) == ("FlagDisabled", answer.json()["seq"])
        assert newest["actor"]["name"] == "admin"
        assert newest["recordedAt"].endswith("Z")
        before = await http.get(IN_DEVELOPMENT, params={"at": newest["seq"] - 1})
        assert before.json()["enabled"] is True
        assert (await http.get(IN_DEVELOPMENT)).json()["enabled"] is False


async def test_everything_is_kept_over_a_restart_and_an_sdk_resumes(
    halyard: HalyardProcess, data_dir: Path
) -> None:
    known = await record(halyard, data_dir)
    _, snapshot = await resume(known, None)
    assert snapshot["type"] == "snapshot"
    position = {"epoch": snapshot["epoch"], "seq": snapshot["seq"]}
    assert await halyard.stop(signal.SIGINT) == 0
    assert children_of(data_dir) == []

    await halyard.start()
    assert await record(halyard, data_dir) == known
    welcome, _ = await resume(known, position)
    assert welcome["intent"] == "none"
    async with api(known) as http:
        answer = await http.post(f"{IN_DEVELOPMENT}/disable")
        await http.get(IN_DEVELOPMENT, params={"minSeq": answer.json()["seq"]})
        await caught_up(http)
    welcome, changes = await resume(known, position)
    assert (welcome["intent"], changes["type"]) == ("changes", "changes")
    assert [flag["key"] for flag in changes["put"]["flags"]] == ["new-checkout"]


async def test_a_kill_leaves_nothing_that_the_next_start_cannot_recover(
    halyard: HalyardProcess, data_dir: Path
) -> None:
    known = await record(halyard, data_dir)
    async with api(known) as http:
        seq = (await http.post(f"{IN_DEVELOPMENT}/disable")).json()["seq"]
    await halyard.kill()
    await halyard.start()
    assert await record(halyard, data_dir) == known
    async with api(known) as http:
        newest = (await http.get(f"{FLAG}/history")).json()["items"][0]
    assert newest["seq"] == seq


async def test_a_second_start_on_the_same_data_says_so(
    halyard: HalyardProcess, data_dir: Path, tmp_path: Path
) -> None:
    known = await record(halyard, data_dir)
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server.cli.main", "dev", "--data-dir", str(data_dir), "--port", "0",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await second.communicate()
    assert second.returncode == 5
    assert b"already running" in errors
    assert known["url"].encode() in errors


async def test_the_record_is_private_and_is_written_anew_when_lost(
    halyard: HalyardProcess, data_dir: Path
) -> None:
    known = await record(halyard, data_dir)
    file = data_dir / "dev.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await halyard.stop()
    file.unlink()
    await halyard.start()
    anew = await record(halyard, data_dir)
    async with api({**known, "url": anew["url"]}) as http:
        assert (await http.get(FLAG)).status_code == 401
    assert anew["keys"]["development"]["server"] != known["keys"]["development"]["server"]
    _, snapshot = await resume(anew, None)
    assert snapshot["type"] == "snapshot"
    async with api(anew) as http:
        assert (await http.get(FLAG)).status_code == 200


def children_of(data_dir: Path) -> list[str]:
    """Processes whose command line names the data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(data_dir).encode() in command:
            found.append(command.replace(b"\0", b" ").decode())
    return found


async def test_ctrl_c_ends_it_soon_however_many_sdks_are_connected(
    halyard: HalyardProcess, data_dir: Path
) -> None:
    known = await record(halyard, data_dir)
    key = known["keys"]["development"]["server"]
    clients = [AsyncClient(known["url"], key) for _ in range(5)]
    try:
        assert all([await client.wait_ready(10) for client in clients])
        async with asyncio.timeout(10):
            assert await halyard.stop(signal.SIGINT) == 0
        assert children_of(data_dir) == []
    finally:
        for client in clients:
            await client.close()
