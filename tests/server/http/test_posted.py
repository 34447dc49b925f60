"""Commands as such, one and in batches."""

from __future__ import annotations

from typing import Any

import httpx

from server.http.routes import BATCH_LIMIT_BYTES, BODY_LIMIT_BYTES
from tests.support.api import FLAG, PROJECT, SETTINGS, problem

COMMANDS = f"{PROJECT}/commands"
BATCH = f"{PROJECT}/commands:batch"


def enable(**more: Any) -> dict[str, Any]:
    return {"type": "EnableFlag", "flag": "checkout", "environment": "development", **more}


async def test_one_command_is_answered_as_its_own_route_would(demo: httpx.AsyncClient) -> None:
    response = await demo.post(COMMANDS, json=enable(), headers={"if-match": '"0"'})
    assert response.status_code == 200, response.text
    assert response.json()["events"][0]["type"] == "FlagEnabled"
    assert response.headers["etag"] == '"1"'


async def test_a_batch_takes_effect_together_and_answers_for_each(
    demo: httpx.AsyncClient,
) -> None:
    commands = [
        {"type": "CreateFlag", "flag": "second"},
        enable(),
        {**enable(), "flag": "second", "expectedRevision": 0, "comment": "own"},
    ]
    response = await demo.post(f"{BATCH}?comment=release", json={"commands": commands})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [len(result["events"]) for result in answer["results"]] == [1, 1, 1]
    events = (await demo.get(f"{PROJECT}/events?limit=3")).json()["items"]
    assert len({event["commandId"] for event in events}) == 1
    assert [event["body"]["comment"] for event in events] == ["own", "release", "release"]


async def test_a_refused_batch_leaves_no_trace(demo: httpx.AsyncClient) -> None:
    commands = [enable(), {"type": "ArchiveFlag", "flag": "nothing"}]
    problem(await demo.post(BATCH, json={"commands": commands}), 404, "not-found")
    assert (await demo.get(SETTINGS)).json()["enabled"] is False


async def test_a_fault_in_a_batch_names_the_command(demo: httpx.AsyncClient) -> None:
    commands = [enable(), enable(colour="x")]
    refused = await demo.post(BATCH, json={"commands": commands})
    (error,) = problem(refused, 422, "invalid-command")["errors"]
    assert error["path"] == "/commands/1/colour"
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"commands": []},
        {"commands": "all"},
        {"commands": [1]},
        {"orders": []},
    )
    for body in bodies:
        problem(await demo.post(BATCH, json=body), 422, "malformed")


async def test_an_etag_is_not_for_batches(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(BATCH, json={"commands": [enable()]}, headers={"if-match": '"0"'})
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "If-Match"


async def test_an_unknown_command_is_named(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(COMMANDS, json={"type": "EnableFlags"})
    (error,) = problem(refused, 422, "invalid-command")["errors"]
    assert error["path"] == "/type"
    assert "EnableFlag" in error["reason"]


async def test_events_are_not_voided_over_http(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(COMMANDS, json={"type": "VoidEvent", "seq": 1, "reason": "x"})
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/type"


async def test_a_project_is_created_in_its_own_log_only(demo: httpx.AsyncClient) -> None:
    refused = await demo.post(COMMANDS, json={"type": "CreateProject", "project": "other"})
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/project"


async def test_bodies_have_limits_and_those_of_batches_are_larger(
    demo: httpx.AsyncClient,
) -> None:
    large = enable(comment="x" * BODY_LIMIT_BYTES)
    refused = await demo.post(COMMANDS, json=large)
    problem(refused, 413, "body-too-large")
    assert refused.headers["connection"] == "close"
    problem(await demo.post(BATCH, json={"commands": [large]}), 422, "invalid-command")
    huge = b" " * (BATCH_LIMIT_BYTES + 1)
    problem(await demo.post(BATCH, content=huge), 413, "body-too-large")


async def test_a_body_in_pieces_is_read_and_has_the_same_limit(demo: httpx.AsyncClient) -> None:
    async def pieces(size: int) -> Any:
        yield b'{"type":"ArchiveFlag","flag":"checkout","comment":"'
        yield b"x" * size
        yield b'"}'

    assert (await demo.post(COMMANDS, content=pieces(100))).status_code == 200
    assert (await demo.get(FLAG)).json()["archived"] is True
    problem(await demo.post(COMMANDS, content=pieces(BODY_LIMIT_BYTES)), 413, "body-too-large")


async def test_what_is_not_json_is_told_from_what_is_not_a_command(
    demo: httpx.AsyncClient,
) -> None:
    for body in (b"{", b"\xff\xfe", b"{'a':1}"):
        problem(await demo.post(COMMANDS, content=body), 400, "not-json")
    problem(await demo.post(COMMANDS, content=b"[" * 100_000), 400, "not-json")
    problem(await demo.post(COMMANDS, content=b"[]"), 422, "malformed")
    problem(await demo.post(COMMANDS, content=b""), 422, "invalid-command")


async def test_a_refusal_in_a_batch_names_its_command(demo: httpx.AsyncClient) -> None:
    commands: list[dict[str, Any]] = [
        {"type": "CreateFlag", "flag": "third"},
        {"type": "EnableFlag", "flag": "nowhere", "environment": "development"},
    ]
    answer = await demo.post(BATCH, json={"commands": commands})
    found = problem(answer, 404, "not-found")
    assert [each["path"] for each in found["errors"]] == ["/commands/1"]
    commands[1] = {"type": "RenameFlag", "flag": "third", "name": "One", "expectedRevision": 7}
    answer = await demo.post(BATCH, json={"commands": commands})
    found = problem(answer, 412, "stale-revision")
    assert [each["path"] for each in found["errors"]] == ["/commands/1"]
