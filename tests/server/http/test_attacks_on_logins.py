"""What somebody tries who is not let in, one test for each try."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
import redis.asyncio
import structlog

from domain.system.commands import CreateAccount, DisableAccount
from eventstore.log import SYSTEM_LOG
from server.http.dependencies import Dependencies, HttpSettings
from server.logins import access_tokens, passwords
from server.logins.throttle import OF_ACCOUNT, OF_ADDRESS
from server.writing.submission import Submission
from tests.support.api import ADMIN, client_of, problem, running_dependencies
from tests.support.people import (
    AUTH,
    BROWSER,
    EMAIL,
    PASSWORD,
    bearer,
    logged_in,
    password_hash,
    with_password,
)


@pytest.fixture
async def stranger(dependencies: Dependencies) -> AsyncIterator[httpx.AsyncClient]:
    await with_password(dependencies)
    async with client_of(dependencies, token=None) as client:
        yield client


async def refused(client: httpx.AsyncClient, token: str) -> None:
    answer = await client.get(f"{AUTH}/me", headers=bearer(token))
    assert problem(answer, 401, "unauthenticated")["detail"] != ""


# -- access tokens -------------------------------------------------------------------------------


class Forger:
    """Somebody who knows all about a token but its key, or even that."""

    def __init__(self, token: str, secret: bytes) -> None:
        self.header = jwt.get_unverified_header(token)
        self.claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        self.secret = secret

    def token(self, *, key: Any = None, algorithm: str = "HS256", **changed: Any) -> str:
        header = {**self.header, **changed.pop("header", {})}
        claims = {name: v for name, v in {**self.claims, **changed}.items() if v is not None}
        signing = self.secret if key is None else key
        return jwt.encode(claims, signing, algorithm=algorithm, headers=header)


@pytest.fixture
async def forger(stranger: httpx.AsyncClient, dependencies: Dependencies) -> Forger:
    login = await logged_in(stranger)
    pool = dependencies.store._pool
    secret = await pool.fetchval("SELECT secret FROM signing_key")
    return Forger(login["accessToken"], secret)


async def test_the_forger_of_these_tests_can_make_a_valid_token(
    stranger: httpx.AsyncClient, forger: Forger
) -> None:
    answer = await stranger.get(f"{AUTH}/me", headers=bearer(forger.token()))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"key": b"another key of the right length.."},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"iat": None},
        {"iss": "another installation"},
        {"iss": None},
        {"aud": "another service"},
        {"aud": ["halyard", "other"]},
        {"aud": None},
        {"sub": "account-2"},
        {"sub": None},
        {"sid": "nothing"},
        {"sid": None},
        {"sid": ["s1"]},
        {"header": {"typ": "JWT"}},
        {"header": {"kid": "nothing"}},
        {"header": {"kid": "../../etc/passwd"}},
        {"header": {"kid": "' OR 1=1 --"}},
        {"header": {"kid": None}},
        {"nbf": 9_999_999_999},
    ],
    ids=str,
)
async def test_a_token_that_is_not_as_it_was_given_opens_nothing(
    stranger: httpx.AsyncClient, forger: Forger, changed: dict[str, Any]
) -> None:
    if changed.get("header") == {"kid": None}:
        del forger.header["kid"]
        changed = {}
        forger.header["typ"] = access_tokens.TYPE
    await refused(stranger, forger.token(**changed))


async def test_a_token_without_a_signature_opens_nothing(
    stranger: httpx.AsyncClient, forger: Forger
) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        await refused(stranger, f"{unsigned(forger, algorithm)}.")


def unsigned(forger: Forger, algorithm: str) -> str:
    parts = ({**forger.header, "alg": algorithm}, forger.claims)
    return ".".join(jwt.utils.base64url_encode(json.dumps(p).encode()).decode() for p in parts)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "HS384", "EdDSA", "none"])
async def test_the_algorithm_is_never_taken_from_the_token(
    stranger: httpx.AsyncClient, forger: Forger, algorithm: str
) -> None:
    text = unsigned(forger, algorithm)
    signature = hmac.new(forger.secret, text.encode(), hashlib.sha256).digest()
    await refused(stranger, f"{text}.{jwt.utils.base64url_encode(signature).decode()}")


async def test_a_token_that_was_altered_after_it_was_signed_opens_nothing(
    stranger: httpx.AsyncClient, forger: Forger
) -> None:
    header, claims, signature = forger.token().split(".")
    other = jwt.utils.base64url_encode(json.dumps({**forger.claims, "sub": "x"}).encode()).decode()
    await refused(stranger, f"{header}.{other}.{signature}")
    await refused(stranger, f"{header}.{claims}.{signature[:-4]}AAAA")
    await refused(stranger, f"{header}.{claims}")
    await refused(stranger, "a.b.c")


async def test_a_key_that_was_withdrawn_verifies_nothing_any_more(
    stranger: httpx.AsyncClient,
    forger: Forger,
    dependencies: Dependencies,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.logins.signing.FRESH_S", 0.0)
    assert (await stranger.get(f"{AUTH}/me", headers=bearer(forger.token()))).status_code == 200
    await dependencies.store._pool.execute("DELETE FROM signing_key")
    await refused(stranger, forger.token())


async def test_a_refresh_token_is_no_access_token_and_the_other_way_round(
    stranger: httpx.AsyncClient,
) -> None:
    login = await logged_in(stranger)
    await refused(stranger, login["refreshToken"])
    answer = await stranger.post(
        f"{AUTH}/refresh", json={"refreshToken": login["accessToken"][:256]}
    )
    problem(answer, 401, "secret-spent")


# -- refresh tokens and sessions -----------------------------------------------------------------


async def test_a_copied_refresh_token_ends_the_login_for_thief_and_owner(
    stranger: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    login = await logged_in(stranger)
    used = {"refreshToken": login["refreshToken"]}
    thief = (await stranger.post(f"{AUTH}/refresh", json=used)).json()
    owner = await stranger.post(f"{AUTH}/refresh", json=used)
    problem(owner, 401, "secret-spent")
    await refused(stranger, thief["accessToken"])
    again = await stranger.post(f"{AUTH}/refresh", json={"refreshToken": thief["refreshToken"]})
    problem(again, 401, "secret-spent")
    assert dependencies.desk is not None
    assert dependencies.desk.counters.logins["reused"] == 1


async def test_a_cookie_that_was_planted_before_is_worth_nothing_afterwards(
    stranger: httpx.AsyncClient,
) -> None:
    planted = "hlc_" + "a" * 64
    stranger.cookies.set("halyard_session", planted)
    await logged_in(stranger, cookie=True)
    given = [cookie.value for cookie in stranger.cookies.jar if cookie.value != planted]
    assert len(given) == 1
    async with httpx.AsyncClient(transport=stranger._transport, base_url="http://halyard") as fresh:
        fresh.cookies.set("halyard_session", planted)
        assert (await fresh.get(f"{AUTH}/me")).status_code == 401
        fresh.cookies.set("halyard_session", given[0] or "")
        assert (await fresh.get(f"{AUTH}/me")).status_code == 200


async def test_two_cookies_of_the_name_open_nothing(stranger: httpx.AsyncClient) -> None:
    await logged_in(stranger, cookie=True)
    [cookie] = stranger.cookies.jar
    stranger.cookies.clear()
    both = f"halyard_session={cookie.value}; halyard_session=hlc_{'a' * 64}"
    assert (await stranger.get(f"{AUTH}/me", headers={"cookie": both})).status_code == 401


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({}, "Origin"),
        (BROWSER, "X-CSRF-Token"),
        ({**BROWSER, "x-csrf-token": "f" * 64}, "X-CSRF-Token"),
        ({"origin": "http://evil.example", "x-csrf-token": "right"}, "Origin"),
        ({"origin": "null", "x-csrf-token": "right"}, "Origin"),
        ({"origin": "http://halyard.evil.example", "x-csrf-token": "right"}, "Origin"),
        ({"x-csrf-token": "right"}, "Origin"),
    ],
    ids=str,
)
async def test_a_page_of_another_site_changes_nothing(
    stranger: httpx.AsyncClient, headers: dict[str, str], named: str
) -> None:
    login = await logged_in(stranger, cookie=True)
    sent = {name: login["csrfToken"] if v == "right" else v for name, v in headers.items()}
    answer = await stranger.post(f"{AUTH}/logout-everywhere", headers=sent)
    assert problem(answer, 403, "forged-request")["errors"][0]["path"] == named
    assert (await stranger.get(f"{AUTH}/me")).status_code == 200


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://flags.example.org", "10.0.0.1:8080", True),
        ("http://flags.example.org", "flags.example.org", False),
        ("https://flags.example.org:8443", "flags.example.org:8443", False),
        ("http://rebound.example", "rebound.example", False),
        ("null", "flags.example.org", False),
    ],
)
async def test_where_the_operator_says_the_address_a_host_that_is_named_does_not_count(
    origin: str, host: str, allowed: bool, dependencies: Dependencies
) -> None:
    await with_password(dependencies)
    settings = HttpSettings(public_url="https://flags.example.org")
    async with client_of(replace(dependencies, settings=settings), token=None) as page:
        page.base_url = httpx.URL("https://flags.example.org")
        login = await logged_in(page, cookie=True)
        headers = {"origin": origin, "host": host, "x-csrf-token": login["csrfToken"]}
        answer = await page.post(f"{AUTH}/logout-everywhere", headers=headers)
    if allowed:
        assert answer.status_code == 200, answer.text
    else:
        assert problem(answer, 403, "forged-request")["errors"][0]["path"] == "Origin"


async def test_the_csrf_token_of_another_login_is_none(stranger: httpx.AsyncClient) -> None:
    other = await logged_in(stranger, cookie=True)
    stranger.cookies.clear()
    await logged_in(stranger, cookie=True)
    headers = {**BROWSER, "x-csrf-token": other["csrfToken"]}
    problem(await stranger.post(f"{AUTH}/logout", headers=headers), 403, "forged-request")


async def test_another_site_cannot_log_a_browser_in(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post(
        f"{AUTH}/login",
        json={"email": EMAIL, "password": PASSWORD, "cookie": True},
        headers={"origin": "http://evil.example"},
    )
    problem(answer, 403, "forged-request")
    assert "set-cookie" not in answer.headers


async def test_beside_a_bearer_token_a_cookie_is_not_looked_at(
    stranger: httpx.AsyncClient,
) -> None:
    await logged_in(stranger, cookie=True)
    assert (await stranger.get(f"{AUTH}/me", headers=bearer("wrong"))).status_code == 401
    mine = await logged_in(stranger)
    out = await stranger.post(f"{AUTH}/logout", headers=bearer(mine["accessToken"]))
    assert out.status_code == 204
    assert (await stranger.get(f"{AUTH}/me")).status_code == 200


# -- finding out who is there --------------------------------------------------------------------


@pytest.fixture
async def closed(stranger: httpx.AsyncClient, dependencies: Dependencies) -> list[tuple[str, str]]:
    """Addresses and passwords that do not open anything, each for another reason."""
    desk = dependencies.desk
    assert desk is not None
    accounts = desk.people.accounts
    hashed = password_hash()
    for account, kept in (("disabled", hashed), ("without", None)):
        await accounts.add(account, f"{account}@example.org", account, kept)
        await dependencies.writers.submit(
            SYSTEM_LOG, Submission.of("setup", CreateAccount(account=account, role=""))
        )
    await accounts.add("never", "never@example.org", "never", hashed)  # not in the log
    await dependencies.writers.submit(
        SYSTEM_LOG, Submission.of("setup", DisableAccount(account="disabled"))
    )
    return [
        (EMAIL, "a wrong password"),
        ("nobody@example.org", PASSWORD),
        ("disabled@example.org", PASSWORD),
        ("without@example.org", PASSWORD),
        ("never@example.org", PASSWORD),
        ("no address at all", PASSWORD),
    ]


async def test_why_a_login_is_refused_shows_neither_in_the_answer_nor_in_the_work(
    stranger: httpx.AsyncClient,
    closed: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks: list[int] = []
    real = passwords._matches

    def counted(kept: str | None, password: str) -> bool:
        checks.append(1)
        return real(kept, password)

    monkeypatch.setattr(passwords, "_matches", counted)
    answers = set()
    for email, password in closed:
        answer = await stranger.post(f"{AUTH}/login", json={"email": email, "password": password})
        body = problem(answer, 401, "wrong-credentials")
        body.pop("instance")
        answers.add((json.dumps(body), answer.headers["www-authenticate"]))
    assert len(answers) == 1
    assert len(checks) == len(closed)


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(
    stranger: httpx.AsyncClient,
) -> None:
    async def took_s(email: str) -> float:
        began = time.perf_counter()
        await stranger.post(f"{AUTH}/login", json={"email": email, "password": "wrong"})
        return time.perf_counter() - began

    await took_s("warm@example.org")
    known, unknown = [], []
    for _ in range(3):
        known.append(await took_s(EMAIL))
        unknown.append(await took_s("nobody@example.org"))
    # Without the check for nobody it would be a twentieth.
    assert statistics.median(unknown) > statistics.median(known) / 4


# -- throttling ----------------------------------------------------------------------------------


async def attempt(client: httpx.AsyncClient, email: str, **headers: str) -> httpx.Response:
    return await client.post(
        f"{AUTH}/login", json={"email": email, "password": "wrong"}, headers=headers
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 is tested elsewhere."""
    monkeypatch.setattr(
        passwords, "_matches", lambda kept, password: kept is not None and password == PASSWORD
    )


