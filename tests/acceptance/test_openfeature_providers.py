"""OpenFeature's SDK for Python against a running `halyard dev`: by our provider, and by OFREP's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from halyard_sdk.openfeature import HalyardProvider
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import FeatureProvider

from tests.support.dev import Dev, running_dev
from tests.support.openfeature import (
    ALICE,
    BOB,
    DEFAULTS,
    NOBODY,
    OF_ALICE,
    OF_BOB,
    OF_NOBODY,
    UNSERVED,
    Told,
    create_flags,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

SHOWN = "/api/v1/projects/demo/flags/shown/environments/development"
GETTERS = {bool: "boolean", str: "string", int: "integer", float: "float", dict: "object"}
WAIT_S = 20.0


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[Dev]:
    async with running_dev(tmp_path) as dev:
        await create_flags(dev.http)
        yield dev


@pytest.fixture(autouse=True)
async def forgotten() -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(api.shutdown)


async def use(provider: FeatureProvider) -> None:
    await asyncio.to_thread(api.set_provider_and_wait, provider)


def evaluation_context(context: Mapping[str, Any]) -> EvaluationContext:
    attributes = {name: value for name, value in context.items() if name != "targetingKey"}
    return EvaluationContext(context.get("targetingKey"), attributes)


async def details(
    flag: str, default: Any, context: Mapping[str, Any]
) -> FlagEvaluationDetails[Any]:
    """What the getter for the default's type answers."""
    get = getattr(api.get_client(), f"get_{GETTERS[type(default)]}_details")
    answer = await asyncio.to_thread(get, flag, default, evaluation_context(context))
    assert isinstance(answer, FlagEvaluationDetails)
    return answer


async def told(flag: str, default: Any, context: Mapping[str, Any]) -> Told:
    answer = await details(flag, default, context)
    word = answer.variant if answer.error_code is None else answer.error_code.value
    return Told(answer.value, word or "", str(answer.reason))


async def all_told(context: Mapping[str, Any]) -> dict[str, Told]:
    return {flag: await told(flag, default, context) for flag, default in DEFAULTS.items()}


def failed(default: object, code: ErrorCode) -> Told:
    return Told(default, code.value, "ERROR")


async def evaluates_everything() -> None:
    for context, expected in ((ALICE, OF_ALICE), (BOB, OF_BOB), (NOBODY, OF_NOBODY)):
        assert await all_told(context) == expected
    answer = await details("shown", False, ALICE)
    assert answer.flag_metadata["reasonKind"] == "TARGET_MATCH"
    assert int(answer.flag_metadata["version"]) > 0
    assert await told("rows", "a string", ALICE) == failed("a string", ErrorCode.TYPE_MISMATCH)
    missing = await details("no-such-flag", True, ALICE)
    assert (missing.value, missing.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    assert "no-such-flag" in (missing.error_message or "")
    assert await told(UNSERVED, "mine", ALICE) == Told("mine", "", "DISABLED")


async def test_our_provider_evaluates_every_type(dev: Dev) -> None:
    await use(HalyardProvider(dev.url, dev.key("server")))
    await evaluates_everything()


async def test_our_provider_tells_of_changes_and_of_a_server_that_was_killed(dev: Dev) -> None:
    events: dict[ProviderEvent, Queue[EventDetails]] = {event: Queue() for event in ProviderEvent}
    await use(HalyardProvider(dev.url, dev.key("server"), retry_grace_period_s=0.5))
    for event, queue in events.items():
        api.add_handler(event, queue.put)

    async def hears(event: ProviderEvent) -> EventDetails:
        return await asyncio.to_thread(events[event].get, timeout=WAIT_S)

    await hears(ProviderEvent.PROVIDER_READY)
    assert (await dev.http.post(f"{SHOWN}/disable")).status_code == 200
    changed = await hears(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert changed.flags_changed == ["shown"]
    expected = {**OF_ALICE, "shown": Told(False, "off", "DISABLED")}
    assert await all_told(ALICE) == expected

    await dev.process.kill()
    await hears(ProviderEvent.PROVIDER_STALE)
    await hears(ProviderEvent.PROVIDER_ERROR)
    assert await all_told(ALICE) == expected

    await dev.process.start()
    await hears(ProviderEvent.PROVIDER_READY)
    assert (await hears(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)).flags_changed == []
    assert (await dev.http.post(f"{SHOWN}/enable")).status_code == 200
    changed = await hears(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert changed.flags_changed == ["shown"]
    assert await all_told(ALICE) == OF_ALICE
    assert all(queue.empty() for queue in events.values())


@pytest.mark.parametrize(
    ("kind", "header", "scheme"),
    [("server", "Authorization", "Bearer "), ("client", "X-API-Key", "")],
)
async def test_the_provider_of_ofrep_evaluates_every_type(
    dev: Dev, kind: str, header: str, scheme: str
) -> None:
    key = {header: f"{scheme}{dev.key(kind)}"}
    await use(OFREPProvider(dev.url, headers_factory=lambda: key))
    await evaluates_everything()
    invalid = await told("shown", False, {"targetingKey": 7})
    assert invalid == failed(False, ErrorCode.INVALID_CONTEXT)


async def test_the_provider_of_ofrep_with_a_key_that_is_none_gets_defaults(dev: Dev) -> None:
    await use(OFREPProvider(dev.url, headers_factory=lambda: {"X-API-Key": "nobody"}))
    assert await all_told(ALICE) == {
        flag: failed(default, ErrorCode.GENERAL) for flag, default in DEFAULTS.items()
    }
