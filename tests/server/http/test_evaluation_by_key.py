"""`GET /api/v1/evaluate/{flag}` with an SDK key: what the key's own SDKs would be told."""

from __future__ import annotations

from typing import Any

import httpx
import redis.asyncio

from tests.support.api import PROJECT, SETTINGS, client_of, created, problem
from tests.support.serving import KEYS, Installation

EVALUATE = "/api/v1/evaluate"


async def asked(halyard: Installation, key: str, flag: str, **query: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return await halyard.api.get(f"{EVALUATE}/{flag}", params=query, headers=headers)


async def test_a_server_key_says_where(halyard: Installation) -> None:
    seq = (await halyard.api.post(f"{SETTINGS}/enable")).json()["seq"]
    await halyard.reached(seq)
    answer = await asked(halyard, halyard.server_key, "checkout", user="ann")
    assert answer.json() == {
        "flag": "checkout",
        "value": True,
        "variation": "on",
        "reason": {"kind": "FALLTHROUGH"},
        "version": seq,
        "seq": seq,
    }
    assert answer.headers["halyard-seq"] == str(seq)
    by_header = {"x-api-key": halyard.server_key}
    again = await halyard.api.get(f"{EVALUATE}/checkout?user=ann", headers=by_header)
    assert again.json() == answer.json()
    by_account = {"project": "demo", "environment": "development", "user": "ann"}
    assert (
        await halyard.api.get(f"{EVALUATE}/checkout", params=by_account)
    ).json() == answer.json()


async def test_a_missing_flag_is_answered_as_sdks_are(halyard: Installation) -> None:
    answer = (await asked(halyard, halyard.server_key, "none", user="ann")).json()
    assert (answer["value"], answer["reason"]["errorCode"]) == (None, "FLAG_NOT_FOUND")
    assert answer["version"] == 0


async def test_a_client_key_sees_what_is_marked_for_clients(halyard: Installation) -> None:
    web = {"key": "banner", "clientSide": True}
    seq = (await created(halyard.api, f"{PROJECT}/flags", web)).json()["seq"]
    await halyard.reached(seq)
    shown = (await asked(halyard, halyard.client_key, "banner", user="ann")).json()
    assert shown["reason"] == {"kind": "DISABLED"}
    hidden = (await asked(halyard, halyard.client_key, "checkout", user="ann")).json()
    missing = (await asked(halyard, halyard.client_key, "none", user="ann")).json()
    assert hidden["reason"]["errorCode"] == "FLAG_NOT_FOUND"
    for answer, flag in ((hidden, "checkout"), (missing, "none")):
        answer["reason"]["message"] = answer["reason"]["message"].replace(flag, "x")
        answer["flag"] = "x"
    assert hidden == missing


async def test_a_client_key_is_told_no_rules(halyard: Installation) -> None:
    web = {"key": "banner", "clientSide": True}
    await created(halyard.api, f"{PROJECT}/flags", web)
    settings = f"{PROJECT}/flags/banner/environments/development"
    await halyard.api.post(f"{settings}/enable")
    rule = {
        "id": "for-ann",
        "when": {"attribute": "key", "op": "in", "values": ["ann"]},
        "serve": {"variation": "off"},
    }
    await created(halyard.api, f"{settings}/rules", rule)
    unmet = [{"flag": "checkout", "variations": ["on"]}]
    answer = await halyard.api.put(f"{settings}/prerequisites", json={"prerequisites": unmet})
    await halyard.reached(answer.json()["seq"])
    for_server = (await asked(halyard, halyard.server_key, "banner", user="ann")).json()
    assert for_server["reason"] == {"kind": "PREREQUISITE_FAILED", "prerequisite": "checkout"}
    for_client = (await asked(halyard, halyard.client_key, "banner", user="ann")).json()
    assert for_client == {**for_server, "reason": {"kind": "PREREQUISITE_FAILED"}}
    answer = await halyard.api.put(f"{settings}/prerequisites", json={"prerequisites": []})
    await halyard.reached(answer.json()["seq"])
    for_server = (await asked(halyard, halyard.server_key, "banner", user="ann")).json()
    assert for_server["reason"] == {"kind": "RULE_MATCH", "ruleId": "for-ann", "ruleIndex": 0}
    for_client = (await asked(halyard, halyard.client_key, "banner", user="ann")).json()
    assert for_client == {**for_server, "reason": {"kind": "RULE_MATCH"}}


async def test_what_is_for_accounts_is_refused(halyard: Installation) -> None:
    query = {"project": "demo", "environment": "development", "at": 1, "minSeq": 1}
    refused = await asked(
        halyard, halyard.server_key, "checkout", user="a", explain="true", **query
    )
    paths = [error["path"] for error in problem(refused, 422, "malformed")["errors"]]
    assert paths == ["?project", "?environment", "?at", "?minSeq", "?explain"]


async def test_keys_that_open_nothing(halyard: Installation) -> None:
    wrong = f"{halyard.server_key[:12]}-s-wrong"
    problem(await asked(halyard, wrong, "checkout", user="a"), 401, "unauthenticated")
    await halyard.reached((await halyard.api.delete(f"{KEYS}/{halyard.key_id}")).json()["seq"])
    revoked = await asked(halyard, halyard.server_key, "checkout", user="a")
    problem(revoked, 401, "unauthenticated")


async def test_what_a_route_wants_is_said_to_who_brings_something_else(
    halyard: Installation,
) -> None:
    async with client_of(halyard.dependencies, token=None) as stranger:
        either = (await stranger.get(f"{EVALUATE}/checkout?user=a")).json()["detail"]
        key = (await stranger.get("/sdk/v1/ruleset")).json()["detail"]
        headers = {"authorization": f"Bearer {halyard.server_key}"}
        token = (await stranger.get("/api/v1/projects", headers=headers)).json()["detail"]
    assert either.startswith("send an account's token or an SDK key")
    assert key.startswith("send an SDK key")
    assert token.startswith("an SDK key does not open this; send an account's token")


async def test_it_answers_on_without_redis(
    halyard: Installation, redis_client: redis.asyncio.Redis
) -> None:
    before = await asked(halyard, halyard.server_key, "checkout", user="ann")
    await redis_client.client_pause(500)
    assert (
        await asked(halyard, halyard.server_key, "checkout", user="ann")
    ).json() == before.json()


async def test_a_page_of_another_origin_is_refused(halyard: Installation) -> None:
    (key,) = (await halyard.api.get(f"{KEYS}?kind=client")).json()["items"]
    body = {"origins": ["https://shop.example"]}
    answer = await halyard.api.put(f"{KEYS}/{key['id']}/origins", json=body)
    await halyard.reached(answer.json()["seq"])

    async def page(origin: str, key: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}", "origin": origin}
        return await halyard.api.get(f"{EVALUATE}/checkout?user=ann", headers=headers)

    foreign = problem(await page("https://evil.test", halyard.client_key), 403, "foreign-origin")
    assert "https://evil.test" in foreign["detail"]
    assert foreign["errors"][0]["path"] == "Origin"
    assert (await page("https://shop.example", halyard.client_key)).status_code == 200
    assert (await page("https://evil.test", halyard.server_key)).status_code == 200
    assert (await asked(halyard, halyard.client_key, "checkout", user="ann")).status_code == 200
