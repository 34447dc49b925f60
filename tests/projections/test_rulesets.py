"""Reading rulesets, and what is published about them."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from projections.documents import VersionedDocument
from projections.rulesets import (
    Delta,
    MalformedPublication,
    Meta,
    Probe,
    Rulesets,
    Swap,
    active_key,
    decode_published,
    encode_probe,
    generation_keys,
    wire_epoch_order,
)
from projections.writing import Build

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
META = Meta(1000, 3, "g1", 1, 0, 7, "ab", 9, "demo", "production")
DOCUMENTS = [
    VersionedDocument("environment", 2, b'{"version":2}'),
    VersionedDocument("flag:a", 5, b'{"version":5}'),
    VersionedDocument("flag:b", 7, b'{"version":7}'),
]


async def store(redis: Redis) -> None:
    build = Build(redis, ENV, "g1")
    assert await build.write(FIELDS, DOCUMENTS)
    assert await build.swap(len(DOCUMENTS), 3, "") == "SWAPPED"


async def test_where_nothing_was_built_every_read_answers_none(redis_client: Redis) -> None:
    rulesets = Rulesets(redis_client)
    assert await rulesets.meta(ENV) is None
    assert await rulesets.read(ENV) is None
    assert await rulesets.read_since(ENV, 0) is None


async def test_a_ruleset_is_read_as_it_was_built(redis_client: Redis) -> None:
    await store(redis_client)
    stored = await Rulesets(redis_client).read(ENV)
    assert stored is not None
    assert stored.meta == META
    assert stored.documents == {document.name: document.body for document in DOCUMENTS}
    assert await Rulesets(redis_client).meta(ENV) == META


async def test_only_documents_newer_than_a_version_are_read_since_it(redis_client: Redis) -> None:
    await store(redis_client)
    stored = await Rulesets(redis_client).read_since(ENV, 2)
    assert stored is not None
    assert stored.meta == META
    assert list(stored.documents) == ["flag:a", "flag:b"]
    newest = await Rulesets(redis_client).read_since(ENV, 7)
    assert newest is not None
    assert newest.documents == {}


async def test_a_pointer_to_nothing_is_no_ruleset(redis_client: Redis) -> None:
    await redis_client.set(active_key(ENV), "gone")
    assert await Rulesets(redis_client).meta(ENV) is None
    assert await Rulesets(redis_client).read(ENV) is None


async def test_a_meta_that_lacks_a_field_is_no_ruleset(redis_client: Redis) -> None:
    await store(redis_client)
    await redis_client.hdel(generation_keys(ENV, "g1")[0], "hash")
    assert await Rulesets(redis_client).meta(ENV) is None


async def test_a_server_that_forgot_the_scripts_is_taught_them_again(redis_client: Redis) -> None:
    await store(redis_client)
    await redis_client.script_flush()
    assert await Rulesets(redis_client).meta(ENV) == META


async def test_all_keys_carry_the_hash_tag_of_their_environment(redis_client: Redis) -> None:
    await store(redis_client)
    assert all(b"{" + ENV.encode() + b"}" in key for key in await redis_client.keys("*"))


def test_published_messages_are_read_by_their_type() -> None:
    delta = (
        b'{"type":"delta","epoch":"9.1","from":3,"to":5,"seq":6,"hash":"ab",'
        b'"documents":{"flag:a":{"key":"a"}}}'
    )
    assert decode_published(delta) == Delta("9.1", 3, 5, 6, "ab", {"flag:a": b'{"key":"a"}'})
    timed = delta[:-1] + b',"committedUs":17,"sentUs":19,"ofALaterVersion":[]}'
    told = decode_published(timed)
    assert isinstance(told, Delta)
    assert (told.committed_us, told.sent_us) == (17, 19)
    assert decode_published(b'{"type":"swap","epoch":"9.2","to":5,"seq":6}') == Swap("9.2", 5, 6)
    assert decode_published(encode_probe(Probe("x"))) == Probe("x")


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{}", b'{"type":"news"}', b'{"type":"swap"}'])
def test_anything_else_on_a_channel_is_named_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedPublication):
        decode_published(payload)


def test_wire_epochs_are_ordered_by_numbers_not_by_letters() -> None:
    assert wire_epoch_order("9.10") > wire_epoch_order("9.9") > wire_epoch_order("8.100")
    with pytest.raises(ValueError, match="invalid literal"):
        wire_epoch_order("x")
