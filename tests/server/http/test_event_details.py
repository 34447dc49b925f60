"""One event with its entity before and after."""

from __future__ import annotations

import httpx
import pytest

from tests.support.api import FLAG, PROJECT, SETTINGS, problem

EVENTS = f"{PROJECT}/events"


async def test_an_event_comes_with_its_entity_before_and_after(demo: httpx.AsyncClient) -> None:
    await demo.post(f"{SETTINGS}/enable?comment=Go")
    await demo.post(f"{SETTINGS}/disable")
    detail = (await demo.get(f"{EVENTS}/6")).json()
    listed = (await demo.get(f"{EVENTS}?before=7&limit=1")).json()["items"][0]
    assert detail["event"] == listed
    assert (detail["before"]["enabled"], detail["after"]["enabled"]) == (False, True)
    assert [change["path"] for change in detail["changes"]] == ["/enabled"]
    (change,) = detail["changes"]
    assert (change["kind"], change["before"], change["after"]) == ("changed", False, True)


async def test_what_began_was_not_there_before_and_what_ended_is_not_after(
    demo: httpx.AsyncClient,
) -> None:
    begun = (await demo.get(f"{EVENTS}/5")).json()
    assert (begun["before"], begun["after"]["name"]) == (None, "New checkout")
    assert [(each["path"], each["kind"]) for each in begun["changes"]] == [("", "added")]
    first = (await demo.get(f"{EVENTS}/1")).json()
    assert (first["event"]["type"], first["before"]) == ("ProjectCreated", None)
    await demo.delete(FLAG)
    ended = (await demo.get(f"{EVENTS}/6")).json()
    assert (ended["before"], ended["after"]) == (begun["after"], None)
    await demo.delete(PROJECT)
    ended = (await demo.get(f"{EVENTS}/7")).json()
    assert (ended["event"]["type"], ended["after"]) == ("ProjectDeleted", None)


@pytest.mark.parametrize("seq", ["0", "6", "x", "-1", "9" * 30, "1.0", "²"])
async def test_an_event_that_is_not_there_is_not_found(demo: httpx.AsyncClient, seq: str) -> None:
    problem(await demo.get(f"{EVENTS}/{seq}"), 404, "not-found")
