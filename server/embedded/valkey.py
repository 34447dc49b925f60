"""The embedded Valkey: a unix socket, an RDB file now and then, nothing that must not be lost.

All that it holds is folded from the event log and can be folded again, so a dump that it cannot
read is set aside, not mourned.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from urllib.parse import quote

import structlog

from server.embedded.binaries import valkey_binary
from server.embedded.child import Child, StopSteps
from server.embedded.data_dir import DataDir
from server.embedded.faults import StartFailed
from server.embedded.identity import OURSELVES
from server.embedded.orphans import stop_orphans

_log = structlog.get_logger(__name__)

_READY_WITHIN_S = 30.0
_ASK_EVERY_S = 0.01
_EXECUTABLE = "valkey-server"
_STOP: StopSteps = ((signal.SIGTERM, 10.0),)
_STOP_ORPHANS: StopSteps = (*_STOP, (signal.SIGKILL, 5.0))


class Valkey:
    """One Valkey on one data folder. ``durable=False``, for tests, never writes its dump."""

    name = "Valkey"

    def __init__(self, data_dir: DataDir, sockets: Path, *, durable: bool = True) -> None:
        self._data = data_dir.valkey
        self._socket = sockets / "valkey.sock"
        self._durable = durable
        self._child: Child | None = None
        self.log = data_dir.logs / "valkey.log"

    @property
    def pid(self) -> int | None:
        """None before the first start."""
        return self._child.pid if self._child else None

    @property
    def url(self) -> str:
        """Where to reach it; understood by redis-py."""
        return f"unix://{quote(str(self._socket))}"

    async def start(self) -> None:
        """Recover, start, and wait until it answers.

        Raises StartFailed; cancelled, or failed, no process is left.
        """
        await self._recover()
        try:
            self._child = await self._start_once()
        except StartFailed:
            if not self._set_dump_aside():
                raise
            self._child = await self._start_once()

    async def wait(self) -> int:
        """Wait for the end of the process that :meth:`start` started; its exit code."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._child.wait()

    async def stop(self) -> None:
        """Stop it; it writes its dump first."""
        if self._child is not None:
            await self._child.stop(_STOP)

    async def _recover(self) -> None:
        try:
            await stop_orphans(self._data, _EXECUTABLE, _STOP_ORPHANS)
        except TimeoutError as error:
            raise StartFailed(self.name, str(error), self.log) from error
        for unfinished in self._data.glob("temp-*.rdb"):
            unfinished.unlink(missing_ok=True)

    async def _start_once(self) -> Child:
        child = await Child.start(
            self._command(), identity=OURSELVES, death_signal=signal.SIGTERM, log=self.log
        )
        try:
            await self._until_ready(child)
        except BaseException:
            await child.stop(_STOP)
            raise
        return child

    def _command(self) -> tuple[str, ...]:
        save = "60 1 10 10000" if self._durable else ""
        return (
            str(valkey_binary()),
            *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--dir", str(self._data), "--dbfilename", "dump.rdb", "--save", save),
            *("--appendonly", "no", "--maxmemory-policy", "noeviction"),
            *("--daemonize", "no", "--logfile", ""),
        )

    async def _until_ready(self, child: Child) -> None:
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while not await _answers(self._socket):
                    if child.exit_code is not None:
                        raise self._failed(child, f"it ended with {child.exit_code}")
                    await asyncio.sleep(_ASK_EVERY_S)
        except TimeoutError:
            raise self._failed(child, f"no answer within {_READY_WITHIN_S:.0f} s") from None

    def _failed(self, child: Child, reason: str) -> StartFailed:
        return StartFailed(self.name, reason, self.log, child.log_tail())

    def _set_dump_aside(self) -> bool:
        dump = self._data / "dump.rdb"
        if not dump.exists():
            return False
        _log.warning("Valkey did not start with its dump: trying without", dump=str(dump))
        dump.replace(dump.with_suffix(".rdb.unreadable"))
        return True


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except ConnectionError:
        return False
    finally:
        writer.close()
