"""Change requests over HTTP: opened, reviewed, applied or overtaken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from domain.system.commands import (
    AssignRole,
    CreateAccount,
    CreateRole,
    DisableAccount,
    EraseAccount,
    IssueToken,
    SystemCommand,
    UnassignRole,
)
from domain.system.vocabulary import Grant
from eventstore.log import SYSTEM_LOG
from server.credentials import fingerprint
from server.http import change_requests
from server.http.dependencies import Dependencies
from server.http.reads import Seen
from server.writing.submission import Submission
from tests.support.api import FLAG, PROJECT, client_of, problem

REQUESTS = f"{PROJECT}/change-requests"
IN_PRODUCTION = f"{FLAG}/environments/production"
ENABLE = {"type": "EnableFlag", "flag": "checkout", "environment": "production"}


@pytest.fixture
async def guarded(demo: httpx.AsyncClient) -> httpx.AsyncClient:
    """Demo, whose production asks for one approval."""
    changed = await demo.patch(f"{PROJECT}/environments/production", json={"requiredApprovals": 1})
    assert changed.status_code == 200, changed.text
    return demo


@pytest.fixture
async def bob(dependencies: Dependencies) -> AsyncIterator[httpx.AsyncClient]:
    """Another admin's client."""
    account = CreateAccount(account="bob", role="admin")
    token = IssueToken(token="token-bob", account="bob", sha256=fingerprint("bobs"))
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", account, token))
    async with client_of(dependencies, "bobs") as client:
        yield client


async def opened(api: httpx.AsyncClient, *commands: dict[str, Any]) -> str:
    body = {"title": "Launch", "commands": list(commands or (ENABLE,))}
    response = await api.post(REQUESTS, json=body)
    assert response.status_code == 201, response.text
    return response.headers["location"]


async def approved(api: httpx.AsyncClient, request: str) -> httpx.Response:
    seen = await api.get(request)
    return await api.post(f"{request}/approve", headers={"if-match": seen.headers["etag"]})


async def test_a_direct_change_is_refused_and_says_why(guarded: httpx.AsyncClient) -> None:
    refused = problem(await guarded.post(f"{IN_PRODUCTION}/enable"), 409, "approval-required")
    assert (refused["environments"], refused["required"]) == (["production"], 1)
    assert (await guarded.post(f"{FLAG}/environments/staging/enable")).status_code == 200


