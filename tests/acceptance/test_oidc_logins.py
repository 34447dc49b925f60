"""Logging in over HTTP by a real OpenID provider, npm's oidc-provider, in a process of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import pytest_asyncio

from domain.system.commands import AssignRole, CreateAccount, DisableAccount
from eventstore.log import SYSTEM_LOG
from eventstore.pool import create_pool
from server.http.app import create_app
from server.http.dependencies import Dependencies
from server.oidc.desk import oidc_desk
from server.oidc.providers import GroupRole
from server.writing.submission import Submission
from tests.support.api import ADMIN, client_of, install, problem, running_dependencies
from tests.support.node import NodeScript, install_packages
from tests.support.oidc import ANN, SCRIPTS, browse_to, corporate
from tests.support.people import AUTH, BROWSER, EMAIL, logged_in, with_password

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(300),  # what npm may take is in it
    pytest.mark.asyncio(loop_scope="module"),
]

HERE = "http://halyard"
LOGIN, BACK = f"{AUTH}/oidc/corporate/login", f"{AUTH}/oidc/corporate/callback"
GROUPS = (GroupRole("flag-admins", "admin"), GroupRole("flag-team", "developer", "demo"))


@pytest.fixture(scope="session")
def packages() -> None:
    install_packages(SCRIPTS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(
    packages: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeScript]:
    log = tmp_path_factory.mktemp("oidc") / "provider.log"
    async with NodeScript(SCRIPTS / "provider.mjs", log) as script:
        yield script


class Installation:
    """A server that knows the provider, and browsers that use both."""

    def __init__(self, plain: Dependencies, pool: Any, issuer: str, stack: AsyncExitStack) -> None:
        self.issuer = issuer
        self.dependencies = plain
        self._pool = pool
        self._stack = stack
        self.trust()

    def trust(self, **more: Any) -> None:
        """Have the provider as an operator says; browsers that are opened from now on see it."""
        providers = (corporate(self.issuer, **more),)
        self.dependencies = dataclasses.replace(
            self.dependencies, oidc=oidc_desk(self._pool, providers)
        )

    async def browser(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(create_app(self.dependencies))
        return await self._stack.enter_async_context(
            httpx.AsyncClient(
                base_url=HERE, mounts={"all://halyard": transport}, timeout=20, trust_env=False
            )
        )

    async def submit(self, *commands: Any) -> None:
        await self.dependencies.writers.submit(SYSTEM_LOG, Submission.of(ADMIN, *commands))

    async def invited(self, account: str, email: str) -> None:
        """Somebody who has an account and no password."""
        desk = self.dependencies.desk
        assert desk is not None
        await desk.people.accounts.add(account, email, "Somebody", None)
        await self.submit(CreateAccount(account=account))

    async def events(self) -> list[tuple[str, str]]:
        """Of the installation, and by whom, in order."""
        found = await self.dependencies.store.read(SYSTEM_LOG, after=0, limit=100)
        return [(event.type, event.actor_id) for event in found]


@pytest_asyncio.fixture(loop_scope="module")
async def halyard(script: NodeScript, database_url: str) -> AsyncIterator[Installation]:
    started = await script.ask("start", redirects=[HERE + BACK])
    await script.ask("person", id="ann", claims=ANN)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(create_pool(database_url, max_size=2))
        dependencies = await stack.enter_async_context(running_dependencies(database_url))
        await install(dependencies)
        yield Installation(dependencies, pool, started["issuer"], stack)


async def answer_of(browser: httpx.AsyncClient, login: str = "ann", begin: str = LOGIN) -> str:
    """Where the provider sends somebody back to, who has begun to log in."""
    begun = await browser.get(begin)
    assert begun.status_code == 302, begun.text
    return await browse_to(browser, begun.headers["location"], HERE + BACK, login)


async def entered(
    browser: httpx.AsyncClient, login: str = "ann", begin: str = LOGIN
) -> dict[str, Any]:
    """Who somebody is, once they are logged in."""
    response = await browser.get(await answer_of(browser, login, begin))
    assert response.status_code == 302, response.text
    assert response.headers["location"] == dict(parse_qsl(urlsplit(begin).query)).get(
        "returnTo", "/"
    )
    me = await browser.get(f"{AUTH}/me")
    assert me.status_code == 200, me.text
    account: dict[str, Any] = me.json()["account"]
    return account


async def refused(
    browser: httpx.AsyncClient, login: str = "ann", slug: str = "not-admitted", status: int = 403
) -> dict[str, Any]:
    return problem(await browser.get(await answer_of(browser, login)), status, slug)


async def test_a_login_page_knows_the_providers(halyard: Installation) -> None:
    listed = await (await halyard.browser()).get(f"{AUTH}/oidc")
    assert listed.json() == {
        "items": [{"key": "corporate", "name": "Example Inc.", "loginPath": LOGIN}]
    }


async def test_somebody_new_gets_an_account_and_comes_back_to_the_same_one(
    halyard: Installation,
) -> None:
    browser = await halyard.browser()
    begun = await browser.get(LOGIN)
    asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
    assert asked["code_challenge_method"] == "S256"
    for part in ("halyard_login=", "HttpOnly", "SameSite=Lax", "Max-Age=600"):
        assert part in begun.headers["set-cookie"]
    ann = await entered(browser, begin=f"{LOGIN}?returnTo=/flags%3Fpage%3D2")
    assert (ann["email"], ann["emailVerified"], ann["name"]) == ("ann@example.org", True, "Ann")
    assert (ann["hasPassword"], ann["roles"]) == (False, [])
    (login,) = (await browser.get(f"{AUTH}/sessions")).json()["items"]
    assert (login["provider"], login["browser"]) == ("corporate", True)
    assert "halyard_login" not in browser.cookies
    assert (await halyard.events())[-2:] == [
        ("AccountCreated", ann["id"]),
        ("IdentityLinked", ann["id"]),
    ]
    again = await entered(await halyard.browser())
    assert again["id"] == ann["id"]
    assert len(await halyard.events()) == 6


async def test_another_address_at_the_provider_is_the_same_person_and_takes_over_nobody(
    halyard: Installation, script: NodeScript
) -> None:
    halyard.trust(links_by_email=True)
    await halyard.invited("victim", "victim@example.org")
    ann = await entered(await halyard.browser())
    claims = {**ANN, "email": "victim@example.org"}
    await script.ask("person", id="ann", claims=claims)
    again = await entered(await halyard.browser())
    assert (again["id"], again["email"]) == (ann["id"], "ann@example.org")


async def test_groups_give_roles_and_take_only_their_own_away(
    halyard: Installation, script: NodeScript
) -> None:
    halyard.trust(groups=GROUPS)
    browser = await halyard.browser()
    ann = await entered(browser)
    assert ann["roles"] == [{"project": "*", "role": "admin"}]
    assert (await browser.get(f"{AUTH}/users")).status_code == 200
    await halyard.submit(
        AssignRole(subject="account", id=ann["id"], role="viewer", project="other")
    )
    await script.ask("person", id="ann", claims={**ANN, "groups": ["flag-team"]})
    roles = (await entered(await halyard.browser()))["roles"]
    assert roles == [
        {"project": "demo", "role": "developer"},
        {"project": "other", "role": "viewer"},
    ]
    assert (await browser.get(f"{AUTH}/users")).status_code == 403
    await script.ask("person", id="ann", claims={**ANN, "groups": []})
    roles = (await entered(await halyard.browser()))["roles"]
    assert roles == [{"project": "other", "role": "viewer"}]
    assert (await halyard.events())[-1] == ("RoleUnassigned", ann["id"])


async def test_a_role_that_does_not_exist_keeps_nobody_out_and_no_other_role_in(
    halyard: Installation, script: NodeScript
) -> None:
    halyard.trust(groups=GROUPS)
    await entered(await halyard.browser())
    halyard.trust(groups=(GroupRole("flag-admins", "no-such-role", "demo"),))
    assert (await entered(await halyard.browser()))["roles"] == []


@pytest.mark.parametrize(
    ("linking", "claims", "says"),
    [
        ({}, {}, "not linked"),
        ({"links_by_email": True}, {"email_verified": False}, "not verified"),
        ({"links_by_email": True}, {"email_verified": "true"}, "not verified"),
        ({"creates_accounts": False}, {"email": "nobody@example.org"}, "no account here"),
        ({"email_domains": ("example.com",)}, {}, "domain"),
    ],
)
async def test_nobody_is_let_into_an_account_by_what_a_provider_only_says(
    halyard: Installation,
    script: NodeScript,
    linking: dict[str, Any],
    claims: dict[str, Any],
    says: str,
) -> None:
    halyard.trust(**linking)
    await halyard.invited("invited", "Ann@example.org")
    await script.ask("person", id="ann", claims=ANN | claims)
    assert says in (await refused(await halyard.browser()))["detail"]


async def test_a_verified_address_links_where_it_is_trusted_and_there_is_no_password(
    halyard: Installation, script: NodeScript
) -> None:
    halyard.trust(links_by_email=True)
    await halyard.invited("invited", "Ann@example.org")
    assert (await entered(await halyard.browser()))["id"] == "invited"
    await with_password(halyard.dependencies)
    await script.ask("person", id="eve", claims={**ANN, "email": EMAIL})
    assert "not linked" in (await refused(await halyard.browser(), "eve"))["detail"]
    await script.ask("person", id="bob", claims=ANN)
    assert "not linked" in (await refused(await halyard.browser(), "bob"))["detail"]


async def test_who_is_logged_in_links_an_identity_and_takes_it_away_again(
    halyard: Installation,
) -> None:
    halyard.trust(creates_accounts=False)
    await with_password(halyard.dependencies)
    browser = await halyard.browser()
    login = await browser.post(
        f"{AUTH}/login",
        json={"email": EMAIL, "password": "a rather long one", "cookie": True},
        headers=BROWSER,
    )
    link = f"{AUTH}/oidc/corporate/link?returnTo=/me"
    problem(await browser.post(link, headers=BROWSER), 403, "forged-request")
    headers = {**BROWSER, "x-csrf-token": login.json()["csrfToken"]}
    begun = await browser.post(link, headers=headers)
    back = await browse_to(browser, begun.json()["location"], HERE + BACK, "ann")
    done = await browser.get(back)
    assert (done.status_code, done.headers["location"]) == (302, "/me")
    assert (await browser.get(f"{AUTH}/me")).json()["credentialId"] == login.json()["session"]
    assert (await entered(await halyard.browser()))["id"] == ADMIN
    (identity,) = (await browser.get(f"{AUTH}/identities")).json()["items"]
    assert identity["provider"] == "corporate"
    path = f"{AUTH}/identities/{identity['id']}"
    assert (await browser.delete(path, headers=headers)).status_code == 204
    await refused(await halyard.browser())
    assert ("IdentityUnlinked", ADMIN) in await halyard.events()


async def test_the_only_way_in_is_not_taken_away_and_a_token_links_nothing(
    halyard: Installation,
) -> None:
    browser = await halyard.browser()
    await entered(browser)
    (identity,) = (await browser.get(f"{AUTH}/identities")).json()["items"]
    token = (await browser.get(f"{AUTH}/me")).json()["csrfToken"]
    path = f"{AUTH}/identities/{identity['id']}"
    answer = await browser.delete(path, headers={**BROWSER, "x-csrf-token": token})
    problem(answer, 409, "last-way-in")
    async with client_of(halyard.dependencies) as api:
        problem(await api.post(f"{AUTH}/oidc/corporate/link"), 422, "malformed")
        problem(await api.delete(path), 422, "malformed")


async def test_an_identity_that_is_linked_is_not_linked_to_another_account(
    halyard: Installation,
) -> None:
    await entered(await halyard.browser())
    await with_password(halyard.dependencies)
    browser = await halyard.browser()
    token = (await logged_in(browser))["accessToken"]
    begun = await browser.post(
        f"{AUTH}/oidc/corporate/link", headers={"authorization": f"Bearer {token}"}
    )
    back = await browse_to(browser, begun.json()["location"], HERE + BACK, "ann")
    assert "another account's" in problem(await browser.get(back), 403, "not-admitted")["detail"]


async def test_who_is_disabled_or_was_erased_does_not_come_in(halyard: Installation) -> None:
    ann = await entered(await halyard.browser())
    await halyard.submit(DisableAccount(account=ann["id"]))
    assert "closed" in (await refused(await halyard.browser()))["detail"]
    async with client_of(halyard.dependencies) as api:
        assert (await api.post(f"{AUTH}/users/{ann['id']}/erase")).status_code == 200
    # Nothing is left of them: who comes now is somebody new.
    assert (await entered(await halyard.browser()))["id"] != ann["id"]


async def test_an_answer_is_good_once_and_in_one_browser(halyard: Installation) -> None:
    browser, other = await halyard.browser(), await halyard.browser()
    back = await answer_of(browser)
    problem(await other.get(back), 400, "login-unproven")
    cookie = browser.cookies["halyard_login"]
    assert (await browser.get(back)).status_code == 302
    told = await browser.get(back, headers={"cookie": f"halyard_login={cookie}"})
    assert "begin the login anew" in problem(told, 400, "login-unproven")["detail"]


async def test_an_answer_to_somebody_elses_login_logs_nobody_in(halyard: Installation) -> None:
    attacker, victim = await halyard.browser(), await halyard.browser()
    theirs = await answer_of(attacker)
    await victim.get(LOGIN)
    problem(await victim.get(theirs), 400, "login-unproven")
    assert (await victim.get(f"{AUTH}/me")).status_code == 401
    # That answer has ended the victim's login, too: its own state is good for nothing now.
    own = await answer_of(victim)
    problem(await victim.get(f"{BACK}?state=x&code=y"), 400, "login-unproven")
    problem(await victim.get(own), 400, "login-unproven")


async def test_a_made_up_host_leads_the_provider_nowhere_else(halyard: Installation) -> None:
    settings = dataclasses.replace(halyard.dependencies.settings, public_url=HERE)
    halyard.dependencies = dataclasses.replace(halyard.dependencies, settings=settings)
    begun = await (await halyard.browser()).get(LOGIN, headers={"host": "evil.example"})
    asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
    assert asked["redirect_uri"] == HERE + BACK
    assert (await entered(await halyard.browser()))["email"] == "ann@example.org"


async def test_an_answer_with_another_state_proves_nothing(halyard: Installation) -> None:
    browser = await halyard.browser()
    back = httpx.URL(await answer_of(browser))
    # All else is as the provider sent it, and fits the browser.
    problem(await browser.get(back.copy_set_param("state", "x")), 400, "login-unproven")


async def test_a_code_that_has_expired_is_told_like_any_other_that_proves_nothing(
    halyard: Installation, script: NodeScript
) -> None:
    browser = await halyard.browser()
    back = await answer_of(browser)
    await script.ask("later", seconds=61)
    told = problem(await browser.get(back), 400, "login-unproven")
    assert "invalid_grant" not in told["detail"]


async def test_a_provider_that_is_down_is_told_without_its_address(
    halyard: Installation, script: NodeScript
) -> None:
    browser = await halyard.browser()
    back = await answer_of(browser)
    port = urlsplit(halyard.issuer).port
    await script.ask("stop")
    down = await browser.get(back)
    told = problem(down, 503, "identity-provider-unavailable")["detail"]
    assert told == "Example Inc. does not answer as it must: try again shortly"
    assert down.headers["retry-after"]
    halyard.trust()
    away = await (await halyard.browser()).get(LOGIN)
    problem(away, 503, "identity-provider-unavailable")
    await script.ask("start", port=port, redirects=[HERE + BACK])


ELSEWHERE = (
    *("//evil.example", "/\\evil.example", "https://evil.example", "evil.example", ""),
    *("/a\r\nSet-Cookie: x=y", "/a\n", "/\t/evil.example", "/ä", "javascript:alert(1)"),
)


async def test_nobody_is_led_elsewhere(halyard: Installation) -> None:
    browser = await halyard.browser()
    for path in ELSEWHERE:
        answer = await browser.get(LOGIN, params={"returnTo": path})
        assert problem(answer, 422, "malformed")["errors"][0]["path"] == "?returnTo", path
        assert "set-cookie" not in answer.headers


async def test_an_unknown_provider_is_not_there(halyard: Installation) -> None:
    browser = await halyard.browser()
    for path in ("login", "callback"):
        problem(await browser.get(f"{AUTH}/oidc/other/{path}"), 404, "not-found")
