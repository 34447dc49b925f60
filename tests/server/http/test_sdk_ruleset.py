"""`GET /sdk/v1/ruleset`: the stream's snapshot for those who poll, and what keys open."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis.asyncio
from halyard_protocol.messages import Snapshot, decode_server_message

from server.http.dependencies import Dependencies, HttpSettings
from tests.support.api import PROJECT, SETTINGS, client_of, created, install, problem
from tests.support.serving import served_soon, serving_dependencies

RULESET = "/sdk/v1/ruleset"
KEYS = f"{PROJECT}/environments/development/keys"


class Installation:
    """The project demo, and a server and a client key of its development."""

    def __init__(self, dependencies: Dependencies, api: httpx.AsyncClient) -> None:
        self.dependencies = dependencies
        self.api = api
        self.server_key = self.client_key = self.key_id = ""

    async def found(self) -> None:
        await created(self.api, "/api/v1/projects", {"key": "demo", "name": "Demo"})
        await created(self.api, f"{PROJECT}/flags", {"key": "checkout"})
        issued = (await created(self.api, KEYS, {"kind": "server"})).json()
        self.server_key, self.key_id = issued["secret"], issued["id"]
        self.client_key = (await created(self.api, KEYS, {"kind": "client"})).json()["secret"]
        await served_soon(self.dependencies, self.client_key)

    async def ask(self, key: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("accept-encoding", "identity")
        return await self.api.get(RULESET, headers={"authorization": f"Bearer {key}", **named})

    async def reached(self, seq: int) -> None:
        """The gateway has a change."""
        gateway = self.dependencies.gateway
        assert gateway is not None
        served = await gateway.serve_key(self.client_key, 5)
        told = asyncio.Event()
        unsubscribe = served.on_change(told.set)
        while served.changed < seq:
            await told.wait()
            told.clear()
        unsubscribe()


@pytest.fixture
async def halyard(
    database_url: str, redis_client: redis.asyncio.Redis
) -> AsyncIterator[Installation]:
    async with AsyncExitStack() as stack:
        dependencies = await stack.enter_async_context(
            serving_dependencies(database_url, redis_client)
        )
        await install(dependencies)
        api = await stack.enter_async_context(client_of(dependencies))
        installation = Installation(dependencies, api)
        await installation.found()
        yield installation


async def test_a_server_key_reads_the_snapshot(halyard: Installation) -> None:
    answer = await halyard.ask(halyard.server_key)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    snapshot = decode_server_message(answer.content)
    assert isinstance(snapshot, Snapshot)
    assert [flag["key"] for flag in answer.json()["flags"]] == ["checkout"]
    assert answer.headers["halyard-seq"] == str(snapshot.seq)
    assert answer.headers["etag"].startswith(f'"{snapshot.epoch}-')
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert halyard.server_key not in answer.text
    assert halyard.client_key not in answer.text
    by_header = await halyard.api.get(
        RULESET, headers={"x-api-key": halyard.server_key, "accept-encoding": "identity"}
    )
    assert by_header.content == answer.content


async def test_what_the_client_has_is_not_sent_again(halyard: Installation) -> None:
    first = await halyard.ask(halyard.server_key)
    same = await halyard.ask(halyard.server_key, if_none_match=f'"x", W/{first.headers["etag"]}')
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    assert "content-length" not in same.headers
    seq = (await halyard.api.post(f"{SETTINGS}/enable")).json()["seq"]
    await halyard.reached(seq)
    changed = await halyard.ask(halyard.server_key, if_none_match=first.headers["etag"])
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    assert changed.json()["flags"][0]["enabled"] is True


async def test_it_is_compressed_for_those_who_can_read_that(halyard: Installation) -> None:
    plain = await halyard.ask(halyard.server_key)
    packed = await halyard.ask(halyard.server_key, accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert packed.headers["etag"] != plain.headers["etag"]
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, 6, mtime=0))
    for etag in (plain.headers["etag"], packed.headers["etag"]):
        again = await halyard.ask(halyard.server_key, accept_encoding="gzip", if_none_match=etag)
        assert (again.status_code, again.headers["etag"]) == (304, packed.headers["etag"])


async def test_head_has_the_headers_alone(halyard: Installation) -> None:
    headers = {"authorization": f"Bearer {halyard.server_key}", "accept-encoding": "identity"}
    got = await halyard.ask(halyard.server_key)
    head = await halyard.api.head(RULESET, headers=headers)
    assert head.content == b""
    for name in ("etag", "content-length", "halyard-seq", "vary"):
        assert head.headers[name] == got.headers[name]


async def test_client_keys_do_not_open_it(halyard: Installation) -> None:
    problem(await halyard.ask(halyard.client_key), 403, "wrong-kind-of-key")


async def test_wrong_and_revoked_keys_are_refused(halyard: Installation) -> None:
    environment = halyard.server_key[:12]
    for key in ("hly_token", f"{environment}-s-wrong", "env000000009-s-wrong"):
        refused = await halyard.ask(key)
        problem(refused, 401, "unauthenticated")
        assert refused.headers["www-authenticate"].startswith("Bearer ")
    problem(await halyard.api.get(RULESET), 401, "unauthenticated")  # an account's token
    problem(await halyard.api.get(RULESET, headers={"authorization": ""}), 401, "unauthenticated")
    assert (await halyard.ask(halyard.server_key)).status_code == 200
    seq = (await halyard.api.delete(f"{KEYS}/{halyard.key_id}")).json()["seq"]
    await halyard.reached(seq)
    problem(await halyard.ask(halyard.server_key), 401, "unauthenticated")


async def test_without_redis_a_known_key_is_served_and_others_are_told_to_come_back(
    halyard: Installation, redis_client: redis.asyncio.Redis
) -> None:
    before = await halyard.ask(halyard.server_key)
    await redis_client.client_pause(1_000)
    assert (await halyard.ask(halyard.server_key)).content == before.content
    hurried = replace(halyard.dependencies, settings=HttpSettings(key_timeout_s=0.1))
    async with client_of(hurried, token=f"{halyard.server_key}-") as client:
        refused = await client.get(RULESET)
        problem(refused, 503, "ruleset-unavailable")
        assert refused.headers["retry-after"] == "1"


async def test_a_process_without_a_gateway_says_so(dependencies: Any) -> None:
    async with client_of(dependencies, token="env000000001-s-x") as client:
        problem(await client.get(RULESET), 501, "not-served-here")
