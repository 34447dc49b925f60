"""Logging in and out, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from server.http.dependencies import Dependencies, HttpSettings
from tests.support.api import ADMIN, client_of, problem
from tests.support.people import (
    AUTH,
    BROWSER,
    EMAIL,
    PASSWORD,
    bearer,
    logged_in,
    with_password,
)


@pytest.fixture
async def stranger(dependencies: Dependencies) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any credential, of an installation whose admin has a password."""
    await with_password(dependencies)
    async with client_of(dependencies, token=None) as client:
        yield client


async def test_a_login_opens_what_the_account_may_do(stranger: httpx.AsyncClient) -> None:
    login = await logged_in(stranger)
    assert login["account"] == ADMIN
    assert login["expiresInSeconds"] == 300
    me = await stranger.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))
    assert me.json()["account"]["email"] == EMAIL
    assert (me.json()["credential"], me.json()["credentialId"]) == ("session", login["session"])
    projects = await stranger.get("/api/v1/projects", headers=bearer(login["accessToken"]))
    assert projects.status_code == 200


async def test_the_case_of_an_address_does_not_matter(stranger: httpx.AsyncClient) -> None:
    response = await stranger.post(
        f"{AUTH}/login", json={"email": EMAIL.upper(), "password": PASSWORD}
    )
    assert response.status_code == 200


async def test_a_refresh_gives_new_tokens_of_the_same_login(stranger: httpx.AsyncClient) -> None:
    login = await logged_in(stranger)
    response = await stranger.post(f"{AUTH}/refresh", json={"refreshToken": login["refreshToken"]})
    after = response.json()
    assert after["session"] == login["session"]
    assert after["refreshToken"] != login["refreshToken"]
    me = await stranger.get(f"{AUTH}/me", headers=bearer(after["accessToken"]))
    assert me.status_code == 200


async def test_logging_out_ends_this_login_and_no_other(stranger: httpx.AsyncClient) -> None:
    one, other = await logged_in(stranger), await logged_in(stranger)
    ended = await stranger.post(f"{AUTH}/logout", headers=bearer(one["accessToken"]))
    assert ended.status_code == 204
    refused = await stranger.get(f"{AUTH}/me", headers=bearer(one["accessToken"]))
    problem(refused, 401, "unauthenticated")
    refreshed = await stranger.post(f"{AUTH}/refresh", json={"refreshToken": one["refreshToken"]})
    problem(refreshed, 401, "secret-spent")
    still = await stranger.get(f"{AUTH}/me", headers=bearer(other["accessToken"]))
    assert still.status_code == 200


async def test_logging_out_everywhere_ends_every_login_but_no_token(
    stranger: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    logins = [await logged_in(stranger) for _ in range(2)]
    page = await logged_in(stranger, cookie=True)
    everywhere = await stranger.post(
        f"{AUTH}/logout-everywhere", headers=bearer(logins[0]["accessToken"])
    )
    assert everywhere.json()["events"][0]["type"] == "AccountSessionsEnded"
    for login in logins:
        refused = await stranger.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))
        assert refused.status_code == 401
    assert page["csrfToken"]
    assert (await stranger.get(f"{AUTH}/me")).status_code == 401
    assert (await api.get(f"{AUTH}/me")).json()["credential"] == "token"
    again = await logged_in(stranger)
    me = await stranger.get(f"{AUTH}/me", headers=bearer(again["accessToken"]))
    assert me.status_code == 200


