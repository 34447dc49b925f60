"""One change to many flags over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.api import PROJECT, created, problem

BULK = f"{PROJECT}/flags:bulk"


@pytest.fixture
async def many(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """The flags a, b and c with the tag old, and checkout without."""
    for key in "abc":
        await created(demo, f"{PROJECT}/flags", {"key": key, "tags": ["old"]})
    return demo


async def done(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post(BULK, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def told(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {item["flag"]: item["events"] for item in answer["items"]}


async def head(api: httpx.AsyncClient) -> int:
    return int((await api.get(PROJECT)).json()["seq"])


async def test_flags_are_enabled_together_and_shown_as_they_became(many: httpx.AsyncClient) -> None:
    await many.post(f"{PROJECT}/flags/b/environments/staging/enable")
    before = await head(many)
    answer = await done(
        many, action="enable", flags=["c", "b"], environments=["staging", "development"]
    )
    assert answer["seq"] == before + 3
    assert (answer["changed"], answer["dryRun"], answer["replayed"]) == (2, False, False)
    assert told(answer) == {"c": ["FlagEnabled", "FlagEnabled"], "b": ["FlagEnabled"]}
    for item in answer["items"]:
        assert item["became"] == (await many.get(f"{PROJECT}/flags/{item['flag']}")).json()
        assert item["became"]["environments"]["staging"]["enabled"] is True


async def test_one_refusal_is_the_refusal_of_all_and_names_the_flag(
    many: httpx.AsyncClient,
) -> None:
    await many.post(f"{PROJECT}/flags/b/archive")
    before = await head(many)
    body = {"action": "enable", "flags": ["a", "b"], "environments": ["staging"]}
    assert "'b'" in problem(await many.post(BULK, json=body), 409, "archived")["detail"]
    unknown = body | {"flags": ["a", "bb"]}
    assert "'bb'" in problem(await many.post(BULK, json=unknown), 404, "not-found")["detail"]
    assert await head(many) == before


async def test_tags_come_and_go_beside_those_that_stay(many: httpx.AsyncClient) -> None:
    answer = await done(many, action="tag", flags=["a", "checkout"], tags=["old", "pay"])
    became = {item["flag"]: item["became"]["tags"] for item in answer["items"]}
    assert became == {"a": ["old", "pay"], "checkout": ["old", "pay"]}
    answer = await done(many, action="untag", flags=["a", "b"], tags=["old"])
    assert [item["became"]["tags"] for item in answer["items"]] == [["pay"], []]


async def test_a_dry_run_shows_what_flags_would_become_and_changes_nothing(
    many: httpx.AsyncClient,
) -> None:
    before = await head(many)
    answer = await done(many, action="archive", where={"tag": ["old"]}, dryRun=True)
    assert (answer["seq"], answer["dryRun"], answer["changed"]) == (before, True, 3)
    assert all(item["became"]["archived"] for item in answer["items"])
    assert await head(many) == before
    assert (await many.get(f"{PROJECT}/flags/a")).json()["archived"] is False
    refused = {"action": "tag", "flags": ["a"], "tags": [""], "dryRun": True}
    errors = problem(await many.post(BULK, json=refused), 422, "invalid-command")["errors"]
    assert errors[0]["path"] == "/tags/1"


async def test_flags_that_meet_a_filter_are_changed_where_they_are_as_many_as_expected(
    many: httpx.AsyncClient,
) -> None:
    body = {"action": "archive", "where": {"tag": ["old"]}, "expected": 2}
    found = problem(await many.post(BULK, json=body), 409, "other-count")
    assert found["errors"] == [
        {"path": "/expected", "reason": "3 meet this by now, not 2: look again, and send 3"}
    ]
    answer = await done(many, **body | {"expected": 3, "comment": "spring cleaning"})
    assert set(told(answer)) == {"a", "b", "c"}
    events = (await many.get(f"{PROJECT}/events?limit=1")).json()["items"]
    assert events[0]["body"]["comment"] == "spring cleaning"


async def test_flags_that_rest_on_each_other_are_archived_deleted_and_restored_in_order(
    many: httpx.AsyncClient,
) -> None:
    place = f"{PROJECT}/flags/b/environments/staging/prerequisites"
    prerequisite = {"prerequisites": [{"flag": "a", "variations": ["on"]}]}
    await many.put(place, json=prerequisite)
    for action in ("archive", "restore", "delete"):
        answer = await done(many, action=action, flags=["a", "b"])
        order = ["a", "b"] if action == "restore" else ["b", "a"]
        assert list(told(answer)) == order
    assert [item["became"] for item in answer["items"]] == [None, None]


async def test_a_repeat_is_answered_from_the_record_though_the_filter_finds_nothing_now(
    many: httpx.AsyncClient,
) -> None:
    body = {"action": "archive", "where": {"tag": ["old"]}, "expected": 3}
    headers = {"idempotency-key": "once"}
    first = (await many.post(BULK, json=body, headers=headers)).json()
    again = (await many.post(BULK, json=body, headers=headers)).json()
    assert again["replayed"] is True
    assert (again["seq"], told(again)) == (first["seq"], told(first))
    other = body | {"action": "delete"}
    refused = await many.post(BULK, json=other, headers=headers)
    problem(refused, 422, "idempotency-mismatch")


async def test_two_who_tag_the_same_flags_at_once_lose_no_tag(many: httpx.AsyncClient) -> None:
    bodies = [{"action": "tag", "flags": list("abc"), "tags": [tag]} for tag in ("x", "y")]
    answers = await asyncio.gather(*(many.post(BULK, json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [200, 200]
    for key in "abc":
        tags = (await many.get(f"{PROJECT}/flags/{key}")).json()["tags"]
        assert sorted(tags) == ["old", "x", "y"]


MALFORMED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"action": "enable", "flags": ["a"]}, "/environments"),
    ({"action": "tag", "flags": ["a"]}, "/tags"),
    ({"action": "archive", "flags": ["a"], "tags": ["x"]}, "/tags"),
    ({"action": "archive", "flags": ["a", "a"]}, "/flags"),
    ({"action": "archive", "flags": []}, "/flags"),
    ({"action": "archive"}, "/flags"),
    ({"action": "archive", "flags": ["a"], "where": {}}, "/flags"),
    ({"action": "archive", "where": {}}, "/expected"),
    ({"action": "archive", "where": {"colour": "red"}, "expected": 1}, "/where/colour"),
    ({"action": "archive", "where": {"segment": "x"}, "expected": 1}, "/where/segment"),
    ({"action": "archive", "where": {"search": "zzz"}, "expected": 0}, "/where"),
    ({"action": "paint", "flags": ["a"]}, "/action"),
    ({"action": "archive", "flags": ["a"], "really": True}, "/really"),
)


async def test_what_is_wrong_with_a_request_is_named(many: httpx.AsyncClient) -> None:
    for body, path in MALFORMED:
        errors = problem(await many.post(BULK, json=body), 422, "malformed")["errors"]
        assert path in [error["path"] for error in errors], body


async def test_a_request_for_too_many_changes_is_refused(many: httpx.AsyncClient) -> None:
    environments = [f"e{number}" for number in range(501)]
    body = {"action": "enable", "flags": ["a", "b"], "environments": environments}
    (error,) = problem(await many.post(BULK, json=body), 422, "malformed")["errors"]
    assert error["reason"] == "that is 1002 changes; at most 1000 in one request"