@pytest.mark.usefixtures("quick")
async def test_neither_case_nor_a_header_is_a_way_around_the_throttle(
    stranger: httpx.AsyncClient,
) -> None:
    for number in range(OF_ACCOUNT.attempts):
        email = EMAIL.upper() if number % 2 else EMAIL
        problem(await attempt(stranger, email), 401, "wrong-credentials")
    for email in (EMAIL, EMAIL.title(), EMAIL.upper()):
        answer = await attempt(stranger, email, **{"x-forwarded-for": "203.0.113.9"})
        problem(answer, 429, "too-many-logins-tried")
        assert 0 < int(answer.headers["retry-after"]) <= OF_ACCOUNT.window_s
    right = await stranger.post(f"{AUTH}/login", json={"email": EMAIL, "password": PASSWORD})
    problem(right, 429, "too-many-logins-tried")


@pytest.mark.usefixtures("quick")
async def test_an_account_that_is_not_there_is_throttled_alike(
    stranger: httpx.AsyncClient,
) -> None:
    for _ in range(OF_ACCOUNT.attempts):
        await attempt(stranger, "nobody@example.org")
    problem(await attempt(stranger, "nobody@example.org"), 429, "too-many-logins-tried")


@pytest.mark.usefixtures("quick")
async def test_one_address_cannot_try_one_password_on_everybody(
    stranger: httpx.AsyncClient,
) -> None:
    for number in range(OF_ADDRESS.attempts):
        await attempt(stranger, f"p{number}@example.org")
    problem(await attempt(stranger, "last@example.org"), 429, "too-many-logins-tried")


