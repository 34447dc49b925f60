"""Waiting for processes that are not children of the test, and looking for those on a folder."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path


def wait_gone(pid: int, timeout_s: float = 20.0) -> None:
    """Wait for the end of any process. Raises TimeoutError."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([fd], [], [], timeout_s)[0]:
            raise TimeoutError(f"process {pid} is still there after {timeout_s} s")
    finally:
        os.close(fd)


def start_python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a Python script with pipes for its input and its output, from the repository's root."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints, without its end."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> None:
    """Kill the process if it still runs, and close its pipes."""
    process.kill()
    process.communicate()
