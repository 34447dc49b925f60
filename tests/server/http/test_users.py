"""People: invited, found, corrected, disabled, erased; and those who register."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from eventstore.log import SYSTEM_LOG
from server.http.dependencies import Dependencies
from tests.support.api import ADMIN, client_of, problem
from tests.support.people import AUTH, PASSWORD, bearer, logged_in

USERS = f"{AUTH}/users"
BOB = "bob@example.org"


@pytest.fixture
async def stranger(dependencies: Dependencies) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(dependencies, token=None) as client:
        yield client


async def invited(api: httpx.AsyncClient, email: str = BOB, **more: Any) -> dict[str, Any]:
    response = await api.post(USERS, json={"email": email, **more})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    assert response.headers["location"] == f"{USERS}/{answer['account']}"
    return answer


async def accepted(stranger: httpx.AsyncClient, secret: str, password: str = PASSWORD) -> None:
    body = {"secret": secret, "password": password}
    response = await stranger.post(f"{AUTH}/accept", json=body)
    assert response.status_code == 204, response.text


async def test_nothing_of_the_installation_is_asked_approval_of(api: httpx.AsyncClient) -> None:
    refused = await api.post(f"{USERS}?bypassApproval=true", json={"email": BOB})
    errors = problem(refused, 422, "malformed")["errors"]
    assert [error["path"] for error in errors] == ["?bypassApproval"]


async def test_somebody_who_is_invited_chooses_a_password_and_comes_in(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    answer = await invited(api, name="Bob", role="developer")
    problem(
        await stranger.post(f"{AUTH}/login", json={"email": BOB, "password": PASSWORD}),
        401,
        "wrong-credentials",
    )
    await accepted(stranger, answer["secret"])
    login = await logged_in(stranger, BOB)
    me = (await stranger.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))).json()
    assert (me["account"]["name"], me["account"]["roles"]) == (
        "Bob",
        [{"project": "*", "role": "developer"}],
    )


async def test_an_invitation_can_be_for_one_project(api: httpx.AsyncClient) -> None:
    answer = await invited(api, role="viewer", project="shop")
    user = (await api.get(f"{USERS}/{answer['account']}")).json()
    assert user["roles"] == [{"project": "shop", "role": "viewer"}]
    assert user["name"] == "bob"
    assert not user["hasPassword"]


async def test_a_secret_is_good_once_and_only_for_a_good_password(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    secret = (await invited(api))["secret"]
    for body, status in (({"password": "short"}, 422), ({"secret": "hlo_x"}, 401)):
        wanted = {"secret": secret, "password": PASSWORD, **body}
        response = await stranger.post(f"{AUTH}/accept", json=wanted)
        assert response.status_code == status
    await accepted(stranger, secret)
    again = await stranger.post(f"{AUTH}/accept", json={"secret": secret, "password": PASSWORD})
    problem(again, 401, "secret-spent")


async def test_an_address_has_one_account_in_whatever_case(api: httpx.AsyncClient) -> None:
    await invited(api)
    problem(await api.post(USERS, json={"email": BOB.upper()}), 409, "email-taken")


async def test_an_invitation_that_is_repeated_makes_no_second_account(
    api: httpx.AsyncClient,
) -> None:
    headers = {"idempotency-key": "once"}
    first = await api.post(USERS, json={"email": BOB}, headers=headers)
    second = await api.post(USERS, json={"email": BOB}, headers=headers)
    assert (second.status_code, second.json()["account"]) == (201, first.json()["account"])


async def test_a_refused_invitation_leaves_nothing_behind(api: httpx.AsyncClient) -> None:
    refused = await api.post(USERS, json={"email": BOB, "role": "adm"})
    assert problem(refused, 422, "invalid-command")["errors"][0]["path"] == "/role"
    await invited(api)


async def test_what_an_interrupted_attempt_left_belongs_to_nobody(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    desk = dependencies.desk
    assert desk is not None
    planted = await desk.passwords.hashed("the password of a stranger")
    await desk.people.accounts.add("left-over", BOB, "Mallory", planted)
    await invited(api, name="Bob")
    row = await desk.people.accounts.by_email(BOB)
    assert row is not None
    assert (row.name, row.password_hash) == ("Bob", None)


async def test_a_reset_ends_every_login_and_the_old_password(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    bob = await invited(api)
    await accepted(stranger, bob["secret"])
    login = await logged_in(stranger, BOB)
    reset = (await api.post(f"{USERS}/{bob['account']}/password-reset")).json()
    me = await stranger.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))
    assert me.status_code == 401
    await accepted(stranger, reset["secret"], "quite another one")
    old = await stranger.post(f"{AUTH}/login", json={"email": BOB, "password": PASSWORD})
    assert old.status_code == 401
    await logged_in(stranger, BOB, "quite another one")


async def test_a_secret_opens_nothing_once_its_owner_has_chosen_another_password(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    answer = await invited(api)
    await accepted(stranger, answer["secret"])
    reset = (await api.post(f"{USERS}/{answer['account']}/password-reset")).json()
    login = await logged_in(stranger, BOB)
    body = {"currentPassword": PASSWORD, "newPassword": "quite another one"}
    changed = await stranger.post(
        f"{AUTH}/password", json=body, headers=bearer(login["accessToken"])
    )
    assert changed.status_code == 200, changed.text
    late = {"secret": reset["secret"], "password": "what a thief likes"}
    problem(await stranger.post(f"{AUTH}/accept", json=late), 401, "secret-spent")


async def test_people_are_searched_filtered_and_sorted_in_pages(api: httpx.AsyncClient) -> None:
    cid = await invited(api, "cid@example.com", name="Cid", role="viewer")
    await invited(api, "amy@example.org", name="Zoe", role="viewer")
    await api.post(f"{USERS}/{cid['account']}/disable")

    async def names(**query: str) -> list[str]:
        return [user["name"] for user in (await api.get(USERS, params=query)).json()["items"]]

    assert await names() == ["Ada", "Cid", "Zoe"]
    assert await names(sort="email") == ["Ada", "Zoe", "Cid"]
    assert await names(sort="created") == ["Ada", "Cid", "Zoe"]
    assert await names(search="EXAMPLE.com") == ["Cid"]
    assert await names(search="zo") == ["Zoe"]
    assert await names(role="viewer", state="active") == ["Zoe"]
    assert await names(state="disabled") == ["Cid"]
    first = (await api.get(USERS, params={"limit": 2})).json()
    rest = (await api.get(USERS, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [user["name"] for user in (*first["items"], *rest["items"])] == ["Ada", "Cid", "Zoe"]
    assert rest["nextCursor"] is None
    other = {"sort": "email", "cursor": first["nextCursor"]}
    problem(await api.get(USERS, params=other), 422, "malformed")


@pytest.mark.parametrize("sort", ["name", "email", "created"])
async def test_pages_of_people_come_to_the_whole_list(
    sort: str, api: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    assert dependencies.desk is not None
    for number, name in enumerate(("bea", "Bea", "Zoe", "abe")):
        account = (await invited(api, f"{name}{number}@Example.org", name=name))["account"]
    await api.post(f"{USERS}/{account}/erase")
    await dependencies.desk.people.accounts.add("left-over", "x@example.org", "An attempt", None)
    whole = (await api.get(USERS, params={"sort": sort})).json()["items"]
    paged, query = [], {"sort": sort, "limit": "2"}
    while query.get("cursor", "") is not None:
        page = (await api.get(USERS, params=query)).json()
        paged += page["items"]
        query["cursor"] = page["nextCursor"]
    assert paged == whole
    shown = [person["name"].partition(" ")[0].casefold() for person in whole]
    assert (
        shown
        == {
            "name": ["ada", "bea", "bea", "erased", "zoe"],
            "email": ["erased", "ada", "bea", "bea", "zoe"],
            "created": ["ada", "bea", "bea", "zoe", "erased"],
        }[sort]
    )


async def test_names_and_addresses_are_corrected_against_a_revision(
    api: httpx.AsyncClient,
) -> None:
    bob = f"{USERS}/{(await invited(api))['account']}"
    etag = (await api.get(bob)).headers["etag"]
    changed = await api.patch(
        bob, json={"name": "Bobby", "email": "bobby@example.org"}, headers={"if-match": etag}
    )
    assert changed.status_code == 200
    user = (await api.get(bob)).json()
    assert (user["name"], user["email"]) == ("Bobby", "bobby@example.org")
    stale = await api.patch(bob, json={"name": "B"}, headers={"if-match": etag})
    assert stale.status_code == 412
    taken = await api.patch(bob, json={"email": "ADA@example.org"})
    problem(taken, 409, "email-taken")
    assert (await api.get(bob)).json()["name"] == "Bobby"


async def test_a_role_is_given_for_a_project_and_taken_away(api: httpx.AsyncClient) -> None:
    bob = f"{USERS}/{(await invited(api))['account']}"
    await api.put(f"{bob}/role", json={"role": "viewer"})
    await api.put(f"{bob}/role", json={"role": "developer", "project": "shop"})
    roles = (await api.get(bob)).json()["roles"]
    assert roles == [
        {"project": "*", "role": "viewer"},
        {"project": "shop", "role": "developer"},
    ]
    await api.put(f"{bob}/role", json={"role": ""})
    assert (await api.get(bob)).json()["roles"] == [{"project": "shop", "role": "developer"}]


async def test_a_disabled_account_is_shut_out_until_it_is_enabled(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    bob = await invited(api)
    await accepted(stranger, bob["secret"])
    login = await logged_in(stranger, BOB)
    await api.post(f"{USERS}/{bob['account']}/disable")
    me = await stranger.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))
    assert me.status_code == 401
    refresh = {"refreshToken": login["refreshToken"]}
    assert (await stranger.post(f"{AUTH}/refresh", json=refresh)).status_code == 401
    await api.post(f"{USERS}/{bob['account']}/enable")
    await logged_in(stranger, BOB)


async def test_an_administrator_sees_and_ends_the_logins_of_others(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    bob = await invited(api)
    await accepted(stranger, bob["secret"])
    one, other = await logged_in(stranger, BOB), await logged_in(stranger, BOB)
    sessions = f"{USERS}/{bob['account']}/sessions"
    listed = (await api.get(sessions)).json()["items"]
    assert {item["id"] for item in listed} == {one["session"], other["session"]}
    assert (await api.delete(f"{sessions}/{one['session']}")).status_code == 204
    problem(await api.delete(f"{USERS}/{ADMIN}/sessions/{other['session']}"), 404, "not-found")
    assert (await api.delete(sessions)).status_code == 200
    assert (await api.get(sessions)).json()["items"] == []


async def test_an_erased_person_is_a_pseudonym_in_history_and_nowhere_else(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    bob = await invited(api, name="Robert Tables", role="admin")
    await accepted(stranger, bob["secret"])
    login = await logged_in(stranger, BOB)
    mine = bearer(login["accessToken"])
    await stranger.post("/api/v1/projects", json={"key": "shop", "name": "Shop"}, headers=mine)
    erased = await api.post(f"{USERS}/{bob['account']}/erase")
    assert erased.json()["events"][0]["type"] == "AccountErased"
    user = (await api.get(f"{USERS}/{bob['account']}")).json()
    name = f"erased account {bob['account'][:6]}"
    assert (user["name"], user["email"]) == (name, None)
    events = await api.get("/api/v1/projects/shop/events")
    assert name in events.text
    pool = dependencies.store._pool
    for table in ("account", "login_session", "one_time_secret", "event", "command_origin"):
        rows = str([tuple(row) for row in await pool.fetch(f"SELECT * FROM {table}")])
        for known in (BOB, "Robert", "python-httpx"):
            if (table, known) != ("command_origin", "python-httpx"):  # of others
                assert known not in rows, table
    of_bob = await pool.fetchval(
        "SELECT count(*) FROM command_origin WHERE actor_id = $1", bob["account"]
    )
    assert of_bob == 0
    again = await stranger.post(f"{AUTH}/login", json={"email": BOB, "password": PASSWORD})
    assert again.status_code == 401
    await invited(api)  # the address is free


async def test_an_erasure_that_was_interrupted_is_finished_later(
    api: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    from domain.system.commands import EraseAccount
    from server.writing.submission import Submission

    bob = (await invited(api))["account"]
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", EraseAccount(account=bob)))
    desk = dependencies.desk
    assert desk is not None
    await desk.keeper.keep()
    row = await desk.people.accounts.by_id(bob)
    assert row is not None
    assert (row.email, row.name) == (None, "")


async def test_the_last_administrator_stays(api: httpx.AsyncClient) -> None:
    for action in ("disable", "erase"):
        refused = await api.post(f"{USERS}/{ADMIN}/{action}")
        problem(refused, 409, "last-administrator")
    assert (await api.get(f"{USERS}/{ADMIN}")).json()["name"] == "Ada"


# -- registering ---------------------------------------------------------------------------------


async def register(client: httpx.AsyncClient, email: str = BOB) -> httpx.Response:
    body = {"email": email, "name": "Bob", "password": PASSWORD}
    return await client.post(f"{AUTH}/register", json=body)


async def test_nobody_registers_unless_it_was_allowed(stranger: httpx.AsyncClient) -> None:
    problem(await register(stranger), 403, "registration-closed")


async def test_who_registers_comes_in_with_the_role_of_the_settings(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    wanted = {"registration": "open", "registrationRole": "viewer",
              "registrationDomains": ["example.org"]}  # fmt: skip
    await api.patch("/api/v1/settings", json=wanted)
    problem(await register(stranger, "bob@example.com"), 403, "registration-closed")
    problem(await register(stranger, "bob@example.org.evil.com"), 403, "registration-closed")
    assert (await register(stranger)).status_code == 202
    login = await logged_in(stranger, BOB)
    me = (await stranger.get(f"{AUTH}/me", headers=bearer(login["accessToken"]))).json()
    assert me["account"]["roles"] == [{"project": "*", "role": "viewer"}]
    assert not me["account"]["emailVerified"]


async def test_registering_an_address_that_is_taken_tells_and_changes_nothing(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await api.patch("/api/v1/settings", json={"registration": "open"})
    first, second = await register(stranger), await register(stranger, "ada@example.org")
    assert (first.status_code, first.text) == (second.status_code, second.text)
    body = {"email": "ada@example.org", "password": PASSWORD}
    assert (await stranger.post(f"{AUTH}/login", json=body)).status_code == 401
    assert (await api.get(f"{USERS}/{ADMIN}")).json()["name"] == "Ada"
