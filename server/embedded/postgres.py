"""The embedded PostgreSQL: initialised once, started on a unix socket, stopped, recovered.

Initialising is atomic: ``initdb`` fills a sibling folder, which is renamed when everything in it
is on the disk; a kill in between leaves a sibling that the next start throws away. Access is by the
socket alone, and the socket lies in a folder of mode 0700, so no password is needed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

import asyncpg
import structlog

from server.embedded.binaries import postgres_binary
from server.embedded.child import Child, StopSteps
from server.embedded.data_dir import DataDir, make_private
from server.embedded.faults import StartFailed
from server.embedded.identity import Identity, check_reach
from server.embedded.orphans import processes_are_visible, processes_in, stop_orphans

_log = structlog.get_logger(__name__)

DATABASE = "halyard"
_USER = "halyard"
_PORT = 5432
_READY_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.01
_STATUS_LINE = 7  # of postmaster.pid: starting, ready, stopping

# "Fast" shutdown (roll back, checkpoint, exit), then "immediate" (recover at the next start).
_STOP: StopSteps = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))
_KILL: StopSteps = ((signal.SIGKILL, 5.0),)
_STOP_ORPHANS: StopSteps = (*_STOP, *_KILL)

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(_PORT),
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "fsync": "on",
    "max_wal_size": "512MB",
    "jit": "off",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
}
_NOT_DURABLE: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class Postgres:
    """One PostgreSQL on one data folder.

    ``durable=False`` is for tests that do not crash it: commits no longer wait for the disk.
    """

    name = "PostgreSQL"

    def __init__(
        self, data_dir: DataDir, sockets: Path, identity: Identity, *, durable: bool = True
    ) -> None:
        self._data_dir = data_dir
        self._data = data_dir.postgres
        self._sockets = sockets
        self._identity = identity
        self._settings = {**_SETTINGS, **({} if durable else _NOT_DURABLE)}
        self._durable = durable
        self._child: Child | None = None

    @property
    def log(self) -> Path:
        """The file with everything that it printed."""
        return self._data_dir.logs / "postgres.log"

    @property
    def pid(self) -> int | None:
        """Of the postmaster; None before the first start."""
        return self._child.pid if self._child else None

    def url(self, database: str = DATABASE) -> str:
        """Where to reach ``database``; understood by asyncpg and libpq."""
        where = urlencode(
            {"host": str(self._sockets), "port": _PORT, "user": _USER}, quote_via=quote
        )
        return f"postgresql:///{quote(database)}?{where}"

    async def start(self) -> None:
        """Recover, initialise if need be, start, and wait until it answers.

        Raises StartFailed; cancelled, or failed, no process is left.
        """
        await self._recover()
        if not self._data.exists():
            await self._initialise()
        child = await self._spawn()
        try:
            await self._until_ready(child)
            await self._ensure_database()
        except BaseException:
            await child.stop(_STOP)
            raise
        self._child = child

    async def wait(self) -> int:
        """Wait for the end of the process that :meth:`start` started; its exit code."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._child.wait()

    async def stop(self) -> None:
        """Stop it, cleanly if that takes no more than 20 s."""
        if self._child is not None:
            await self._child.stop(_STOP)

    async def _recover(self) -> None:
        # Without a postmaster its children must not be asked for a clean end: there is none.
        steps = _STOP_ORPHANS if self._postmaster_lives() else _STOP_ORPHANS[1:]
        try:
            await stop_orphans(self._data, "postgres", steps)
        except TimeoutError as error:
            raise StartFailed(self.name, str(error), self.log) from error
        if processes_are_visible():
            self._remove_stale_locks()

    def _postmaster_lives(self) -> bool:
        lines = self._pid_file_lines()
        return bool(lines) and lines[0] in map(str, processes_in(self._data, "postgres"))

    def _remove_stale_locks(self) -> None:
        # PostgreSQL trusts the pid in these files as soon as any process has that number, which
        # after a reboot, or in a container, is likely.
        socket = self._sockets / f".s.PGSQL.{_PORT}"
        for path in (
            self._data / "postmaster.pid",
            socket,
            socket.with_name(f"{socket.name}.lock"),
        ):
            path.unlink(missing_ok=True)

    async def _initialise(self) -> None:
        unfinished = self._data.with_name("postgres.initialising")
        await stop_orphans(unfinished, "postgres", _KILL)
        await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        make_private(unfinished)
        if self._identity.account:
            os.chown(unfinished, *self._identity.account)
            await asyncio.to_thread(check_reach, self._identity, unfinished)
        await self._run_initdb(unfinished)
        unfinished.rename(self._data)
        _sync_folder(self._data.parent)

    async def _run_initdb(self, folder: Path) -> None:
        _log.info("initialising PostgreSQL", folder=str(self._data))
        command = (
            str(postgres_binary("initdb")),
            *("--pgdata", str(folder), "--username", _USER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
        )
        child = await Child.start(
            command, identity=self._identity, death_signal=signal.SIGKILL, log=self.log
        )
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            await child.stop(())
            await stop_orphans(folder, "postgres", _KILL)
            raise
        if code != 0:
            raise StartFailed("initdb", f"exit {code}", self.log, child.log_tail())

    async def _spawn(self) -> Child:
        settings = self._settings | {"unix_socket_directories": _quoted(self._sockets)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return await Child.start(
            (str(postgres_binary("postgres")), "-D", str(self._data), *options),
            identity=self._identity,
            death_signal=signal.SIGINT,
            log=self.log,
        )

    async def _until_ready(self, child: Child) -> None:
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while not self._says_ready(child.pid):
                    if child.exit_code is not None:
                        raise self._failed(child, f"it ended with {child.exit_code}")
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise self._failed(child, f"not ready within {_READY_WITHIN_S:.0f} s") from None

    def _failed(self, child: Child, reason: str) -> StartFailed:
        return StartFailed(self.name, reason, self.log, child.log_tail())

    def _says_ready(self, pid: int) -> bool:
        lines = self._pid_file_lines()
        if len(lines) <= _STATUS_LINE or lines[0] != str(pid):
            return False
        return lines[_STATUS_LINE].strip() == "ready"

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            known = "select 1 from pg_database where datname = $1"
            if await connection.fetchval(known, DATABASE) is None:
                await connection.execute(f'create database "{DATABASE}"')
        finally:
            await connection.close()


def _quoted(folder: Path) -> str:
    # The setting is a list: commas and spaces count unless quoted.
    return '"' + str(folder).replace('"', '""') + '"'


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
