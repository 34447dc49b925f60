"""OFREP over HTTP: what its providers, and pages in browsers, ask of a running process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis.asyncio
import uvicorn

from server.http.app import create_app
from server.http.dependencies import Dependencies
from server.http.event_stream import EventStreams
from tests.streaming.stage import QuietServer, until
from tests.support.api import PROJECT, TOKEN, created, install
from tests.support.serving import served_soon, serving_dependencies

FLAGS = "/ofrep/v1/evaluate/flags"
EVENTS = "/ofrep/v1/events"
KEYS = f"{PROJECT}/environments/development/keys"
TYPES = {"boolean": True, "string": "on", "integer": 3, "number": 3, "json": {"a": [1]}}


class Site:
    """The project demo in a process that listens, and the keys of its development."""

    def __init__(self, url: str, dependencies: Dependencies, api: httpx.AsyncClient) -> None:
        self.url = url
        self.dependencies = dependencies
        self.api = api
        """An administrator's client."""
        self.server_key = self.client_key = self.key_id = ""

    async def found(self) -> None:
        await created(self.api, "/api/v1/projects", {"key": "demo", "name": "Demo"})
        commands: list[dict[str, Any]] = []
        for kind, value in TYPES.items():
            flag = {"flag": f"a-{kind}", "flagType": kind}
            variations = [{"key": "one", "value": value}]
            commands.append({"type": "CreateFlag", **flag, "variations": variations})
            place = {"flag": f"a-{kind}", "environment": "development"}
            commands.append({"type": "EnableFlag", **place})
        commands.append({"type": "CreateFlag", "flag": "checkout", "clientSide": True})
        answer = await self.api.post(f"{PROJECT}/commands:batch", json={"commands": commands})
        answer.raise_for_status()
        issued = (await created(self.api, KEYS, {"kind": "server"})).json()
        self.server_key, self.key_id = issued["secret"], issued["id"]
        self.client_key = (await created(self.api, KEYS, {"kind": "client"})).json()["secret"]
        await served_soon(self.dependencies, self.client_key)

    async def write(self, path: str) -> int:
        """Post to a path of the project; the seq."""
        answer = await self.api.post(f"{PROJECT}/{path}")
        answer.raise_for_status()
        return int(answer.json()["seq"])

    async def toggle(self, what: str) -> None:
        """Enable or disable checkout, and let the gateway hear of it."""
        seq = await self.write(f"flags/checkout/environments/development/{what}")
        served = await served_soon(self.dependencies, self.client_key)
        await until(lambda: served.changed >= seq)

    async def ask(
        self, path: str = FLAGS, body: Any = None, key: str | None = None, **headers: str
    ) -> httpx.Response:
        """One evaluation."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("authorization", f"Bearer {key or self.server_key}")
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return await self.api.post(path, content=content, headers=given)


@asynccontextmanager
async def listening(dependencies: Dependencies) -> AsyncIterator[str]:
    """The application behind a real server; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(dependencies), lifespan="off", log_config=None, timeout_graceful_shutdown=2
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


@pytest.fixture
async def site(database_url: str, redis_client: redis.asyncio.Redis) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        dependencies = await stack.enter_async_context(
            serving_dependencies(database_url, redis_client)
        )
        await install(dependencies)
        dependencies = replace(dependencies, event_streams=EventStreams(heartbeat_s=0.1, limit=3))
        url = await stack.enter_async_context(listening(dependencies))
        headers = {"authorization": f"Bearer {TOKEN}"}
        client = httpx.AsyncClient(base_url=url, headers=headers, timeout=20)
        site = Site(url, dependencies, await stack.enter_async_context(client))
        await site.found()
        yield site


