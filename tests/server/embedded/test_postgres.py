from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server.embedded.binaries import postgres_binary
from server.embedded.data_dir import DataDir
from server.embedded.faults import NoUnprivilegedUser, StartFailed
from server.embedded.identity import Identity, postgres_identity
from server.embedded.orphans import processes_in
from server.embedded.postgres import Postgres
from server.embedded.sockets import socket_folder
from tests.support.processes import finish, read_line, start_python, wait_gone

PROGRAM = """
import asyncio, sys
from pathlib import Path
from typing import Any
from server.embedded.data_dir import DataDir
from server.embedded.identity import Identity
from server.embedded.postgres import Postgres

async def main():
    data_dir = DataDir.at(Path(sys.argv[1]))
    postgres = Postgres(data_dir, data_dir.run, Identity(sys.argv[2]))
    await postgres.start()
    print(postgres.pid, flush=True)
    await postgres.wait()

asyncio.run(main())
"""


def identity_for(data_dir: DataDir) -> Identity:
    return postgres_identity(data_dir.postgres, postgres_binary("postgres"))


def postgres_on(data_dir: DataDir, *, durable: bool = False) -> Postgres:
    identity = identity_for(data_dir)
    return Postgres(data_dir, socket_folder(data_dir, identity), identity, durable=durable)


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a PostgreSQL that was started once, and stopped: to be copied."""
    data_dir = DataDir.at(tmp_path_factory.mktemp("initialised"))
    data_dir.prepare()

    async def start_and_stop() -> None:
        postgres = postgres_on(data_dir)
        await postgres.start()
        await postgres.stop()

    asyncio.run(start_and_stop())
    return data_dir.root


@pytest.fixture
def data_dir(initialised: Path, tmp_path: Path) -> DataDir:
    shutil.copytree(initialised, tmp_path / "data", ignore=shutil.ignore_patterns(".s.*"))
    return DataDir.at(tmp_path / "data")


@pytest.fixture
def empty(tmp_path: Path) -> DataDir:
    data_dir = DataDir.at(tmp_path / "data")
    data_dir.prepare()
    return data_dir


async def ask(postgres: Postgres, statement: str) -> Any:
    connection = await asyncpg.connect(postgres.url())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_what_was_stored_is_there_after_a_stop_and_a_start(data_dir: DataDir) -> None:
    for statement in ("create table kept as select 7 as number", "table kept"):
        postgres = postgres_on(data_dir)
        await postgres.start()
        answer = await ask(postgres, statement)
        await postgres.stop()
        assert await postgres.wait() == 0
    assert answer == 7


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("synchronous_commit", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("timezone", "UTC"),
    ],
)
async def test_a_durable_one_is_set_up_to_be_private_and_safe(
    durable: Postgres, setting: str, value: str
) -> None:
    assert await ask(durable, f"show {setting}") == value


async def test_text_sorts_and_folds_as_c_utf8_on_every_machine(durable: Postgres) -> None:
    locale = "select datlocprovider::text || datlocale from pg_database where datname = 'halyard'"
    assert await ask(durable, locale) == "bC.UTF-8"
    assert await ask(durable, "show server_version_num") >= "180000"


async def test_a_path_with_spaces_and_signs_works(initialised: Path, tmp_path: Path) -> None:
    awkward = tmp_path / 'my, "data" & 100% ?'
    shutil.copytree(initialised, awkward)
    postgres = postgres_on(DataDir.at(awkward))
    await postgres.start()
    try:
        assert await ask(postgres, "select 1") == 1
    finally:
        await postgres.stop()


async def test_a_killed_postmaster_is_no_obstacle(data_dir: DataDir) -> None:
    postgres = postgres_on(data_dir, durable=True)
    await postgres.start()
    await ask(postgres, "create table kept as select 7 as number")
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    assert await postgres.wait() == -signal.SIGKILL
    await postgres.start()
    try:
        assert await ask(postgres, "table kept") == 7
    finally:
        await postgres.stop()


async def test_an_orphan_is_stopped_and_its_work_kept(data_dir: DataDir) -> None:
    orphan = postgres_on(data_dir, durable=True)
    await orphan.start()
    await ask(orphan, "create table kept as select 7 as number")
    again = postgres_on(data_dir)
    await again.start()
    try:
        assert await orphan.wait() == 0
        assert await ask(again, "table kept") == 7
    finally:
        await again.stop()


async def test_a_frozen_orphan_is_stopped_by_force(
    data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ((signal.SIGINT, 0.1), (signal.SIGQUIT, 0.1), (signal.SIGKILL, 10.0))
    monkeypatch.setattr("server.embedded.postgres._STOP_ORPHANS", steps)
    orphan = postgres_on(data_dir)
    await orphan.start()
    assert orphan.pid is not None
    os.kill(orphan.pid, signal.SIGSTOP)
    again = postgres_on(data_dir)
    await again.start()
    try:
        assert await orphan.wait() == -signal.SIGKILL
        assert await ask(again, "select 1") == 1
    finally:
        await again.stop()


async def test_a_pid_file_that_names_an_unrelated_process_is_no_obstacle(
    data_dir: DataDir,
) -> None:
    with tempfile.TemporaryDirectory() as elsewhere:
        bystander = await asyncio.create_subprocess_exec("sleep", "600", cwd=elsewhere)
    socket = data_dir.run / ".s.PGSQL.5432"
    lines = [str(bystander.pid), str(data_dir.postgres), "1700000000", "5432", str(data_dir.run)]
    for path in (data_dir.postgres / "postmaster.pid", socket.with_name(f"{socket.name}.lock")):
        path.write_text("\n".join(lines) + "\n")
    socket.touch()
    postgres = postgres_on(data_dir)
    try:
        await postgres.start()
        assert bystander.returncode is None
        await postgres.stop()
    finally:
        bystander.kill()
        await bystander.wait()


async def test_a_half_made_database_is_thrown_away(empty: DataDir) -> None:
    half_made = empty.root / "postgres.initialising"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    postgres = postgres_on(empty)
    await postgres.start()
    await postgres.stop()
    assert not half_made.exists()


def test_a_kill_while_it_is_made_leaves_nothing_half_made(empty: DataDir) -> None:
    socket_folder(empty, identity_for(empty))
    program = start_python(PROGRAM, empty.root, identity_for(empty).as_whom)
    try:
        while not (empty.root / "postgres.initialising" / "postgresql.conf").exists():
            assert program.poll() is None
    finally:
        finish(program)
    assert not empty.postgres.exists()

    async def start_and_stop() -> None:
        postgres = postgres_on(empty)
        await postgres.start()
        assert await ask(postgres, "select 1") == 1
        await postgres.stop()

    asyncio.run(start_and_stop())


def test_it_stops_by_itself_when_halyard_is_killed(data_dir: DataDir) -> None:
    program = start_python(PROGRAM, data_dir.root, identity_for(data_dir).as_whom)
    try:
        pid = int(read_line(program))
        program.kill()
        wait_gone(pid)
    finally:
        finish(program)
    assert "database system is shut down" in (data_dir.logs / "postgres.log").read_text()


async def test_why_it_did_not_start_is_shown(data_dir: DataDir) -> None:
    (data_dir.postgres / "postgresql.conf").write_text("shared_buffers = much\n")
    with pytest.raises(StartFailed, match='invalid value for parameter "shared_buffers"'):
        await postgres_on(data_dir).start()


async def test_why_it_could_not_be_made_is_shown(
    empty: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.embedded.postgres._USER", "pg_reserved")
    with pytest.raises(StartFailed, match=r"initdb did not start: exit 1[\s\S]*pg_reserved"):
        await postgres_on(empty).start()


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6])
async def test_cancelling_a_start_leaves_no_process(empty: DataDir, after_s: float) -> None:
    postgres = postgres_on(empty)
    try:
        async with asyncio.timeout(after_s):
            await postgres.start()
            await asyncio.Event().wait()
    except TimeoutError:
        await postgres.stop()
    for folder in (empty.postgres, empty.root / "postgres.initialising"):
        assert processes_in(folder, "postgres") == ()
    await postgres.start()
    await postgres.stop()


async def test_waiting_for_one_that_was_not_started_is_an_error(data_dir: DataDir) -> None:
    with pytest.raises(RuntimeError, match="was not started"):
        await postgres_on(data_dir).wait()


@pytest.fixture
async def durable(data_dir: DataDir) -> AsyncIterator[Postgres]:
    postgres = postgres_on(data_dir, durable=True)
    await postgres.start()
    yield postgres
    await postgres.stop()


@pytest.fixture
def passable() -> Iterator[DataDir]:
    """A data folder that every account can pass through, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        data_dir = DataDir.at(Path(folder) / "data")
        data_dir.prepare(0o711)
        yield data_dir


