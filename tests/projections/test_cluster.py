"""The client of a cluster: redirections are followed, and half a ruleset is never taken for one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis.exceptions import ConnectionError as CannotConnect
from redis.exceptions import TryAgainError

from projections.cluster import slot_of
from projections.documents import VersionedDocument
from projections.rulesets import Rulesets, active_key, generation_keys
from projections.script import RedisClient, Script
from projections.writing import Build
from server.redis_client import WrongKindOfRedis, connect_redis
from tests.support.cluster import ClusterServers

ENV = "abcdefghijkl"
FIELDS: dict[str, str | int] = {
    "epoch": 1000,
    "generation": "g1",
    "fold": 1,
    "horizon": 0,
    "changed": 7,
    "hash": "ab",
    "seq": 9,
    "project": "demo",
    "environment": "production",
}
DOCUMENTS = [VersionedDocument("environment", 7, b"{}")]
KEY = Script("return KEYS[1]")


@pytest.fixture
async def rulesets(cluster_client: RedisClient) -> Rulesets:
    """One ruleset, in place."""
    build = Build(cluster_client, ENV, "g1")
    assert await build.write(FIELDS, DOCUMENTS)
    assert await build.swap(1, 3, "") == "SWAPPED"
    return Rulesets(cluster_client)


@contextmanager
def half_moved(cluster: ClusterServers, *keys: str) -> Iterator[None]:
    """The slot of these keys is being moved, and they are there already."""
    slot, source = slot_of(keys[0]), cluster.owner(keys[0])
    target = next(node for node in cluster.masters() if node is not source)
    target.do("SETSLOT", slot, "IMPORTING", source.id)
    source.do("SETSLOT", slot, "MIGRATING", target.id)
    source.client.migrate("127.0.0.1", target.port, keys, 0, 5_000)
    try:
        yield
    finally:
        for node in (target, source):
            node.do("SETSLOT", slot, "STABLE")
        target.client.flushall()


async def test_every_node_is_taught_a_script_when_it_first_needs_it(
    cluster: ClusterServers, cluster_client: RedisClient
) -> None:
    keys = [f"key-{number}" for number in range(50)]
    assert len({cluster.owner(key).port for key in keys}) == 3
    assert [await KEY.run(cluster_client, [key]) for key in keys] == [key.encode() for key in keys]


async def test_a_slot_that_has_moved_is_followed(
    cluster: ClusterServers, rulesets: Rulesets
) -> None:
    source = cluster.owner(active_key(ENV))
    for target in (*(node for node in cluster.masters() if node is not source), source):
        cluster.move_slot(active_key(ENV), target)
        meta = await rulesets.meta(ENV)
        assert meta is not None
        assert meta.seq == 9


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
async def test_a_ruleset_of_which_one_part_has_not_moved_yet_is_neither_empty_nor_missing(
    cluster: ClusterServers, rulesets: Rulesets, kept: int
) -> None:
    keys = [active_key(ENV), *generation_keys(ENV, "g1")]
    del keys[kept]
    with half_moved(cluster, *keys):
        for read in (rulesets.meta(ENV), rulesets.read(ENV), rulesets.read_since(ENV, 0)):
            with pytest.raises(TryAgainError):
                await read


async def test_a_ruleset_that_is_over_there_already_is_read_there_by_many_at_once(
    cluster: ClusterServers, rulesets: Rulesets
) -> None:
    with half_moved(cluster, active_key(ENV), *generation_keys(ENV, "g1")):
        read = await asyncio.gather(*(rulesets.read(ENV) for _ in range(20)))
    assert all(stored is not None and stored.documents for stored in read)


async def test_without_any_node_there_is_no_client(unused_tcp_port: int) -> None:
    with pytest.raises(CannotConnect):
        async with connect_redis(f"redis+cluster://127.0.0.1:{unused_tcp_port}"):
            pass


async def test_one_node_that_is_named_and_lives_is_enough(
    cluster: ClusterServers, unused_tcp_port: int
) -> None:
    url = f"redis+cluster://127.0.0.1:{unused_tcp_port},127.0.0.1:{cluster.nodes[0].port}"
    async with connect_redis(url) as client:
        assert await client.ping()


async def test_a_node_of_a_cluster_is_not_taken_for_a_server(cluster: ClusterServers) -> None:
    with pytest.raises(WrongKindOfRedis, match=r"write redis\+cluster://"):
        async with connect_redis(f"redis://127.0.0.1:{cluster.nodes[0].port}"):
            pass
