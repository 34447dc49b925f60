"""A page with the client key of a running `halyard dev`: its visitor's values, what it tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from halyard_protocol.messages import Values
from websockets.asyncio.client import connect

from tests.streaming.browser import Browser
from tests.support.dev import Dev, caught_up, running_dev

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

DEVELOPMENT = "/api/v1/projects/demo/environments/development"
CHECKOUT = "/api/v1/projects/demo/flags/new-checkout/environments/development"
TRACKED = "/api/v1/projects/demo/flags/checkout-button/environments/development"
"""The demo has its exposures tracked from the start."""


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[Dev]:
    async with running_dev(tmp_path) as dev:
        yield dev


def page(dev: Dev, key: str, **options: Any) -> connect:
    """A browser's connection: the key in the address, compression offered."""
    url = f"ws://127.0.0.1:{dev.process.port}/stream/v1?key={key}"
    return connect(url, compression="deflate", **options)


async def test_a_page_has_what_ofrep_answers_and_hears_of_changes_at_once(dev: Dev) -> None:
    async with page(dev, dev.key("client")) as connection:
        visitor = Browser(connection)
        await visitor.start({"key": "alice"})
        assert {key: visitor.of(key) for key in visitor.values} == await by_ofrep(dev, "alice")
        assert visitor.of("new-checkout") is True
        (await dev.http.post(f"{CHECKOUT}/disable")).raise_for_status()
        while visitor.of("new-checkout"):
            await visitor.next()
        await visitor.identify({"key": "bob"})
        while not (await visitor.next_of(Values)).full:
            pass
        assert {key: visitor.of(key) for key in visitor.values} == await by_ofrep(dev, "bob")


async def test_what_pages_exposed_is_in_the_analytics(dev: Dev) -> None:
    async with page(dev, dev.key("client")) as connection:
        visitor = Browser(connection)
        await visitor.start({"key": "alice"})
        now_ms = int(time.time() * 1000)
        counter = {"version": 1, "variation": "buy-now", "reason": "FALLTHROUGH", "count": 3}
        told = {"from": now_ms - 1_000, "to": now_ms, "flags": {"checkout-button": [counter]}}
        await connection.send(msgspec.json.encode({"type": "exposures", **told}).decode())
        async with asyncio.timeout(30):
            while not (answer := (await dev.http.get(f"{TRACKED}/analytics")).json())["total"]:
                await asyncio.sleep(0.1)
    assert answer["total"] == 3


async def test_a_page_from_elsewhere_is_refused(dev: Dev) -> None:
    body = {"kind": "client", "origins": ["https://shop.example.com"]}
    issued = (await dev.http.post(f"{DEVELOPMENT}/keys", json=body)).raise_for_status().json()
    key = issued.get("secret") or issued["clientKey"]
    await caught_up(dev.http)  # before that, whether it is one cannot be said
    async with page(dev, key, origin="https://shop.example.com") as connection:
        assert (await Browser(connection).hello()).intent == "values"
    async with page(dev, key, origin="https://evil.example.org") as connection:
        assert (await Browser(connection).closed())[0] == 4403


async def by_ofrep(dev: Dev, visitor: str) -> dict[str, Any]:
    """The values of all flags for pages, as HTTP answers them."""
    answer = await dev.http.post(
        "/ofrep/v1/evaluate/flags",
        json={"context": {"targetingKey": visitor}},
        headers={"Authorization": f"Bearer {dev.key('client')}"},
    )
    return {each["key"]: each["value"] for each in answer.raise_for_status().json()["flags"]}