@pytest.mark.usefixtures("quick")
async def test_many_attempts_at_once_through_two_processes_are_counted_together(
    database_url: str, redis_client: redis.asyncio.Redis, dependencies: Dependencies
) -> None:
    await with_password(dependencies)
    async with (
        running_dependencies(database_url, login_redis=redis_client) as one,
        running_dependencies(database_url, login_redis=redis_client) as other,
        client_of(one, token=None) as first,
        client_of(other, token=None) as second,
    ):
        answers = await asyncio.gather(
            *(attempt(client, EMAIL) for client in (first, second) for _ in range(15))
        )
        statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == OF_ACCOUNT.attempts
    assert statuses.count(429) == 30 - OF_ACCOUNT.attempts


@pytest.mark.usefixtures("quick")
async def test_those_who_get_in_use_up_nothing(stranger: httpx.AsyncClient) -> None:
    for _ in range(OF_ACCOUNT.attempts * 2):
        await logged_in(stranger)


# -- giving oneself more -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/me", {"name": "A", "role": "admin"}),
        ("PATCH", "/me", {"name": "A", "email": "other@example.org"}),
        ("POST", "/register", {"email": "e@x.org", "name": "E", "password": "x", "role": "admin"}),
        ("POST", "/accept", {"secret": "s", "password": PASSWORD, "role": "admin"}),
        ("POST", "/login", {"email": EMAIL, "password": PASSWORD, "account": ADMIN}),
    ],
    ids=str,
)  # fmt: skip
async def test_a_field_that_is_not_offered_is_refused_and_not_passed_over(
    api: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = await api.request(method, f"{AUTH}{path}", json=body)
    errors = problem(answer, 422, "malformed")["errors"]
    assert errors[0]["reason"] == "unknown field"


# -- secrets -------------------------------------------------------------------------------------


async def test_no_secret_of_a_login_stands_in_a_log_a_problem_or_the_database(
    stranger: httpx.AsyncClient, dependencies: Dependencies, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        login = await logged_in(stranger)
        page = await logged_in(stranger, cookie=True)
        [cookie] = stranger.cookies.jar
        stranger.cookies.clear()
        wrong = await stranger.post(
            f"{AUTH}/login", json={"email": EMAIL, "password": "wrong " + PASSWORD}
        )
        after = await stranger.post(f"{AUTH}/refresh", json={"refreshToken": login["refreshToken"]})
        changed = await stranger.post(
            f"{AUTH}/password",
            headers=bearer(login["accessToken"]),
            json={"currentPassword": PASSWORD, "newPassword": "quite another one"},
        )
    assert changed.status_code == 200
    secrets = [PASSWORD, "quite another one", login["accessToken"], login["refreshToken"],
               str(cookie.value), page["csrfToken"], after.json()["refreshToken"]]  # fmt: skip
    told = f"{lines} {caplog.text} {wrong.text} {await everything(dependencies)}"
    assert len(lines) >= 5
    assert [secret for secret in secrets if secret in told] == []


async def test_of_a_request_with_a_password_no_hash_is_kept_to_guess_it_from(
    stranger: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    login = await logged_in(stranger)
    pool = dependencies.store._pool
    for new in ("quite another one", "and again another"):
        old = PASSWORD if new == "quite another one" else "quite another one"
        await stranger.post(
            f"{AUTH}/password",
            headers={**bearer(login["accessToken"]), "idempotency-key": "same"},
            json={"currentPassword": old, "newPassword": new},
        )
    rows = await pool.fetch("SELECT DISTINCT request_hash FROM command WHERE actor_id = $1", ADMIN)
    assert len(rows) == 1  # of nothing at all


async def everything(dependencies: Dependencies) -> str:
    """Every row of every table that a login has to do with."""
    pool = dependencies.store._pool
    tables = ("account", "login_session", "refresh_token", "one_time_secret", "event", "command")
    return str([[tuple(row) for row in await pool.fetch(f"SELECT * FROM {t}")] for t in tables])
