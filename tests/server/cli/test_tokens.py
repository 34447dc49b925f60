"""`halyard tokens` issues, lists and revokes over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.cli import Halyard, json_of

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture
def service(api: httpx.Client) -> str:
    """The id of a new account for a program."""
    made = api.post("/auth/service-accounts", json={"name": "robot", "role": "viewer"})
    assert made.status_code == 201
    account: str = made.json()["id"]
    return account


def issue(halyard: Halyard, *options: str) -> dict[str, Any]:
    issued: dict[str, Any] = json_of(halyard("tokens", "issue", *options, "--json"))
    return issued


def listed(halyard: Halyard, *options: str) -> dict[str, dict[str, Any]]:
    found = json_of(halyard("tokens", "list", *options, "--json"))["tokens"]
    return {each["id"]: each for each in found}


def status(api: httpx.Client, method: str, path: str, secret: str) -> int:
    return api.request(method, path, headers={"authorization": f"Bearer {secret}"}).status_code


def test_a_token_is_shown_once_and_opens_until_it_is_revoked(
    api: httpx.Client, halyard: Halyard
) -> None:
    shown = halyard("tokens", "issue", "--name", "deploys").stdout.splitlines()
    secret = shown[-1]
    assert status(api, "GET", "/auth/me", secret) == 200
    [(token_id, token)] = listed(halyard, "--search", "deploys").items()
    assert (token_id in shown[0], token["scope"]) == (True, None)
    assert secret not in halyard("tokens", "list", "--json").stdout

    revoked = halyard("tokens", "revoke", token_id, "--comment", "done")
    assert revoked.stdout.startswith(f"Revoked token {token_id}; ")
    assert status(api, "GET", "/auth/me", secret) == 401
    assert token_id not in listed(halyard)
    assert listed(halyard, "--state", "revoked")[token_id]["state"] == "revoked"


def test_a_token_is_cut_to_what_was_named(
    api: httpx.Client, project: str, halyard: Halyard
) -> None:
    issued = issue(
        *(halyard, "--permission", "flag:read", "--permission", "flag:write"),
        *("--project", project, "--environment", "$unprotected", "--expires-in-days", "2"),
    )
    scope = listed(halyard)[issued["id"]]["scope"]
    assert scope == {
        "permissions": ["flag:read", "flag:write"],
        "projects": [project],
        "environments": ["$unprotected"],
    }
    left = datetime.fromisoformat(issued["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < left <= timedelta(days=2)
    assert status(api, "GET", f"/projects/{project}/flags", issued["secret"]) == 200
    assert status(api, "GET", f"/projects/{project}/segments", issued["secret"]) == 403
    row = next(
        line for line in halyard("tokens", "list").stdout.splitlines() if issued["id"] in line
    )
    assert f"flag:read flag:write in {project}, $unprotected" in row


def test_a_token_that_only_reads_writes_nothing(
    api: httpx.Client, project: str, halyard: Halyard
) -> None:
    secret = issue(halyard, "--read-only")["secret"]
    assert status(api, "GET", f"/projects/{project}/segments", secret) == 200
    assert status(api, "DELETE", f"/projects/{project}", secret) == 403


def test_administrators_see_to_the_tokens_of_programs(
    api: httpx.Client, service: str, halyard: Halyard
) -> None:
    issued = issue(halyard, "--account", service)
    assert list(listed(halyard, "--account", service)) == [issued["id"]]
    assert issued["id"] in listed(halyard, "--everybody")
    assert issued["id"] not in listed(halyard)
    missing = halyard("tokens", "revoke", issued["id"])
    assert (missing.exit_code, issued["id"] in missing.stderr) == (1, True)
    assert halyard("tokens", "revoke", issued["id"], "--everybody").exit_code == 0
    assert status(api, "GET", "/auth/me", issued["secret"]) == 401


def test_what_cannot_be_issued_is_told(halyard: Halyard) -> None:
    nowhere = halyard("tokens", "issue", "--project", "shop")
    assert (nowhere.exit_code, "--permission" in nowhere.stderr) == (2, True)
    too_long = halyard("tokens", "issue", "--expires-in-days", "367")
    assert (too_long.exit_code, "/expiresInDays" in too_long.stderr) == (1, True)
    both = halyard("tokens", "issue", "--read-only", "--permission", "flag:read")
    assert (both.exit_code, "/readOnly" in both.stderr) == (1, True)
