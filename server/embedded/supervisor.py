"""Both embedded servers, together: :class:`EmbeddedServers` is what the rest of Halyard uses.

Life cycle: the data folder's lock is taken first and dropped last; Valkey stops before PostgreSQL.
A server that dies is started again, after a pause that doubles with each death; one that dies too
often makes :meth:`EmbeddedServers.wait_failed` raise, and the program should end. A restart keeps
the addresses: connection pools need only connect again.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Protocol

import structlog

from server.embedded.binaries import postgres_binary
from server.embedded.data_dir import DataDir, DataDirLock, Holder
from server.embedded.faults import KeepsFailing, StartFailed
from server.embedded.identity import postgres_identity
from server.embedded.postgres import Postgres
from server.embedded.sockets import remove_if_temporary, socket_folder
from server.embedded.valkey import Valkey

_log = structlog.get_logger(__name__)

_MAX_DEATHS = 5
_WITHIN_S = 300.0
_FIRST_PAUSE_S = 0.1
_CANCEL_AGAIN_AFTER_S = 1.0


class _Server(Protocol):
    name: str

    @property
    def log(self) -> Path: ...
    async def start(self) -> None: ...
    async def wait(self) -> int: ...
    async def stop(self) -> None: ...


class EmbeddedServers:
    """A PostgreSQL and a Valkey on one data folder, from ``async with`` to its end.

    Entering raises :class:`~server.embedded.faults.EmbeddedServersError` (its text is for people):
    the folder is in use, or holds something else, or a server does not start. Cancelling at any
    point leaves no process. ``durable=False`` gives up durability for speed; only for tests.

    Enter from a thread that outlives the block: on Linux the kernel stops the servers when the
    thread that started them ends.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = DataDir.at(data_dir)
        self._durable = durable
        self._stack = AsyncExitStack()
        self._lock: DataDirLock
        self._keepers: tuple[asyncio.Task[NoReturn], ...] = ()
        self.postgres: Postgres
        self.valkey: Valkey

    @property
    def database_url(self) -> str:
        """Of the database ``halyard``."""
        return self.postgres.url()

    @property
    def redis_url(self) -> str:
        """Of Valkey."""
        return self.valkey.url

    def announce(self, address: str) -> None:
        """Let a second start on the same data say at which address this one is reached."""
        self._lock.announce(self._holder(address))

    def _holder(self, address: str | None) -> Holder:
        return Holder(os.getpid(), address, self.database_url, self.redis_url)

    async def wait_failed(self) -> NoReturn:
        """Wait until a server cannot be kept running, then raise KeepsFailing."""
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
        for keeper in done:
            keeper.result()
        raise AssertionError("a keeper ended without an error")

    async def __aenter__(self) -> EmbeddedServers:
        async with self._stack as stack:
            await self._prepare(stack)
            for server in (self.postgres, self.valkey):
                await server.start()
                stack.push_async_callback(server.stop)
            self._keepers = tuple(
                asyncio.create_task(_keep_running(server))
                for server in (self.postgres, self.valkey)
            )
            stack.push_async_callback(_cancel, self._keepers)
            self._lock.announce(self._holder(None))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _prepare(self, stack: AsyncExitStack) -> None:
        identity = await asyncio.to_thread(
            postgres_identity, self.data_dir.postgres, postgres_binary("postgres")
        )
        # Another account must pass through the folder; those inside it are private all the same.
        self.data_dir.prepare(0o711 if identity.account else 0o700)
        self._lock = stack.enter_context(DataDirLock(self.data_dir))
        sockets = socket_folder(self.data_dir, identity)
        stack.callback(remove_if_temporary, sockets, self.data_dir)
        self.postgres = Postgres(self.data_dir, sockets, identity, durable=self._durable)
        self.valkey = Valkey(self.data_dir, sockets, durable=self._durable)


async def _keep_running(server: _Server) -> NoReturn:
    clock = asyncio.get_running_loop().time
    deaths: deque[float] = deque(maxlen=_MAX_DEATHS)
    while True:
        code = await server.wait()
        deaths.append(clock())
        recent = sum(deaths[-1] - death < _WITHIN_S for death in deaths)
        if recent == _MAX_DEATHS:
            raise KeepsFailing(server.name, recent, _WITHIN_S, server.log)
        pause_s = _FIRST_PAUSE_S * 2 ** (recent - 1)
        _log.error("server died", server=server.name, exit_code=code, restart_in_s=pause_s)
        await asyncio.sleep(pause_s)
        await _try_to_start(server)


async def _try_to_start(server: _Server) -> None:
    try:
        await server.start()
    except StartFailed as failed:
        # The dead process of before is still what wait() answers for: counted as a death again.
        _log.error("server did not start again", server=server.name, reason=str(failed))


async def _cancel(tasks: tuple[asyncio.Task[NoReturn], ...]) -> None:
    pending = set(tasks)
    # Once is not always enough: before Python 3.12, wait_for in a library can lose a cancellation.
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_AFTER_S)
    await asyncio.gather(*tasks, return_exceptions=True)