class Source:
    """An ``EventSource``: no headers but the one that it may send."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def line(self, begins: str) -> str:
        """What follows the next line that begins so."""
        async with asyncio.timeout(10):
            async for line in self._lines:
                if line.startswith(begins):
                    return line.removeprefix(begins)
        raise AssertionError("the stream is over")

    async def event(self) -> tuple[str, dict[str, Any]]:
        """The id and the data of the next event."""
        event_id = await self.line("id: ")
        assert await self.line("event: ") == "message"
        return event_id, json.loads(await self.line("data: "))

    async def over(self) -> None:
        """Read to the end."""
        async with asyncio.timeout(10):
            async for _ in self._lines:
                pass


@asynccontextmanager
async def source(
    site: Site, uri: str, last_event_id: str | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[Source]:
    headers = dict(headers or {})
    if last_event_id is not None:
        headers["last-event-id"] = last_event_id
    async with (
        httpx.AsyncClient(base_url=site.url, headers=headers, timeout=20) as client,
        client.stream("GET", uri) as response,
    ):
        yield Source(response)


async def stream_uri(site: Site, key: str | None = None) -> str:
    (stream,) = (await site.ask(key=key)).json()["eventStreams"]
    uri: str = stream["endpoint"]["requestUri"]
    return uri


async def test_a_flag_of_each_type_is_answered(site: Site) -> None:
    for kind, value in TYPES.items():
        answer = await site.ask(f"{FLAGS}/a-{kind}", {"context": {"targetingKey": "alice"}})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        read = answer.json()
        assert (read["key"], read["value"], read["variant"]) == (f"a-{kind}", value, "one")
        assert (read["reason"], read["metadata"]["reasonKind"]) == ("DEFAULT", "FALLTHROUGH")
        assert (b'"value":3.0' in answer.content) == (kind == "number")


async def test_a_flag_that_is_not_there_is_named_as_it_was_asked_for(site: Site) -> None:
    for path in ("a%2Db", "a/b", "a%2Fb", "ns:a", "a%20b", "a//b", "%41", ""):
        answer = await site.ask(f"{FLAGS}/{path}")
        key = httpx.URL(f"http://x/{path}").path.removeprefix("/")
        assert answer.status_code == 404
        assert answer.json() == {
            "key": key,
            "errorCode": "FLAG_NOT_FOUND",
            "errorDetails": f"the environment has no flag '{key}'",
        }


async def test_a_key_need_not_be_escaped(site: Site) -> None:
    for path in ("a-string", "a%2dstring", "%61-string"):
        assert (await site.ask(f"{FLAGS}/{path}")).json()["key"] == "a-string"


async def test_an_address_may_end_with_a_slash(site: Site) -> None:
    answer = await site.ask(f"{site.url}/{FLAGS}/a-string")
    assert (answer.status_code, answer.json()["key"]) == (200, "a-string")


async def test_no_context_is_a_context(site: Site) -> None:
    for body in (b"", b"{}", b'{"context":{}}', b'{"context":null}'):
        assert (await site.ask(f"{FLAGS}/a-boolean", body)).json()["value"] is True
        assert len((await site.ask(FLAGS, body)).json()["flags"]) == 6


async def test_what_cannot_be_read_is_refused_with_the_flag_and_the_member_at_fault(
    site: Site,
) -> None:
    refused = await site.ask(f"{FLAGS}/checkout", {"context": {"targetingKey": 3}})
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "INVALID_CONTEXT")
    assert refused.json()["key"] == "checkout"
    assert "/context/targetingKey" in refused.json()["errorDetails"]
    refused = await site.ask(FLAGS, b"{")
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "PARSE_ERROR")
    assert refused.json()["errorDetails"]


async def test_a_bulk_answer_has_every_flag_in_the_order_of_keys(site: Site) -> None:
    answer = await site.ask(FLAGS, {"context": {"targetingKey": "alice"}})
    keys = [flag["key"] for flag in answer.json()["flags"]]
    assert keys == sorted([*(f"a-{kind}" for kind in TYPES), "checkout"])
    assert answer.json()["metadata"] == {"flagSetId": "development"}
    assert b'"value":3,' in answer.content
    assert b'"value":3.0,' in answer.content


async def test_a_client_key_sees_only_what_is_marked_for_it(site: Site) -> None:
    answer = await site.ask(FLAGS, key=site.client_key)
    assert [flag["key"] for flag in answer.json()["flags"]] == ["checkout"]
    assert (await site.ask(f"{FLAGS}/checkout", key=site.client_key)).status_code == 200
    hidden = await site.ask(f"{FLAGS}/a-boolean", key=site.client_key)
    assert (hidden.status_code, hidden.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")


async def test_a_bulk_answer_that_the_client_has_is_not_sent_again(site: Site) -> None:
    first = await site.ask(FLAGS)
    etag = first.headers["etag"]
    assert etag.startswith('"')
    for header in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        same = await site.ask(FLAGS, if_none_match=header)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in same.headers
    await site.toggle("enable")
    changed = await site.ask(FLAGS, if_none_match=etag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    assert (await site.ask(FLAGS, {"context": {"a": 1}}, if_none_match=etag)).status_code == 200


async def test_the_tag_is_of_the_answer_not_of_the_ruleset(site: Site) -> None:
    etag = (await site.ask(FLAGS, key=site.client_key)).headers["etag"]
    seq = await site.write("flags/a-boolean/environments/development/disable")
    served = await served_soon(site.dependencies, site.client_key)
    await until(lambda: served.changed >= seq)
    same = await site.ask(FLAGS, key=site.client_key, if_none_match=etag)
    assert same.status_code == 304


async def test_either_header_may_hold_the_key(site: Site) -> None:
    headers = {"x-api-key": site.client_key}
    async with httpx.AsyncClient(base_url=site.url, headers=headers) as client:
        assert (await client.post(FLAGS)).status_code == 200
    async with httpx.AsyncClient(base_url=site.url) as client:
        for refused in (
            await client.post(FLAGS),
            await client.post(f"{FLAGS}/checkout", headers={"x-api-key": "wrong"}),
            await client.post(FLAGS, headers={"authorization": f"Bearer {TOKEN}"}),
            await client.get(EVENTS),
            await client.get(EVENTS, params={"key": site.server_key}),
        ):
            assert refused.status_code == 401
            assert refused.json()["errorDetails"]
            assert refused.headers["access-control-allow-origin"] == "*"


async def test_parameters_of_a_provider_s_user_are_ignored(site: Site) -> None:
    query = "?flagConfigEtag=nonsense&flagConfigLastModified=1771622898&mine=1&mine=2"
    assert (await site.ask(FLAGS + query)).status_code == 200


async def test_a_browser_is_told_that_any_page_may_ask(site: Site) -> None:
    asking = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,if-none-match",
    }
    async with httpx.AsyncClient(base_url=site.url, headers=asking) as browser:
        for path in (FLAGS, f"{FLAGS}/checkout", f"{FLAGS}/a/b", EVENTS):
            preflight = await browser.options(path)
            assert (preflight.status_code, preflight.content) == (204, b"")
            assert "content-length" not in preflight.headers
            allowed = preflight.headers
            assert allowed["access-control-allow-origin"] == "*"
            assert {"POST", "GET"} <= set(allowed["access-control-allow-methods"].split(", "))
            named = set(allowed["access-control-allow-headers"].lower().split(", "))
            assert named >= {"authorization", "x-api-key", "content-type", "if-none-match"}
            assert int(allowed["access-control-max-age"]) > 0
            assert "access-control-allow-credentials" not in allowed


async def test_a_page_may_read_every_answer_and_its_tag(site: Site) -> None:
    bulk = await site.ask(FLAGS)
    for answer in (
        bulk,
        await site.ask(FLAGS, if_none_match=bulk.headers["etag"]),
        await site.ask(FLAGS, b"{"),
        await site.ask(f"{FLAGS}/none"),
        await site.ask(FLAGS, key="wrong"),
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "ETag" in answer.headers["access-control-expose-headers"]


async def test_a_page_may_read_that_it_asked_in_the_wrong_place(site: Site) -> None:
    missing = await site.api.get("/ofrep/v1/configuration")
    wrong = await site.api.get(FLAGS)
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert wrong.headers["allow"] == "OPTIONS, POST"
    for answer in (missing, wrong):
        assert answer.json()["errorCode"] == "GENERAL"
        assert answer.headers["access-control-allow-origin"] == "*"
    elsewhere = await site.api.get("/ofrepv1")
    assert "access-control-allow-origin" not in elsewhere.headers


async def test_what_takes_an_account_is_not_for_pages_of_other_origins(site: Site) -> None:
    answer = await site.api.get(PROJECT)
    assert "access-control-allow-origin" not in answer.headers


async def restrict(site: Site, *origins: str) -> None:
    """Let the client key be for pages of these origins, and the gateway hear of it."""
    (key,) = (await site.api.get(f"{KEYS}?kind=client")).json()["items"]
    answer = await site.api.put(f"{KEYS}/{key['id']}/origins", json={"origins": origins})
    seq = answer.json()["seq"]
    served = await served_soon(site.dependencies, site.client_key)
    await until(lambda: served.changed >= seq)


async def test_a_key_that_names_its_origins_is_for_pages_of_those(site: Site) -> None:
    await restrict(site, "https://*.shop.example")
    ours, theirs = "https://www.shop.example", "https://evil.test"
    for path in (FLAGS, f"{FLAGS}/checkout", f"{FLAGS}/none"):
        answer = await site.ask(path, key=site.client_key, origin=ours)
        assert answer.status_code in {200, 404}
        assert answer.headers["access-control-allow-origin"] == ours
        assert answer.headers["vary"] == "Origin"
        refused = await site.ask(path, key=site.client_key, origin=theirs)
        assert (refused.status_code, refused.json()["errorCode"]) == (403, "GENERAL")
        assert theirs in refused.json()["errorDetails"]
        program = await site.ask(path, key=site.client_key)
        assert program.status_code in {200, 404}
        assert "access-control-allow-origin" not in program.headers
    assert (await site.ask(FLAGS, origin=theirs)).headers["access-control-allow-origin"] == "*"


async def test_a_stream_ends_when_its_page_s_origin_is_not_allowed_any_more(site: Site) -> None:
    ours = {"origin": "https://shop.example"}
    uri = await stream_uri(site, site.client_key)
    async with source(site, uri, headers=ours) as events, source(site, uri) as of_program:
        await events.event()
        await restrict(site, "https://other.example")
        await events.over()
        await of_program.event()
        await site.toggle("enable")
        await of_program.event()
    async with source(site, uri, headers=ours) as events:
        assert events.response.status_code == 403
    async with source(site, uri, headers={"origin": "https://other.example"}) as events:
        allowed = events.response.headers["access-control-allow-origin"]
        assert (events.response.status_code, allowed) == (200, "https://other.example")


@pytest.mark.parametrize("kind", ["server", "client"])
async def test_a_change_is_told_within_a_second(site: Site, kind: str) -> None:
    key = site.server_key if kind == "server" else site.client_key
    uri = await stream_uri(site, key)
    assert site.server_key not in uri
    async with source(site, uri) as events:
        assert events.response.status_code == 200
        assert events.response.headers["content-type"] == "text/event-stream"
        assert events.response.headers["access-control-allow-origin"] == "*"
        first, _ = await events.event()
        loop = asyncio.get_running_loop()
        started = loop.time()
        seq = await site.write("flags/checkout/environments/development/enable")
        event_id, data = await events.event()
        assert loop.time() - started < 1
    assert event_id != first
    assert event_id.endswith(f"-{seq}")
    assert (data["type"], data["etag"]) == ("refetchEvaluation", event_id)
    query = f"?flagConfigEtag={data['etag']}&flagConfigLastModified={data['lastModified']}"
    flags = {flag["key"]: flag for flag in (await site.ask(FLAGS + query, key=key)).json()["flags"]}
    assert flags["checkout"]["reason"] == "DEFAULT"


async def test_a_stream_is_resumed_where_it_was_left(site: Site) -> None:
    uri = await stream_uri(site)
    async with source(site, uri) as events:
        seen, _ = await events.event()
    async with source(site, uri, seen) as events:
        await events.line(":")
        await site.toggle("enable")
        changed, _ = await events.event()
    await site.toggle("disable")
    await site.toggle("enable")
    for headers, suffix in ((changed, ""), (None, f"&lastEventId={changed}")):
        async with source(site, uri + suffix, headers) as events:
            newest, _ = await events.event()
            assert newest != changed


async def test_a_stream_ends_with_its_key_and_is_not_opened_again(site: Site) -> None:
    uri = await stream_uri(site)
    async with source(site, uri) as events:
        await events.event()
        (await site.api.delete(f"{KEYS}/{site.key_id}")).raise_for_status()
        await events.over()
    async with source(site, uri) as events:
        assert events.response.status_code == 401


async def test_a_listening_key_opens_nothing_but_the_stream(site: Site) -> None:
    listening_key = (await stream_uri(site)).partition("key=")[2]
    for _ in range(2):
        assert (await site.ask(FLAGS, key=listening_key)).status_code == 401
        async with source(site, f"{EVENTS}?key={listening_key}") as events:
            assert events.response.status_code == 200
    assert (await site.api.get(f"/sdk/v1/ruleset?key={listening_key}")).status_code == 401


async def test_a_stream_may_be_opened_with_a_header_as_well(site: Site) -> None:
    headers = {"authorization": f"Bearer {site.server_key}"}
    async with (
        httpx.AsyncClient(base_url=site.url, headers=headers) as client,
        client.stream("GET", EVENTS) as response,
    ):
        assert response.status_code == 200
        await Source(response).event()


async def test_a_page_that_was_closed_leaves_nothing(site: Site) -> None:
    streams = site.dependencies.event_streams
    async with source(site, await stream_uri(site)) as events:
        await events.event()
        assert len(streams) == 1
    await until(lambda: len(streams) == 0)


async def test_where_there_is_no_room_for_a_stream_none_is_named(site: Site) -> None:
    uri = await stream_uri(site)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(source(site, uri)) for _ in range(3)]
        for events in opened:
            await events.event()
        assert "eventStreams" not in (await site.ask(FLAGS)).json()
        async with source(site, uri) as events:
            assert events.response.status_code == 503
    await until(lambda: len(site.dependencies.event_streams) == 0)
    assert await stream_uri(site) == uri


async def test_a_drain_opens_no_stream_and_changes_no_answer(site: Site) -> None:
    uri = await stream_uri(site)
    before = await site.ask(FLAGS)
    site.dependencies.event_streams.end_all(0)
    after = await site.ask(FLAGS)
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    async with source(site, uri) as events:
        assert events.response.status_code == 503
        assert events.response.headers["retry-after"] == "5"


async def test_head_opens_no_stream(site: Site) -> None:
    uri = await stream_uri(site)
    async with httpx.AsyncClient(base_url=site.url) as client:
        answer = await client.head(uri)
    assert (answer.status_code, answer.content) == (200, b"")
    assert len(site.dependencies.event_streams) == 0


async def test_an_answer_waits_for_the_change_that_another_process_told_of(site: Site) -> None:
    await site.ask(FLAGS)
    served = await served_soon(site.dependencies, site.server_key)
    coming = f"{served.epoch}-{served.changed + 1}"
    asked = asyncio.create_task(site.ask(f"{FLAGS}?flagConfigEtag={coming}"))
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asked), 0.1)
    assert not asked.done()
    await site.toggle("enable")
    flags = {flag["key"]: flag for flag in (await asked).json()["flags"]}
    assert flags["checkout"]["reason"] == "DEFAULT"


async def test_an_answer_does_not_wait_for_ever(site: Site) -> None:
    served = await served_soon(site.dependencies, site.server_key)
    never = f"{served.epoch}-{served.changed + 1_000}"
    async with asyncio.timeout(5):
        assert (await site.ask(f"{FLAGS}?flagConfigEtag={never}")).status_code == 200


async def test_without_redis_a_known_key_is_answered_from_memory(
    site: Site, redis_client: redis.asyncio.Redis
) -> None:
    before = await site.ask(FLAGS)
    await redis_client.client_pause(1_000)
    assert (await site.ask(FLAGS)).content == before.content
