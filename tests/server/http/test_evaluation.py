"""Evaluation over HTTP, by account: one and many, now and then, explained, within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from server.evaluating import questions
from server.http import evaluation
from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem

EVALUATE = f"{PROJECT}/environments/development/evaluate"
ONE = f"{EVALUATE}/checkout"
BY_USER = "/api/v1/evaluate/checkout"
IN_DE = {"attribute": "country", "op": "in", "values": ["DE"]}


@pytest.fixture
async def shop(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """The flag checkout is on in Germany; the flag banner is off."""
    await created(demo, f"{PROJECT}/flags", {"key": "banner"})
    rule = {"id": "germans", "when": IN_DE, "serve": {"variation": "on"}}
    await created(demo, f"{SETTINGS}/rules", rule)
    await demo.put(f"{SETTINGS}/fallthrough", json={"variation": "off"})
    await demo.post(f"{SETTINGS}/enable")
    return demo


async def asked(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await api.post(path, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert response.headers["halyard-seq"] == str(answer["seq"])
    return answer


ANN: dict[str, Any] = {"key": "ann", "country": "DE"}
BOB: dict[str, Any] = {"key": "bob", "country": "FR"}


async def test_a_flag_is_evaluated_for_a_context(shop: httpx.AsyncClient) -> None:
    answer = await asked(shop, ONE, {"context": ANN})
    seq = answer["seq"]
    assert answer == {
        "flag": "checkout",
        "value": True,
        "variation": "on",
        "reason": {"kind": "RULE_MATCH", "ruleId": "germans", "ruleIndex": 0},
        "version": seq,
        "seq": seq,
    }
    answer = await asked(shop, ONE, {"context": "bob"})
    assert (answer["value"], answer["reason"]) == (False, {"kind": "FALLTHROUGH"})


async def test_one_s_own_write_is_seen_where_min_seq_asks_for_it(shop: httpx.AsyncClient) -> None:
    seq = (await shop.post(f"{SETTINGS}/disable")).json()["seq"]
    answer = await asked(shop, f"{ONE}?minSeq={seq}", {"context": ANN})
    assert (answer["seq"], answer["reason"]) == (seq, {"kind": "DISABLED"})
    problem(
        await shop.get(f"{BY_USER}?project=demo&environment=development&user=a&minSeq=-1"),
        422,
        "malformed",
    )


async def test_all_flags_or_some_are_evaluated(shop: httpx.AsyncClient) -> None:
    answer = await asked(shop, EVALUATE, {"context": ANN})
    assert [each["flag"] for each in answer["evaluations"]] == ["banner", "checkout"]
    named = {"context": ANN, "flags": ["checkout", "none"], "default": "?"}
    answer = await asked(shop, EVALUATE, named)
    assert [each["value"] for each in answer["evaluations"]] == [True, "?"]
    missing = answer["evaluations"][1]
    assert (missing["reason"]["errorCode"], missing["version"]) == ("FLAG_NOT_FOUND", 0)
    assert (await asked(shop, EVALUATE, {"context": ANN, "flags": []}))["evaluations"] == []


async def test_several_contexts_are_answered_in_order(shop: httpx.AsyncClient) -> None:
    contexts = [ANN, "bob", {"key": 3}, {"kind": "multi", "user": ANN}]
    answer = await asked(shop, ONE, {"contexts": contexts})
    values = [item["evaluations"][0]["value"] for item in answer["items"] if "error" not in item]
    assert values == [True, False, True]
    assert answer["items"][2] == {
        "error": {"path": "/contexts/2/key", "reason": "a key is a string"}
    }
    answer = await asked(shop, EVALUATE, {"contexts": [ANN, BOB]})
    assert [[each["value"] for each in item["evaluations"]] for item in answer["items"]] == [
        [False, True],
        [False, False],
    ]
    assert (await asked(shop, EVALUATE, {"contexts": []}))["items"] == []


async def test_the_past_is_evaluated_as_it_was(shop: httpx.AsyncClient) -> None:
    before = int((await shop.post(f"{SETTINGS}/disable")).json()["seq"]) - 1
    answer = await asked(shop, f"{ONE}?at={before}", {"context": ANN})
    assert (answer["value"], answer["seq"]) == (True, before)
    events = (await shop.get(f"{PROJECT}/events?order=oldest")).json()["items"]
    then = events[before - 1]["recordedAt"]
    assert (await asked(shop, f"{ONE}?at={then}", {"context": ANN}))["value"] is True
    assert (await asked(shop, ONE, {"context": ANN}))["value"] is False
    problem(await shop.post(f"{ONE}?at=99", json={"context": ANN}), 422, "malformed")
    problem(await shop.post(f"{ONE}?at=1", json={"context": ANN}), 404, "not-found")


async def test_the_instant_is_the_present_or_what_is_asked_for(shop: httpx.AsyncClient) -> None:
    time = {"kind": "time", "attribute": "now", "op": "before", "values": ["2030-01-01T00:00:00Z"]}
    rule = {"when": time, "serve": {"variation": "on"}}
    await shop.put(f"{SETTINGS}/rules/germans", json=rule)
    events = (await shop.get(f"{PROJECT}/events?order=oldest")).json()["items"]
    answers = [
        (await asked(shop, f"{ONE}{query}", {"context": "u", **body}))["value"]
        for query, body in (
            ("", {}),
            ("", {"now": "2029-12-31T23:59:59Z"}),
            ("", {"now": "2030-01-01T00:00:00Z"}),
            ("", {"now": 1_893_456_000_000}),
            (f"?at={events[-1]['seq']}", {}),
            (f"?at={events[-1]['recordedAt']}", {}),
            (f"?at={events[-1]['seq']}", {"now": "2031-01-01T00:00:00Z"}),
        )
    ]
    assert answers == [True, True, False, False, True, True, False]
    for now in ("soon", 10**18, -(10**18)):
        refused = await shop.post(ONE, json={"context": "u", "now": now})
        assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/now"


async def test_the_past_is_evaluated_at_its_own_instant(shop: httpx.AsyncClient) -> None:
    earlier = {"attribute": "t", "op": "olderThan", "values": ["PT0S"]}
    rule = {"when": earlier, "serve": {"variation": "on"}}
    seq = (await shop.put(f"{SETTINGS}/rules/germans", json=rule)).json()["seq"]
    then = (await shop.get(f"{PROJECT}/events?limit=1")).json()["items"][0]["recordedAt"]
    context = {"key": "u", "t": then}
    answers = [
        (await asked(shop, f"{ONE}{query}", {"context": context}))["value"]
        for query in ("", f"?at={seq}", f"?at={then}", "?at=2100-01-01T00:00:00Z")
    ]
    assert answers == [True, False, False, True]


async def test_it_is_explained_where_that_is_asked_for(shop: httpx.AsyncClient) -> None:
    answer = await asked(shop, f"{ONE}?explain=true", {"context": BOB})
    plain = await asked(shop, ONE, {"context": BOB})
    assert {name: answer[name] for name in plain} == plain
    assert '"FR"' in str(answer["trace"]).replace("'", '"')
    assert (answer["trace"]["version"], "trace" in plain) == (plain["version"], False)
    several = await asked(shop, f"{EVALUATE}?explain=true", {"contexts": [ANN, BOB]})
    assert all("trace" in each for item in several["items"] for each in item["evaluations"])


async def test_missing_and_archived_flags(shop: httpx.AsyncClient) -> None:
    problem(await shop.post(f"{EVALUATE}/none", json={"context": ANN}), 404, "not-found")
    elsewhere = f"{PROJECT}/environments/none/evaluate"
    problem(await shop.post(elsewhere, json={"context": ANN}), 404, "not-found")
    await shop.post(f"{FLAG}/archive")
    answer = await asked(shop, ONE, {"context": ANN, "default": {"a": [1]}})
    assert (answer["value"], answer["variation"]) == ({"a": [1]}, None)
    assert answer["reason"]["errorCode"] == "FLAG_NOT_FOUND"
    answer = await asked(shop, EVALUATE, {"context": ANN})
    assert [each["flag"] for each in answer["evaluations"]] == ["banner"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "/context"),
        ({"context": "a", "contexts": []}, "/context"),
        ({"context": {"key": 1}}, "/context/key"),
        ({"context": 3}, "/context"),
        ({"contexts": "a"}, "/contexts"),
        ({"contexts": [{}] * 1_001}, "/contexts"),
        ({"context": "a", "flags": [1]}, "/flags/0"),
        ({"context": "a", "kontext": 1}, "/kontext"),
        ({"context": "a", "now": 1.5}, "/now"),
    ],
)
async def test_what_is_wrong_is_named(
    shop: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    refused = problem(await shop.post(EVALUATE, json=body), 422, "malformed")
    assert path in [error["path"] for error in refused["errors"]]


async def test_flags_are_not_named_twice(shop: httpx.AsyncClient) -> None:
    refused = await shop.post(ONE, json={"context": "a", "flags": ["banner"]})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/flags"


async def test_the_work_of_one_request_is_bounded(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "MAX_EVALUATIONS", 4)
    monkeypatch.setattr(evaluation, "MAX_EXPLANATIONS", 2)
    await asked(shop, EVALUATE, {"contexts": ["a", "b"]})
    refused = await shop.post(EVALUATE, json={"contexts": ["a", "b", "c"]})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/contexts"
    refused = await shop.post(f"{EVALUATE}?explain=true", json={"contexts": ["a", "b"]})
    problem(refused, 422, "malformed")
    await asked(shop, f"{ONE}?explain=true", {"contexts": ["a", "b"]})
    refused = await shop.post(EVALUATE, json={"context": "a", "flags": ["banner"] * 5})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/flags"


async def test_the_length_of_one_answer_is_bounded(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "MAX_ANSWER_BYTES", 10_000)
    long = {"flags": ["none"] * 10, "default": "x" * 600}
    await asked(shop, EVALUATE, {**long, "context": "a"})
    refused = await shop.post(EVALUATE, json={**long, "contexts": ["a", "b"]})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/contexts"
    refused = await shop.post(EVALUATE, json={**long, "context": "a", "default": "x" * 1_200})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/flags"


async def test_a_large_preview_lets_the_loop_have_its_turns(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "SLICE_S", 0)
    turns, over = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not over.is_set():
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await asked(shop, EVALUATE, {"contexts": [f"u{n}" for n in range(500)]})
    over.set()
    await beside
    assert turns >= 1_000


async def test_a_user_is_asked_for_by_the_query(shop: httpx.AsyncClient) -> None:
    place = {"project": "demo", "environment": "development"}

    async def value(**query: Any) -> Any:
        response = await shop.get(BY_USER, params={**place, **query})
        assert response.status_code == 200, response.text
        return response.json()["value"]

    assert await value(user="ann") is False
    assert await value(user="ann", context='{"country":"DE"}') is True
    assert await value(context='{"key":"ann","country":"DE"}') is True
    assert await value(context='"ann"') is False
    assert await value(user="a", context='{"kind":"multi","user":{"country":"DE"}}') is True
    assert await value(user="a", context='{"kind":"organization","key":"o"}') is False
    explained = await shop.get(BY_USER, params={**place, "user": "ann", "explain": "true"})
    assert explained.json()["trace"]
    early = await shop.get(BY_USER, params={**place, "user": "ann", "at": "5"})
    assert early.json()["reason"] == {"kind": "DISABLED"}


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ({"user": "a"}, ["?project", "?environment"]),
        ({"user": "a", "project": "demo"}, ["?environment"]),
        ({"project": "demo", "environment": "development"}, ["?user"]),
        ({"context": "{"}, ["?context"]),
        ({"user": "a", "context": "[]"}, ["?context"]),
        ({"user": "a", "context": '{"kind":3}'}, ["?context/kind"]),
        ({"user": "a", "context": '{"kind":"multi","user":3}'}, ["?context/user"]),
        ({"user": ""}, ["?context/key"]),
        ({"user": "a", "explain": "maybe"}, ["?explain"]),
    ],
)
async def test_what_is_wrong_in_the_query_is_named(
    shop: httpx.AsyncClient, query: dict[str, str], paths: list[str]
) -> None:
    refused = problem(await shop.get(BY_USER, params=query), 422, "malformed")
    assert [error["path"] for error in refused["errors"]] == paths


async def test_what_the_query_names_may_be_missing(shop: httpx.AsyncClient) -> None:
    place = {"project": "demo", "environment": "development", "user": "a"}
    for missing in ({"project": "none"}, {"project": "$system"}, {"environment": "none"}):
        problem(await shop.get(BY_USER, params={**place, **missing}), 404, "not-found")
    problem(await shop.get("/api/v1/evaluate/none", params=place), 404, "not-found")
