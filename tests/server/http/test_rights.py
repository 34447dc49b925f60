"""Roles, groups and effective permissions over HTTP, and ways to get more than one was given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from domain.system import commands as s
from domain.system.vocabulary import SYSTEM_LOG, Grant
from server.credentials import fingerprint
from server.http.dependencies import Dependencies
from server.writing.submission import Submission
from tests.support.api import ADMIN, FLAG, PROJECT, TOKEN, client_of, created, problem
from tests.support.people import bearer, logged_in, with_password

AUTH = "/api/v1/auth"
EDITOR = {"permissions": ["flag:read", "flag:write"], "environments": ["staging"]}


async def setup(dependencies: Dependencies, *commands: s.SystemCommand) -> None:
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *commands))


def assign(role: str, project: str = "*", to: str = "ann") -> s.AssignRole:
    return s.AssignRole(subject="account", id=to, role=role, project=project)


@pytest.fixture
async def ann(
    dependencies: Dependencies, demo: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without any role, beside the project demo."""
    assert demo is not None
    token = s.IssueToken(token="of-ann", account="ann", sha256=fingerprint("token-of-ann"))
    await setup(dependencies, s.CreateAccount(account="ann"), token)
    async with client_of(dependencies, "token-of-ann") as client:
        yield client


async def test_a_custom_role_is_created_changed_and_deleted(api: httpx.AsyncClient) -> None:
    await created(api, f"{AUTH}/roles", {"role": "editor", "grants": [EDITOR]})
    read = await api.get(f"{AUTH}/roles/editor")
    assert read.json()["grants"] == [EDITOR]
    changed = {"name": "Editors", "grants": [{"permissions": ["flag:*"]}]}
    assert (await api.put(f"{AUTH}/roles/editor", json=changed)).status_code == 200
    listed = (await api.get(f"{AUTH}/roles", params={"search": "edit"})).json()["items"]
    assert [row["name"] for row in listed] == ["Editors"]
    assert (await api.delete(f"{AUTH}/roles/editor")).status_code == 200
    problem(await api.get(f"{AUTH}/roles/editor"), 404, "not-found")


async def test_built_in_roles_show_what_they_grant_and_never_change(api: httpx.AsyncClient) -> None:
    listed = (await api.get(f"{AUTH}/roles")).json()["items"]
    assert [row["role"] for row in listed if row["builtIn"]] == ["admin", "developer", "viewer"]
    body = {"grants": [{"permissions": ["*"]}]}
    problem(await api.put(f"{AUTH}/roles/viewer", json=body), 422, "invalid-command")


async def test_a_group_gives_its_members_its_role_until_they_leave(
    demo: httpx.AsyncClient, ann: httpx.AsyncClient
) -> None:
    problem(await ann.get(FLAG), 404, "not-found")
    await created(demo, f"{AUTH}/groups", {"group": "team", "name": "Team"})
    role = {"role": "developer", "project": "demo"}
    assert (await demo.put(f"{AUTH}/groups/team/role", json=role)).status_code == 200
    members = {"accounts": ["ann"]}
    answer = await demo.post(f"{AUTH}/groups/team/members", json=members)
    assert answer.status_code == 200
    assert (await ann.get(FLAG)).status_code == 200
    shown = (await demo.get(f"{AUTH}/groups/team")).json()
    assert (shown["members"], shown["roles"]) == (["ann"], [role])
    await demo.post(f"{AUTH}/groups/team/members/remove", json=members)
    problem(await ann.get(FLAG), 404, "not-found")
    await demo.delete(f"{AUTH}/groups/team/role", params={"project": "demo"})
    assert (await demo.get(f"{AUTH}/groups/team")).json()["roles"] == []


