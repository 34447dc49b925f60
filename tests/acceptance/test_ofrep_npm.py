"""OpenFeature's providers for JavaScript, as npm has them, against a running `halyard dev`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.dev import Dev, caught_up, running_dev
from tests.support.node import NodeScript, install_packages
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

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(400),  # what npm may take is in it
    pytest.mark.asyncio(loop_scope="module"),
]

SCRIPTS = Path(__file__).parent / "ofrep"
SHOWN = "/api/v1/projects/demo/flags/shown/environments/development"
MEMBERS = "/api/v1/projects/demo/segments/early-adopters/members"
ASKED = [{"flag": flag, "default": default} for flag, default in DEFAULTS.items()]
BULK = "/ofrep/v1/evaluate/flags"


@pytest.fixture(scope="session")
def packages() -> None:
    install_packages(SCRIPTS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    async with running_dev(tmp_path_factory.mktemp("dev")) as running:
        await create_flags(running.http)
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def dev(started: Dev) -> Dev:
    """With the flags as they were made, whatever other tests did."""
    assert (await started.http.post(f"{SHOWN}/enable")).status_code == 200
    await caught_up(started.http)
    return started


@pytest_asyncio.fixture(loop_scope="module")
async def service(packages: None, tmp_path: Path) -> AsyncIterator[NodeScript]:
    async with NodeScript(SCRIPTS / "service.mjs", tmp_path / "service.log") as script:
        yield script


@pytest_asyncio.fixture(loop_scope="module")
async def page(packages: None, tmp_path: Path) -> AsyncIterator[NodeScript]:
    async with NodeScript(SCRIPTS / "page.mjs", tmp_path / "page.log") as script:
        yield script


def told(answers: list[dict[str, Any]]) -> dict[str, Told]:
    """Value, variant and reason by flag; of an error its code, where the variant would be."""
    return {
        each["flagKey"]: Told(
            each["value"],
            each["errorCode"] if "errorCode" in each else each["variant"],
            each["reason"],
        )
        for each in answers
    }


def failed(default: object, code: str) -> Told:
    return Told(default, code, "ERROR")


async def test_a_service_evaluates_every_type(dev: Dev, service: NodeScript) -> None:
    bearer = [["Authorization", f"Bearer {dev.key('server')}"]]
    await service.ask("start", url=dev.url, headers=bearer)
    for context, expected in ((ALICE, OF_ALICE), (BOB, OF_BOB), (NOBODY, OF_NOBODY)):
        assert told(await service.ask("evaluate", context=context, asked=ASKED)) == expected

    slips = [
        {"flag": "rows", "default": "a string"},
        {"flag": "greeting", "default": {}},
        {"flag": "no-such-flag", "default": True},
        {"flag": UNSERVED, "default": "mine"},  # no value, which this provider takes for a fault
    ]
    answers = await service.ask("evaluate", context=ALICE, asked=slips)
    assert told(answers) == {
        "rows": failed("a string", "TYPE_MISMATCH"),
        "greeting": failed({}, "TYPE_MISMATCH"),
        "no-such-flag": failed(True, "FLAG_NOT_FOUND"),
        UNSERVED: failed("mine", "GENERAL"),
    }
    assert "no-such-flag" in answers[2]["errorMessage"]
    assert answers[2]["flagMetadata"] == {}

    (answer,) = await service.ask("evaluate", context=ALICE, asked=ASKED[:1])
    assert answer["flagMetadata"]["version"] > 0
    invalid = await service.ask("evaluate", context={"targetingKey": 7}, asked=ASKED[:1])
    assert told(invalid) == {"shown": failed(False, "INVALID_CONTEXT")}


async def test_a_service_with_a_key_that_is_none_gets_defaults(
    dev: Dev, service: NodeScript
) -> None:
    await service.ask("start", url=dev.url, headers=[["X-API-Key", "nobody"]])
    answers = await service.ask("evaluate", context=ALICE, asked=ASKED)
    assert told(answers) == {flag: failed(value, "GENERAL") for flag, value in DEFAULTS.items()}


async def opened(dev: Dev, page: NodeScript, context: dict[str, str]) -> dict[str, Any]:
    """Open the page; what was answered to its first request."""
    headers = [["X-API-Key", dev.key("client")]]
    await page.ask("open", url=dev.url, headers=headers, context=context)
    return await page.event("request")


async def test_a_page_evaluates_every_type_and_gets_304s(dev: Dev, page: NodeScript) -> None:
    first = await opened(dev, page, ALICE)
    assert (first["path"], first["status"], first["ifNoneMatch"]) == (BULK, 200, None)
    assert told(await page.ask("evaluate", asked=ASKED)) == OF_ALICE
    slips = [
        {"flag": "rows", "default": "a string"},
        {"flag": "search-page-size", "default": 1},  # of the demo, and not for clients
        {"flag": UNSERVED, "default": "mine"},
    ]
    assert told(await page.ask("evaluate", asked=slips)) == {
        "rows": failed("a string", "TYPE_MISMATCH"),
        "search-page-size": failed(1, "FLAG_NOT_FOUND"),
        UNSERVED: Told("mine", "", "DISABLED"),
    }
    await page.event("stream-open")

    await page.ask("look")
    again = await page.event("request", query="", status=304)
    assert again["ifNoneMatch"] == again["etag"] == first["etag"]

    await page.ask("become", context=BOB)
    assert (await page.event("request", query="", status=200))["etag"] != first["etag"]
    assert told(await page.ask("evaluate", asked=ASKED)) == OF_BOB

    await page.ask("leave")
    await opened_from_what_was_stored(dev, page)


async def opened_from_what_was_stored(dev: Dev, page: NodeScript) -> None:
    """Open the page again as Bob, whose answers it has stored."""
    await page.ask("open", url=dev.url, headers=[["X-API-Key", dev.key("client")]], context=BOB)
    cached = {flag: each._replace(reason="CACHED") for flag, each in OF_BOB.items()}
    assert told(await page.ask("evaluate", asked=ASKED)) == cached
    request = await page.event("request", query="", status=304)
    assert request["ifNoneMatch"] == request["etag"]


async def test_a_page_follows_a_change_within_a_second(
    dev: Dev, page: NodeScript, capsys: pytest.CaptureFixture[str]
) -> None:
    await opened(dev, page, ALICE)
    await page.event("stream-open")

    disabled = Told(False, "off", "DISABLED")
    took_s = []
    for action in ("disable", "enable") * 3:
        asked_at = time.monotonic()
        assert (await dev.http.post(f"{SHOWN}/{action}")).status_code == 200
        event = await page.event("ConfigurationChanged")
        took_s.append(time.monotonic() - asked_at)
        assert event["flagsChanged"] == ["shown"]
        expected = {**OF_ALICE, "shown": disabled} if action == "disable" else OF_ALICE
        assert told(await page.ask("evaluate", asked=ASKED)) == expected
    with capsys.disabled():
        each = " ".join(f"{one * 1_000:.0f}" for one in took_s)
        sys.stdout.write(f"\nms from a command to a page's CONFIGURATION_CHANGED: {each}\n")
    # The median, for one of them may meet a machine that is busy with something else.
    assert statistics.median(took_s) < 1


async def test_a_page_gets_a_304_for_a_change_that_is_none_to_it(
    dev: Dev, page: NodeScript
) -> None:
    await opened(dev, page, ALICE)
    at_first = await refetched(page)
    assert (await dev.http.post(f"{MEMBERS}/remove", json={"keys": ["bob"]})).status_code == 200
    assert await refetched(page) != at_first


async def refetched(page: NodeScript) -> str:
    """The tag in the next event of the stream, because of which the page asked and got a 304.

    There is an event as soon as a stream is open: a change may have been between it and the answer
    that the page has.
    """
    etag: str = json.loads((await page.event("stream-message"))["data"])["etag"]
    request = await page.event("request", status=304)
    assert request["ifNoneMatch"] == request["etag"]
    assert f"flagConfigEtag={etag}" in request["query"]
    return etag


async def test_a_page_follows_changes_over_a_restart(dev: Dev, page: NodeScript) -> None:
    await opened(dev, page, ALICE)
    await page.event("stream-open")
    await dev.process.stop()
    await page.event("Stale")
    assert told(await page.ask("evaluate", asked=ASKED)) == OF_ALICE
    await dev.process.start()
    assert (await dev.http.post(f"{SHOWN}/disable")).status_code == 200
    await page.event("ConfigurationChanged", flagsChanged=["shown"])
    expected = {**OF_ALICE, "shown": Told(False, "off", "DISABLED")}
    assert told(await page.ask("evaluate", asked=ASKED)) == expected
