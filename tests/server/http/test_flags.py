"""Flags over HTTP, against the real writer and the real database."""

from __future__ import annotations

import httpx

from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem


async def test_a_created_flag_is_at_the_location_that_its_creation_names(
    demo: httpx.AsyncClient,
) -> None:
    body = {"key": "banner", "type": "string", "variations": [{"key": "a", "value": "A"}]}
    response = await created(demo, f"{PROJECT}/flags", body)
    assert response.headers["location"] == f"{PROJECT}/flags/banner"
    flag = (await demo.get(response.headers["location"])).json()
    assert (flag["key"], flag["type"], flag["revision"]) == ("banner", "string", 1)
    assert flag["variations"] == [{"key": "a", "value": "A"}]
    assert flag["environments"]["production"]["enabled"] is False


async def test_a_write_answers_seq_revision_and_events(demo: httpx.AsyncClient) -> None:
    answer = (await demo.post(f"{SETTINGS}/enable")).json()
    seq = answer["seq"]
    assert answer == {
        "seq": seq,
        "revision": 1,
        "events": [
            {
                "seq": seq,
                "type": "FlagEnabled",
                "entity": {"kind": "flag", "key": "checkout", "environment": "development"},
                "revision": 1,
            }
        ],
        "replayed": False,
    }
    assert (await demo.get(SETTINGS, params={"minSeq": seq})).json()["enabled"] is True


async def test_enabling_what_is_enabled_changes_nothing(demo: httpx.AsyncClient) -> None:
    first = (await demo.post(f"{SETTINGS}/enable")).json()
    again = (await demo.post(f"{SETTINGS}/enable")).json()
    assert (again["events"], again["revision"]) == ([], first["revision"])


async def test_an_edit_is_one_batch_of_a_command_for_each_field(demo: httpx.AsyncClient) -> None:
    edit = {"name": "Checkout", "tags": ["web"], "clientSide": True, "comment": "for the app"}
    response = await demo.patch(FLAG, json=edit)
    answer = response.json()
    types = [event["type"] for event in answer["events"]]
    assert types == ["FlagRenamed", "FlagTagged", "FlagClientSideExposed"]
    assert response.headers["etag"] == f'"{answer["revision"]}"'
    flag = (await demo.get(FLAG)).json()
    assert (flag["name"], flag["tags"], flag["clientSide"]) == ("Checkout", ["web"], True)
    history = (await demo.get(f"{FLAG}/history")).json()["items"]
    assert {event["body"]["comment"] for event in history[:3]} == {"for the app"}


async def test_an_edit_that_is_refused_in_one_field_changes_none(demo: httpx.AsyncClient) -> None:
    refused = await demo.patch(FLAG, json={"name": "Checkout", "tags": ["web", "web"]})
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/tags/1"
    assert (await demo.get(FLAG)).json()["name"] == "New checkout"


async def test_an_edit_of_an_unknown_field_names_it(demo: httpx.AsyncClient) -> None:
    refused = await demo.patch(FLAG, json={"clientside": "x"})
    (error,) = problem(refused, 422, "malformed")["errors"]
    assert error["path"] == "/clientside"
    assert "'clientSide'" in error["reason"]


async def test_an_edit_of_nothing_is_refused(demo: httpx.AsyncClient) -> None:
    problem(await demo.patch(FLAG, json={"comment": "why not"}), 422, "malformed")


async def test_an_unknown_field_of_a_creation_is_named(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(f"{PROJECT}/flags", json={"key": "x", "colour": "red"})
    (error,) = problem(refused, 422, "invalid-command")["errors"]
    assert error["path"] == "/colour"


async def test_a_refused_key_is_named_as_the_body_names_it(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(f"{PROJECT}/flags", json={"key": "no key"})
    (error,) = problem(refused, 422, "invalid-command")["errors"]
    assert error["path"] == "/key"


async def test_fields_that_the_path_says_are_not_taken_from_the_body(
    demo: httpx.AsyncClient,
) -> None:
    refused = await demo.post(f"{SETTINGS}/enable", json={"environment": "production"})
    (error,) = problem(refused, 422, "malformed")["errors"]
    assert error["path"] == "/environment"


async def test_a_taken_key_is_a_conflict(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(f"{PROJECT}/flags", json={"key": "checkout"})
    assert "checkout" in problem(refused, 409, "key-taken")["detail"]


async def test_flags_are_listed_by_tag_state_search_and_archived(demo: httpx.AsyncClient) -> None:
    for key, tags in (("alpha", ["web"]), ("beta", ["web", "ios"]), ("gamma", [])):
        await created(demo, f"{PROJECT}/flags", {"key": key, "tags": tags})
    await demo.post(f"{PROJECT}/flags/beta/environments/staging/enable")
    await demo.post(f"{PROJECT}/flags/gamma/archive")

    async def keys(query: str) -> list[str]:
        page = (await demo.get(f"{PROJECT}/flags?{query}")).json()
        return [flag["key"] for flag in page["items"]]

    assert await keys("") == ["alpha", "beta", "checkout"]
    assert await keys("tag=web") == ["alpha", "beta"]
    assert await keys("tag=web&tag=ios") == ["beta"]
    assert await keys("state=enabled") == ["beta"]
    assert await keys("state=enabled&environment=production") == []
    assert await keys("state=disabled") == ["alpha", "checkout"]
    assert await keys("search=NEW%20check") == ["checkout"]
    assert await keys("archived=true") == ["gamma"]
    assert await keys("archived=any&search=a&limit=2") == ["alpha", "beta"]


async def test_pages_follow_each_other_without_loss(demo: httpx.AsyncClient) -> None:
    for number in range(7):
        await created(demo, f"{PROJECT}/flags", {"key": f"flag-{number}"})
    seen, cursor = [], None
    while True:
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await demo.get(f"{PROJECT}/flags", params=query)).json()
        seen += [flag["key"] for flag in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == ["checkout", *(f"flag-{number}" for number in range(7))]


async def test_an_archived_flag_is_restored_and_a_deleted_one_is_gone(
    demo: httpx.AsyncClient,
) -> None:
    assert (await demo.post(f"{FLAG}/archive")).status_code == 200
    problem(await demo.post(f"{SETTINGS}/enable"), 409, "archived")
    assert (await demo.get(FLAG)).json()["archived"] is True
    assert (await demo.post(f"{FLAG}/restore")).status_code == 200
    assert (await demo.get(FLAG)).json()["archivedAt"] is None
    assert (await demo.delete(FLAG)).status_code == 200
    problem(await demo.get(FLAG), 404, "not-found")


async def test_the_history_says_who_and_when_also_of_a_deleted_flag(
    demo: httpx.AsyncClient,
) -> None:
    await demo.post(f"{SETTINGS}/enable")
    await demo.delete(FLAG)
    page = (await demo.get(f"{FLAG}/history")).json()
    types = [event["type"] for event in page["items"]]
    assert types == ["FlagDeleted", "FlagEnabled", "FlagCreated"]
    enabled = page["items"][1]
    assert enabled["actor"] == {"id": "account-1", "name": "Ada"}
    assert enabled["entity"]["environment"] == "development"
    assert enabled["recordedAt"].endswith("Z")
    assert enabled["body"] == {}
    oldest = (await demo.get(f"{FLAG}/history?order=oldest&limit=1")).json()
    assert oldest["items"][0]["type"] == "FlagCreated"
    problem(await demo.get(f"{PROJECT}/flags/never/history"), 404, "not-found")
