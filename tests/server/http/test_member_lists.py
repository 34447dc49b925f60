"""Members of segments as CSV, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from domain.limits import MEMBERS_AT_ONCE
from tests.support.api import PROJECT, created, problem

BETA = f"{PROJECT}/segments/beta"
MEMBERS = f"{BETA}/members"


@pytest.fixture
async def beta(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    included = [{"keys": ["ann"]}, {"kind": "device", "keys": ["phone"]}]
    excluded = [{"keys": ["eve"]}]
    body = {"key": "beta", "included": included, "excluded": excluded}
    await created(demo, f"{PROJECT}/segments", body)
    return demo


async def send(
    api: httpx.AsyncClient, text: str | bytes, query: str = "", **headers: str
) -> httpx.Response:
    headers = {"content-type": "text/csv", **headers}
    return await api.post(f"{MEMBERS}?{query}", content=text, headers=headers)


async def events(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [event["type"] for event in response.json()["events"]]


async def lines(api: httpx.AsyncClient) -> list[str]:
    answer = await api.get(f"{MEMBERS}?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return answer.text.splitlines()


async def test_members_are_written_as_they_are_read(beta: httpx.AsyncClient) -> None:
    written = [
        "key,kind,members",
        "ann,user,included",
        "phone,device,included",
        "eve,user,excluded",
    ]
    assert await lines(beta) == written
    by_accept = await beta.get(MEMBERS, headers={"accept": "text/csv"})
    assert by_accept.text.splitlines() == written
    assert by_accept.headers["etag"] == '"1"'
    assert (await beta.get(MEMBERS)).json()["excluded"] == [{"keys": ["eve"]}]
    answer = await send(beta, by_accept.content, "mode=replace")
    assert await events(answer) == []


async def test_keys_are_added_with_or_without_a_header(beta: httpx.AsyncClient) -> None:
    assert await events(await send(beta, "bob\r\n\r\nann\n")) == ["SegmentMembersAdded"]
    quoted = '\ufeffkey,kind\n"last, first",user\nacme,organization\n'
    assert len(await events(await send(beta, quoted))) == 2
    assert await events(await send(beta, "mallory", "members=excluded")) == ["SegmentMembersAdded"]
    members = (await beta.get(MEMBERS)).json()
    assert members["included"] == [
        {"keys": ["ann", "bob", "last, first"]},
        {"kind": "device", "keys": ["phone"]},
        {"kind": "organization", "keys": ["acme"]},
    ]
    assert members["excluded"] == [{"keys": ["eve", "mallory"]}]


async def test_a_list_replaces_all_members_or_removes_some(beta: httpx.AsyncClient) -> None:
    answer = await send(beta, "eve\nbob\n", "mode=replace&comment=new%20list")
    assert set(await events(answer)) == {"SegmentMembersRemoved", "SegmentMembersAdded"}
    members = (await beta.get(MEMBERS)).json()
    assert members == {"included": [{"keys": ["eve", "bob"]}], "excluded": []}
    assert await events(await send(beta, "eve\nnobody\n", "mode=remove")) == [
        "SegmentMembersRemoved"
    ]
    assert (await beta.get(MEMBERS)).json()["included"] == [{"keys": ["bob"]}]


async def test_what_is_wrong_is_told_line_by_line_and_nothing_is_taken(
    beta: httpx.AsyncClient,
) -> None:
    long = "x" * 1_001
    wrong = f"key,kind,members\nbob\n{long}\n,device\na,multi\nb,user,perhaps\nc,user,included,d\n"
    errors = problem(await send(beta, wrong), 422, "malformed")["errors"]
    assert [error["path"] for error in errors] == [f"/lines/{n}" for n in (3, 4, 5, 6, 7)]
    for text, path in (
        ("", ""),
        ("key\n", ""),
        (b"\xff", ""),
        ('a\n"b', "/lines/2"),
        ("bob\nbob,user,excluded", "/lines/2"),
        ("bob\neve", "/lines/2"),
        ("\n".join(f"u{n}" for n in range(10_001)), ""),
    ):
        (error,) = problem(await send(beta, text), 422, "malformed")["errors"]
        assert error["path"] == path, error
    assert (await beta.get(BETA)).json()["revision"] == 1


async def test_a_long_list_is_one_batch_of_events_of_bounded_size(beta: httpx.AsyncClient) -> None:
    text = "\n".join(f"user-{number}" for number in range(2 * MEMBERS_AT_ONCE + 1))
    assert len(await events(await send(beta, text))) == 3
    (summary,) = (await beta.get(f"{PROJECT}/segments")).json()["items"]
    assert summary["included"] == 2 * MEMBERS_AT_ONCE + 3
    full = "\n".join(f"more-{number}" for number in range(9_000))
    problem(await send(beta, full), 409, "limit-reached")
    assert len(await lines(beta)) == 2 * MEMBERS_AT_ONCE + 5


async def test_lists_are_taken_once_and_only_onto_what_was_seen(beta: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "once"}
    first = (await send(beta, "bob", **headers)).json()
    await send(beta, "bob", "mode=remove")
    assert (await send(beta, "bob", **headers)).json() == first | {"replayed": True}
    stale = {"if-match": '"1"'}
    problem(await send(beta, "cat", "mode=replace", **stale), 412, "stale-revision")
    both = await asyncio.gather(*(send(beta, name, "mode=replace") for name in ("x", "y")))
    assert [answer.status_code for answer in both] == [200, 200]
    (held,) = (await beta.get(MEMBERS)).json()["included"]
    assert held["keys"] in (["x"], ["y"])


async def test_json_is_taken_as_before_and_knows_no_mode(beta: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"keys": ["bob"]}
    assert (await beta.post(MEMBERS, json=body)).status_code == 200
    refused = await beta.post(f"{MEMBERS}?mode=replace", json=body)
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?mode"
