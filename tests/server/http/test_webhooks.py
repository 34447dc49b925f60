"""Webhooks over HTTP: what goes in, what never comes out, and what became of deliveries."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from server.http.dependencies import Dependencies
from server.http.paging import write_cursor
from server.webhooks.dispatch import MAX_BY_HAND
from tests.support.api import PROJECT, client_of, created, install, problem
from tests.support.delivering import LOOPBACK, Delivering, delivering
from tests.support.receiver import SILENCE, Receiver, status

HOOKS = f"{PROJECT}/webhooks"
URL = "https://hooks.example.com/services/T0/s3cret-path?key=s3cret-query"
HEADERS = {"Authorization": "Bearer s3cret-header"}


@pytest.fixture
async def process(database_url: str) -> AsyncIterator[Delivering]:
    """One that has an API, and delivers nothing of its own accord."""
    async with delivering(database_url, started=False) as process:
        await install(process.dependencies)
        await process.allow(LOOPBACK)
        await process.project()
        yield process


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def demo(process: Delivering) -> httpx.AsyncClient:
    return process.api


async def hook(api: httpx.AsyncClient, **more: Any) -> str:
    answer = await created(api, HOOKS, {"url": URL, "headers": HEADERS, **more})
    return f"{HOOKS}/{answer.json()['id']}"


async def test_a_webhook_is_shown_without_what_is_secret(demo: httpx.AsyncClient) -> None:
    template = {"format": "blocks", "body": {"text": "{{lines}}"}}
    body = {"url": URL, "headers": HEADERS, "filter": {"flags": ["a"]}, "template": template}
    answer = await created(demo, HOOKS, body)
    secret = answer.json()["secret"]
    assert secret.startswith("whsec_")
    read = await demo.get(answer.headers["location"])
    shown = read.json()
    assert shown["address"] == "https://hooks.example.com"
    assert shown["name"] == "hooks.example.com"
    assert shown["headers"] == ["Authorization"]
    assert shown["filter"] == {"flags": ["a"]}
    assert shown["template"] == template
    assert read.headers["etag"] == '"1"'
    listed = await demo.get(HOOKS)
    assert [each["id"] for each in listed.json()["items"]] == [shown["id"]]
    everything = [read, listed, await demo.get(f"{PROJECT}/events"), await demo.get(PROJECT)]
    for response in everything:
        assert "s3cret" not in response.text
        assert secret not in response.text


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "/url"),
        ({"url": "http://user:s3cret@a.example/"}, "/url"),
        ({"url": "ftp://a.example/"}, "/url"),
        ({"url": URL, "headers": {"Host": "s3cret"}}, "/headers/Host"),
        ({"url": URL, "headers": {"X-A": "s3cret\n"}}, "/headers/X-A"),
        ({"url": URL, "secret": "mine"}, "/secret"),
        ({"url": URL, "filter": {"kinds": ["flags"]}}, "/filter/kinds/0"),
        ({"url": URL, "template": {"format": "perl"}}, "/template/format"),
    ],
)
async def test_what_is_wrong_is_named_and_not_repeated(
    demo: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    answer = await demo.post(HOOKS, json=body)
    wrong = problem(answer, 422, "malformed")
    assert [each["path"] for each in wrong["errors"]] == [path]
    assert "s3cret" not in answer.text


async def test_what_the_domain_refuses_is_named(demo: httpx.AsyncClient) -> None:
    body = {"url": URL, "template": {"format": "text", "text": "{{what}}"}}
    wrong = problem(await demo.post(HOOKS, json=body), 422, "invalid-command")
    assert wrong["errors"][0]["path"] == "/template/text"


@pytest.mark.parametrize("depth", [30, 400, 900])
async def test_a_template_that_nests_too_deeply_is_refused(
    demo: httpx.AsyncClient, depth: int
) -> None:
    inner = '{"a":' * depth + '"x"' + "}" * depth
    body = f'{{"url":"{URL}","template":{{"format":"blocks","body":{inner}}}}}'
    answer = await demo.post(HOOKS, content=body)
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("last", ["x", "0001-01-01T00:00:00+14:00 ", "2026-01-01T00:00:00 ", "\0"])
async def test_a_cursor_that_was_not_given_out_is_refused(
    demo: httpx.AsyncClient, last: str
) -> None:
    path = await hook(demo)
    made_up = write_cursor(last + str(uuid.uuid4()))
    answer = await demo.get(f"{path}/deliveries?cursor={made_up}")
    assert problem(answer, 422, "malformed")["errors"][0]["path"] == "?cursor"


async def test_a_repeat_does_not_show_the_secret_again(demo: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "k1"}
    first = await demo.post(HOOKS, json={"url": URL}, headers=headers)
    again = await demo.post(HOOKS, json={"url": URL}, headers=headers)
    assert (again.json()["replayed"], again.json()["secret"]) == (True, None)
    assert again.json()["id"] == first.json()["id"]
    assert len((await demo.get(HOOKS)).json()["items"]) == 1


async def test_an_edit_is_a_batch_against_the_revision_that_was_seen(
    demo: httpx.AsyncClient,
) -> None:
    path = await hook(demo)
    body = {"name": "Ops", "enabled": False, "template": {"format": "slack"}}
    answer = await demo.patch(path, json=body, headers={"if-match": '"1"'})
    assert [each["type"] for each in answer.json()["events"]] == [
        "WebhookDescribed", "WebhookTemplateChanged", "WebhookDisabled"
    ]  # fmt: skip
    problem(await demo.patch(path, json=body, headers={"if-match": '"1"'}), 412, "stale-revision")
    problem(await demo.patch(path, json={}), 422, "malformed")


async def test_a_new_address_takes_no_header_over(demo: httpx.AsyncClient) -> None:
    path = await hook(demo)
    await demo.patch(path, json={"headers": {"X-Other": "1"}})
    shown = (await demo.get(path)).json()
    assert (shown["address"], shown["headers"]) == ("https://hooks.example.com", ["X-Other"])
    await demo.patch(path, json={"url": "https://other.example/x"})
    shown = (await demo.get(path)).json()
    assert (shown["address"], shown["headers"]) == ("https://other.example", [])


async def test_a_credential_is_named_by_its_own_routes_only(demo: httpx.AsyncClient) -> None:
    command = {
        "type": "CreateWebhook", "webhook": "h", "name": "x", "address": "https://a.example",
        "target": "t", "secret": "s",
    }  # fmt: skip
    wrong = problem(await demo.post(f"{PROJECT}/commands", json=command), 422, "invalid-command")
    assert "webhooks" in wrong["errors"][0]["reason"]


async def test_whoever_may_not_is_refused(process: Delivering, demo: httpx.AsyncClient) -> None:
    path = await hook(demo)
    async with client_of(process.dependencies, "viewer") as viewer:
        for method, to in [
            ("GET", HOOKS), ("POST", HOOKS), ("GET", path), ("PATCH", path), ("DELETE", path),
            ("POST", f"{path}/ping"), ("POST", f"{path}/replay"), ("POST", f"{path}/rotate-secret"),
            ("GET", f"{path}/deliveries"),
        ]:  # fmt: skip
            answer = await viewer.request(method, to, json={})
            assert answer.status_code in (403, 404), (method, to, answer.text)


async def test_what_is_of_another_project_is_not_found(demo: httpx.AsyncClient) -> None:
    path = await hook(demo)
    await created(demo, "/api/v1/projects", {"key": "other"})
    elsewhere = path.replace("/demo/", "/other/")
    for method, suffix in [
        ("GET", ""), ("PATCH", ""), ("POST", "/ping"), ("POST", "/rotate-secret"),
        ("GET", "/deliveries"), ("DELETE", ""),
    ]:  # fmt: skip
        body = {"name": "x"} if method == "PATCH" else None
        answer = await demo.request(method, elsewhere + suffix, json=body)
        problem(answer, 404, "not-found")


async def test_a_ping_says_what_came_of_it_and_is_on_the_list(
    process: Delivering, demo: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook_id, secret = await process.hook(receiver.url)
    receiver.answers.append(status(500, body="no"))
    pinged = (await demo.post(f"{HOOKS}/{hook_id}/ping")).json()
    assert (pinged["outcome"], pinged["status"], pinged["excerpt"]) == ("failed", 500, "no")
    assert (await demo.post(f"{HOOKS}/{hook_id}/ping")).json()["outcome"] == "delivered"
    assert receiver.received[1].headers["halyard-event"] == "Ping"
    assert receiver.received[1].is_signed_with(secret)
    page = (await demo.get(f"{HOOKS}/{hook_id}/deliveries?limit=1")).json()
    assert page["items"][0]["outcome"] == "delivered"
    cursor = page["nextCursor"]
    rest = (await demo.get(f"{HOOKS}/{hook_id}/deliveries?limit=1&cursor={cursor}")).json()
    assert (rest["items"][0]["id"], rest["nextCursor"]) == (pinged["id"], None)
    failed = (await demo.get(f"{HOOKS}/{hook_id}/deliveries?outcome=failed")).json()["items"]
    assert [each["id"] for each in failed] == [pinged["id"]]


async def test_few_deliveries_are_made_by_hand_at_a_time(
    process: Delivering, demo: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    async with asyncio.TaskGroup() as tasks:
        receiver.answers.extend([SILENCE] * MAX_BY_HAND)
        path = f"{HOOKS}/{hook_id}/ping"
        pings = [tasks.create_task(demo.post(path)) for _ in range(MAX_BY_HAND)]
        await receiver.until(MAX_BY_HAND)
        problem(await demo.post(path), 503, "too-many-attempts")
        for ping in pings:
            ping.cancel()
    assert (await demo.post(path)).json()["outcome"] == "delivered"


async def test_a_ping_into_a_private_network_is_refused_unless_allowed(
    process: Delivering, demo: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    await process.allow()
    pinged = (await demo.post(f"{HOOKS}/{hook_id}/ping")).json()
    assert "not a public address" in pinged["error"]
    await process.allow("0.0.0.0/0")  # more than the operator's bound has
    other, _ = await process.hook("http://169.254.169.254/latest/meta-data/")
    pinged = (await demo.post(f"{HOOKS}/{other}/ping")).json()
    assert "not a public address" in pinged["error"]
    assert receiver.received == []


async def test_one_delivery_is_sent_once_more_under_its_id(
    process: Delivering, demo: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    process.start()
    await process.until_delivered(hook_id, await process.flag("a"))
    await process.stop()
    path = f"{HOOKS}/{hook_id}/deliveries"
    [known] = (await demo.get(path)).json()["items"]
    again = (await demo.post(f"{path}/{known['id']}/redeliver")).json()
    assert (again["id"], again["outcome"]) == (known["id"], "delivered")
    first, second = receiver.received
    assert (first.body, first.delivery) == (second.body, second.delivery)
    assert (await demo.get(f"{path}/{known['id']}")).json()["attempts"] == 2
    await demo.patch(f"{HOOKS}/{hook_id}", json={"filter": {"kinds": ["segment"]}})
    problem(await demo.post(f"{path}/{known['id']}/redeliver"), 422, "malformed")
    for unknown in (str(uuid.uuid4()), "x"):
        problem(await demo.post(f"{path}/{unknown}/redeliver"), 404, "not-found")


async def test_how_far_it_has_come_is_shown(
    process: Delivering, demo: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook_id, _ = await process.hook(receiver.url)
    path = f"{HOOKS}/{hook_id}"
    before = (await demo.get(path)).json()["progress"]
    process.start()
    seq = await process.flag("a")
    await process.until_delivered(hook_id, seq)
    after = (await demo.get(path)).json()["progress"]
    assert (before["deliveredSeq"], after["deliveredSeq"]) == (seq - 1, seq)
    assert after["failingSince"] is None


async def test_a_process_without_them_says_so(dependencies: Dependencies) -> None:
    async with client_of(dependencies) as api:
        await created(api, "/api/v1/projects", {"key": "demo"})
        problem(await api.post(HOOKS, json={"url": URL}), 501, "not-served-here")