nobody = pwd.getpwnam("nobody")
NOBODY = Identity(f"be:{nobody.pw_uid}:{nobody.pw_gid}", (nobody.pw_uid, nobody.pw_gid))
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@as_root
async def test_without_namespaces_it_runs_as_another_account(passable: DataDir) -> None:
    postgres = Postgres(passable, socket_folder(passable, NOBODY), NOBODY)
    await postgres.start()
    try:
        assert await ask(postgres, "select 1") == 1
        assert Path(f"/proc/{postgres.pid}").stat().st_uid == nobody.pw_uid
        assert passable.postgres.stat().st_uid == nobody.pw_uid
        assert passable.root.stat().st_uid == 0
    finally:
        await postgres.stop()
    assert identity_for(passable) == NOBODY


@as_root
async def test_an_account_that_cannot_reach_the_data_is_told_what_to_do(empty: DataDir) -> None:
    postgres = Postgres(empty, socket_folder(empty, NOBODY), NOBODY)
    with pytest.raises(NoUnprivilegedUser, match="Start Halyard as an ordinary user"):
        await postgres.start()


@as_root
async def test_root_runs_it_in_a_namespace_and_keeps_the_files(data_dir: DataDir) -> None:
    postgres = postgres_on(data_dir)
    await postgres.start()
    try:
        own = Path("/proc/self/ns/user").readlink()
        assert Path(f"/proc/{postgres.pid}/ns/user").readlink() != own
        assert (data_dir.postgres / "PG_VERSION").stat().st_uid == 0
    finally:
        await postgres.stop()