async def test_a_page_logs_in_by_cookie_and_sees_no_token(stranger: httpx.AsyncClient) -> None:
    response = await stranger.post(
        f"{AUTH}/login",
        json={"email": EMAIL, "password": PASSWORD, "cookie": True},
        headers=BROWSER,
    )
    login, cookie = response.json(), response.headers["set-cookie"]
    assert login.keys() == {"account", "session", "csrfToken"}
    for part in ("halyard_session=hlc_", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie
    me = await stranger.get(f"{AUTH}/me")
    assert me.json()["csrfToken"] == login["csrfToken"]
    out = await stranger.post(
        f"{AUTH}/logout", headers={**BROWSER, "x-csrf-token": login["csrfToken"]}
    )
    assert out.status_code == 204
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert (await stranger.get(f"{AUTH}/me")).status_code == 401


async def test_over_https_the_cookie_is_bound_to_this_host(
    dependencies: Dependencies, stranger: httpx.AsyncClient
) -> None:
    stranger.base_url = httpx.URL("https://halyard")
    response = await stranger.post(
        f"{AUTH}/login", json={"email": EMAIL, "password": PASSWORD, "cookie": True}
    )
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-halyard_session=")
    assert "; Secure" in cookie
    assert "domain" not in cookie.lower()


async def test_the_cookie_is_bound_where_the_operator_says_that_browsers_speak_https(
    dependencies: Dependencies, stranger: httpx.AsyncClient
) -> None:
    settings = HttpSettings(public_url="https://flags.example.org")
    async with client_of(replace(dependencies, settings=settings), token=None) as behind_a_proxy:
        response = await behind_a_proxy.post(
            f"{AUTH}/login", json={"email": EMAIL, "password": PASSWORD, "cookie": True}
        )
    assert response.headers["set-cookie"].startswith("__Host-halyard_session=")
    assert "; Secure" in response.headers["set-cookie"]


async def test_one_sees_and_ends_ones_own_logins(stranger: httpx.AsyncClient) -> None:
    one, other = await logged_in(stranger), await logged_in(stranger)
    mine = bearer(one["accessToken"])
    listed = (await stranger.get(f"{AUTH}/sessions", headers=mine)).json()["items"]
    assert [(item["id"], item["current"]) for item in listed] == [
        (other["session"], False),
        (one["session"], True),
    ]
    assert listed[0]["userAgent"].startswith("python-httpx")
    gone = await stranger.delete(f"{AUTH}/sessions/{other['session']}", headers=mine)
    assert gone.status_code == 204
    refused = await stranger.get(f"{AUTH}/me", headers=bearer(other["accessToken"]))
    assert refused.status_code == 401
    missing = await stranger.delete(f"{AUTH}/sessions/{other['session']}", headers=mine)
    problem(missing, 404, "not-found")


async def test_another_password_ends_the_other_logins(stranger: httpx.AsyncClient) -> None:
    one, other = await logged_in(stranger), await logged_in(stranger)
    mine = bearer(one["accessToken"])
    change = {"currentPassword": PASSWORD, "newPassword": "quite another one"}
    changed = await stranger.post(f"{AUTH}/password", headers=mine, json=change)
    assert changed.json()["events"][0]["type"] == "AccountPasswordSet"
    assert (await stranger.get(f"{AUTH}/me", headers=mine)).status_code == 200
    assert (
        await stranger.get(f"{AUTH}/me", headers=bearer(other["accessToken"]))
    ).status_code == 401
    old = await stranger.post(f"{AUTH}/login", json={"email": EMAIL, "password": PASSWORD})
    problem(old, 401, "wrong-credentials")
    new = await stranger.post(
        f"{AUTH}/login", json={"email": EMAIL, "password": "quite another one"}
    )
    assert new.status_code == 200


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "characters long"),
        ("x" * 257, "at most 256 characters"),
        ("ADA@example.org", "your name or your address"),
        ("Password1234!", "tried first"),
        ("aaaaaaaaaaaaaaa", "tried first"),
    ],
)
async def test_a_password_that_is_easily_guessed_is_refused(
    stranger: httpx.AsyncClient, password: str, reason: str
) -> None:
    login = await logged_in(stranger)
    refused = await stranger.post(
        f"{AUTH}/password",
        headers=bearer(login["accessToken"]),
        json={"currentPassword": PASSWORD, "newPassword": password},
    )
    assert refused.status_code == 422
    error = refused.json()["errors"][0]
    assert error["path"] == "/newPassword"
    assert reason in error["reason"]
    assert password not in refused.text


async def test_changing_the_password_needs_the_present_one(stranger: httpx.AsyncClient) -> None:
    login = await logged_in(stranger)
    refused = await stranger.post(
        f"{AUTH}/password",
        headers=bearer(login["accessToken"]),
        json={"currentPassword": "not this one", "newPassword": "quite another one"},
    )
    problem(refused, 401, "wrong-credentials")
