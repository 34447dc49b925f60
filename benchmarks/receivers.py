"""Readers in another process, so that what is measured here is the server alone.

In C where there is a compiler (compiled anew into a temporary folder); else the same in Python,
which is slower than the server and then sets the limit: the report says which it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

_HERE = Path(__file__)
_HELLO = b'{"type":"hello","protocol":1}'
_REQUEST = (
    b"GET /stream/v1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: halyard.v1\r\n"
    b"Authorization: Bearer %s\r\n\r\n"
)


class Receivers:
    """So many connections, held by another process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def count(self, count: int) -> asyncio.Task[None]:
        """Begin to count what arrives from now on; the task ends when it was so many bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"count %d\n" % count)
        await self._process.stdin.drain()
        await asyncio.sleep(0.2)  # until it has read the order
        return asyncio.create_task(self.heard("done"))

    async def heard(self, word: str) -> None:
        """Wait for a word of the process."""
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().strip()
        if line != word:
            raise RuntimeError(f"the receivers said {line!r} instead of {word!r}")


@contextlib.asynccontextmanager
async def receivers(port: int, connections: int, key: str = "") -> AsyncIterator[Receivers]:
    """Connections to a port; with a key, to its stream, after their hello."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*_command(Path(folder)), str(port), str(connections), *([key] if key else [])]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        running = Receivers(process)
        try:
            await running.heard("ready")
            yield running
        finally:
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def language() -> str:
    """What the readers are written in, on this machine."""
    return "C" if shutil.which("cc") else "Python"


def _command(folder: Path) -> list[str]:
    compiler = shutil.which("cc")
    if compiler is None:
        return [sys.executable, str(_HERE)]
    binary = folder / "receivers"
    source = str(_HERE.with_suffix(".c"))
    subprocess.run([compiler, "-O2", "-o", str(binary), source], check=True)
    return [str(binary)]


def _dial(port: int, key: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    if key:
        connection.sendall(_REQUEST % key)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        connection.sendall(bytes((0x81, 0x80 | len(_HELLO), 0, 0, 0, 0)) + _HELLO)
    connection.setblocking(False)
    return connection


def _serve(port: int, connections: int, key: bytes) -> None:
    sockets = [_dial(port, key) for _ in range(connections)]
    by_number = {connection.fileno(): connection for connection in sockets}
    poll = select.epoll()
    for number in (0, *by_number):
        poll.register(number, select.EPOLLIN)
    print("ready", flush=True)
    wanted = got = 0
    while True:
        for number, _ in poll.poll():
            if number == 0:
                line = sys.stdin.readline()
                if not line:
                    return
                wanted, got = int(line.split()[1]), 0
            else:
                got += len(by_number[number].recv(1 << 16))
        if wanted and got >= wanted:
            wanted = 0
            print("done", flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), "".join(sys.argv[3:]).encode())
