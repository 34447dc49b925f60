"""What operators and load balancers ask: alive, ready, and how projections stand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

import msgspec
import structlog
from halyard_protocol.codec import encode

from server.http.call import Call
from server.http.dependencies import Check
from server.http.replies import Reply, ok
from server.http.routes import Route, reading

_TAG = "operations"
CHECK_TIMEOUT_S = 2.0

log = structlog.get_logger(__name__)


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether to send requests here; ``checks`` says ``ok`` or what is wrong, by name."""

    ready: bool
    checks: Mapping[str, str]
    stale: Mapping[str, str]
    """What is behind, but no reason to send requests elsewhere."""


class Welcome(msgspec.Struct, frozen=True):
    """Where to go from the root."""

    name: str
    api: str
    description: str
    health: str
    documentation: str


async def welcome(_call: Call) -> Reply:
    """Say what this is."""
    return ok(
        Welcome(
            name="Halyard",
            api="/api/v1",
            description="/openapi.json",
            health="/healthz",
            documentation="docs/reference/http.md",
        )
    )


async def healthz(_call: Call) -> Reply:
    """Alive: says nothing about the database."""
    return ok(Health())


async def readyz(call: Call) -> Reply:
    """Ready where every check is; 503 otherwise, with the same body."""
    dependencies = call.dependencies
    checks, stale = await asyncio.gather(
        _outcomes(dependencies.readiness), _outcomes(dependencies.staleness)
    )
    ready = all(outcome == "ok" for outcome in checks.values())
    readiness = Readiness(ready, checks, {k: v for k, v in stale.items() if v != "ok"})
    return Reply(200 if ready else 503, encode(readiness))


async def _outcomes(checks: Mapping[str, Check]) -> dict[str, str]:
    outcomes = await asyncio.gather(*map(_outcome, checks.values()))
    return dict(zip(checks, outcomes, strict=True))


async def _outcome(check: Check) -> str:
    """A check that fails or hangs does not pass; why is for the log, not for strangers."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check() or "ok"
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception:
        log.exception("readiness check failed")
        return "failed"


ROUTES: tuple[Route, ...] = (
    reading("/", welcome, "Say what this is", permission=None, tag=_TAG, response=Welcome),
    reading("/healthz", healthz, "Alive", permission=None, tag=_TAG, response=Health),
    Route(
        method="GET",
        path="/readyz",
        summary="Ready",
        handler=readyz,
        permission=None,
        tag=_TAG,
        response=Readiness,
        also_answers=((503, Readiness),),
    ),
)
