"""What SDKs have counted, over HTTP."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from domain.system.commands import AssignRole, CreateRole
from domain.system.vocabulary import Grant
from eventstore.counts import (
    SLOT_S,
    CountBatch,
    EventCount,
    ExposureCount,
    LossCount,
    Row,
    SeenAttribute,
    SeenValue,
)
from server.http.analytics import MAX_POINTS
from server.http.dependencies import Dependencies
from server.writing.submission import Submission
from tests.support.api import FLAG, PROJECT, SETTINGS, client_of, problem

ANALYTICS = f"{SETTINGS}/analytics"
DEVELOPMENT = f"{PROJECT}/environments/development"
CONTEXTS = f"{DEVELOPMENT}/contexts"
YESTERDAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(1)
SLOT = int(YESTERDAY.timestamp())


@pytest.fixture
async def environment_id(demo: httpx.AsyncClient, dependencies: Dependencies) -> str:
    assert demo is not None
    state = (await dependencies.writers.state("demo", 0)).state
    return state.environments["development"].id


async def write(dependencies: Dependencies, *rows: Row) -> None:
    assert dependencies.analytics is not None
    await dependencies.analytics.write(CountBatch(str(uuid.uuid4()), rows))


def span(**more: str) -> dict[str, str]:
    begin = YESTERDAY.replace(hour=0)
    return {"from": begin.isoformat(), "to": (begin + timedelta(days=1)).isoformat(), **more}


async def test_a_flags_exposures_are_shown_by_variation_reason_version_and_time(
    demo: httpx.AsyncClient, dependencies: Dependencies, environment_id: str
) -> None:
    on = ExposureCount(
        environment_id, "checkout", SLOT, 3, "on", "FALLTHROUGH", 5, SLOT * 1000 + 250
    )
    await write(
        dependencies,
        on,
        on._replace(slot_s=SLOT + SLOT_S, version=4, times=2, last_at_ms=(SLOT + SLOT_S) * 1000),
        on._replace(slot_s=SLOT + 7200, variation="", reason="ERROR", times=1),
        on._replace(flag="another", times=100),
        on._replace(environment_id="env-of-others", times=100),
        LossCount(environment_id, SLOT, "exposures", "sdk", 9),
        LossCount(environment_id, SLOT, "events", "flood", 8),
    )
    answer = await demo.get(ANALYTICS, params=span())
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["total"] == 8
    assert shown["variations"] == [
        {"variation": "on", "count": 7},
        {"variation": None, "count": 1},
    ]
    assert shown["reasons"] == [
        {"reason": "FALLTHROUGH", "count": 7},
        {"reason": "ERROR", "count": 1},
    ]
    assert shown["versions"] == [{"version": 3, "count": 6}, {"version": 4, "count": 2}]
    assert shown["lastExposedAt"] == (YESTERDAY + timedelta(minutes=10)).isoformat().replace(
        "+00:00", "Z"
    )
    assert shown["dropped"] == [{"reason": "sdk", "count": 9}]
    assert (shown["interval"], shown["from"]) == ("1h", f"{YESTERDAY:%Y-%m-%d}T00:00:00Z")
    assert shown["series"] == [
        {"at": f"{YESTERDAY:%Y-%m-%d}T12:00:00Z", "variations": [{"variation": "on", "count": 7}]},
        {"at": f"{YESTERDAY:%Y-%m-%d}T14:00:00Z", "variations": [{"variation": None, "count": 1}]},
    ]
    fine = (await demo.get(ANALYTICS, params=span(interval="10m"))).json()
    assert [len(point["variations"]) for point in fine["series"]] == [1, 1, 1]


async def test_a_flag_that_nobody_evaluated_has_no_exposures(demo: httpx.AsyncClient) -> None:
    shown = (await demo.get(ANALYTICS)).json()
    assert (shown["total"], shown["series"], shown["lastExposedAt"]) == (0, [], None)
    asked = datetime.fromisoformat(shown["to"]) - datetime.fromisoformat(shown["from"])
    assert timedelta(days=7) <= asked <= timedelta(days=7, hours=1, minutes=10)


def ago(**passed: float) -> str:
    return (datetime.now(UTC) - timedelta(**passed)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_what_cannot_be_asked_is_named_with_the_reason(demo: httpx.AsyncClient) -> None:
    wrong: tuple[tuple[dict[str, str], str, str], ...] = (
        ({"from": "yesterday"}, "?from", "RFC 3339"),
        ({"from": "2026-01-01T00:00:00"}, "?from", "with its zone"),
        ({"from": ago(days=92)}, "?from", "kept for 90 days"),
        ({"to": ago(days=92)}, "?to", "kept for 90 days"),
        ({"to": "0001-01-01T00:00:00Z"}, "?to", "kept for 90 days"),
        ({"to": "9999-12-31T23:59:59Z"}, "?to", "future"),
        ({"from": ago(hours=1), "to": ago(hours=2)}, "?from", "before the end"),
        ({"from": ago(days=8), "interval": "10m"}, "?interval", f"more than {MAX_POINTS} points"),
        ({"interval": "5m"}, "?interval", "5m"),
        ({"until": "now"}, "?until", "known: minSeq, from, to, interval"),
    )
    for query, path, words in wrong:
        (error,) = problem(await demo.get(ANALYTICS, params=query), 422, "malformed")["errors"]
        assert error["path"] == path
        assert words in error["reason"]


async def test_the_whole_of_what_is_kept_can_be_asked_for(demo: httpx.AsyncClient) -> None:
    for interval in ("6h", "1d"):
        answer = await demo.get(ANALYTICS, params={"from": ago(days=90), "interval": interval})
        assert answer.status_code == 200, answer.text


async def test_an_environment_shows_its_flags_its_events_and_what_was_dropped(
    demo: httpx.AsyncClient, dependencies: Dependencies, environment_id: str
) -> None:
    exposed = ExposureCount(environment_id, "rare", SLOT, 3, "on", "ERROR", 5, SLOT * 1000)
    bought = EventCount(environment_id, "bought", SLOT, 3, 2, 9.5, 1.5, 8.0, SLOT * 1000)
    looked = EventCount(environment_id, "looked", SLOT, 4, 0, 0.0, None, None, SLOT * 1000)
    lost = LossCount(environment_id, SLOT, "events", "bound", 7)
    often = exposed._replace(flag="often", times=6)
    await write(dependencies, exposed, often, bought, looked, lost)
    shown = (await demo.get(f"{DEVELOPMENT}/analytics", params=span())).json()
    noon = f"{YESTERDAY:%Y-%m-%d}T12:00:00Z"
    assert [(each["flag"], each["count"]) for each in shown["flags"]] == [("often", 6), ("rare", 5)]
    assert shown["events"] == [
        {
            "name": "looked", "count": 4, "values": 0, "sum": 0.0, "min": None, "max": None,
            "lastAt": noon,
        },
        {
            "name": "bought", "count": 3, "values": 2, "sum": 9.5, "min": 1.5, "max": 8.0,
            "lastAt": noon,
        },
    ]  # fmt: skip
    assert shown["droppedEvents"] == [{"reason": "bound", "count": 7}]
    assert shown["droppedExposures"] == []


def seen(environment_id: str, *path: str, times: int = 1) -> tuple[SeenAttribute, SeenValue]:
    kind, attribute, of_type, value = path
    return (
        SeenAttribute(environment_id, kind, attribute, of_type, times, SLOT),
        SeenValue(environment_id, kind, attribute, of_type, value, times, SLOT),
    )


async def test_sampled_contexts_are_shown_for_suggestions(
    demo: httpx.AsyncClient, dependencies: Dependencies, environment_id: str
) -> None:
    plan, free = seen(environment_id, "user", "plan", "string", "free", times=2)
    day = f"{YESTERDAY:%Y-%m-%d}"
    await write(
        dependencies,
        plan,
        free,
        free._replace(value="pro", seen=3),
        *seen(environment_id, "user", "age", "number", "30"),
        *seen(environment_id, "device", "beta", "boolean", "true"),
    )
    shown = (await demo.get(CONTEXTS)).json()
    assert [each["kind"] for each in shown["kinds"]] == ["device", "user"]
    of_user = {each["name"]: each for each in shown["kinds"][1]["attributes"]}
    assert of_user["plan"] == {
        "name": "plan",
        "types": ["string"],
        "seen": 2,
        "lastOn": day,
        "values": [
            {"value": "pro", "seen": 3, "lastOn": day},
            {"value": "free", "seen": 2, "lastOn": day},
        ],
    }
    assert [each["value"] for each in of_user["age"]["values"]] == [30]
    (beta,) = shown["kinds"][0]["attributes"]
    assert [each["value"] for each in beta["values"]] == [True]


async def test_sampled_contexts_are_erased(
    demo: httpx.AsyncClient, dependencies: Dependencies, environment_id: str
) -> None:
    await write(dependencies, *seen(environment_id, "user", "key", "string", "alice"))
    erased = await demo.delete(CONTEXTS)
    assert (erased.status_code, erased.content) == (204, b"")
    assert (await demo.get(CONTEXTS)).json() == {"kinds": []}


async def test_an_environment_that_is_made_again_begins_with_nothing(
    demo: httpx.AsyncClient, dependencies: Dependencies, environment_id: str
) -> None:
    exposed = ExposureCount(environment_id, "checkout", SLOT, 3, "on", "ERROR", 5, SLOT * 1000)
    await write(dependencies, exposed, *seen(environment_id, "user", "key", "string", "alice"))
    assert (await demo.get(ANALYTICS)).json()["total"] == 5
    assert (await demo.delete(DEVELOPMENT)).status_code == 200
    for path in (ANALYTICS, CONTEXTS, f"{DEVELOPMENT}/analytics"):
        problem(await demo.get(path), 404, "not-found")
    body = {"key": "development", "name": "Development"}
    assert (await demo.post(f"{PROJECT}/environments", json=body)).status_code == 201
    assert (await demo.get(ANALYTICS)).json()["total"] == 0
    assert (await demo.get(CONTEXTS)).json() == {"kinds": []}


async def test_what_is_not_there_is_not_found(demo: httpx.AsyncClient) -> None:
    for path in (f"{FLAG}x/environments/development", f"{FLAG}/environments/moon"):
        problem(await demo.get(f"{path}/analytics"), 404, "not-found")
    problem(await demo.get("/api/v1/projects/nobody/environments/x/contexts"), 404, "not-found")


async def test_who_may_read_flags_may_not_yet_read_what_is_counted(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    assert demo is not None
    role = CreateRole(role="looker", grants=(Grant(("project:read", "flag:read")),))
    assign = AssignRole(subject="account", id="account-2", role="looker")
    await dependencies.writers.submit("$system", Submission.of("setup", role, assign))
    async with client_of(dependencies, "viewer") as viewer:
        for path in (ANALYTICS, f"{DEVELOPMENT}/analytics", CONTEXTS):
            refused = problem(await viewer.get(path), 403, "forbidden")
            assert refused["permission"] == "analytics:read"
        refused = problem(await viewer.delete(CONTEXTS), 403, "forbidden")
        assert refused["permission"] == "context:erase"