async def test_a_request_is_approved_and_applied(
    guarded: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    request = await opened(guarded)
    view = (await guarded.get(request)).json()
    assert (view["state"], view["requiredApprovals"], view["environments"]) == (
        "open",
        1,
        ["production"],
    )
    assert view["authors"] == [{"id": "account-1", "name": "Ada"}]
    problem(await approved(guarded, request), 409, "own-request")
    problem(await bob.post(f"{request}/apply"), 409, "approval-required")
    assert (await approved(bob, request)).status_code == 200
    answer = (await bob.post(f"{request}/apply")).json()
    assert [event["type"] for event in answer["events"]] == ["FlagEnabled", "ChangeRequestApplied"]
    assert (await guarded.get(IN_PRODUCTION)).json()["enabled"]
    events = (await guarded.get(f"{PROJECT}/events?limit=2")).json()["items"]
    cause = f"change-request:{view['id']}"
    assert [event["causationId"] for event in events] == [cause, cause]
    assert events[1]["body"]["comment"] == "Launch"
    problem(await bob.post(f"{request}/apply"), 409, "request-closed")


async def test_an_application_is_repeated_under_its_key(
    guarded: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    request = await opened(guarded)
    await approved(bob, request)
    headers = {"idempotency-key": "once"}
    first = (await bob.post(f"{request}/apply", headers=headers)).json()
    again = (await bob.post(f"{request}/apply", headers=headers)).json()
    assert again == {**first, "replayed": True}


LEAVING: dict[str, SystemCommand] = {
    "disabled": DisableAccount(account="bob"),
    "erased": EraseAccount(account="bob"),
    "without the role": UnassignRole(subject="account", id="bob"),
    "with too small a role": AssignRole(subject="account", id="bob", role="developer"),
}


@pytest.mark.parametrize("how", LEAVING)
async def test_an_approval_does_not_count_once_its_giver_is(
    how: str, guarded: httpx.AsyncClient, bob: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    request = await opened(guarded)
    assert (await approved(bob, request)).status_code == 200
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", LEAVING[how]))
    refused = problem(await guarded.post(f"{request}/apply"), 409, "approval-required")
    assert (refused["environments"], refused["given"]) == (["production"], 0)
    assert [each["counts"] for each in (await guarded.get(request)).json()["approvals"]] == [False]
    assert not (await guarded.get(IN_PRODUCTION)).json()["enabled"]


async def test_an_approval_counts_again_with_its_giver_s_right(
    guarded: httpx.AsyncClient, bob: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    request = await opened(guarded)
    await approved(bob, request)
    scope = Grant(("change-request:*", "project:read"), environments=("production",))
    commands = (
        CreateRole(role="reviewer", grants=(scope,)),
        AssignRole(subject="account", id="bob", role="reviewer"),
    )
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))
    listed = (await guarded.get(REQUESTS)).json()["items"]
    assert [each["counts"] for each in listed[0]["approvals"]] == [True]
    assert (await guarded.post(f"{request}/apply")).status_code == 200


async def test_an_approval_says_what_was_seen(
    guarded: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    request = await opened(guarded)
    problem(await bob.post(f"{request}/approve"), 422, "invalid-command")
    seen = (await bob.get(request)).headers["etag"]
    await guarded.patch(request, json={"title": "Launch it all"})
    stale = await bob.post(f"{request}/approve", headers={"if-match": seen})
    problem(stale, 412, "stale-revision")


async def test_what_was_approved_is_not_what_a_server_that_lags_has_read(
    guarded: httpx.AsyncClient,
    bob: httpx.AsyncClient,
    dependencies: Dependencies,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = await opened(guarded)
    folded = await dependencies.writers.state("demo")
    before = Seen(folded.state.copy(), folded.seq, folded.last_at)
    harmless = {"type": "DescribeFlag", "flag": "checkout", "description": "Harmless"}
    edited = await guarded.patch(request, json={"commands": [harmless]})
    assert edited.status_code == 200, edited.text
    assert (await approved(bob, request)).status_code == 200

    async def lagging(_call: Any) -> Seen:
        return before

    with monkeypatch.context() as patched:
        patched.setattr(change_requests, "present", lagging)
        problem(await guarded.post(f"{request}/apply"), 412, "stale-revision")
    assert not (await guarded.get(IN_PRODUCTION)).json()["enabled"]
    assert (await guarded.post(f"{request}/apply")).status_code == 200


async def test_what_moved_is_shown_and_refused_until_it_is_taken_in(
    demo: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    request = await opened(demo)
    await demo.post(
        f"{IN_PRODUCTION}/rules",
        json={
            "when": {"op": "exists", "attribute": "plan"},
            "serve": {"variation": "on"},
        },
    )
    [moved] = (await demo.get(request)).json()["moved"]
    assert (moved["entity"]["environment"], moved["base"], moved["revision"]) == (
        "production",
        0,
        1,
    )
    refused = problem(await bob.post(f"{request}/apply"), 412, "stale-revision")
    assert [event["type"] for event in refused["between"]] == ["RuleAdded"]
    await demo.patch(request, json={"commands": [ENABLE]})
    assert (await demo.get(request)).json()["moved"] == []
    assert (await bob.post(f"{request}/apply")).status_code == 200


async def test_all_commands_are_applied_or_none(
    demo: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    unknown = {"type": "RenameFlag", "flag": "nobody", "name": "x"}
    request = await opened(demo, ENABLE, unknown)
    difference = (await demo.get(f"{request}/diff")).json()
    assert [change["path"] for change in difference["changes"]] == ["/enabled"]
    assert "there is no flag 'nobody'" in difference["obstacles"][0]["reason"]
    refused = problem(await bob.post(f"{request}/apply"), 404, "not-found")
    assert refused["errors"][0]["path"] == "/commands/1"
    assert not (await demo.get(IN_PRODUCTION)).json()["enabled"]


async def test_what_a_request_would_change_is_shown_before_anybody_approves(
    guarded: httpx.AsyncClient,
) -> None:
    request = await opened(guarded)
    difference = (await guarded.get(f"{request}/diff")).json()
    assert [change["path"] for change in difference["changes"]] == ["/enabled"]
    assert difference["obstacles"] == []


async def test_requests_are_listed_by_state_newest_first(demo: httpx.AsyncClient) -> None:
    first, second, third = [await opened(demo) for _ in range(3)]
    await demo.post(f"{second}/withdraw")
    page = (await demo.get(f"{REQUESTS}?limit=1")).json()
    assert third.endswith(page["items"][0]["id"])
    rest = (await demo.get(f"{REQUESTS}?limit=1&cursor={page['nextCursor']}")).json()
    assert first.endswith(rest["items"][0]["id"])
    assert rest["nextCursor"] is None
    [gone] = (await demo.get(f"{REQUESTS}?state=withdrawn")).json()["items"]
    assert second.endswith(gone["id"])


async def test_a_rejection_asks_for_another_version(
    guarded: httpx.AsyncClient, bob: httpx.AsyncClient
) -> None:
    request = await opened(guarded)
    await approved(bob, request)
    await bob.post(f"{request}/reject", json={"comment": "Not on a Friday"})
    view = (await guarded.get(request)).json()
    assert (view["state"], view["approvals"]) == ("rejected", [])


async def test_in_an_emergency_approvals_are_bypassed_with_a_reason(
    guarded: httpx.AsyncClient,
) -> None:
    path = f"{IN_PRODUCTION}/enable?bypassApproval=true"
    silent = await guarded.post(path)
    assert problem(silent, 422, "invalid-command")["errors"][0]["path"] == "/comment"
    assert (await guarded.post(f"{path}&comment=It+burns")).status_code == 200
    newest = (await guarded.get(f"{PROJECT}/events?limit=1")).json()["items"][0]
    assert newest["causationId"] == "approval-bypass"


async def test_a_request_is_not_applied_by_a_command(demo: httpx.AsyncClient) -> None:
    key = (await opened(demo)).rsplit("/", 1)[1]
    command = {"type": "ApplyChangeRequest", "changeRequest": key}
    problem(await demo.post(f"{PROJECT}/commands", json=command), 422, "invalid-command")


async def test_a_request_that_is_not_there_is_not_found(demo: httpx.AsyncClient) -> None:
    for method, tail in (("GET", ""), ("GET", "/diff"), ("POST", "/apply"), ("POST", "/withdraw")):
        problem(await demo.request(method, f"{REQUESTS}/none{tail}"), 404, "not-found")


async def test_a_request_for_an_environment_that_is_hidden_is_hidden(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    commands = (
        CreateRole(role="narrow", grants=(Grant(("*",), environments=("staging",)),)),
        CreateAccount(account="eve", role="narrow"),
        IssueToken(token="token-eve", account="eve", sha256=fingerprint("eves")),
    )
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))
    hidden = await opened(demo)
    shown = await opened(demo, {**ENABLE, "environment": "staging"})
    async with client_of(dependencies, "eves") as eve:
        [listed] = (await eve.get(REQUESTS)).json()["items"]
        assert shown.endswith(listed["id"])
        assert (await eve.get(f"{shown}/diff")).status_code == 200
        for tail in ("", "/diff"):
            problem(await eve.get(hidden + tail), 404, "not-found")
