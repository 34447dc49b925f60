"""Requests of those who mean harm, or whose programs are broken: each refused, with its reason.

Nothing here may be answered with a fault of the server, hold it up, or change anything.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
import uvicorn

from server.http.app import create_app
from server.http.dependencies import Dependencies
from server.http.heads import MAX_HEAD_BYTES, BoundedHeads
from tests.support.api import FLAG, PROJECT, SETTINGS, TOKEN, problem

FLAGS = f"{PROJECT}/flags"
IMPORT = f"{PROJECT}/import"
YAML = {"content-type": "application/yaml"}


def errors(body: dict[str, Any]) -> dict[str, str]:
    return {error["path"]: error["reason"] for error in body["errors"]}


# -- bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [FLAGS, f"{PROJECT}/commands", f"{SETTINGS}/rules"])
async def test_a_body_beyond_the_bound_is_refused(demo: httpx.AsyncClient, path: str) -> None:
    body = b'{"key":"' + b"a" * 1024 * 1024 + b'"}'
    refused = await demo.post(path, content=body)
    problem(refused, 413, "body-too-large")
    assert refused.headers["connection"] == "close"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"when":{"not":', b'[{"a":'])
@pytest.mark.parametrize("path", [FLAGS, f"{SETTINGS}/rules", f"{PROJECT}/commands:batch", IMPORT])
async def test_what_nests_without_end_is_no_json(
    demo: httpx.AsyncClient, path: str, opening: bytes
) -> None:
    problem(await demo.post(path, content=opening * 50_000), 400, "not-json")


async def test_a_condition_that_nests_deeper_than_a_rule_may_is_refused(
    demo: httpx.AsyncClient,
) -> None:
    condition: dict[str, Any] = {"attribute": "plan", "op": "exists"}
    for _ in range(100):
        condition = {"not": condition}
    rule = {"when": condition, "serve": {"variation": "on"}}
    answer = await demo.post(f"{SETTINGS}/rules", json=rule)
    assert answer.status_code == 422
    assert "deep" in answer.text or "nest" in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (FLAGS, '{"key":"a","name":"b","name":"c"}'),
        (f"{PROJECT}/commands", '{"type":"EnableFlag","name":1,"flag":"a","name":2}'),
        (f"{SETTINGS}/rules", '{"when":{"op":"in","name":1,"name":2},"serve":{}}'),
        (IMPORT, '{"version":1,"project":{"name":"a","name":"b","key":"c"}}'),
    ],
)
async def test_a_name_that_stands_twice_is_named(
    demo: httpx.AsyncClient, path: str, body: str
) -> None:
    refused = problem(await demo.post(path, content=body), 422, "malformed")
    assert errors(refused)[""] == "'name' stands twice in one object: keep one"


@pytest.mark.parametrize(
    "body", [b'{"key":"\xff"}', b'{"key":"\xc0\xaf"}', b"\xff\xfe{\x00}\x00", b'{"key":"\\ud800"}']
)
async def test_what_is_no_utf_8_is_no_json(demo: httpx.AsyncClient, body: bytes) -> None:
    problem(await demo.post(FLAGS, content=body), 400, "not-json")


@pytest.mark.parametrize("field", ["key", "name", "description", "maintainer"])
async def test_a_null_character_gets_nowhere(demo: httpx.AsyncClient, field: str) -> None:
    refused = await demo.post(FLAGS, json={"key": "other", field: "a\0b"})
    body = problem(refused, 422, "invalid-command")
    assert f"/{field}" in errors(body)


@pytest.mark.parametrize("path", [FLAGS, f"{PROJECT}/segments", f"{PROJECT}/environments"])
async def test_a_null_character_is_no_fault_of_the_server_where_a_revision_is_expected(
    demo: httpx.AsyncClient, path: str
) -> None:
    named = {"key": "a\0b", "name": "a"}
    refused = await demo.post(path, json=named, headers={"if-match": '"1"'})
    assert problem(refused, 412, "stale-revision")["between"] == []


@pytest.mark.parametrize("number", ["9007199254740993", "-9007199254740993", "1e400", "9" * 400])
async def test_a_number_that_javascript_would_change_is_refused(
    demo: httpx.AsyncClient, number: str
) -> None:
    variations = f'[{{"key":"a","value":{number}}}]'
    body = f'{{"key":"count","type":"number","variations":{variations}}}'
    refused = await demo.post(FLAGS, content=body)
    assert refused.status_code in (400, 422), refused.text
    assert refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ({"key": 7}, "/key", "is text, not a whole number"),
        ({"key": "a", "tags": {}}, "/tags", "is a list, not an object"),
        ({"key": "a", "clientSide": "yes"}, "/clientSide", "is true or false, not text"),
        ({"key": "a", "colour": 1}, "/colour", "unknown field: remove it, or correct its name"),
    ],
)
async def test_a_wrong_field_is_told_in_words(
    demo: httpx.AsyncClient, body: dict[str, Any], path: str, reason: str
) -> None:
    refused = (await demo.post(FLAGS, json=body)).json()
    assert errors(refused)[path] == reason
    assert "`" not in refused["detail"]


# -- what is compressed, and what unfolds ---------------------------------------------------------

BOMB = b"0" * 50_000_000


@pytest.mark.parametrize(
    ("encoding", "content"),
    [("gzip", gzip.compress(BOMB)), ("deflate", zlib.compress(BOMB)), ("br", b"x"), ("GZIP", b"")],
)
@pytest.mark.parametrize("path", [FLAGS, IMPORT, f"{PROJECT}/commands:batch"])
async def test_nothing_is_unpacked(
    demo: httpx.AsyncClient, path: str, encoding: str, content: bytes
) -> None:
    refused = await demo.post(path, content=content, headers={"content-encoding": encoding})
    problem(refused, 415, "encoded-body")


LAUGHS = "a: &a [lol]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "document",
    [LAUGHS, "!!python/object/apply:os.system ['id']", "[" * 10_000, "a: 1\na: 2", "- \xff\x00"],
)
async def test_yaml_makes_nothing_but_data(demo: httpx.AsyncClient, document: str) -> None:
    refused = await demo.post(IMPORT, content=document.encode("latin-1"), headers=YAML)
    assert refused.status_code in (400, 422), refused.text
    assert refused.json()["type"].endswith(("not-yaml", "malformed"))


# -- paths and headers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/projects/%00",
        "/api/v1/projects/demo%00",
        "/api/v1/projects/..%2f..%2fetc%2fpasswd",
        "/api/v1/projects/%2e%2e/flags",
        "/api/v1/projects/demo/flags/a%2fb",
        "/api/v1/projects/demo/flags/%0d%0aSet-Cookie:%20a=b",
        "/api/v1/projects/$system",
        "/api/v1/projects/%24system/events",
        "/api/v1/projects/demo'%20or%201=1--",
        "/api/v1/projects//flags",
        "/docs/..%2f..%2froutes.py",
    ],
)
async def test_a_path_that_leads_nowhere_says_so(demo: httpx.AsyncClient, path: str) -> None:
    response = await demo.get(path)
    assert response.status_code == 404, response.text
    assert "set-cookie" not in response.headers
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_request_id_of_a_stranger_splits_no_header(demo: httpx.AsyncClient) -> None:
    for value in ("a\tb", "x" * 129, '"', "a;b"):
        response = await demo.get(FLAG, headers=[("x-request-id", value)])
        assert response.headers["x-request-id"] != value


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_an_idempotency_key_is_a_short_line(demo: httpx.AsyncClient, key: str) -> None:
    refused = await demo.post(f"{SETTINGS}/enable", headers={"idempotency-key": key})
    assert "Idempotency-Key" in errors(problem(refused, 422, "malformed"))


@pytest.mark.parametrize("value", ["7", '"-1"', '"1", "2"', 'W/"1"', '"' + "9" * 30 + '"', "x"])
async def test_a_revision_is_one_in_quotes(demo: httpx.AsyncClient, value: str) -> None:
    refused = await demo.post(f"{SETTINGS}/enable", headers={"if-match": value})
    assert "If-Match" in errors(problem(refused, 422, "malformed"))


@pytest.mark.parametrize("query", ["limit=-1", "limit=1e9", "cursor=%00", "cursor=..", "at=%0d%0a"])
async def test_a_parameter_that_cannot_be_is_named(demo: httpx.AsyncClient, query: str) -> None:
    refused = problem(await demo.get(f"{FLAGS}?{query}"), 422, "malformed")
    assert f"?{query.split('=', maxsplit=1)[0]}" in errors(refused)


# -- on a socket -----------------------------------------------------------------------------


async def answered(dependencies: Dependencies, request: bytes) -> bytes:
    """All that uvicorn, as the server sets it up, says to some bytes."""
    config = uvicorn.Config(
        create_app(dependencies), http=BoundedHeads, lifespan="off", log_config=None, port=0
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        async with asyncio.timeout(10):
            told = await reader.read()
        writer.close()
        return told
    finally:
        await server.shutdown()


def request(*headers: str, path: str = "/healthz", body: bytes = b"") -> bytes:
    lines = (f"GET {path} HTTP/1.1", "host: halyard", "connection: close", *headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def test_a_head_without_end_is_cut_off(dependencies: Dependencies) -> None:
    huge = [f"x-{n}: {'y' * 8_000}" for n in range(MAX_HEAD_BYTES * 6 // 8_000)]
    try:
        told = await answered(dependencies, request(*huge))
    except ConnectionResetError:
        return  # what was on its way when the connection was closed
    assert told.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "head",
    [
        request("x-bad\x00name: 1"),
        request("transfer-encoding: chunked", "content-length: 5", body=b"0\r\n\r\nGET /x"),
        b"GET /healthz\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
async def test_what_is_no_http_is_answered_once_at_most(
    dependencies: Dependencies, head: bytes
) -> None:
    told = await answered(dependencies, head + b"\r\n\r\n")
    assert told.count(b"HTTP/1.1 ") <= 1
    assert b" 5" not in told[8:11]


async def test_a_line_break_in_a_path_is_part_of_it(dependencies: Dependencies) -> None:
    told = await answered(dependencies, request(path="/a%0d%0aset-cookie:%20b=c"))
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"set-cookie" not in head
    assert json.loads(body)["type"].endswith("no-such-path")


async def test_nothing_of_this_changed_anything(demo: httpx.AsyncClient) -> None:
    before = (await demo.get(PROJECT)).json()["seq"]
    for path in (FLAGS, f"{PROJECT}/commands:batch", IMPORT):
        await demo.post(path, content=b'{"key":"a","key":"b"}')
        await demo.post(path, content=b"[" * 10_000)
    assert (await demo.get(PROJECT)).json()["seq"] == before


async def test_a_token_with_a_line_break_is_no_token(dependencies: Dependencies) -> None:
    told = await answered(
        dependencies, request(f"authorization: Bearer {TOKEN}\r\n x", path=f"{PROJECT}")
    )
    assert not told.startswith(b"HTTP/1.1 200")
