"""Every answer of every script that writes, on a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from projections.documents import VersionedDocument, tombstone
from projections.rulesets import (
    Delta,
    Meta,
    Published,
    Rulesets,
    Swap,
    channel,
    decode_published,
    generation_keys,
)
from projections.verify import read_audit
from projections.writing import Build, Update, Verdict, apply_update, prune

ENV = "abcdefghijkl"
Fields = dict[str, str | int]
STANDS_AT: Fields = {"changed": 7, "hash": "h7", "seq": 9}
DOCUMENTS = (
    VersionedDocument("environment", 2, b'{"version":2}'),
    VersionedDocument("flag:a", 5, b'{"version":5}'),
    VersionedDocument("flag:b", 7, tombstone("b", 7)),
)
NEWER = VersionedDocument("flag:a", 12, b'{"version":12}')
UPDATE = Update(
    generation="g1",
    epoch=1000,
    since=7,
    since_hash="h7",
    to=12,
    to_hash="h12",
    seq=13,
    documents=(NEWER,),
)


async def built(redis: Redis, generation: str = "g1", changes: Fields | None = None) -> Build:
    fields: Fields = {
        "epoch": 1000,
        "generation": generation,
        "fold": 1,
        "horizon": 0,
        "project": "demo",
        "environment": "production",
        **STANDS_AT,
        **(changes or {}),
    }
    build = Build(redis, ENV, generation)
    assert await build.write({}, DOCUMENTS)
    assert await build.write(fields, ())
    return build


async def live(redis: Redis) -> None:
    build = await built(redis)
    assert await build.swap(len(DOCUMENTS), 3, "") == "SWAPPED"


async def meta(redis: Redis) -> Meta:
    found = await Rulesets(redis).meta(ENV)
    assert found is not None
    return found


async def heard(redis: Redis, work: Iterable[object]) -> list[Published]:
    """What is published while the awaitables of ``work`` run one after the other."""
    subscription = redis.pubsub()
    await subscription.ssubscribe(channel(ENV))
    assert (await subscription.get_message(timeout=5))["type"] == "ssubscribe"
    for step in work:
        await step  # type: ignore[misc]
    await redis.spublish(channel(ENV), b'{"type":"probe","id":"end"}')
    found: list[Published] = []
    while True:
        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=5)
        published = decode_published(message["data"])
        if not isinstance(published, Delta | Swap):
            await subscription.aclose()  # type: ignore[no-untyped-call]
            return found
        found.append(published)


# --- applying


async def test_an_update_that_begins_where_the_ruleset_stands_is_applied(
    redis_client: Redis,
) -> None:
    await live(redis_client)
    assert await apply_update(redis_client, ENV, UPDATE) == Verdict("APPLIED", 7, "h7", 9)
    stored = await read_audit(redis_client, ENV)
    assert stored is not None
    assert (stored.meta.changed, stored.meta.hash, stored.meta.seq) == (12, "h12", 13)
    assert stored.documents["flag:a"] == NEWER.body
    assert stored.index == {"environment": 2, "flag:a": 12, "flag:b": 7}


async def test_an_applied_update_is_published_as_a_delta(redis_client: Redis) -> None:
    await live(redis_client)
    odd = VersionedDocument('flag:"\\é', 10, b'{"version":10}')
    update = replace(UPDATE, documents=(NEWER, odd), committed_us=5_000)
    published = await heard(redis_client, [apply_update(redis_client, ENV, update)])
    documents = {NEWER.name: NEWER.body, odd.name: odd.body}
    (delta,) = published
    assert isinstance(delta, Delta)
    assert replace(delta, sent_us=0) == Delta("1000.3", 7, 12, 13, "h12", documents, 5_000)
    assert 0 <= time.time_ns() // 1000 - delta.sent_us < 60_000_000


async def test_an_update_that_was_applied_already_changes_and_publishes_nothing(
    redis_client: Redis,
) -> None:
    await live(redis_client)
    await apply_update(redis_client, ENV, UPDATE)
    before = await read_audit(redis_client, ENV)
    again = apply_update(redis_client, ENV, UPDATE)
    older = apply_update(redis_client, ENV, replace(UPDATE, to=11, to_hash="h11", seq=11))
    assert await heard(redis_client, [again, older]) == []
    assert await read_audit(redis_client, ENV) == before
    assert (await apply_update(redis_client, ENV, UPDATE)).answer == "DUPLICATE"


@pytest.mark.parametrize("since", [6, 8])
async def test_an_update_that_begins_elsewhere_meets_a_gap(redis_client: Redis, since: int) -> None:
    await live(redis_client)
    update = replace(UPDATE, since=since, since_hash=f"h{since}")
    assert await apply_update(redis_client, ENV, update) == Verdict("GAP", 7, "h7", 9)
    assert (await meta(redis_client)).changed == 7


@pytest.mark.parametrize(
    "update",
    [
        replace(UPDATE, since_hash="other"),
        replace(UPDATE, since=6, since_hash="h6", to=7, to_hash="other", seq=9),
        replace(UPDATE, since=7, to=7, to_hash="other", seq=20, documents=()),
        replace(UPDATE, to=9, documents=(replace(NEWER, version=9),)),
        replace(UPDATE, documents=(NEWER, replace(NEWER, name="flag:c", version=8))),
    ],
    ids=["hash at since", "hash at to", "hash when advancing", "checked before", "in part"],
)
async def test_an_update_of_another_history_meets_a_fork(
    redis_client: Redis, update: Update
) -> None:
    await live(redis_client)
    before = await read_audit(redis_client, ENV)
    assert (await apply_update(redis_client, ENV, update)).answer == "FORK"
    assert await read_audit(redis_client, ENV) == before


@pytest.mark.parametrize("update", [replace(UPDATE, generation="g0"), replace(UPDATE, epoch=999)])
async def test_an_update_for_another_generation_or_epoch_is_told_that_it_moved(
    redis_client: Redis, update: Update
) -> None:
    await live(redis_client)
    assert await apply_update(redis_client, ENV, update) == Verdict("MOVED")


async def test_an_update_of_what_was_flushed_is_told_that_it_moved(redis_client: Redis) -> None:
    await live(redis_client)
    await redis_client.flushall()
    assert await apply_update(redis_client, ENV, UPDATE) == Verdict("MOVED")
    assert await redis_client.dbsize() == 0


async def test_seq_alone_advances_only_where_the_ruleset_is_at_the_same_change(
    redis_client: Redis,
) -> None:
    await live(redis_client)
    advance = replace(UPDATE, to=7, to_hash="h7", documents=())
    assert (await apply_update(redis_client, ENV, advance)).answer == "DUPLICATE"
    assert (await meta(redis_client)).seq == 13
    await apply_update(redis_client, ENV, replace(advance, seq=11))
    assert (await meta(redis_client)).seq == 13
    ahead = replace(advance, since=8, since_hash="h8", to=8, to_hash="h8", seq=20)
    assert (await apply_update(redis_client, ENV, ahead)).answer == "GAP"
    behind = replace(advance, since=6, since_hash="h6", to=6, to_hash="h6", seq=20)
    assert (await apply_update(redis_client, ENV, behind)).answer == "DUPLICATE"
    assert (await meta(redis_client)).seq == 13


# --- building


async def test_what_is_built_is_not_read_before_the_swap_and_vanishes_if_it_never_comes(
    redis_client: Redis,
) -> None:
    await built(redis_client)
    assert await Rulesets(redis_client).read(ENV) is None
    for key in generation_keys(ENV, "g1"):
        assert 0 < await redis_client.pttl(key) <= 600_000


async def test_a_swap_makes_the_generation_last_drops_the_old_and_is_published(
    redis_client: Redis,
) -> None:
    await live(redis_client)
    build = await built(redis_client, "g2")
    assert await heard(redis_client, [build.swap(3, 4, "g1")]) == [Swap("1000.4", 7, 9)]
    assert (await meta(redis_client)).wire_epoch == "1000.4"
    assert await redis_client.exists(*generation_keys(ENV, "g1")) == 0
    for key in generation_keys(ENV, "g2"):
        assert await redis_client.pttl(key) == -1
    assert await build.swap(3, 4, "g1") == "SWAPPED"


@pytest.mark.parametrize("lost_after", range(4))
async def test_a_build_that_was_flushed_at_any_step_is_abandoned(
    redis_client: Redis, lost_after: int
) -> None:
    build, done = Build(redis_client, ENV, "g1"), True
    for step, document in enumerate(DOCUMENTS):
        if step == lost_after:
            await redis_client.flushall()
        done = done and await build.write({}, [document])
    if lost_after == len(DOCUMENTS):
        await redis_client.flushall()
        assert await build.swap(3, 1, "") == "LOST"
    else:
        assert done is (lost_after == 0)
    if lost_after:
        assert await redis_client.dbsize() == 0


async def test_a_build_whose_redis_went_back_to_a_dump_is_abandoned(redis_client: Redis) -> None:
    build = Build(redis_client, ENV, "g1")
    await build.write({}, DOCUMENTS[:1])
    dumps = [(key, await redis_client.dump(key)) for key in generation_keys(ENV, "g1")[:1]]
    await build.write({}, DOCUMENTS[1:])
    for key, dump in dumps:
        assert dump is not None
        await redis_client.restore(key, 0, dump, replace=True)
    assert not await build.write({}, DOCUMENTS)
    assert await redis_client.dbsize() == 0


async def test_two_builds_under_one_name_do_not_mix(redis_client: Redis) -> None:
    await built(redis_client)
    assert not await Build(redis_client, ENV, "g1").write({}, DOCUMENTS)


@pytest.mark.parametrize("key", [1, 2], ids=["documents", "index"])
async def test_a_build_that_lacks_a_document_is_not_swapped_in(
    redis_client: Redis, key: int
) -> None:
    build = await built(redis_client)
    await redis_client.unlink(generation_keys(ENV, "g1")[key])
    assert await build.swap(3, 1, "") == "LOST"
    assert await Rulesets(redis_client).meta(ENV) is None


@pytest.mark.parametrize(
    ("changes", "compared", "content", "answer"),
    [
        ({"seq": 8}, "g1", 3, "BEHIND"),
        ({"epoch": 999, "seq": 20}, "g1", 3, "OVERTAKEN"),
        ({"fold": 0, "seq": 20}, "g1", 3, "OVERTAKEN"),
        ({"seq": 20}, "g0", 3, "MOVED"),
        ({"seq": 20}, "", 3, "MOVED"),
        ({"seq": 20}, "g1", 2, "MOVED"),
        ({"seq": 9}, "g1", 3, "SWAPPED"),
        ({"epoch": 1001, "seq": 1, "fold": 0}, "g1", 1, "SWAPPED"),
        ({"fold": 2, "seq": 9}, "g1", 4, "SWAPPED"),
    ],
)
async def test_a_swap_compares_itself_with_what_is_live(
    redis_client: Redis,
    changes: Fields,
    compared: str,
    content: int,
    answer: str,
) -> None:
    await live(redis_client)
    build = await built(redis_client, "g2", changes)
    assert await build.swap(3, content, compared) == answer
    assert (await meta(redis_client)).generation == ("g2" if answer == "SWAPPED" else "g1")


async def test_a_swap_takes_the_place_of_one_that_was_flushed(redis_client: Redis) -> None:
    await live(redis_client)
    await redis_client.flushall()
    build = await built(redis_client, "g2", {"seq": 8})
    assert await build.swap(3, 3, "g1") == "SWAPPED"


async def test_a_build_is_abandoned_but_never_one_that_is_live(redis_client: Redis) -> None:
    build = await built(redis_client)
    await build.abandon()
    assert await redis_client.dbsize() == 0
    build = await built(redis_client)
    await build.swap(3, 1, "")
    await build.abandon()
    assert (await meta(redis_client)).generation == "g1"


# --- pruning


async def test_pruning_drops_tombstones_up_to_the_horizon_and_says_so(redis_client: Redis) -> None:
    await live(redis_client)
    assert await prune(redis_client, ENV, await meta(redis_client), 6, ["flag:b"]) == 0
    assert await prune(redis_client, ENV, await meta(redis_client), 7, ["flag:b", "flag:x"]) == 1
    stored = await read_audit(redis_client, ENV)
    assert stored is not None
    assert set(stored.documents) == set(stored.index) == {"environment", "flag:a"}
    assert stored.meta.horizon == 7


async def test_a_document_that_was_revived_is_not_pruned(redis_client: Redis) -> None:
    await live(redis_client)
    before = await meta(redis_client)
    revived = replace(NEWER, name="flag:b")
    await apply_update(redis_client, ENV, replace(UPDATE, documents=(revived,)))
    assert await prune(redis_client, ENV, before, 10, ["flag:b"]) == 0
    assert "flag:b" in (await read_audit(redis_client, ENV)).documents  # type: ignore[union-attr]


async def test_the_horizon_never_passes_the_last_change_nor_goes_back(redis_client: Redis) -> None:
    await live(redis_client)
    await prune(redis_client, ENV, await meta(redis_client), 8, [])
    assert (await meta(redis_client)).horizon == 7
    await prune(redis_client, ENV, await meta(redis_client), 3, [])
    assert (await meta(redis_client)).horizon == 7


async def test_another_generation_is_not_pruned(redis_client: Redis) -> None:
    await live(redis_client)
    other = replace(await meta(redis_client), generation="g0")
    assert await prune(redis_client, ENV, other, 7, ["flag:b"]) is None
    assert (await meta(redis_client)).horizon == 0


async def test_of_two_who_apply_the_same_update_at_once_one_is_first(redis_client: Redis) -> None:
    await live(redis_client)
    verdicts = await asyncio.gather(*(apply_update(redis_client, ENV, UPDATE) for _ in range(8)))
    assert sorted(verdict.answer for verdict in verdicts) == ["APPLIED"] + 7 * ["DUPLICATE"]