async def test_why_somebody_may_do_something_names_the_grant(
    demo: httpx.AsyncClient, ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await setup(dependencies, assign("developer", "demo"))
    asked = {"project": "demo", "environment": "staging", "permission": "flag:write"}
    why = (await demo.get(f"{AUTH}/users/ann/permissions", params=asked)).json()
    assert why["allowed"] is True
    assert why["because"] == [{"role": "developer", "project": "demo", "group": "", "grant": 1}]
    own = await ann.get(f"{AUTH}/me/permissions", params=asked | {"environment": "production"})
    assert own.json()["allowed"] is False
    assert "flag:read" in own.json()["permissions"]
    assert "flag:write" not in own.json()["permissions"]


async def test_the_effective_view_tells_nothing_of_a_hidden_project(ann: httpx.AsyncClient) -> None:
    for project in ("demo", "nothing"):
        refused = await ann.get(f"{AUTH}/me/permissions", params={"project": project})
        assert problem(refused, 404, "not-found")["detail"] == f"there is no project '{project}'"


# -- attacks -------------------------------------------------------------------------------------


async def test_projects_of_others_are_neither_listed_nor_there(
    demo: httpx.AsyncClient, ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await created(demo, "/api/v1/projects", {"key": "mine"})
    await setup(dependencies, assign("admin", "mine"))
    listed = (await ann.get("/api/v1/projects")).json()["items"]
    assert [row["key"] for row in listed] == ["mine"]
    for key in ("demo", "Demo", "%64emo", "demo%2e", "nothing", "mine%2f..%2fdemo"):
        refused = await ann.get(f"/api/v1/projects/{key}/flags")
        assert refused.status_code == 404, key
    params = {"project": "demo", "environment": "staging", "user": "u"}
    problem(await ann.get("/api/v1/evaluate/checkout", params=params), 404, "not-found")


async def test_an_sdk_key_of_another_project_is_not_found(
    ann: httpx.AsyncClient, api: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await created(api, "/api/v1/projects", {"key": "other"})
    await setup(dependencies, assign("admin", project="other"))
    keys = f"{PROJECT}/environments/development/keys"
    issued = (await created(api, keys, {"kind": "server"})).json()["id"]
    elsewhere = f"/api/v1/projects/other/environments/development/keys/{issued}"
    for method, suffix in (("GET", ""), ("POST", "/rotate"), ("POST", "/revoke"), ("DELETE", "")):
        answer = await ann.request(method, elsewhere + suffix)
        assert answer.status_code in (404, 405), (method, suffix, answer.text)
        assert (await ann.request(method, f"{keys}/{issued}{suffix}")).status_code in (404, 405)
    assert (await api.get(f"{keys}/{issued}")).json()["revokedAt"] is None


async def test_somebody_elses_login_is_not_found(
    ann: httpx.AsyncClient, api: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await with_password(dependencies)
    login = await logged_in(api)
    problem(await ann.delete(f"{AUTH}/sessions/{login['session']}"), 404, "not-found")
    assert (await api.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))).status_code == 200


async def test_nobody_unprotects_and_changes_in_one_batch(
    ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await setup(dependencies, assign("developer", "demo"))
    commands = [
        {"type": "UnprotectEnvironment", "environment": "production"},
        {"type": "EnableFlag", "flag": "checkout", "environment": "production"},
    ]
    refused = await ann.post(f"{PROJECT}/commands:batch", json={"commands": commands})
    told = problem(refused, 403, "forbidden")
    assert (told["permission"], told["environment"]) == ("environment:write", "production")
    assert told["errors"][0]["path"] == "/commands/0"
    mixed = [{**commands[1], "environment": "staging"}, commands[1]]
    refused = await ann.post(f"{PROJECT}/commands:batch", json={"commands": mixed})
    assert problem(refused, 403, "forbidden")["errors"][0]["path"] == "/commands/1"
    settings = (await ann.get(f"{FLAG}/environments/staging")).json()
    assert settings["enabled"] is False


async def test_a_role_that_was_taken_away_counts_at_the_next_request(
    ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await setup(dependencies, assign("developer", "demo"))
    assert (await ann.post(f"{FLAG}/environments/staging/enable")).status_code == 200
    take = s.UnassignRole(subject="account", id="ann", project="demo")
    await setup(dependencies, take)
    problem(await ann.post(f"{FLAG}/environments/staging/disable"), 404, "not-found")


MANAGER = Grant(("account:*", "role:*"))
ESCALATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a role that may more": ("POST", "/roles", {"role": "r", "grants": [{"permissions": ["*"]}]}),
    "its own role": ("PUT", "/roles/manager", {"grants": [{"permissions": ["*"]}]}),
    "an administrator's group": ("POST", "/groups/admins/members", {"accounts": ["ann"]}),
    "a group for itself": ("PUT", "/groups/empty/role", {"role": "admin"}),
}


@pytest.mark.parametrize("attempt", ESCALATIONS)
async def test_who_manages_accounts_gets_no_further_by(
    attempt: str, ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await setup(
        dependencies,
        s.CreateRole(role="manager", grants=(MANAGER,)),
        assign("manager"),
        s.CreateGroup(group="admins"),
        s.CreateGroup(group="empty"),
        s.AssignRole(subject="group", id="admins", role="admin"),
    )
    method, path, body = ESCALATIONS[attempt]
    refused = await ann.request(method, AUTH + path, json=body)
    assert "which you do not have there yourself" in problem(refused, 403, "forbidden")["detail"]


@pytest.fixture
async def manager(ann: httpx.AsyncClient, dependencies: Dependencies) -> httpx.AsyncClient:
    """Ann, who manages accounts and may do nothing else."""
    await setup(dependencies, s.CreateRole(role="manager", grants=(MANAGER,)), assign("manager"))
    return ann


async def test_an_invitation_that_is_repeated_opens_no_account_that_has_become_more(
    manager: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    once = {"idempotency-key": "once"}
    body = {"email": "bob@example.org"}
    bob = (await manager.post(f"{AUTH}/users", json=body, headers=once)).json()["account"]
    assert (await manager.post(f"{AUTH}/users", json=body, headers=once)).status_code == 201
    await api.put(f"{AUTH}/users/{bob}/role", json={"role": "admin"})
    again = await manager.post(f"{AUTH}/users", json=body, headers=once)
    assert "secret" not in problem(again, 403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/password-reset", None),
        ("PATCH", "", {"email": "mallory@example.org"}),
        ("DELETE", "/sessions", None),
    ],
)
async def test_what_was_done_to_an_account_is_not_repeated_once_it_may_do_more(
    method: str, path: str, body: Any, manager: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    once = {"idempotency-key": "once"}
    invited = await manager.post(f"{AUTH}/users", json={"email": "bob@example.org"})
    bob = f"{AUTH}/users/{invited.json()['account']}"
    first = await manager.request(method, bob + path, json=body, headers=once)
    assert first.status_code == 200, first.text
    await api.put(f"{bob}/role", json={"role": "admin"})
    again = await manager.request(method, bob + path, json=body, headers=once)
    problem(again, 403, "forbidden")


BECOMING_MORE: dict[str, tuple[s.SystemCommand, ...]] = {
    "a role": (assign("admin", to="{bob}"),),
    "a role in a project": (assign("developer", "demo", to="{bob}"),),
    "a group": (
        s.CreateGroup(group="team"),
        s.AssignRole(subject="group", id="team", role="viewer"),
        s.AddGroupMembers(group="team", accounts=("{bob}",)),
    ),
    "what its role grants": (s.ChangeRole(role="clerk", grants=(Grant(("*",)),)),),
}


@pytest.mark.parametrize("way", ["/password-reset", "invitation"])
@pytest.mark.parametrize("more", BECOMING_MORE)
async def test_a_secret_opens_no_account_that_has_become_more_by(
    more: str, way: str, manager: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await setup(dependencies, s.CreateRole(role="clerk", grants=(Grant(("account:read",)),)))
    body = {"email": "bob@example.org", "role": "clerk"}
    given = (await manager.post(f"{AUTH}/users", json=body)).json()
    bob = given["account"]
    if way != "invitation":
        given = (await manager.post(f"{AUTH}/users/{bob}{way}")).json()
    await setup(dependencies, *(addressed(command, bob) for command in BECOMING_MORE[more]))
    problem(await chosen(manager, given["secret"]), 401, "secret-spent")
    row = await dependencies.desk.people.accounts.by_id(bob) if dependencies.desk else None
    assert row is not None
    assert row.password_hash is None


def addressed(command: s.SystemCommand, bob: str) -> s.SystemCommand:
    """The command, about the account that was made in the meantime."""
    source = msgspec.json.encode(command).replace(b"{bob}", bob.encode())
    return msgspec.json.decode(source, type=type(command))


async def chosen(client: httpx.AsyncClient, secret: str) -> httpx.Response:
    body = {"secret": secret, "password": "a rather long one"}
    return await client.post(f"{AUTH}/accept", json=body)


async def test_a_secret_ends_with_what_its_giver_may(
    manager: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    given = (await manager.post(f"{AUTH}/users", json={"email": "bob@example.org"})).json()
    await setup(dependencies, s.DisableAccount(account="ann"))
    problem(await chosen(manager, given["secret"]), 401, "secret-spent")
    await setup(dependencies, s.EnableAccount(account="ann"), s.RevokeToken(token="of-ann"))
    problem(await chosen(manager, given["secret"]), 401, "secret-spent")


async def test_nobody_passes_a_secret_off_as_an_administrator_s(
    manager: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    given = (await manager.post(f"{AUTH}/users", json={"email": "bob@example.org"})).json()
    await setup(dependencies, assign("admin", to=given["account"]))
    bare = given["secret"].partition(":")[0]
    for forged in (bare, f"{bare}:account:{ADMIN}", f"{bare}:token:token-1"):
        problem(await chosen(manager, forged), 401, "secret-spent")


async def test_an_administrator_s_secret_is_good_for_who_becomes_more(
    api: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await with_password(dependencies)
    login = bearer((await logged_in(api))["accessToken"])
    body = {"email": "bob@example.org"}
    given = (await api.post(f"{AUTH}/users", json=body, headers=login)).json()
    await setup(dependencies, assign("admin", to=given["account"]))
    assert (await chosen(api, given["secret"])).status_code == 204


async def test_who_manages_accounts_ends_no_login_of_an_administrator(
    manager: httpx.AsyncClient, api: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await with_password(dependencies)
    login = await logged_in(api)
    end = f"{AUTH}/users/{ADMIN}/sessions/{login['session']}"
    for path in (end, f"{AUTH}/users/{ADMIN}/sessions"):
        problem(await manager.delete(path), 403, "forbidden")
    assert (await api.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))).status_code == 200
    assert (await api.delete(end)).status_code == 204


async def test_a_limited_token_ends_no_login_of_its_account(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    await with_password(dependencies)
    login = await logged_in(api)
    scope = Grant(("account:*",))
    sha256 = fingerprint("limited")
    issue = s.IssueToken(token="limited", account=ADMIN, sha256=sha256, scope=scope)
    await setup(dependencies, issue)
    every = f"{AUTH}/users/{ADMIN}/sessions"
    async with client_of(dependencies, "limited") as limited:
        for path in (f"{every}/{login['session']}", every, f"{AUTH}/sessions/{login['session']}"):
            problem(await limited.delete(path), 403, "forbidden")
        problem(await limited.post(f"{AUTH}/logout-everywhere"), 403, "forbidden")
    assert (await api.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))).status_code == 200


async def test_a_limited_token_does_not_reset_the_password_of_its_own_account(
    dependencies: Dependencies, demo: httpx.AsyncClient
) -> None:
    assert demo is not None
    token = s.IssueToken(
        token="limited",
        account=ADMIN,
        sha256=fingerprint("limited"),
        scope=Grant(("account:*", "role:*", "token:*")),
    )
    await setup(dependencies, token)
    async with client_of(dependencies, "limited") as limited:
        reset = await limited.post(f"{AUTH}/users/{ADMIN}/password-reset")
        assert "secret" not in problem(reset, 403, "forbidden")
        role = await limited.put(f"{AUTH}/users/{ADMIN}/role", json={"role": ""})
        problem(role, 403, "forbidden")


async def test_what_a_manager_has_a_manager_can_give(
    ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await setup(dependencies, s.CreateRole(role="manager", grants=(MANAGER,)), assign("manager"))
    grants = [{"permissions": ["account:read"]}]
    await created(ann, f"{AUTH}/roles", {"role": "reader", "grants": grants})


async def test_who_reads_flags_in_one_environment_sees_no_other(
    ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    here = Grant(("flag:read", "environment:read"), environments=("staging",))
    role = s.CreateRole(role="narrow", grants=(here, Grant(("project:read",))))
    await setup(dependencies, role, assign("narrow", "demo"))
    assert list((await ann.get(FLAG)).json()["environments"]) == ["staging"]
    listed = (await ann.get(f"{PROJECT}/flags")).json()["items"]
    assert list(listed[0]["environments"]) == ["staging"]
    environments = (await ann.get(f"{PROJECT}/environments")).json()["items"]
    assert [row["key"] for row in environments] == ["staging"]
    refused = problem(await ann.get(f"{FLAG}/environments/production"), 403, "forbidden")
    assert refused["environment"] == "production"


async def test_a_dry_run_shows_no_more_than_may_be_seen(
    ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    here = Grant(("flag:read", "flag:write"), environments=("staging",))
    await setup(dependencies, s.CreateRole(role="narrow", grants=(here,)), assign("narrow", "demo"))
    for dry_run in (True, False):
        answer = await ann.post(
            f"{PROJECT}/flags:bulk",
            json={
                "action": "enable",
                "flags": ["checkout"],
                "environments": ["staging"],
                "dryRun": dry_run,
            },
        )
        (item,) = answer.json()["items"]
        assert item["events"] == ["FlagEnabled"]
        assert list(item["became"]["environments"]) == ["staging"]


@pytest.mark.parametrize(
    ("also", "lacking"),
    [
        (Grant(("environment:read",)), "segment:read"),
        (Grant(("environment:read", "segment:read")), "flag:read"),
        (Grant(("flag:*", "segment:*", "environment:*"), environments=("staging",)), None),
    ],
)
async def test_an_export_holds_nothing_that_could_not_be_read_otherwise(
    ann: httpx.AsyncClient, dependencies: Dependencies, also: Grant, lacking: str | None
) -> None:
    here = Grant(("flag:read",), environments=("staging",))
    grants = (Grant(("project:read",)), here, also)
    await setup(dependencies, s.CreateRole(role="keeper", grants=grants), assign("keeper", "demo"))
    answer = await ann.get(f"{PROJECT}/export")
    if lacking is not None:
        assert problem(answer, 403, "forbidden")["permission"] == lacking
        return
    document = answer.json()
    assert [each["key"] for each in document["environments"]] == ["staging"]
    assert list(document["flags"][0]["environments"]) == ["staging"]


async def test_the_flags_of_a_segment_are_shown_to_who_may_read_flags(
    ann: httpx.AsyncClient, demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    role = s.CreateRole(role="keeper", grants=(Grant(("segment:read",)),))
    await setup(dependencies, role, assign("keeper", "demo"))
    assert (await ann.get(f"{PROJECT}/segments/beta")).status_code == 200
    refused = await ann.get(f"{PROJECT}/segments/beta/flags")
    assert problem(refused, 403, "forbidden")["permission"] == "flag:read"


async def test_a_second_authorization_header_does_not_add_to_the_first(
    ann: httpx.AsyncClient,
) -> None:
    headers = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer token-of-ann")]
    async with httpx.AsyncClient(transport=ann._transport, base_url="http://halyard") as both:
        refused = await both.get(FLAG, headers=headers)
    assert refused.status_code in (401, 404)


WIDEST = {"scope": {"permissions": ["*"]}}


async def test_a_scope_gives_no_more_than_the_account_has(
    ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    """Whether it is refused or cut: the token opens nothing that the account does not."""
    await setup(dependencies, assign("viewer", "demo"))
    issued = await ann.post(f"{AUTH}/tokens", json=WIDEST)
    secrets = [issued.json()["secret"]] if issued.status_code == 201 else []
    unlimited = await created(ann, f"{AUTH}/tokens", {})
    for secret in (*secrets, unlimited.json()["secret"]):
        async with client_of(dependencies, secret) as client:
            assert (await client.get(f"{PROJECT}/flags")).status_code == 200
            problem(await client.post(f"{FLAG}/environments/staging/enable"), 403, "forbidden")
            problem(await client.get(f"{AUTH}/groups"), 403, "forbidden")
            problem(await client.post("/api/v1/projects", json={"key": "x"}), 403, "forbidden")


async def test_a_token_shrinks_with_its_account(
    ann: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    await setup(dependencies, assign("developer", "demo"))
    token = await created(ann, f"{AUTH}/tokens", {"scope": {"permissions": ["flag:*"]}})
    async with client_of(dependencies, token.json()["secret"]) as client:
        assert (await client.post(f"{FLAG}/environments/staging/enable")).status_code == 200
        await setup(dependencies, assign("viewer", "demo"))
        problem(await client.post(f"{FLAG}/environments/staging/disable"), 403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tokens", WIDEST),
        ("POST", "/service-accounts", {"name": "CI", "role": "admin"}),
        ("PUT", "/users/account-2/role", {"role": "admin"}),
        ("POST", "/users", {"email": "e@example.org", "role": "admin"}),
        ("PATCH", "/me", {"name": "Somebody"}),
        ("PATCH", "/users/account-1", {"email": "mine@example.org"}),
        ("POST", "/users/account-1/password-reset", {}),
    ],
)
async def test_a_limited_token_of_an_administrator_gets_no_further_by(
    api: httpx.AsyncClient,
    dependencies: Dependencies,
    method: str,
    path: str,
    body: dict[str, Any],
) -> None:
    scope = {"permissions": ["account:*", "token:*", "flag:read"]}
    token = await created(api, f"{AUTH}/tokens", {"scope": scope})
    async with client_of(dependencies, token.json()["secret"]) as client:
        problem(await client.request(method, AUTH + path, json=body), 403, "forbidden")


@pytest.mark.parametrize("extra", ["role", "roles", "grants", "account", "service", "revision"])
async def test_a_person_s_edit_takes_no_field_that_gives_rights(
    api: httpx.AsyncClient, extra: str
) -> None:
    for path in (f"{AUTH}/me", f"{AUTH}/users/account-2"):
        refused = await api.patch(path, json={"name": "Ann", extra: "admin"})
        problem(refused, 422, "malformed")
