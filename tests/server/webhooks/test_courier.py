"""What happens reaches the receiver: in order, at least once, from where it was left."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.commands import CreateFlag
from eventstore.log import StoredEvent
from server.webhooks.courier import SPAN, Courier, spans
from server.writing.submission import Submission
from tests.server.webhooks.test_messages import event
from tests.support.api import install
from tests.support.delivering import LOOPBACK, Delivering, delivering
from tests.support.receiver import RESET, SILENCE, Receiver, status


async def hurry(process: Delivering, hook_id: str) -> None:
    """Do not wait for the pause after a failure."""
    async with asyncio.timeout(10):
        while True:
            position = await process.table.position("demo", hook_id)
            if position is not None and position.attempts:
                break
            await asyncio.sleep(0.01)
    await process.table.hurry("demo", hook_id)
    process.dispatch.desk.look()


async def test_a_change_arrives_signed_and_named(process: Delivering, receiver: Receiver) -> None:
    hook_id, secret = await process.hook(receiver.url, name="Team", headers={"X-Team": "a"})
    seq = await process.flag("checkout")
    [sent] = await receiver.until(1)
    assert sent.is_signed_with(secret)
    assert not sent.is_signed_with("whsec_another")
    assert sent.headers["halyard-event"] == "FlagCreated"
    assert sent.headers["x-team"] == "a"
    assert (sent.seqs, sent.json["delivery"]) == ([seq], sent.delivery)
    assert sent.json["events"][0]["actor"]["name"] == "Ada"
    await process.until_delivered(hook_id, seq)


async def test_what_happened_before_it_was_created_is_not_told(
    process: Delivering, receiver: Receiver
) -> None:
    await process.flag("a")
    await process.hook(receiver.url)
    seq = await process.flag("b")
    assert (await receiver.until(1))[0].seqs == [seq]


async def test_only_what_is_wanted_is_told(process: Delivering, receiver: Receiver) -> None:
    hook_id, _ = await process.hook(receiver.url, filter={"flags": ["b"]})
    await process.flag("a")
    seq = await process.flag("b")
    await process.until_delivered(hook_id, await process.flag("c"))
    assert [sent.seqs for sent in receiver.received] == [[seq]]


async def test_under_many_writers_everything_arrives_once_and_in_order(
    process: Delivering, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    seqs = await asyncio.gather(*(process.flag(f"f{n}") for n in range(40)))
    await process.until_delivered(hook_id, max(seqs))
    told = [seq for sent in receiver.received for seq in sent.seqs]
    assert told == sorted(seqs)
    assert receiver.most_at_once == 1
    assert len({sent.delivery for sent in receiver.received}) == len(receiver.received)


async def test_a_batch_is_one_delivery_up_to_a_bound(
    process: Delivering, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    batch = [CreateFlag(f"f{n}", salt=f"s{n}") for n in range(250)]
    answer = await process.dependencies.writers.submit("demo", Submission.of("ann", *batch))
    await process.until_delivered(hook_id, answer.seq)
    told = [sent.seqs for sent in receiver.received]
    assert [seq for seqs in told for seq in seqs] == [each.seq for each in answer.events]
    assert max(map(len, told)) == SPAN
    assert len(told) in (3, 4)


@pytest.mark.parametrize("failure", [status(500), RESET, status(302, "location: http://x/")])
async def test_a_failure_holds_up_what_follows_and_is_made_good_under_the_same_id(
    process: Delivering, receiver: Receiver, failure: bytes
) -> None:
    receiver.answers.append(failure)
    hook_id, _ = await process.hook(receiver.url)
    first, second = await process.flag("a"), await process.flag("b")
    await receiver.until(1)
    await hurry(process, hook_id)
    await process.until_delivered(hook_id, second)
    assert [sent.seqs for sent in receiver.received] == [[first], [first], [second]]
    assert receiver.received[0].delivery == receiver.received[1].delivery
    known = await process.table.delivery("demo", hook_id, receiver.received[0].delivery)
    assert known is not None
    assert (known.attempts, known.outcome) == (2, "delivered")


async def test_a_receiver_that_hangs_is_given_up_and_tried_again(
    database_url: str, receiver: Receiver
) -> None:
    async with delivering(database_url, timeout_s=0.2) as process:
        await install(process.dependencies)
        await process.allow(LOOPBACK)
        await process.project()
        receiver.answers.append(SILENCE)
        hook_id, _ = await process.hook(receiver.url)
        seq = await process.flag("a")
        await hurry(process, hook_id)
        await process.until_delivered(hook_id, seq)
        assert process.counters.attempts == {"failed": 1, "delivered": 1}


async def test_one_that_is_down_holds_up_no_other(process: Delivering, receiver: Receiver) -> None:
    down, _ = await process.hook("http://127.0.0.1:9999/")
    hook_id, _ = await process.hook(receiver.url)
    await process.until_delivered(hook_id, await process.flag("a"))
    await hurry(process, down)


async def test_a_receiver_that_is_gone_disables_it(process: Delivering, receiver: Receiver) -> None:
    receiver.answers.append(status(410))
    hook_id, _ = await process.hook(receiver.url)
    await process.flag("a")
    hook = await disabled(process, hook_id)
    assert hook["disabledBecause"] == "gone"
    assert process.counters.disabled == {"gone": 1}
    history = await process.api.get("/api/v1/projects/demo/events?type=WebhookDisabled")
    [told] = history.json()["items"]
    assert told["body"]["reason"] == "gone"
    assert told["actor"]["id"] == "halyard"


async def test_one_that_failed_for_too_long_is_dead(database_url: str, receiver: Receiver) -> None:
    async with delivering(database_url, dead_after=timedelta(seconds=0.05)) as process:
        await install(process.dependencies)
        await process.allow(LOOPBACK)
        await process.project()
        receiver.answers.extend([status(500)] * 9)
        hook_id, _ = await process.hook(receiver.url)
        await process.flag("a")
        hook = await disabled(process, hook_id)
        assert hook["disabledBecause"] == "dead"


async def disabled(process: Delivering, hook_id: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            hook = (await process.api.get(f"/api/v1/projects/demo/webhooks/{hook_id}")).json()
            if not hook["enabled"]:
                return hook
            await asyncio.sleep(0.02)


async def test_what_came_while_it_was_disabled_is_passed_over_and_can_be_replayed(
    process: Delivering, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    path = f"/api/v1/projects/demo/webhooks/{hook_id}"
    await process.until_delivered(hook_id, await process.flag("a"))
    await process.api.patch(path, json={"enabled": False})
    missed = await process.flag("b")
    await process.api.patch(path, json={"enabled": True, "filter": {"kinds": ["flag"]}})
    later = await process.flag("c")
    await process.until_delivered(hook_id, later)
    assert [sent.seqs for sent in receiver.received][1:] == [[later]]
    replayed = await process.api.post(f"{path}/replay", json={"fromSeq": missed})
    assert replayed.status_code == 200, replayed.text
    await receiver.until(4)
    assert [sent.seqs for sent in receiver.received][2:] == [[missed], [later]]
    assert receiver.received[1].delivery == receiver.received[3].delivery


async def test_a_process_that_comes_back_goes_on_where_it_was(
    process: Delivering, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    await process.until_delivered(hook_id, await process.flag("a"))
    await process.stop()
    second, third = await process.flag("b"), await process.flag("c")
    assert len(receiver.received) == 1
    process.start()
    await process.until_delivered(hook_id, third)
    assert [sent.seqs for sent in receiver.received][1:] == [[second], [third]]


async def test_what_was_sent_but_not_noted_is_sent_again_under_the_same_id(
    process: Delivering, receiver: Receiver
) -> None:
    """As where a process is killed between the receiver's answer and the cursor's move."""
    hook_id, _ = await process.hook(receiver.url)
    seq = await process.flag("a")
    await process.until_delivered(hook_id, seq)
    await process.stop()
    await process.pool.execute("UPDATE webhook_cursor SET seq = seq - 1, seen_seq = seq - 1")
    process.start()
    first, second = await receiver.until(2)
    assert first.delivery == second.delivery
    assert first.body == second.body


async def test_two_processes_do_not_deliver_one_webhook_at_once(
    process: Delivering, receiver: Receiver, database_url: str
) -> None:
    receiver.pause_s = 0.01
    hook_id, _ = await process.hook(receiver.url)
    async with delivering(database_url) as other:
        seqs = []
        for n in range(15):
            seqs.append(await process.flag(f"a{n}"))
            seqs.append(await other.flag(f"b{n}"))
        await process.until_delivered(hook_id, max(seqs))
        assert [seq for sent in receiver.received for seq in sent.seqs] == sorted(seqs)
        assert receiver.most_at_once == 1
        assert process.counters.events + other.counters.events == len(seqs)


async def test_another_goes_on_where_one_has_died(
    process: Delivering, receiver: Receiver, database_url: str
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    await process.until_delivered(hook_id, await process.flag("a"))
    await process.stop()
    seq = await process.flag("b")
    short = timedelta(seconds=1)
    [lease] = await process.table.lease("died with it", short, 9)
    async with delivering(database_url, lease=short) as other:
        await other.until_delivered(hook_id, seq)
    # What wakes up after its lease moves nothing.
    assert not await process.table.settle(lease, short)
    position = await process.table.position("demo", hook_id)
    assert position is not None
    assert position.seq == seq


async def test_what_wakes_up_after_its_lease_disables_nothing(
    process: Delivering, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    await process.until_delivered(hook_id, await process.flag("a"))
    await process.stop()
    await process.flag("b")
    [slept] = await process.table.lease("slept", timedelta(0), 9)
    [_] = await process.table.lease("took over", timedelta(seconds=45), 9)
    receiver.answers.append(status(410))
    await Courier(process.means, slept).work()
    assert len(receiver.received) == 2
    hook = (await process.api.get(f"/api/v1/projects/demo/webhooks/{hook_id}")).json()
    assert hook["enabled"]


async def test_a_secret_is_replaced_with_an_overlap(
    process: Delivering, receiver: Receiver
) -> None:
    hook_id, old = await process.hook(receiver.url, filter={"kinds": ["flag"]})
    path = f"/api/v1/projects/demo/webhooks/{hook_id}/rotate-secret"
    new = (await process.api.post(path)).json()["secret"]
    await process.flag("a")
    [both] = await receiver.until(1)
    assert both.is_signed_with(old)
    assert both.is_signed_with(new)
    newest = (await process.api.post(path, json={"overlapS": 0})).json()["secret"]
    await process.flag("b")
    _, last = await receiver.until(2)
    assert last.is_signed_with(newest)
    assert not last.is_signed_with(new)


async def test_a_webhook_that_is_deleted_is_forgotten(
    process: Delivering, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    await process.until_delivered(hook_id, await process.flag("a"))
    await process.api.delete(f"/api/v1/projects/demo/webhooks/{hook_id}")
    async with asyncio.timeout(20):
        while await process.table.position("demo", hook_id) is not None:
            await asyncio.sleep(0.01)
    for table in ("webhook_credential", "webhook_delivery", "webhook_cursor"):
        assert await process.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


def stored(seq: int, ends: bool) -> StoredEvent:
    return event(seq, ends_delta=ends)


def test_the_log_alone_says_where_deliveries_are_cut() -> None:
    log = [stored(seq, ends=seq in (3, 4, 230, 231)) for seq in range(1, 232)]
    whole = [[each.seq for each in span] for span in spans(log)]
    assert [(span[0], span[-1]) for span in whole] == [
        (1, 3), (4, 4), (5, 100), (101, 200), (201, 230), (231, 231)
    ]  # fmt: skip
    for begin in (3, 4, 100, 200):
        assert [[each.seq for each in span] for span in spans(log[begin:])] == [
            span for span in whole if span[0] > begin
        ]
    assert list(spans(log[200:220])) == []
