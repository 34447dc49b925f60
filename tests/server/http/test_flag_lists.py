"""Flags, segments and environments, found and sorted over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from server.http.paging import write_place
from server.http.queries import FlagListQuery
from server.searching.criteria import Criteria
from server.searching.orders import Place
from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem

BETA_RULE = {"when": {"op": "segment", "values": ["beta"]}, "serve": {"variation": "on"}}


async def keys(api: httpx.AsyncClient, query: str, what: str = "flags") -> list[str]:
    response = await api.get(f"{PROJECT}/{what}?{query}")
    assert response.status_code == 200, response.text
    return [item["key"] for item in response.json()["items"]]


async def paged(api: httpx.AsyncClient, query: str, what: str = "flags") -> list[str]:
    """The keys of all pages of two."""
    page = (await api.get(f"{PROJECT}/{what}?limit=2&{query}")).json()
    found = [item["key"] for item in page["items"]]
    while page["nextCursor"] is not None:
        more = f"{PROJECT}/{what}?limit=2&{query}&cursor={page['nextCursor']}"
        page = (await api.get(more)).json()
        found += [item["key"] for item in page["items"]]
    return found


@pytest.fixture
async def many(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """Flags whose order is another one by key, name, creation and change: checkout and four."""
    names = {"delta": "Ärger", "alpha": "zebra", "gamma": "Mitte", "beta": "mitte"}
    for key, name in names.items():
        await created(demo, f"{PROJECT}/flags", {"key": key, "name": name})
    await demo.post(f"{PROJECT}/flags/delta/environments/staging/enable")
    return demo


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("key", "alpha beta checkout delta gamma"),
        ("name", "beta gamma checkout alpha delta"),
        ("created", "checkout delta alpha gamma beta"),
        ("changed", "checkout alpha gamma beta delta"),
    ],
)
async def test_flags_are_sorted_both_ways_over_all_pages(
    many: httpx.AsyncClient, sort: str, order: str
) -> None:
    assert await paged(many, f"sort={sort}") == order.split()
    assert await paged(many, f"sort=-{sort}") == order.split()[::-1]


async def test_what_comes_and_goes_between_pages_neither_shifts_nor_repeats_the_others(
    many: httpx.AsyncClient,
) -> None:
    page = (await many.get(f"{PROJECT}/flags?limit=2&sort=name")).json()
    assert [item["key"] for item in page["items"]] == ["beta", "gamma"]
    await many.delete(f"{PROJECT}/flags/gamma")
    await created(many, f"{PROJECT}/flags", {"key": "first", "name": "aaa"})
    await created(many, f"{PROJECT}/flags", {"key": "next", "name": "n"})
    rest = await keys(many, f"sort=name&cursor={page['nextCursor']}")
    assert rest == ["next", "checkout", "alpha", "delta"]


async def test_a_cursor_of_another_order_is_refused(many: httpx.AsyncClient) -> None:
    page = (await many.get(f"{PROJECT}/flags?limit=2&sort=name")).json()
    refused = await many.get(f"{PROJECT}/flags?sort=-name&cursor={page['nextCursor']}")
    (error,) = problem(refused, 422, "malformed")["errors"]
    assert error == {"path": "?cursor", "reason": "was given out for sort=name: begin anew"}
    for cursor in ("aGk", "W10", "WyJrZXkiLG51bGwsMV0"):
        refused = await many.get(f"{PROJECT}/flags?cursor={cursor}")
        assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?cursor"


@pytest.mark.parametrize("what", ["flags", "segments"])
@pytest.mark.parametrize(("sort", "value"), [("key", 5), ("-name", 5), ("changed", "z")])
async def test_a_cursor_made_up_for_its_order_is_refused(
    many: httpx.AsyncClient, what: str, sort: str, value: str | int
) -> None:
    cursor = write_place(sort, Place(value, "x"))
    refused = await many.get(f"{PROJECT}/{what}", params={"sort": sort, "cursor": cursor})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?cursor"


@pytest.mark.parametrize(
    ("query", "path", "reason"),
    [
        ("environment=stagin", "?environment", "(did you mean 'staging'?)"),
        ("segment=nobody", "?segment", "there is no segment 'nobody'"),
        ("staleness=rotten", "?staleness", "'rotten' is not among the values that are known here"),
        ("type=float", "?type", "'float' is not among the values that are known here"),
        ("sort=colour", "?sort", "'colour' is not among the values that are known here"),
        ("clientSide=perhaps", "?clientSide", "is true or false"),
    ],
)
async def test_a_criterion_that_nothing_can_meet_is_refused_by_name(
    demo: httpx.AsyncClient, query: str, path: str, reason: str
) -> None:
    (error,) = problem(await demo.get(f"{PROJECT}/flags?{query}"), 422, "malformed")["errors"]
    assert error["path"] == path
    assert reason in error["reason"]


async def test_flags_are_found_by_segment_text_in_rules_type_and_staleness(
    demo: httpx.AsyncClient,
) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    other = {"key": "banner", "type": "string", "variations": [{"key": "a", "value": "A"}]}
    await created(demo, f"{PROJECT}/flags", other | {"tags": ["permanent"]})
    await created(demo, f"{SETTINGS}/rules", BETA_RULE | {"name": "Friends only"})
    assert await keys(demo, "segment=beta") == ["checkout"]
    assert await keys(demo, "segment=beta&environment=production") == []
    assert await keys(demo, "rules=FRIENDS") == ["checkout"]
    assert await keys(demo, "rules=friends&environment=staging") == []
    assert await keys(demo, "type=string") == ["banner"]
    assert await keys(demo, "clientSide=true") == []
    assert await keys(demo, "staleness=permanent") == ["banner"]
    assert await keys(demo, "staleness=permanent&staleness=active") == ["banner", "checkout"]
    # A list sees what was written before it, however often it was asked before.
    await demo.delete(f"{SETTINGS}/rules/{await only_rule(demo)}")
    assert await keys(demo, "segment=beta") == []


async def only_rule(api: httpx.AsyncClient) -> str:
    (rule,) = (await api.get(f"{SETTINGS}/rules")).json()["items"]
    return str(rule["id"])


async def test_a_list_of_the_past_shows_what_was_found_then(many: httpx.AsyncClient) -> None:
    seq = (await many.get(FLAG)).headers["halyard-seq"]
    await many.delete(f"{PROJECT}/flags/beta")
    assert await keys(many, "search=mitte") == ["gamma"]
    assert await keys(many, f"search=mitte&at={seq}") == ["beta", "gamma"]


async def test_a_flag_says_what_has_become_of_it_and_when_it_changed_anywhere(
    demo: httpx.AsyncClient,
) -> None:
    await demo.put(f"{SETTINGS}/expiry", json={"expiresAt": "2020-01-01T00:00:00Z"})
    await demo.post(f"{SETTINGS}/enable")
    flag = (await demo.get(FLAG)).json()
    assert flag["staleness"] == "expired"
    settings = (await demo.get(SETTINGS)).json()
    assert flag["changedAt"] == settings["updatedAt"] > flag["updatedAt"]
    listed = (await demo.get(f"{PROJECT}/flags")).json()["items"]
    assert listed == [flag]


def test_a_query_has_a_field_for_each_criterion() -> None:
    def wire(of: type[msgspec.Struct]) -> dict[str, Any]:
        return {field.encode_name: field.type for field in msgspec.structs.fields(of)}

    assert wire(Criteria).items() <= wire(FlagListQuery).items()


async def test_segments_are_sorted_and_told_apart_by_use(demo: httpx.AsyncClient) -> None:
    for key, name in (("beta", "Z"), ("staff", "M"), ("inner", "A"), ("idle", "B")):
        await created(demo, f"{PROJECT}/segments", {"key": key, "name": name})
    rule = {"when": {"op": "segment", "values": ["inner"]}}
    await demo.put(f"{PROJECT}/segments/staff/rules", json={"rules": [rule]})
    await created(demo, f"{SETTINGS}/rules", BETA_RULE)
    assert await keys(demo, "used=true", "segments") == ["beta", "inner"]
    assert await keys(demo, "used=false", "segments") == ["idle", "staff"]
    assert await paged(demo, "sort=name", "segments") == ["inner", "idle", "staff", "beta"]
    assert await paged(demo, "sort=-changed", "segments") == ["staff", "idle", "inner", "beta"]
    items = (await demo.get(f"{PROJECT}/segments?search=beta")).json()["items"]
    assert [item["flags"] for item in items] == [1]


async def test_environments_are_sorted(demo: httpx.AsyncClient) -> None:
    await demo.patch(f"{PROJECT}/environments/staging", json={"name": "A stage"})
    await created(demo, f"{PROJECT}/environments", {"key": "aaa", "name": "Zoo"})
    names = ["staging", "development", "production", "aaa"]
    assert await paged(demo, "sort=name", "environments") == names
    assert await paged(demo, "sort=-created", "environments") == [
        "aaa", "production", "staging", "development",
    ]  # fmt: skip
    assert await paged(demo, "sort=-changed", "environments") == [
        "aaa", "staging", "production", "development",
    ]  # fmt: skip
