"""If-Match, Idempotency-Key, minSeq: what clients say about each other."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.support.api import FLAG, PROJECT, SETTINGS, client_of, problem, running_dependencies


async def test_an_etag_that_is_sent_back_in_time_is_accepted(demo: httpx.AsyncClient) -> None:
    etag = (await demo.get(FLAG)).headers["etag"]
    response = await demo.patch(FLAG, json={"name": "A", "tags": ["a"]}, headers={"if-match": etag})
    assert response.status_code == 200, response.text
    assert response.headers["etag"] == '"3"'


async def test_a_stale_etag_is_answered_with_what_came_between(demo: httpx.AsyncClient) -> None:
    etag = (await demo.get(FLAG)).headers["etag"]
    await demo.patch(FLAG, json={"name": "A"})
    refused = await demo.patch(FLAG, json={"name": "B"}, headers={"if-match": etag})
    body = problem(refused, 412, "stale-revision")
    assert (body["expected"], body["actual"]) == (1, 2)
    assert body["entity"]["key"] == "checkout"
    (event,) = body["between"]
    assert event["type"] == "FlagRenamed"
    assert event["body"] == {"name": "A"}
    assert event["actor"] == {"id": "account-1", "name": "Ada"}
    assert event["recordedAt"]


async def test_an_expected_revision_in_the_body_counts_as_well(demo: httpx.AsyncClient) -> None:
    assert (await demo.post(f"{SETTINGS}/enable", json={"expectedRevision": 0})).status_code == 200
    refused = await demo.post(f"{SETTINGS}/disable", json={"expectedRevision": 0})
    problem(refused, 412, "stale-revision")
    unclear = await demo.post(
        f"{SETTINGS}/disable", json={"expectedRevision": 1}, headers={"if-match": '"2"'}
    )
    assert problem(unclear, 422, "malformed")["errors"][0]["path"] == "If-Match"


@pytest.mark.parametrize("value", ["7", 'W/"7"', '"seven"', '"1", "2"', ""])
async def test_an_if_match_that_is_no_etag_is_refused(demo: httpx.AsyncClient, value: str) -> None:
    refused = await demo.post(f"{SETTINGS}/enable", headers={"if-match": value})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "If-Match"


async def test_any_revision_will_do_where_if_match_is_a_star(demo: httpx.AsyncClient) -> None:
    response = await demo.post(f"{SETTINGS}/enable", headers={"if-match": "*"})
    assert response.status_code == 200


async def test_of_many_writers_with_one_revision_one_wins_and_all_others_see_why(
    demo: httpx.AsyncClient,
) -> None:
    async def rename(name: str) -> httpx.Response:
        return await demo.patch(FLAG, json={"name": name}, headers={"if-match": '"1"'})

    responses = await asyncio.gather(*(rename(f"name {number}") for number in range(8)))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200] + [412] * 7
    winner = (await demo.get(FLAG)).json()["name"]
    for response in responses:
        if response.status_code == 412:
            assert [event["body"]["name"] for event in response.json()["between"]] == [winner]


async def test_a_repeated_request_is_answered_as_the_first_was(demo: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "once"}
    first = (await demo.post(f"{SETTINGS}/enable", headers=key)).json()
    await demo.post(f"{SETTINGS}/disable")
    again = (await demo.post(f"{SETTINGS}/enable", headers=key)).json()
    assert again == {**first, "replayed": True}
    assert (await demo.get(SETTINGS)).json()["enabled"] is False


async def test_a_key_that_was_used_for_another_request_is_refused(
    demo: httpx.AsyncClient,
) -> None:
    key = {"idempotency-key": "once"}
    await demo.post(f"{SETTINGS}/enable", headers=key)
    elsewhere = await demo.post(f"{FLAG}/environments/staging/enable", headers=key)
    problem(elsewhere, 422, "idempotency-mismatch")
    other_body = await demo.post(f"{SETTINGS}/enable", headers=key, json={"comment": "x"})
    problem(other_body, 422, "idempotency-mismatch")


@pytest.mark.parametrize("value", ["", "x" * 201, "tab\there"])
async def test_an_idempotency_key_out_of_bounds_is_refused(
    demo: httpx.AsyncClient, value: str
) -> None:
    refused = await demo.post(f"{SETTINGS}/enable", headers={"idempotency-key": value})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "Idempotency-Key"


async def test_a_read_waits_until_another_process_write_has_arrived(
    demo: httpx.AsyncClient, database_url: str
) -> None:
    async with running_dependencies(database_url) as others, client_of(others) as elsewhere:
        await elsewhere.get(FLAG)
        seq = (await demo.post(f"{SETTINGS}/enable")).json()["seq"]
        read = await elsewhere.get(SETTINGS, params={"minSeq": seq})
        assert read.json()["enabled"] is True


async def test_a_seq_that_the_log_never_reached_is_not_waited_for_for_ever(
    demo: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.writing.writers.MIN_SEQ_TIMEOUT_S", 0.05)
    refused = await demo.get(f"{PROJECT}?minSeq=99999")
    problem(refused, 504, "not-reached")
    assert refused.headers["retry-after"] == "1"
