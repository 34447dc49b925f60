"""Scripts for Node.js, with packages from npm, asked line by line."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

NODE = (20, 19)
"""The oldest that the packages run on."""

INSTALL_TIMEOUT_S = 240.0
ANSWER_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
LONGEST_LINE = 1 << 20


def install_packages(folder: Path) -> None:
    """`npm ci` in this folder, unless its `node_modules` are those of the lock already.

    One process installs while others wait. Without Node.js the test is skipped; in CI, where
    `CI` is set, it fails instead.
    """
    if not _has_node():
        why = "this needs Node.js 20.19 or newer with npm on the PATH"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    with (folder / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        stamp = folder / "node_modules" / ".installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            _run("npm", "ci", "--ignore-scripts", cwd=folder)
            stamp.write_text(wanted)


def _has_node() -> bool:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    major, minor, *_ = _run("node", "--version").removeprefix("v").split(".")
    return (int(major), int(minor)) >= NODE


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
    return done.stdout


class NodeScript:
    """A running script that speaks as `lines.mjs` says: one answer to each question, and events."""

    def __init__(self, script: Path, log: Path) -> None:
        self._script = script
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._events: deque[dict[str, Any]] = deque()

    async def ask(self, name: str, **parameters: Any) -> Any:
        """What the script answers; a failure there fails the test."""
        assert self._process is not None
        assert self._process.stdin is not None
        line = json.dumps({"do": name, **parameters})
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while "event" in (said := await self._line()):
                self._events.append(said)
        assert "failure" not in said, said["failure"]
        return said["answer"]

    async def event(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The next event of this name with these members; those before it are passed over."""
        passed_over = []
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    said = self._events.popleft() if self._events else await self._line()
                    if said.items() >= {"event": name, **wanted}.items():
                        return said
                    passed_over.append(said)
        except TimeoutError:
            raise AssertionError(f"no {name} {wanted}, but {passed_over}") from None

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, f"{self._script.name} ended:\n{self._log.read_text()}"
        said: dict[str, Any] = json.loads(line)
        return said

    async def __aenter__(self) -> Self:
        with self._log.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                "node", str(self._script), limit=LONGEST_LINE, stderr=errors,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its input, which ends it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError(f"{self._script.name} did not end") from None
