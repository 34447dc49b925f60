"""Whether a login is good, at present and in every process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.system.state import Account
from domain.system.vocabulary import InstallationSettings
from eventstore.logins import Login
from server.http.dependencies import Dependencies
from server.logins.sessions import is_good
from tests.support.api import client_of, running_dependencies
from tests.support.people import AUTH, bearer, logged_in, with_password

T0 = datetime(2026, 5, 1, 12, tzinfo=UTC)
SETTINGS = InstallationSettings(session_idle_hours=24, session_days=7)
LOGIN = Login("s1", "ada", "", "192.0.2.1", "curl", False, T0, T0, None)
ADA = Account("ada", T0)
HOUR = timedelta(hours=1)


def test_a_fresh_login_is_good() -> None:
    assert is_good(LOGIN, ADA, SETTINGS, T0 + HOUR)


@pytest.mark.parametrize(
    ("login", "account", "at"),
    [
        (LOGIN, None, T0),
        (LOGIN, Account("bob", T0), T0),
        (LOGIN, replace(ADA, disabled_at=T0), T0),
        (LOGIN, replace(ADA, erased_at=T0), T0),
        (LOGIN, replace(ADA, service=True), T0),
        (LOGIN, replace(ADA, sessions_ended_at=T0), T0),
        (replace(LOGIN, ended_at=T0), ADA, T0),
        (LOGIN, ADA, T0 + 24 * HOUR),
        (replace(LOGIN, used_at=T0 + 167 * HOUR), ADA, T0 + 168 * HOUR),
    ],
)
def test_what_ends_a_login(login: Login, account: Account | None, at: datetime) -> None:
    assert not is_good(login, account, SETTINGS, at)


def test_a_login_after_all_were_ended_is_good() -> None:
    ended = replace(ADA, sessions_ended_at=T0 - timedelta(microseconds=1))
    assert is_good(LOGIN, ended, SETTINGS, T0)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_a_login_that_is_over_never_becomes_good_again(used: int, at: int, later: int) -> None:
    login = replace(LOGIN, used_at=T0 + used * HOUR)
    if not is_good(login, ADA, SETTINGS, T0 + at * HOUR):
        assert not is_good(login, ADA, SETTINGS, T0 + (at + later) * HOUR)


async def until_refused(client: httpx.AsyncClient, token: str) -> None:
    async with asyncio.timeout(2):
        while (await client.get(f"{AUTH}/me", headers=bearer(token))).status_code == 200:
            pass


async def test_a_login_that_one_process_ends_is_refused_by_another_within_two_seconds(
    dependencies: Dependencies, database_url: str
) -> None:
    await with_password(dependencies)
    async with (
        running_dependencies(database_url) as elsewhere,
        client_of(dependencies, token=None) as here,
        client_of(elsewhere, token=None) as there,
    ):
        login = await logged_in(here)
        token = login["accessToken"]
        assert (await there.get(f"{AUTH}/me", headers=bearer(token))).status_code == 200
        await here.post(f"{AUTH}/logout", headers=bearer(token))
        await until_refused(there, token)


async def test_a_token_of_one_process_opens_another(
    dependencies: Dependencies, database_url: str
) -> None:
    await with_password(dependencies)
    async with (
        running_dependencies(database_url) as elsewhere,
        client_of(dependencies, token=None) as here,
        client_of(elsewhere, token=None) as there,
    ):
        login = await logged_in(there)
        answer = await here.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))
        assert answer.json()["credentialId"] == login["session"]


async def test_a_login_is_asked_for_once_a_second_and_not_with_each_request(
    dependencies: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_password(dependencies)
    desk = dependencies.desk
    assert desk is not None
    asked: list[str] = []
    real = desk.sessions._stored.by_id

    async def counted(session_id: str) -> Login | None:
        asked.append(session_id)
        return await real(session_id)

    monkeypatch.setattr(desk.sessions._stored, "by_id", counted)
    monkeypatch.setattr("server.logins.sessions.CHECKED_FOR_S", 3_600.0)
    async with client_of(dependencies, token=None) as client:
        login = await logged_in(client)
        for _ in range(20):
            await client.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))
        assert asked == []
        monkeypatch.setattr("server.logins.sessions.CHECKED_FOR_S", 0.0)
        await client.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))
    assert asked == [login["session"]]
