"""A real Redis Cluster for tests: three masters and three replicas of the embedded Valkey.

Each node is a process on two free ports of the loopback; the operations are those of an operator:
kill, start again, stop for a while, move a slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.crc import key_slot

from tests.support.valkey_process import ValkeyProcess, free_ports, wait_until

MASTERS = 3
NODE_TIMEOUT_MS = 1_000
SLOTS = 16_384


class Node(ValkeyProcess):
    """One server of the cluster."""

    def __init__(self, folder: Path, port: int, bus_port: int) -> None:
        super().__init__(
            folder,
            port,
            *("--cluster-enabled", "yes", "--cluster-port", str(bus_port)),
            *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            *("--cluster-require-full-coverage", "no", "--cluster-allow-replica-migration", "no"),
            *("--cluster-config-file", "nodes.conf"),
        )
        self.bus_port = bus_port

    def do(self, *command: str | int) -> Any:
        """A command of `CLUSTER`, as it is answered."""
        return self.client.execute_command("CLUSTER", *command)

    @property
    def id(self) -> str:
        """Its name among the nodes."""
        return str(self.do("MYID").decode())

    def known(self) -> dict[str, list[str]]:
        """The nodes as it sees them: id -> the fields of `CLUSTER NODES` behind it."""
        lines = self.client.execute_command("CLUSTER", "NODES").decode().splitlines()
        return {line.split()[0]: line.split()[1:] for line in lines}

    def owner(self, slot: int) -> int | None:
        """The port of the master of a slot, as this node sees it."""
        for first, last, master, *_ in self.do("SLOTS"):
            if first <= slot <= last:
                return int(master[1])
        return None


class ClusterServers:
    """See the module; a context manager."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(4 * MASTERS)
        self.nodes = [
            Node(folder / str(number), ports[2 * number], ports[2 * number + 1])
            for number in range(2 * MASTERS)
        ]

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self._join()
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
        for node in self.nodes:
            node.end()

    @property
    def url(self) -> str:
        """Two of its nodes, for `HALYARD_REDIS_URL`."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[-1].port}"

    def _join(self) -> None:
        first, *others = self.nodes
        for number, node in enumerate(self.nodes[:MASTERS]):
            begin, end = (SLOTS * each // MASTERS for each in (number, number + 1))
            node.do("ADDSLOTSRANGE", begin, end - 1)
            node.do("SET-CONFIG-EPOCH", number + 1)
        for node in others:
            first.do("MEET", "127.0.0.1", node.port, node.bus_port)
        wait_until(lambda: all(len(node.known()) == len(self.nodes) for node in self.nodes))
        for master, replica in zip(self.nodes[:MASTERS], self.nodes[MASTERS:], strict=True):
            replica.do("REPLICATE", master.id)
        self.heal()

    def heal(self) -> None:
        """Start what was killed, and wait until every master has its replica in step."""
        for node in self.nodes:
            if not node.answers():
                node.start()
        wait_until(self._is_well)

    def _is_well(self) -> bool:
        infos = [node.client.info("replication") for node in self.nodes]
        in_step = sum(
            info["role"] == "master" and info["connected_slaves"] == 1 for info in infos
        ) + sum(info["role"] == "slave" and info["master_link_status"] == "up" for info in infos)
        agreed = {tuple(sorted(map(repr, node.do("SLOTS")))) for node in self.nodes}
        states = [node.client.execute_command("CLUSTER", "INFO") for node in self.nodes]
        return (
            in_step == len(self.nodes)
            and len({len(each) for each in agreed}) == 1
            and all(b"cluster_state:ok" in state for state in states)
        )

    def flush(self) -> None:
        """Empty it."""
        for node in self.masters():
            node.client.flushall()

    def masters(self) -> list[Node]:
        """The nodes that own slots now."""
        return [node for node in self.nodes if node.role() == "master"]

    def owner(self, key: str) -> Node:
        """The node that owns a key."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if node.answers():
                port = node.owner(slot)
                return next(each for each in self.nodes if each.port == port)
        raise AssertionError("no node answers")

    def wait_for_another_owner(
        self, key: str, than: Node, among: Sequence[Node] | None = None
    ) -> None:
        """Wait until all that live (or those named) agree that another node owns a key."""
        slot = key_slot(key.encode())

        def agreed() -> bool:
            asked = [node for node in self.nodes if node.answers()] if among is None else among
            owners = {node.owner(slot) for node in asked}
            return len(owners) == 1 and not owners & {None, than.port}

        wait_until(agreed)

    def replica_of(self, master: Node) -> Node:
        """The replica of a master."""
        return next(
            node
            for node in self.nodes
            if node.client.info("replication").get("master_port") == master.port
        )

    def move_slot(
        self, key: str, target: Node, between: Callable[[], object] = lambda: None
    ) -> None:
        """Move the slot of a key, as `--cluster reshard` does, but key by key.

        ``between`` is called before the first key went, and after each: whoever comes then finds
        some keys here and some there.
        """
        slot, source = key_slot(key.encode()), self.owner(key)
        target.do("SETSLOT", slot, "IMPORTING", source.id)
        source.do("SETSLOT", slot, "MIGRATING", target.id)
        between()
        while keys := source.do("GETKEYSINSLOT", slot, 1):
            source.client.migrate("127.0.0.1", target.port, keys, 0, 5_000)
            between()
        for node in (target, source, *(each for each in self.masters() if each is not source)):
            node.do("SETSLOT", slot, "NODE", target.id)

    def migrate_slot(self, key: str, target: Node) -> None:
        """Move the slot of a key in one piece, as Valkey can from version 9 on."""
        slot, source = key_slot(key.encode()), self.owner(key)
        source.do("MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.id)
        self.wait_for_another_owner(key, source)
