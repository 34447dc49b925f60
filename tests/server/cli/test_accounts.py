"""`halyard accounts`, straight on the database."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner, Result

from server.cli.main import app
from tests.support.cli import Halyard, json_of, lines_of

PASSWORD = "a rather long one"


def told(password: str, *arguments: str) -> Result:
    """Run `halyard` with a password on its standard input."""
    return CliRunner().invoke(app, ["accounts", *arguments], input=f"{password}\n")


def hash_of(database_url: str, email: str) -> str:
    async def fetch() -> Any:
        connection = await asyncpg.connect(database_url)
        try:
            wanted = "SELECT password_hash FROM account WHERE email = $1"
            return await connection.fetchval(wanted, email)
        finally:
            await connection.close()

    return str(asyncio.run(fetch()))


@pytest.fixture
def ada(halyard: Halyard, installation: str) -> str:
    """An administrator; the id."""
    made = json_of(told(PASSWORD, "create", "ada@example.org", "--role", "admin", "--json"))
    return str(made["id"])


def test_the_first_administrator_is_made_with_a_password(
    halyard: Halyard, installation: str, ada: str
) -> None:
    [listed] = json_of(halyard("accounts", "list", "--json"))["accounts"]
    assert (listed["id"], listed["email"], listed["name"]) == (ada, "ada@example.org", "ada")
    assert (listed["roles"], listed["password"]) == (["admin"], True)
    assert PasswordHasher().verify(hash_of(installation, "ada@example.org"), PASSWORD)
    events = lines_of(halyard("events", "tail", "$system", "--json"))
    assert PASSWORD not in str(events)
    assert "ada@example.org" not in str(events)


def test_an_address_has_one_account(halyard: Halyard, ada: str) -> None:
    refused = told("another long one", "create", "ADA@example.org")
    assert refused.exit_code == 1
    assert "has an account" in refused.stderr


def test_somebody_is_invited_without_a_password(halyard: Halyard, ada: str) -> None:
    made = json_of(halyard("accounts", "create", "bob@example.org", "--invite", "--json"))
    assert made["secret"].startswith("hlo_")
    rows = json_of(halyard("accounts", "list", "--json"))["accounts"]
    assert [row["password"] for row in rows] == [True, False]


def test_a_password_is_set_and_all_logins_end(
    halyard: Halyard, installation: str, ada: str
) -> None:
    json_of(told("quite another one", "password", "ada@example.org", "--json"))
    assert PasswordHasher().verify(hash_of(installation, "ada@example.org"), "quite another one")
    types = [event["type"] for event in lines_of(halyard("events", "tail", "$system", "--json"))]
    assert types[-2:] == ["AccountPasswordSet", "AccountSessionsEnded"]


@pytest.mark.parametrize("password", ["short", "password12345", "ada@example.org"])
def test_a_bad_password_is_refused_and_not_repeated(
    halyard: Halyard, ada: str, password: str
) -> None:
    refused = told(password, "password", ada)
    assert refused.exit_code == 1
    assert password not in refused.output + refused.stderr or password == "short"


def test_a_role_is_given_and_taken_away(halyard: Halyard, ada: str) -> None:
    json_of(told(PASSWORD, "create", "bob@example.org", "--json"))
    json_of(halyard("accounts", "role", "bob@example.org", "viewer", "--project", "shop", "--json"))
    assert _row(halyard, "bob@example.org")["roles"] == ["viewer in shop"]
    json_of(halyard("accounts", "role", "bob@example.org", "", "--project", "shop", "--json"))
    assert _row(halyard, "bob@example.org")["roles"] == []


def test_somebody_is_disabled_and_erased(halyard: Halyard, ada: str) -> None:
    bob = json_of(told(PASSWORD, "create", "bob@example.org", "--json"))["id"]
    json_of(halyard("accounts", "disable", "bob@example.org", "--json"))
    assert _row(halyard, "bob@example.org")["disabledAt"] is not None
    erased = json_of(halyard("accounts", "erase", bob, "--yes", "--json"))
    assert erased["name"] == f"erased account {bob[:6]}"
    rows = json_of(halyard("accounts", "list", "--json"))["accounts"]
    assert [row["email"] for row in rows if row["id"] == bob] == [None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("disable", "nobody@example.org"), "nobody@example.org"),
        (("disable", "ada@example.org"), "administrator"),
        (("role", "ada@example.org", "nothing"), "there is no role 'nothing'"),
        (("create", "bob@example.org", "--invite", "--role", "adm"), "did you mean 'admin'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    halyard: Halyard, ada: str, arguments: tuple[str, ...], message: str
) -> None:
    refused = halyard("accounts", *arguments)
    assert refused.exit_code == 1
    assert message in refused.stderr


def test_a_refused_creation_leaves_no_address_behind(halyard: Halyard, ada: str) -> None:
    halyard("accounts", "create", "bob@example.org", "--invite", "--role", "adm")
    made = json_of(halyard("accounts", "create", "bob@example.org", "--invite", "--json"))
    assert made["email"] == "bob@example.org"


def test_what_is_no_address_is_refused(halyard: Halyard, installation: str) -> None:
    assert halyard("accounts", "create", "bob", "--invite").exit_code == 2


def _row(halyard: Halyard, email: str) -> dict[str, Any]:
    rows = json_of(halyard("accounts", "list", "--json"))["accounts"]
    found: dict[str, Any] = next(row for row in rows if row["email"] == email)
    return found
