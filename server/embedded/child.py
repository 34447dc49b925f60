"""One server process: started through the launcher, awaited, stopped with escalating signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from server.embedded.identity import Identity, launch_command

StopSteps = tuple[tuple[signal.Signals, float], ...]
"""Each signal, and how many seconds the process has before the next one."""

_MAX_LOG_BYTES = 16 * 1024 * 1024
_TAIL_LINES = 20


class Child:
    """A running server.

    ``_log_start`` is where in the log file its output begins; set once, at the start.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start

    @classmethod
    async def start(
        cls,
        command: tuple[str, ...],
        *,
        identity: Identity,
        death_signal: signal.Signals,
        log: Path,
    ) -> Child:
        """Start ``command`` with its output appended to ``log``.

        In a session of its own: Ctrl-C in the terminal reaches Halyard alone, which stops the
        servers when it no longer needs them.
        """
        log_start = _rotate(log)
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *launch_command(identity, death_signal, command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        finally:
            os.close(output)
        return cls(process, log, log_start)

    @property
    def pid(self) -> int:
        """The server's own pid: the launcher execs."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end; its exit code, or minus the signal that killed it."""
        return await self._process.wait()

    async def stop(self, steps: StopSteps) -> None:
        """Send each signal in turn until the process is gone; SIGKILL after the last, or at once.

        Cancelled, it sends the last signal of ``steps`` at once and does not wait.
        """
        try:
            for signum, within_s in steps:
                if await self._stopped_by(signum, within_s):
                    return
            await self._stopped_by(signal.SIGKILL, None)
        except asyncio.CancelledError:
            self.send(steps[-1][0] if steps else signal.SIGKILL)
            raise

    async def _stopped_by(self, signum: signal.Signals, within_s: float | None) -> bool:
        self.send(signum)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._process.wait()
        return self._process.returncode is not None

    def send(self, signum: signal.Signals) -> None:
        """Send a signal, if it still runs; SIGKILL to its children as well."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if signum == signal.SIGKILL:
                os.killpg(self.pid, signum)
            else:
                self._process.send_signal(signum)

    def log_tail(self) -> str:
        """The last lines that this process printed."""
        with self._log.open("rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


def _rotate(log: Path) -> int:
    """Begin a new file where the old one has grown long; where in the file output will begin."""
    size = log.stat().st_size if log.exists() else 0
    if size <= _MAX_LOG_BYTES:
        return size
    log.replace(log.with_suffix(".log.1"))
    return 0


def _environment() -> dict[str, str]:
    # PGDATA, PGPORT, PGOPTIONS and their kind are meant for somebody else's PostgreSQL.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
