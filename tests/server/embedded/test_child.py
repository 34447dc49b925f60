from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from server.embedded import child as child_module
from server.embedded.child import Child
from server.embedded.identity import OURSELVES
from tests.support.processes import finish, read_line, start_python, wait_gone

STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""

PARENT = """
import asyncio, signal, sys
from pathlib import Path
from server.embedded.child import Child
from server.embedded.identity import OURSELVES

async def main():
    child = await Child.start(
        ("/bin/sleep", "600"), identity=OURSELVES, death_signal=signal.SIGTERM,
        log=Path(sys.argv[1]),
    )
    while Path(f"/proc/{child.pid}/comm").read_text() != "sleep\\n":
        await asyncio.sleep(0.005)
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""


async def start(log: Path, *command: str) -> Child:
    return await Child.start(command, identity=OURSELVES, death_signal=signal.SIGKILL, log=log)


async def test_its_output_is_appended_and_the_tail_is_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("first", "second"):
        child = await start(log, "/bin/echo", word)
        assert await child.wait() == 0
    assert log.read_text() == "first\nsecond\n"
    assert child.log_tail() == "second"


async def test_a_log_that_has_grown_long_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_MAX_LOG_BYTES", 3)
    log = tmp_path / "some.log"
    for word in ("first", "second"):
        child = await start(log, "/bin/echo", word)
        await child.wait()
    assert (tmp_path / "some.log.1").read_text() == "first\n"
    assert child.log_tail() == "second"


async def test_stopping_escalates_until_it_works(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await start(log, sys.executable, "-c", STUBBORN)
    while "ready" not in child.log_tail():
        assert child.exit_code is None
    await child.stop(((signal.SIGTERM, 0.05), (signal.SIGINT, 10.0)))
    assert await child.wait() == -signal.SIGINT


async def test_what_no_signal_stops_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await start(log, sys.executable, "-c", STUBBORN)
    while "ready" not in child.log_tail():
        assert child.exit_code is None
    await child.stop(((signal.SIGTERM, 0.05),))
    assert child.exit_code == -signal.SIGKILL


async def test_stopping_what_has_ended_does_nothing(tmp_path: Path) -> None:
    child = await start(tmp_path / "log", "/bin/true")
    await child.wait()
    await child.stop(((signal.SIGTERM, 5.0),))
    assert child.exit_code == 0


async def test_variables_for_other_postgresql_servers_are_kept_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATA", "/elsewhere")
    child = await start(tmp_path / "log", "/usr/bin/env")
    await child.wait()
    printed = (tmp_path / "log").read_text()
    assert "PGDATA" not in printed
    assert "TZ=UTC" in printed


async def test_a_program_that_is_not_there_says_so_in_the_log(tmp_path: Path) -> None:
    child = await start(tmp_path / "log", "/no/such/server")
    assert await child.wait() != 0
    assert "No such file" in child.log_tail()


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    parent = start_python(PARENT, tmp_path / "log")
    try:
        pid = int(read_line(parent))
        parent.kill()
        wait_gone(pid)
    finally:
        finish(parent)
