"""Two server processes on one database: no lost update, no write skew, nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.program import HalyardProcess

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

TOKEN = "hly_token_of_the_two_servers"
SHOP = "/api/v1/projects/shop"


@pytest.fixture
async def pair_of_servers(
    tmp_path: Path, database_url: str, redis_url: str
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    env = {
        "HALYARD_DATABASE_URL": database_url,
        "HALYARD_REDIS_URL": redis_url,
        "HALYARD_ADMIN_EMAIL": "ann@example.org",
        "HALYARD_ADMIN_PASSWORD": "a password of some length",
        "HALYARD_ADMIN_TOKEN": TOKEN,
        "HALYARD_DRAIN_SECONDS": "0",
    }
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("one", "two"):
            process = HalyardProcess("serve", log=tmp_path / f"{name}.log", env=env)
            await stack.enter_async_context(process)
            headers = {"Authorization": f"Bearer {TOKEN}"}
            client = httpx.AsyncClient(base_url=process.url, headers=headers, timeout=30)
            clients.append(await stack.enter_async_context(client))
        one, two = clients
        made = await one.post("/api/v1/projects", json={"key": "shop", "name": "Shop"})
        assert made.status_code == 201, made.text
        made = await one.post(f"{SHOP}/flags", json={"key": "banner"})
        assert made.status_code == 201, made.text
        yield one, two


async def test_of_32_writers_with_one_revision_one_wins_and_31_learn_what_came_between(
    pair_of_servers: tuple[httpx.AsyncClient, httpx.AsyncClient],
) -> None:
    path = f"{SHOP}/flags/banner/environments/development/enable"
    answers = await asyncio.gather(
        *(pair_of_servers[n % 2].post(path, headers={"If-Match": '"0"'}) for n in range(32))
    )
    won = [answer.json() for answer in answers if answer.status_code == 200]
    lost = [answer.json() for answer in answers if answer.status_code == 412]
    assert (len(won), len(lost)) == (1, 31)
    assert {problem["between"][0]["seq"] for problem in lost} == {won[0]["seq"]}
    history = await pair_of_servers[1].get(f"{SHOP}/flags/banner/history")
    assert [event["type"] for event in history.json()["items"]].count("FlagEnabled") == 1


async def test_prerequisites_that_would_form_a_circle_do_not_both_win(
    pair_of_servers: tuple[httpx.AsyncClient, httpx.AsyncClient],
) -> None:
    for number in range(8):
        pair = (f"a{number}", f"b{number}")
        for key in pair:
            assert (
                await pair_of_servers[0].post(f"{SHOP}/flags", json={"key": key})
            ).status_code == 201
        answers = await asyncio.gather(
            *(
                server.put(
                    f"{SHOP}/flags/{flag}/environments/staging/prerequisites",
                    json={"prerequisites": [{"flag": other, "variations": ["on"]}]},
                )
                for server, flag, other in zip(pair_of_servers, pair, reversed(pair), strict=True)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_one_idempotency_key_from_eight_callers_takes_effect_once(
    pair_of_servers: tuple[httpx.AsyncClient, httpx.AsyncClient],
) -> None:
    answers = await asyncio.gather(
        *(
            pair_of_servers[n % 2].post(
                f"{SHOP}/segments", json={"key": "friends"}, headers={"Idempotency-Key": "k"}
            )
            for n in range(8)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["seq"] for answer in answers}) == 1
    assert [answer.json()["replayed"] for answer in answers].count(False) == 1
