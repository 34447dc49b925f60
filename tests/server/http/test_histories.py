"""The log over HTTP: filters, pages, NDJSON, time travel."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from eventstore.searching import Search
from server.credentials import fingerprint
from server.http.dependencies import Dependencies
from server.http.paging import write_cursor
from tests.support.api import FLAG, PROJECT, SETTINGS, TOKEN, client_of, created, problem

EVENTS = f"{PROJECT}/events"


@pytest.fixture
async def busy(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """Demo's log: five events of its beginning, then these four."""
    await demo.post(f"{SETTINGS}/enable")
    await demo.post(f"{FLAG}/environments/production/enable")
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    await demo.post(f"{SETTINGS}/disable")
    return demo


async def seqs(api: httpx.AsyncClient, query: str) -> list[int]:
    page = (await api.get(f"{EVENTS}?{query}")).json()
    return [event["seq"] for event in page["items"]]


async def test_events_are_found_by_entity_type_actor_and_seq(busy: httpx.AsyncClient) -> None:
    assert await seqs(busy, "") == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert await seqs(busy, "order=oldest&limit=2") == [1, 2]
    assert await seqs(busy, "entityKind=segment") == [8]
    assert await seqs(busy, "entityKind=flag&entityKey=checkout") == [9, 7, 6, 5]
    assert await seqs(busy, "entityKind=flag&environment=production") == [7]
    assert await seqs(busy, "type=FlagEnabled") == [7, 6]
    assert await seqs(busy, "actor=account-1&after=7") == [9, 8]
    assert await seqs(busy, "actor=somebody") == []
    assert await seqs(busy, "before=3") == [2, 1]
    assert await seqs(busy, "at=3") == [3, 2, 1]
    assert await seqs(busy, "at=8&before=3") == [2, 1]


async def test_events_are_found_by_time(busy: httpx.AsyncClient) -> None:
    events = (await busy.get(f"{EVENTS}?order=oldest")).json()["items"]
    then = events[6]["recordedAt"]
    assert await seqs(busy, f"since={then}") == [9, 8, 7]
    assert await seqs(busy, f"until={then}") == [6, 5, 4, 3, 2, 1]
    assert await seqs(busy, f"at={then}") == [7, 6, 5, 4, 3, 2, 1]
    refused = await busy.get(f"{EVENTS}?since=2026-01-01T00:00:00")
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?since"


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_pages_of_events_follow_each_other(busy: httpx.AsyncClient, order: str) -> None:
    seen: list[int] = []
    cursor = ""
    while True:
        page = (await busy.get(f"{EVENTS}?limit=4&order={order}{cursor}")).json()
        seen += [event["seq"] for event in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == sorted(range(1, 10), reverse=order == "newest")


async def test_a_cursor_that_was_not_given_out_is_refused(busy: httpx.AsyncClient) -> None:
    for cursor in ("!", "x", "YWJj", "wrong=", write_cursor("9" * 5000)):
        refused = await busy.get(EVENTS, params={"cursor": cursor})
        assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?cursor"


async def test_the_whole_log_comes_as_lines_where_that_is_asked_for(
    busy: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.http.histories.LINES_PAGE", 2)

    async def lines(query: str) -> list[Any]:
        response = await busy.get(f"{EVENTS}?{query}", headers={"accept": "application/x-ndjson"})
        assert response.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line)["seq"] for line in response.text.splitlines()]

    assert await lines("") == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert await lines("order=oldest") == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert await lines("order=oldest&limit=3") == [1, 2, 3]
    assert await lines("entityKind=flag&type=FlagEnabled") == [7, 6]


async def test_a_flag_s_history_is_filtered_as_the_log_is(busy: httpx.AsyncClient) -> None:
    page = (await busy.get(f"{FLAG}/history?environment=production")).json()
    assert [event["type"] for event in page["items"]] == ["FlagEnabled"]
    refused = await busy.get(f"{FLAG}/history?entityKind=segment")
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?entityKind"


async def test_an_event_is_shown_with_its_envelope(busy: httpx.AsyncClient) -> None:
    event = (await busy.get(f"{EVENTS}?limit=1")).json()["items"][0]
    recorded_at, command_id = event.pop("recordedAt"), event.pop("commandId")
    assert event.pop("correlationId")
    assert event.pop("origin")["address"] == "127.0.0.1"
    assert (recorded_at[-1], len(command_id)) == ("Z", 36)
    assert event == {
        "seq": 9,
        "type": "FlagDisabled",
        "entity": {"kind": "flag", "key": "checkout", "environment": "development"},
        "revision": 2,
        "actor": {"id": "account-1", "name": "Ada"},
        "causationId": None,
        "revertedBy": None,
        "body": {},
    }


