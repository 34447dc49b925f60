from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from server.embedded import supervisor
from server.embedded.data_dir import DataDir, Holder, holder, is_running
from server.embedded.faults import BinariesMissing, DataDirInUse, KeepsFailing, NotADataDir
from server.embedded.orphans import processes_in
from server.embedded.supervisor import EmbeddedServers
from tests.support.processes import finish, read_line, start_python, wait_gone

PROGRAM = """
import asyncio, sys
from pathlib import Path
import structlog
from server.embedded.supervisor import EmbeddedServers

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def main():
    async with EmbeddedServers(Path(sys.argv[1])) as servers:
        servers.announce("http://127.0.0.1:8080")
        print(servers.database_url, flush=True)
        await servers.wait_failed()

asyncio.run(main())
"""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[EmbeddedServers]:
    async with EmbeddedServers(tmp_path / "data", durable=False) as servers:
        yield servers


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another Halyard on the same data, killed at the end, with its servers gone, too."""
    process = start_python(PROGRAM, tmp_path / "data")
    yield process
    servers = processes_on(DataDir.at(tmp_path / "data"))
    finish(process)
    for pid in servers:
        wait_gone(pid)  # a Valkey that cannot save any more, as its folder is gone, would stay


def processes_of(servers: EmbeddedServers) -> tuple[int, ...]:
    return processes_on(servers.data_dir)


def processes_on(data_dir: DataDir) -> tuple[int, ...]:
    postgres = processes_in(data_dir.postgres, "postgres")
    return (*postgres, *processes_in(data_dir.valkey, "valkey-server"))


async def check_both_answer(servers: EmbeddedServers) -> None:
    connection = await asyncpg.connect(servers.database_url)
    assert await connection.fetchval("select 1") == 1
    await connection.close()
    async with redis.asyncio.from_url(servers.redis_url) as client:
        assert await client.ping()


async def test_both_answer_and_both_are_gone_afterwards(tmp_path: Path) -> None:
    async with EmbeddedServers(tmp_path / "data", durable=False) as servers:
        await check_both_answer(servers)
        assert is_running(servers.data_dir)
        here = Holder(os.getpid(), None, servers.database_url, servers.redis_url)
        assert holder(servers.data_dir) == here
    assert processes_of(servers) == ()
    assert not is_running(servers.data_dir)


@pytest.mark.parametrize("name", ["postgres", "valkey"])
async def test_a_server_that_dies_is_started_again(running: EmbeddedServers, name: str) -> None:
    server = getattr(running, name)
    died = server.pid
    os.kill(died, signal.SIGKILL)
    while server.pid == died:
        await asyncio.sleep(0.01)
    await check_both_answer(running)


async def test_one_that_keeps_dying_is_given_up(
    running: EmbeddedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE_S", 0.001)
    (running.data_dir.postgres / "postgresql.conf").write_text("nonsense = yes\n")
    assert running.postgres.pid is not None
    os.kill(running.postgres.pid, signal.SIGKILL)
    with pytest.raises(KeepsFailing, match="PostgreSQL died 5 times within 300 s"):
        await running.wait_failed()


async def test_deep_data_work_too(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / "data"
    async with EmbeddedServers(deep, durable=False) as servers:
        await check_both_answer(servers)
        sockets = servers.valkey._socket.parent
        assert sockets.is_dir()
    assert not sockets.exists()


async def test_a_folder_with_other_things_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(NotADataDir):
        async with EmbeddedServers(tmp_path):
            pass


async def test_without_the_wheels_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(BinariesMissing, match="HALYARD_DATABASE_URL"):
        async with EmbeddedServers(tmp_path):
            pass


def test_a_second_start_says_where_the_first_one_is(
    tmp_path: Path, program: subprocess.Popen[str]
) -> None:
    read_line(program)

    async def start_too() -> None:
        async with EmbeddedServers(tmp_path / "data"):
            pass

    expected = rf"already running on .*data \(pid {program.pid}, http://127.0.0.1:8080\)"
    with pytest.raises(DataDirInUse, match=expected):
        asyncio.run(start_too())


@pytest.mark.parametrize("commits", [0, 1, 100])
def test_after_a_kill_the_next_start_finds_every_commit(
    tmp_path: Path, program: subprocess.Popen[str], commits: int
) -> None:
    url = read_line(program)

    async def commit_and_kill() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("create table if not exists kept (number int)")
        for number in range(commits):
            await connection.execute("insert into kept values ($1)", number)
        program.kill()
        program.wait()
        connection.terminate()

    async def count_again() -> int:
        async with EmbeddedServers(tmp_path / "data") as servers:
            connection = await asyncpg.connect(servers.database_url)
            found: int = await connection.fetchval("select count(*) from kept")
            await connection.close()
            return found

    asyncio.run(commit_and_kill())
    assert asyncio.run(count_again()) == commits


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 0.6, 0.8])
async def test_cancelling_at_any_point_leaves_no_process(tmp_path: Path, after_s: float) -> None:
    servers = EmbeddedServers(tmp_path / "data", durable=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(after_s), servers:
            await asyncio.Event().wait()
    assert processes_of(servers) == ()
    assert not is_running(servers.data_dir)
