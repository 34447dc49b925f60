"""Processes that an earlier Halyard, killed with -9, left running on our data.

Both servers make their data folder their working directory, so that is what identifies them: pid
files name numbers that something else may have by now. Call only while holding the data folder's
lock: then whatever still works there is nobody's. Needs ``/proc``; elsewhere nothing is found.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)
_PROC = Path("/proc")
_STEP_S = 0.01


def processes_are_visible() -> bool:
    """Whether this machine lets us look; without, PostgreSQL's own checks must do."""
    return (_PROC / "self" / "cwd").exists()


def processes_in(folder: Path, executable: str) -> tuple[int, ...]:
    """The pids of running ``executable`` processes whose working directory is ``folder``."""
    try:
        wanted = folder.stat()
    except FileNotFoundError:
        return ()
    return tuple(pid for pid in _pids() if _works_in(pid, wanted, executable))


def _pids() -> Iterator[int]:
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 (bare names are wanted)
    except FileNotFoundError:
        return
    yield from (int(name) for name in names if name.isdigit())


def _works_in(pid: int, folder: os.stat_result, executable: str) -> bool:
    try:
        program = os.readlink(_PROC / str(pid) / "exe")  # noqa: PTH115 (the file may be gone)
        # Compared by inode: the same folder may have another path, or a new one, by now.
        cwd = os.stat(_PROC / str(pid) / "cwd")  # noqa: PTH116
    except OSError:  # a zombie, somebody else's, or gone meanwhile
        return False
    name = Path(program.removesuffix(" (deleted)")).name
    return name == executable and os.path.samestat(cwd, folder)


async def stop_orphans(
    folder: Path, executable: str, steps: tuple[tuple[signal.Signals, float], ...]
) -> int:
    """Stop what runs on ``folder``: each signal, and how many seconds it is given to work.

    A server that is still whole is told through its first process alone, which stops the others.
    Returns how many processes there were. Raises TimeoutError where even the last did not help.
    """
    found = processes_in(folder, executable)
    if not found:
        return 0
    _log.warning("stopping what an earlier run left", executable=executable, pids=found)
    for signum, within_s in steps:
        for pid in _leaders(processes_in(folder, executable)):
            _send(pid, signum)
        if await _gone(folder, executable, within_s):
            return len(found)
    raise TimeoutError(f"{executable} processes {found} on {folder} do not stop")


def _leaders(pids: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(pid for pid in pids if _parent(pid) not in pids)


def _parent(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The program's name, in parentheses, may hold anything; state and parent follow it.
    return int(stat.rpartition(")")[2].split()[1])


def _send(pid: int, signum: signal.Signals) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return


async def _gone(folder: Path, executable: str, within_s: float) -> bool:
    clock = asyncio.get_running_loop().time
    deadline = clock() + within_s
    while processes_in(folder, executable):
        if clock() >= deadline:
            return False
        await asyncio.sleep(_STEP_S)
    return True