async def test_several_types_and_words_find_events(busy: httpx.AsyncClient) -> None:
    await busy.post(f'{FLAG}/environments/staging/enable?comment=For the Größte 100%25 "test"')
    assert await seqs(busy, "type=FlagDisabled&type=SegmentCreated") == [9, 8]
    for words in ("grö", "the GRÖSSTE", "100%25", '"test"', "for the"):
        expected = [] if words == "the GRÖSSTE" else [10]
        assert await seqs(busy, f"text={words}") == expected, words
    assert await seqs(busy, "text=1000") == []
    assert await seqs(busy, "text=BETA") == [8]
    assert await seqs(busy, "text=checkout&type=FlagEnabled&environment=staging") == [10]
    assert await seqs(busy, "text=checkout&order=oldest&limit=2") == [5, 6]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("type=FlagEnable", "?type"),
        ("type=FlagEnabled&type=AccountCreated", "?type"),
        ("environment=prod", "?environment"),
        ("entityKind=flags", "?entityKind"),
        ("text=", "?text"),
        ("tag=x", "?tag"),
    ],
)
async def test_a_filter_that_no_event_can_pass_is_refused_by_name(
    busy: httpx.AsyncClient, query: str, parameter: str
) -> None:
    refused = problem(await busy.get(f"{EVENTS}?{query}"), 422, "malformed")
    assert refused["errors"][0]["path"] == parameter


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_a_page_that_could_not_look_at_all_says_how_far_it_came(
    busy: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr("server.http.histories.WALKED", 2)
    monkeypatch.setattr("server.http.histories.LOOKING_S", 0)
    asked, seen, cursor, reached = 0, [], "", []
    while True:
        query = f"actor=account-1&type=FlagEnabled&order={order}{cursor}"
        page = (await busy.get(f"{EVENTS}?{query}")).json()
        asked += 1
        seen += [event["seq"] for event in page["items"]]
        if page["nextCursor"] is None:
            break
        reached.append(page["reached"])
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == ([7, 6] if order == "newest" else [6, 7])
    assert asked == 5  # nine events, two at a time
    assert reached == ([8, None, 4, 2] if order == "newest" else [2, 4, None, 8])


async def test_lines_say_where_the_log_ends(busy: httpx.AsyncClient) -> None:
    lines = await busy.get(
        f"{EVENTS}?type=SegmentCreated", headers={"accept": "application/x-ndjson"}
    )
    assert (lines.headers["halyard-seq"], len(lines.text.splitlines())) == ("9", 1)


async def test_the_installation_has_a_history_of_its_own(
    busy: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    page = (await busy.get("/api/v1/events?type=TokenIssued&order=oldest")).json()
    assert [event["type"] for event in page["items"]] == ["TokenIssued", "TokenIssued"]
    assert page["items"][0]["entity"]["kind"] == "token"
    refused = await busy.get("/api/v1/events?type=FlagEnabled")
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?type"
    async with client_of(dependencies, "viewer") as viewer:
        problem(await viewer.get("/api/v1/events"), 403, "forbidden")


async def test_an_event_says_where_it_came_from(
    busy: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    agent = "curl/8 " + "x" * 300
    await busy.post(
        f"{SETTINGS}/enable", headers={"user-agent": agent, "x-forwarded-for": "6.6.6.6"}
    )
    event = (await busy.get(f"{EVENTS}?limit=1")).json()["items"][0]
    assert event["origin"]["address"] == "127.0.0.1"
    assert (event["origin"]["credential"], event["origin"]["credentialId"]) == ("token", "token-1")
    assert event["origin"]["userAgent"] == agent[:120]
    assert dependencies.origins is not None
    assert await dependencies.origins.erase("account-1") > 0
    event = (await busy.get(f"{EVENTS}?limit=1")).json()["items"][0]
    assert event["origin"] is None


async def test_the_log_of_no_project_is_not_found(busy: httpx.AsyncClient) -> None:
    problem(await busy.get("/api/v1/projects/none/events"), 404, "not-found")


async def test_no_reader_of_history_is_shown_a_hash_of_a_secret(busy: httpx.AsyncClient) -> None:
    keys = f"{PROJECT}/environments/development/keys"
    await created(busy, keys, {"kind": "server"})
    (listed,) = (await busy.get(EVENTS, params={"type": "SdkKeyIssued"})).json()["items"]
    assert listed["body"] == {"kind": "server"}
    detail = await busy.get(f"{EVENTS}/{listed['seq']}")
    lines = await busy.get(EVENTS, headers={"accept": "application/x-ndjson"})
    installation = await busy.get("/api/v1/events", params={"type": "TokenIssued"})
    assert installation.json()["items"]
    for answer in (detail, lines, installation):
        assert answer.status_code == 200
        assert "sha256" not in answer.text
        assert fingerprint(TOKEN) not in answer.text


async def test_no_hash_of_a_secret_is_guessed_by_searching_for_it(
    busy: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    keys = f"{PROJECT}/environments/development/keys"
    await created(busy, f"{keys}?comment=for the batch", {"kind": "server"})
    (stored,) = await dependencies.store.search("demo", Search(type="SdkKeyIssued"))
    sha256 = json.loads(stored.body)["sha256"]
    for guess in (sha256, sha256[:6], sha256[-6:], "sha256"):
        for narrowed in ({"type": "SdkKeyIssued"}, {"entityKind": "key"}, {}):
            found = (await busy.get(EVENTS, params={**narrowed, "text": guess})).json()
            assert found["items"] == [], guess
    token = {"type": "TokenIssued", "text": fingerprint(TOKEN)[:6]}
    assert (await busy.get("/api/v1/events", params=token)).json()["items"] == []
    assert await seqs(busy, "text=for the batch&type=SdkKeyIssued") == [stored.seq]
    assert await seqs(busy, "text=server&type=SdkKeyIssued") == [stored.seq]
