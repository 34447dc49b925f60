"""A master, its replica, and a Sentinel that watches them: all real, from the embedded Valkey."""

from __future__ import annotations

import signal
from pathlib import Path
from types import TracebackType
from typing import Self

import redis.exceptions

from server.embedded.binaries import valkey_binary
from tests.support.valkey_process import ValkeyProcess, free_ports, wait_until

NAME = "halyard"
DOWN_AFTER_MS = 500


class _Sentinel(ValkeyProcess):
    def __init__(self, folder: Path, port: int, master_port: int) -> None:
        super().__init__(folder, port)
        folder.mkdir(parents=True)
        self._configuration = folder / "sentinel.conf"
        self._configuration.write_text(
            f"port {port}\n"
            "bind 127.0.0.1\n"
            f"dir {folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {master_port} 1\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 5000\n"
        )

    def _command(self) -> tuple[str, ...]:
        return (str(valkey_binary()), str(self._configuration), "--sentinel")


class WatchedPair:
    """See the module; a context manager."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(3)
        self.master = ValkeyProcess(folder / "master", ports[0])
        self.replica = ValkeyProcess(
            folder / "replica", ports[1], "--replicaof", "127.0.0.1", str(ports[0])
        )
        self.sentinel = _Sentinel(folder / "sentinel", ports[2], ports[0])

    def __enter__(self) -> Self:
        try:
            self.master.start()
            self.replica.start()
            wait_until(self._is_in_step)
            # It asks the master for replicas at once, and then every ten seconds.
            self.sentinel.start()
            wait_until(self._replica_is_known)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self.sentinel, self.replica, self.master):
            each.end()

    @property
    def url(self) -> str:
        """For `HALYARD_REDIS_URL`."""
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{NAME}"

    def _is_in_step(self) -> bool:
        return bool(self.replica.client.info("replication")["master_link_status"] == "up")

    def _replica_is_known(self) -> bool:
        seen = self.sentinel.client.sentinel_slaves(NAME)
        return len(seen) == 1 and seen[0]["master-link-status"] == "ok"

    def cut_off_replica(self) -> None:
        """From here on nothing that is written reaches the replica."""
        self.replica.send(signal.SIGSTOP)
        # What would lie in the replica's receive buffer would not be lost.
        self.master.client.client_kill_filter(_type="replica")

    def fail_over(self) -> None:
        """Lose the master; the replica comes back, as it was, and is made the master."""
        self.master.send(signal.SIGKILL)
        self.replica.send(signal.SIGCONT)
        wait_until(self._is_promoted)

    def _is_promoted(self) -> bool:
        try:
            return self.replica.role() == "master"
        except redis.exceptions.ConnectionError:
            return False  # a sentinel cuts all clients of the server that it has promoted
