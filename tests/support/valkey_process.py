"""One embedded Valkey on a port of the loopback, to be made part of something, and ill-treated."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from server.embedded.binaries import valkey_binary

PATIENCE_S = 20.0


class ValkeyProcess:
    """A server that writes no dump; ``options`` are those of its command line."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.port = port
        self.client: Any = redis.Redis(port=port, socket_timeout=10, retry=Retry(NoBackoff(), 0))
        """Of the test; one that blocks, for short commands."""
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self.answers)

    def _command(self) -> tuple[str, ...]:
        return (
            *(str(valkey_binary()), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self._folder), "--save", "", "--appendonly", "no", "--daemonize", "no"),
            *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
            *self._options,
        )

    def answers(self) -> bool:
        """Whether it does."""
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def role(self) -> str:
        """``master`` or ``slave``."""
        return str(self.client.info("replication")["role"])

    def follow(self, master: ValkeyProcess) -> None:
        """Become the replica of another one, and catch up with it."""
        self.client.replicaof("127.0.0.1", master.port)
        wait_until(lambda: self.client.info("replication")["master_link_status"] == "up")

    def send(self, signum: signal.Signals) -> None:
        """A signal: SIGKILL, or SIGSTOP and SIGCONT for a server that hangs."""
        assert self._process is not None
        self._process.send_signal(signum)
        if signum == signal.SIGKILL:
            self._process.wait()

    def end(self) -> None:
        """Make sure that nothing is left of it."""
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def started(*servers: ValkeyProcess) -> Iterator[None]:
    """Start them, and leave nothing behind."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.end()


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again: servers tell nobody that they agree. Raises TimeoutError."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError("the servers do not come to rest")
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        return [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(count)
        ]
