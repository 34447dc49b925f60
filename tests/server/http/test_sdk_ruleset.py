"""`GET /sdk/v1/ruleset`: the stream's snapshot for those who poll, and what keys open."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import httpx
import redis.asyncio
from halyard_protocol.messages import Snapshot, decode_server_message

from server.http.dependencies import HttpSettings
from tests.support.api import SETTINGS, client_of, problem
from tests.support.serving import KEYS, Installation

RULESET = "/sdk/v1/ruleset"


async def asked(halyard: Installation, key: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("accept-encoding", "identity")
    return await halyard.api.get(RULESET, headers={"authorization": f"Bearer {key}", **named})


async def test_a_server_key_reads_the_snapshot(halyard: Installation) -> None:
    answer = await asked(halyard, halyard.server_key)
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
    first = await asked(halyard, halyard.server_key)
    same = await asked(halyard, halyard.server_key, if_none_match=f'"x", W/{first.headers["etag"]}')
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    assert "content-length" not in same.headers
    seq = (await halyard.api.post(f"{SETTINGS}/enable")).json()["seq"]
    await halyard.reached(seq)
    changed = await asked(halyard, halyard.server_key, if_none_match=first.headers["etag"])
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    assert changed.json()["flags"][0]["enabled"] is True


async def test_it_is_compressed_for_those_who_can_read_that(halyard: Installation) -> None:
    plain = await asked(halyard, halyard.server_key)
    packed = await asked(halyard, halyard.server_key, accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert packed.headers["etag"] != plain.headers["etag"]
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, 6, mtime=0))
    for etag in (plain.headers["etag"], packed.headers["etag"]):
        again = await asked(halyard, halyard.server_key, accept_encoding="gzip", if_none_match=etag)
        assert (again.status_code, again.headers["etag"]) == (304, packed.headers["etag"])


async def test_head_has_the_headers_alone(halyard: Installation) -> None:
    headers = {"authorization": f"Bearer {halyard.server_key}", "accept-encoding": "identity"}
    got = await asked(halyard, halyard.server_key)
    head = await halyard.api.head(RULESET, headers=headers)
    assert head.content == b""
    for name in ("etag", "content-length", "halyard-seq", "vary"):
        assert head.headers[name] == got.headers[name]


async def test_client_keys_do_not_open_it(halyard: Installation) -> None:
    problem(await asked(halyard, halyard.client_key), 403, "wrong-kind-of-key")


async def test_wrong_and_revoked_keys_are_refused(halyard: Installation) -> None:
    environment = halyard.server_key[:12]
    for key in ("hly_token", f"{environment}-s-wrong", "env000000009-s-wrong"):
        refused = await asked(halyard, key)
        problem(refused, 401, "unauthenticated")
        assert refused.headers["www-authenticate"].startswith("Bearer ")
    problem(await halyard.api.get(RULESET), 401, "unauthenticated")  # an account's token
    problem(await halyard.api.get(RULESET, headers={"authorization": ""}), 401, "unauthenticated")
    assert (await asked(halyard, halyard.server_key)).status_code == 200
    seq = (await halyard.api.delete(f"{KEYS}/{halyard.key_id}")).json()["seq"]
    await halyard.reached(seq)
    problem(await asked(halyard, halyard.server_key), 401, "unauthenticated")


async def test_without_redis_a_known_key_is_served_and_others_are_told_to_come_back(
    halyard: Installation, redis_client: redis.asyncio.Redis
) -> None:
    before = await asked(halyard, halyard.server_key)
    await redis_client.client_pause(1_000)
    assert (await asked(halyard, halyard.server_key)).content == before.content
    hurried = replace(halyard.dependencies, settings=HttpSettings(key_timeout_s=0.1))
    async with client_of(hurried, token=f"{halyard.server_key}-") as client:
        refused = await client.get(RULESET)
        problem(refused, 503, "ruleset-unavailable")
        assert refused.headers["retry-after"] == "1"


async def test_a_process_without_a_gateway_says_so(dependencies: Any) -> None:
    async with client_of(dependencies, token="env000000001-s-x") as client:
        problem(await client.get(RULESET), 501, "not-served-here")
