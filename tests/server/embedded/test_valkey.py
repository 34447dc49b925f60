from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
import redis.asyncio

from server.embedded.data_dir import DataDir
from server.embedded.faults import StartFailed
from server.embedded.identity import OURSELVES
from server.embedded.sockets import socket_folder
from server.embedded.valkey import Valkey
from tests.support.processes import finish, read_line, start_python, wait_gone

PROGRAM = """
import asyncio, sys
from pathlib import Path
from server.embedded.data_dir import DataDir
from server.embedded.valkey import Valkey

async def main():
    data_dir = DataDir.at(Path(sys.argv[1]))
    valkey = Valkey(data_dir, data_dir.run)
    await valkey.start()
    print(valkey.pid, flush=True)
    await valkey.wait()

asyncio.run(main())
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    data_dir = DataDir.at(tmp_path)
    data_dir.prepare()
    return data_dir


def valkey_on(data_dir: DataDir, *, durable: bool = True) -> Valkey:
    return Valkey(data_dir, socket_folder(data_dir, OURSELVES), durable=durable)


async def set_and_get(valkey: Valkey, value: str | None) -> object:
    async with redis.asyncio.from_url(valkey.url) as client:
        if value is not None:
            await client.set("key", value)
        return await client.get("key")


async def test_what_was_stored_is_there_after_a_stop_and_a_start(data_dir: DataDir) -> None:
    valkey = valkey_on(data_dir)
    for value in ("kept", None):
        await valkey.start()
        assert await set_and_get(valkey, value) == b"kept"
        await valkey.stop()
        assert await valkey.wait() == 0


async def test_a_forgetful_one_forgets(data_dir: DataDir) -> None:
    valkey = valkey_on(data_dir, durable=False)
    for value in ("lost", None):
        await valkey.start()
        found = await set_and_get(valkey, value)
        await valkey.stop()
    assert found is None


async def test_it_is_private_and_never_evicts(data_dir: DataDir) -> None:
    valkey = valkey_on(data_dir)
    await valkey.start()
    try:
        async with redis.asyncio.from_url(valkey.url) as client:
            settings = await client.config_get("port", "maxmemory-policy", "appendonly", "save")
        socket = data_dir.run / "valkey.sock"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    finally:
        await valkey.stop()
    assert settings == {
        "port": "0",
        "maxmemory-policy": "noeviction",
        "appendonly": "no",
        "save": "60 1 10 10000",
    }


async def test_an_awkward_path_works(tmp_path: Path) -> None:
    data_dir = DataDir.at(tmp_path / 'my "data" & 100% ?#')
    data_dir.prepare()
    valkey = valkey_on(data_dir)
    await valkey.start()
    try:
        assert await set_and_get(valkey, "here") == b"here"
    finally:
        await valkey.stop()


async def test_a_dump_that_cannot_be_read_is_set_aside(data_dir: DataDir) -> None:
    (data_dir.valkey / "dump.rdb").write_bytes(b"REDIS0011 and then nonsense")
    valkey = valkey_on(data_dir)
    await valkey.start()
    await valkey.stop()
    aside = data_dir.valkey / "dump.rdb.unreadable"
    assert aside.read_bytes() == b"REDIS0011 and then nonsense"


async def test_unfinished_dumps_are_removed(data_dir: DataDir) -> None:
    (data_dir.valkey / "temp-4711.rdb").touch()
    valkey = valkey_on(data_dir)
    await valkey.start()
    await valkey.stop()
    assert [entry.name for entry in data_dir.valkey.iterdir() if "temp" in entry.name] == []


async def test_an_orphan_is_stopped_and_its_dump_used(data_dir: DataDir) -> None:
    orphan, again = valkey_on(data_dir), valkey_on(data_dir)
    await orphan.start()
    await set_and_get(orphan, "kept")
    await again.start()
    try:
        assert await orphan.wait() == 0
        assert await set_and_get(again, None) == b"kept"
    finally:
        await again.stop()


async def test_a_killed_one_is_no_obstacle(data_dir: DataDir) -> None:
    valkey = valkey_on(data_dir)
    await valkey.start()
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    assert await valkey.wait() == -signal.SIGKILL
    await valkey.start()
    await valkey.stop()


async def test_why_it_did_not_start_is_shown(data_dir: DataDir) -> None:
    (data_dir.run / "valkey.sock").mkdir(parents=True)
    with pytest.raises(StartFailed, match=r"Valkey did not start[\s\S]*Failed opening Unix socket"):
        await Valkey(data_dir, data_dir.run).start()


def test_it_stops_by_itself_when_halyard_is_killed(data_dir: DataDir) -> None:
    socket_folder(data_dir, OURSELVES)
    program = start_python(PROGRAM, data_dir.root)
    try:
        pid = int(read_line(program))
        program.kill()
        wait_gone(pid)
    finally:
        finish(program)
    assert (data_dir.valkey / "dump.rdb").exists()
