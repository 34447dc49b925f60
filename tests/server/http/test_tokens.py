"""API tokens over HTTP: issued once, told of, ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.system.commands import DisableAccount, IssueToken
from domain.system.vocabulary import SYSTEM_LOG
from server.credentials import TOKEN_PREFIX, fingerprint
from server.http.dependencies import Dependencies
from server.writing.submission import Submission
from tests.support.api import ADMIN, client_of, created, problem, running_dependencies

OWN = "/api/v1/auth/tokens"
ALL = "/api/v1/tokens"
SERVICES = "/api/v1/auth/service-accounts"
PROJECTS = "/api/v1/projects"


async def listed(api: httpx.AsyncClient, path: str = OWN, **query: str) -> list[Any]:
    response = await api.get(path, params=query)
    assert response.status_code == 200, response.text
    items: list[Any] = response.json()["items"]
    return items


async def opens(dependencies: Dependencies, token: str) -> httpx.Response:
    async with client_of(dependencies, token) as client:
        return await client.get(PROJECTS)


async def test_a_token_is_shown_once_and_opens_its_account(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    before = datetime.now(UTC)
    issued = (await created(api, OWN, {"name": "deploy", "expiresInDays": 30})).json()
    assert issued["secret"].startswith(TOKEN_PREFIX)
    assert (await opens(dependencies, issued["secret"])).status_code == 200
    (view,) = await listed(api, search="DEPLOY")
    assert (view["id"], view["account"], view["state"]) == (issued["id"], ADMIN, "open")
    lives = datetime.fromisoformat(view["expiresAt"]) - before
    assert timedelta() <= lives - timedelta(days=30) < timedelta(minutes=1)
    assert issued["secret"] not in str(view)


async def test_the_log_has_its_hash_alone(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    issued = (await created(api, OWN, {})).json()
    state = (await dependencies.writers.system()).state
    assert state.tokens[issued["id"]].sha256 == fingerprint(issued["secret"])
    log = await dependencies.store.read(SYSTEM_LOG, 0, 100)
    assert all(issued["secret"].encode() not in event.body for event in log)


async def test_a_repeat_issues_no_second_token_and_does_not_show_it(
    api: httpx.AsyncClient,
) -> None:
    headers = {"idempotency-key": "once"}
    first = (await api.post(OWN, json={"name": "ci"}, headers=headers)).json()
    again = (await api.post(OWN, json={"name": "ci"}, headers=headers)).json()
    assert (again["id"], again["secret"], again["replayed"]) == (first["id"], None, True)
    assert len(await listed(api, search="ci")) == 1


async def test_a_revoked_token_opens_nothing_in_any_process(
    database_url: str, dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    issued = (await created(api, OWN, {})).json()
    async with running_dependencies(database_url) as other:
        assert (await opens(other, issued["secret"])).status_code == 200
        revoked = await api.delete(f"{OWN}/{issued['id']}")
        assert revoked.status_code == 200
        await other.writers.system(revoked.json()["seq"])
        for process in (dependencies, other):
            refused = problem(await opens(process, issued["secret"]), 401, "unauthenticated")
            assert refused["detail"] == "the token is unknown, or was revoked"
    assert [token["id"] for token in await listed(api, state="revoked")] == [issued["id"]]


async def issue(dependencies: Dependencies, account: str, **more: Any) -> str:
    secret = TOKEN_PREFIX + account + str(len(more))
    command = IssueToken(token=f"t-{secret}", account=account, sha256=fingerprint(secret), **more)
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", command))
    return secret


async def test_whoever_has_an_expired_token_is_told_so(dependencies: Dependencies) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    secret = await issue(dependencies, ADMIN, expires_at=soon)
    while datetime.now(UTC) < soon:
        answer = await opens(dependencies, secret)
    refused = problem(await opens(dependencies, secret), 401, "unauthenticated")
    assert answer.status_code in {200, 401}
    assert refused["detail"] == "the token has expired"


async def test_the_tokens_of_a_disabled_account_open_nothing(dependencies: Dependencies) -> None:
    secret = await issue(dependencies, "account-2")
    disable = Submission.of(ADMIN, DisableAccount(account="account-2"))
    await dependencies.writers.submit(SYSTEM_LOG, disable)
    refused = problem(await opens(dependencies, secret), 401, "unauthenticated")
    assert refused["detail"] == "the token's account is disabled"


async def test_a_scope_is_kept_and_read_only_is_short_for_one(api: httpx.AsyncClient) -> None:
    scope = {"permissions": ["flag:*"], "projects": ["shop"], "environments": ["$unprotected"]}
    await created(api, OWN, {"name": "scoped", "scope": scope})
    await created(api, OWN, {"name": "reader", "readOnly": True})
    (scoped,) = await listed(api, search="scoped")
    assert scoped["scope"] == scope
    (reader,) = await listed(api, search="reader")
    verbs = reader["scope"]["permissions"]
    assert "flag:read" in verbs
    assert all(verb.endswith(":read") for verb in verbs)


@pytest.mark.parametrize(
    ("body", "path", "slug"),
    [
        ({"expiresInDays": 0}, "/expiresInDays", "malformed"),
        ({"expiresInDays": 367}, "/expiresInDays", "malformed"),
        ({"expiresInDays": None}, "/expiresInDays", "malformed"),
        ({"sha256": "f" * 64}, "/sha256", "malformed"),
        ({"readOnly": True, "scope": {"permissions": ["*"]}}, "/readOnly", "malformed"),
        ({"scope": {"permissions": []}}, "/scope/permissions", "invalid-command"),
        ({"scope": {"permissions": ["flag:rewrite"]}}, "/scope/permissions/0", "invalid-command"),
        ({"scope": {"permissions": ["*"], "projects": ["$x"]}}, "/scope/projects/0", ""),
    ],
)
async def test_a_token_that_cannot_be_names_the_field(
    api: httpx.AsyncClient, body: dict[str, Any], path: str, slug: str
) -> None:
    refused = problem(await api.post(OWN, json=body), 422, slug or "invalid-command")
    assert refused["errors"][0]["path"] == path


async def test_a_token_issues_none_that_outlives_it(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    short = (await created(api, OWN, {"name": "short", "expiresInDays": 1})).json()
    async with client_of(dependencies, short["secret"]) as client:
        child = (await created(client, OWN, {"expiresInDays": 300})).json()
    assert child["expiresAt"] == short["expiresAt"]


async def test_a_token_issues_none_that_opens_more(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    scope = {"permissions": ["flag:read", "project:read"], "projects": ["shop"]}
    narrow = (await created(api, OWN, {"name": "narrow", "scope": scope})).json()
    async with client_of(dependencies, narrow["secret"]) as client:
        child = (await created(client, OWN, {"name": "child"})).json()
        wider = {"scope": {"permissions": ["flag:*"], "projects": ["shop"]}}
        assert (await client.post(OWN, json=wider)).status_code == 403
    (view,) = await listed(api, search="child")
    assert (view["id"], view["scope"]) == (child["id"], scope)


async def test_nobody_revokes_somebody_elses_token_as_their_own(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    await issue(dependencies, "account-2")
    assert problem(await api.delete(f"{OWN}/t-hly_account-20"), 404, "not-found")
    assert (await api.delete(f"{ALL}/t-hly_account-20")).status_code == 200


async def test_a_service_account_has_tokens_from_administrators(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    service = (await created(api, SERVICES, {"name": "CI", "role": "admin"})).json()["id"]
    issued = (await created(api, ALL, {"account": service, "name": "pipeline"})).json()
    assert (await opens(dependencies, issued["secret"])).status_code == 200
    (view,) = await listed(api, SERVICES)
    assert (view["id"], view["name"], view["role"], view["openTokens"]) == (
        service,
        "CI",
        "admin",
        1,
    )
    (token,) = await listed(api, ALL, account=service)
    assert (token["id"], token["name"]) == (issued["id"], "pipeline")
    assert service not in {token["account"] for token in await listed(api)}


async def test_the_tokens_of_people_are_issued_by_themselves_alone(
    api: httpx.AsyncClient,
) -> None:
    refused = problem(await api.post(ALL, json={"account": ADMIN}), 422, "malformed")
    assert refused["errors"][0]["path"] == "/account"
    assert problem(await api.post(ALL, json={"account": "nobody"}), 404, "not-found")


async def test_the_last_use_is_shown(dependencies: Dependencies, api: httpx.AsyncClient) -> None:
    issued = (await created(api, OWN, {"name": "used"})).json()
    (view,) = await listed(api, search="used")
    assert view["lastUsedAt"] is None
    before = datetime.now(UTC)
    await opens(dependencies, issued["secret"])
    notes = dependencies.authenticator.token_uses
    assert notes is not None
    await notes.write()
    (view,) = await listed(api, search="used")
    assert before <= datetime.fromisoformat(view["lastUsedAt"]) <= datetime.now(UTC)
