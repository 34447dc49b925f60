from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.embedded.orphans import processes_in, stop_orphans

DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
signal.pause()
"""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"], cwd=tmp_path)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_its_folder_and_its_program(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    program = Path(f"/proc/{sleeper.pid}/exe").readlink().name
    assert processes_in(tmp_path, program) == (sleeper.pid,)
    assert processes_in(tmp_path, "postgres") == ()
    assert processes_in(tmp_path.parent, program) == ()
    assert processes_in(tmp_path / "missing", program) == ()


def test_a_folder_that_was_moved_is_still_known(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    program = Path(f"/proc/{sleeper.pid}/exe").readlink().name
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert processes_in(moved, program) == (sleeper.pid,)


async def test_nothing_there_is_nothing_to_stop(tmp_path: Path) -> None:
    assert await stop_orphans(tmp_path, "postgres", ((signal.SIGTERM, 1.0),)) == 0


async def test_what_ignores_one_signal_gets_the_next(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], cwd=tmp_path, stdout=-1) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        program = Path(f"/proc/{deaf.pid}/exe").readlink().name
        with pytest.raises(TimeoutError, match="do not stop"):
            await stop_orphans(tmp_path, program, ((signal.SIGTERM, 0.05),))
        steps = ((signal.SIGTERM, 0.05), (signal.SIGKILL, 10.0))
        assert await stop_orphans(tmp_path, program, steps) == 1
        assert deaf.wait() == -signal.SIGKILL
