"""A document becomes a project: shown first where asked, all or nothing, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from domain.system import commands as s
from domain.system.vocabulary import SYSTEM_LOG, Grant
from server.credentials import fingerprint
from server.http.dependencies import Dependencies
from server.http.import_turns import ImportTurns
from server.http.writes import submit
from server.http.yaml_documents import write_yaml
from server.writing.submission import Submission
from tests.support.api import FLAG, PROJECT, SETTINGS, client_of, created, problem

IMPORT = f"{PROJECT}/import"
COPY = "/api/v1/projects/copy"


async def exported(api: httpx.AsyncClient, project: str = PROJECT) -> dict[str, Any]:
    response = await api.get(f"{project}/export")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


async def head(api: httpx.AsyncClient) -> int:
    seq: int = (await api.get(PROJECT)).json()["seq"]
    return seq


@pytest.fixture
async def full(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """With something of everything."""
    await created(demo, f"{PROJECT}/segments", {"key": "beta", "rules": [
        {"when": {"attribute": "plan", "op": "in", "values": ["pro"]}}]})  # fmt: skip
    await created(demo, f"{PROJECT}/flags", {"key": "base", "clientSide": True})
    for path, body in (
        (f"{SETTINGS}/rules", {"when": {"op": "segment", "values": ["beta"]},
                               "serve": {"variation": "on"}}),
    ):  # fmt: skip
        await created(demo, path, body)
    response = await demo.put(f"{SETTINGS}/prerequisites", json={"prerequisites": [
        {"flag": "base", "variations": ["on"]}]})  # fmt: skip
    assert response.status_code == 200, response.text
    assert (await demo.post(f"{SETTINGS}/enable")).status_code == 200
    return demo


async def test_what_was_exported_changes_nothing(full: httpx.AsyncClient) -> None:
    before = await head(full)
    for prune in ("false", "true"):
        document = await exported(full)
        response = await full.post(IMPORT, json=document, params={"prune": prune})
        assert response.status_code == 200, response.text
        answer = response.json()
        assert (answer["created"], answer["changed"], answer["deleted"]) == (0, 0, 0)
        assert answer["seq"] == before
    assert await head(full) == before


async def test_it_becomes_a_project_of_its_own(full: httpx.AsyncClient) -> None:
    document = await exported(full)
    problem(await full.post(f"{COPY}/import", json=document), 404, "not-found")
    response = await full.post(f"{COPY}/import", params={"create": "true"}, json=document)
    assert response.status_code == 200, response.text
    copied = await exported(full, COPY)
    assert copied == {**document, "project": {"key": "copy", "name": "Demo"}}


async def test_yaml_is_read_as_json_is(full: httpx.AsyncClient) -> None:
    document = await exported(full)
    response = await full.post(
        f"{COPY}/import?create=true",
        content=write_yaml(document),
        headers={"content-type": "application/yaml; charset=utf-8"},
    )
    assert response.status_code == 200, response.text
    assert (await exported(full, COPY))["flags"] == document["flags"]


async def test_a_dry_run_tells_and_does_nothing(full: httpx.AsyncClient) -> None:
    before, document = await head(full), await exported(full)
    document["flags"][0]["name"] = "Base of all"
    document["flags"].append({**document["flags"][1], "key": "new", "environments": {}})
    del document["segments"][0]["rules"]
    answer = (await full.post(IMPORT, params={"dryRun": "true"}, json=document)).json()
    assert answer["dryRun"] is True
    assert (answer["created"], answer["changed"], answer["deleted"]) == (1, 2, 0)
    told = {
        (each["entity"]["kind"], each["entity"]["key"]): (each["action"], each["events"])
        for each in answer["entities"]
    }
    assert told == {
        ("segment", "beta"): ("changed", ["SegmentRulesChanged"]),
        ("flag", "base"): ("changed", ["FlagRenamed"]),
        ("flag", "new"): ("created", ["FlagCreated"]),
    }
    assert await head(full) == before
    done = (await full.post(IMPORT, json=document)).json()
    assert done["entities"] == answer["entities"]
    assert done["seq"] == before + 3


async def test_its_events_are_of_one_command_and_name_what_they_carry_out(
    full: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    before, document = await head(full), await exported(full)
    document["flags"][0]["name"] = "One"
    document["flags"][1]["name"] = "Two"
    await full.post(IMPORT, json=document, params={"comment": "from git"})
    events = (await full.get(f"{PROJECT}/events", params={"after": before})).json()["items"]
    assert [each["type"] for each in events] == ["FlagRenamed", "FlagRenamed"]
    assert len({each["commandId"] for each in events}) == 1
    assert {each["body"]["comment"] for each in events} == {"from git"}


async def test_with_prune_what_is_not_named_goes(full: httpx.AsyncClient) -> None:
    document = await exported(full)
    document["flags"] = [each for each in document["flags"] if each["key"] == "base"]
    document["segments"] = []
    document["environments"] = document["environments"][:1]
    document["flags"][0]["environments"] = {}
    answer = (await full.post(IMPORT, params={"prune": "true"}, json=document)).json()
    assert answer["deleted"] == 4
    problem(await full.get(FLAG), 404, "not-found")
    assert len((await exported(full))["environments"]) == 1


def of_another_type(document: dict[str, Any]) -> None:
    document["flags"][0] |= {"type": "string", "variations": [{"key": "on", "value": "x"}],
                             "offVariation": None}  # fmt: skip


def serving_nothing(document: dict[str, Any]) -> None:
    environments = document["flags"][1]["environments"]
    environments["development"]["fallthrough"] = {"variation": "purple"}


def of_nowhere(document: dict[str, Any]) -> None:
    environments = document["flags"][1]["environments"]
    environments["mars"] = environments["development"]


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (of_another_type, "/flags/0"),
        (serving_nothing, "/flags/1/environments/development"),
        (of_nowhere, "/flags/1/environments/mars"),
    ],
)
async def test_what_stands_against_it_is_named_and_nothing_happens(
    full: httpx.AsyncClient, spoil: Callable[[dict[str, Any]], None], place: str
) -> None:
    before, document = await head(full), await exported(full)
    document["flags"][0]["name"] = "Renamed"
    spoil(document)
    refused = problem(await full.post(IMPORT, json=document), 409, "import-refused")
    assert place in {error["path"] for error in refused["errors"]}
    shown = (await full.post(IMPORT, params={"dryRun": "true"}, json=document)).json()
    assert shown["refusals"] == refused["errors"]
    assert await head(full) == before


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"version": 2}, "/version"),
        ({"colour": 1}, "/colour"),
        ({"flags": [{"key": "a"}]}, "/flags/0/name"),
        ({"flags": 1}, "/flags"),
        ({"environments": [{"key": "a", "name": "A"}, {"key": "a", "name": "B"}]},
         "/environments"),
    ],
)  # fmt: skip
async def test_a_field_at_fault_is_named(
    full: httpx.AsyncClient, change: dict[str, Any], path: str
) -> None:
    document = {**(await exported(full)), **change}
    refused = problem(await full.post(IMPORT, json=document), 422, "malformed")
    assert path in {error["path"].replace("/...", "/0") for error in refused["errors"]}


async def test_somebody_who_was_faster_is_seen(
    full: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, document = await head(full), await exported(full)
    document["flags"][0]["name"] = "Mine"
    document["flags"][1]["name"] = "Mine too"

    async def overtaken(call: Any, *arguments: Any, **more: Any) -> Any:
        await full.patch(f"{PROJECT}/flags/base", json={"name": "Theirs"})
        return await submit(call, *arguments, **more)

    monkeypatch.setattr("server.http.imports.submit", overtaken)
    problem(await full.post(IMPORT, json=document), 412, "stale-revision")
    assert await head(full) == before + 1


async def test_a_repeat_is_answered_as_the_first_was(full: httpx.AsyncClient) -> None:
    document = await exported(full)
    document["flags"][0]["name"] = "Once"
    headers = {"idempotency-key": "deploy-7"}
    first = (await full.post(IMPORT, json=document, headers=headers)).json()
    again = (await full.post(IMPORT, json=document, headers=headers)).json()
    assert again == {**first, "replayed": True}
    document["flags"][0]["name"] = "Twice"
    other = await full.post(IMPORT, json=document, headers=headers)
    problem(other, 422, "idempotency-mismatch")


async def test_what_changed_nothing_is_repeated_as_well(full: httpx.AsyncClient) -> None:
    before, document = await head(full), await exported(full)
    headers = {"idempotency-key": "deploy-8"}
    first = (await full.post(IMPORT, json=document, headers=headers)).json()
    assert (first["seq"], first["entities"], first["replayed"]) == (before, [], False)
    await full.patch(FLAG, json={"name": "Another"})
    again = (await full.post(IMPORT, json=document, headers=headers)).json()
    assert again == {**first, "replayed": True}
    document["flags"][0]["name"] = "Twice"
    other = await full.post(IMPORT, json=document, headers=headers)
    problem(other, 422, "idempotency-mismatch")
    assert await head(full) == before + 1


async def test_if_match_is_of_one_entity(full: httpx.AsyncClient) -> None:
    response = await full.post(IMPORT, json=await exported(full), headers={"if-match": '"1"'})
    problem(response, 422, "malformed")


async def test_somebody_without_the_right_learns_nothing(
    full: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    document = await exported(full)
    async with client_of(dependencies, "viewer") as viewer:
        for query in ("", "?dryRun=true"):
            assert (await viewer.post(f"{IMPORT}{query}", json=document)).status_code in (403, 404)


async def test_a_deleted_project_can_be_begun_anew(full: httpx.AsyncClient) -> None:
    document = await exported(full)
    await full.delete(PROJECT)
    problem(await full.post(IMPORT, json=document), 404, "not-found")
    response = await full.post(IMPORT, params={"create": "true"}, json=document)
    assert response.status_code == 200, response.text
    assert await exported(full) == document


async def of_staging(dependencies: Dependencies) -> str:
    """The token of somebody who may import, and change things in staging alone."""
    grants = (
        Grant(("project:*",)),
        Grant(("flag:*", "segment:*", "environment:*"), environments=("staging",)),
    )
    commands = (
        s.CreateAccount(account="ann"),
        s.CreateRole(role="narrow", grants=grants),
        s.AssignRole(subject="account", id="ann", role="narrow", project="demo"),
        s.IssueToken(token="of-ann", account="ann", sha256=fingerprint("token-of-ann")),
    )
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))
    return "token-of-ann"


def in_staging(document: dict[str, Any]) -> None:
    document["flags"][1]["environments"]["staging"]["enabled"] = True


def in_production(document: dict[str, Any]) -> None:
    document["flags"][1]["environments"]["production"]["enabled"] = True


def wherever_it_is_used(document: dict[str, Any]) -> None:
    document["segments"][0]["rules"] = []


def impossible_in_production(document: dict[str, Any]) -> None:
    environments = document["flags"][1]["environments"]
    environments["production"]["fallthrough"] = {"variation": "purple"}


@pytest.mark.parametrize(
    ("change", "environment"),
    [
        (in_staging, None),
        (in_production, "production"),
        (wherever_it_is_used, "development"),
        (impossible_in_production, "production"),
    ],
)
async def test_what_may_not_be_carried_out_is_refused_and_not_shown_either(
    full: httpx.AsyncClient,
    dependencies: Dependencies,
    change: Callable[[dict[str, Any]], None],
    environment: str | None,
) -> None:
    document = await exported(full)
    change(document)
    async with client_of(dependencies, await of_staging(dependencies)) as narrow:
        for query in ("?dryRun=true", ""):
            response = await narrow.post(f"{IMPORT}{query}", json=document)
            if environment is None:
                assert response.status_code == 200, response.text
                assert response.json()["changed"] == 1
            else:
                assert problem(response, 403, "forbidden")["environment"] == environment


async def test_approvals_are_bypassed_by_an_import_with_a_reason(full: httpx.AsyncClient) -> None:
    document = await exported(full)
    environment = f"{PROJECT}/environments/production"
    assert (await full.patch(environment, json={"requiredApprovals": 1})).status_code == 200
    document["environments"] = (await exported(full))["environments"]
    in_production(document)
    problem(await full.post(IMPORT, json=document), 409, "import-refused")
    shown = await full.post(f"{IMPORT}?bypassApproval=true&dryRun=true", json=document)
    assert (shown.json()["changed"], shown.json()["refusals"]) == (1, [])
    refused = await full.post(f"{IMPORT}?bypassApproval=true", json=document)
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/comment"
    done = await full.post(f"{IMPORT}?bypassApproval=true&comment=now", json=document)
    assert done.json()["changed"] == 1, done.text
    newest = (await full.get(f"{PROJECT}/events?limit=1")).json()["items"][0]
    assert newest["causationId"].startswith("approval-bypass:import:")


async def test_so_many_imports_are_made_at_a_time(
    full: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    document = await exported(full)
    impatient = replace(dependencies, import_turns=ImportTurns(1, waiting_s=0.01))
    async with client_of(impatient) as api, impatient.import_turns.one():
        refused = await api.post(IMPORT, json=document)
        problem(refused, 503, "too-many-imports")
        assert refused.headers["retry-after"] == "5"
    async with client_of(impatient) as api:
        assert (await api.post(IMPORT, json=document)).status_code == 200


async def test_who_waits_for_a_turn_has_it_once_another_is_done() -> None:
    turns, had = ImportTurns(1), asyncio.Event()

    async def import_something() -> None:
        async with turns.one():
            had.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        async with turns.one():
            tasks.create_task(import_something())
            await asyncio.sleep(0)  # it has come as far as it can
            assert not had.is_set()
        await had.wait()
