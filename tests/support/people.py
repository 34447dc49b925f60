"""People who log in, for tests of what they may and may not."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx
from argon2 import PasswordHasher

from server.http.dependencies import Dependencies
from tests.support.api import ADMIN

AUTH = "/api/v1/auth"
EMAIL, PASSWORD = "ada@example.org", "a rather long one"
BROWSER = {"origin": "http://halyard"}


@cache
def password_hash() -> str:
    """Of ``PASSWORD``, made once."""
    return PasswordHasher().hash(PASSWORD)


async def with_password(dependencies: Dependencies) -> None:
    """Let the admin log in by password."""
    desk = dependencies.desk
    assert desk is not None
    await desk.people.accounts.set_password_hash(ADMIN, password_hash())


async def logged_in(
    client: httpx.AsyncClient, email: str = EMAIL, password: str = PASSWORD, **more: Any
) -> dict[str, Any]:
    """The answer to a login, which must be accepted."""
    response = await client.post(
        f"{AUTH}/login", json={"email": email, "password": password, **more}
    )
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def bearer(token: str) -> dict[str, str]:
    """The header."""
    return {"authorization": f"Bearer {token}"}
