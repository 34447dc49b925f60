"""The composition root: the roles of one process, put together and taken apart again.

Life cycle: connect, check the schema, start the roles in one task group, listen on one port until
a signal, drain, stop the roles, disconnect. A role that crashes takes the process with it: a
supervisor starts it again, and nothing is half alive.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
import uvicorn

from eventstore.accounts import Accounts
from eventstore.analytics import Analytics
from eventstore.contexts import ContextSamples
from eventstore.follow import Follower
from eventstore.migrate import require_current
from eventstore.pool import ObservedPool, create_pool
from eventstore.store import EventStore
from projections.rulesets import Rulesets
from projections.runner import Projector
from projections.script import RedisClient
from server.counting import CountKeeper
from server.descriptors import Descriptors, raise_limit
from server.http import metrics, operations
from server.http.actors import AccountNames
from server.http.app import create_app
from server.http.auth import Authenticator
from server.http.counters import HttpCounters
from server.http.dependencies import Dependencies, HttpSettings
from server.http.event_stream import MAX_STREAMS, EventStreams
from server.http.heads import heads_of
from server.http.routes import Route
from server.http.table import KEY_ROUTES, ROUTES
from server.installation import ensure_admin, ensure_token
from server.listening import BACKLOG, acceptors, listen
from server.metrics.exposition import Exposition, Figures
from server.metrics.lag import LagFigures
from server.metrics.loop_lag import LoopLag
from server.metrics.process import ProcessFigures
from server.metrics.projector import ProjectorFigures
from server.metrics.requests import RequestFigures
from server.metrics.stream import StreamFigures
from server.metrics.upstream import UpstreamFigures
from server.metrics.writing import WritingFigures
from server.readiness import Readiness, RulesetsPresence
from server.redis_client import connect_redis
from server.settings import Settings
from server.wakes import Wakes
from server.writing.writers import Writers
from streaming.drain import GRACE_S, DrainingServer
from streaming.gateway import Gateway
from streaming.settings import StreamSettings
from streaming.upstream.settings import UpstreamSettings

log = structlog.get_logger(__name__)

_LAST_COUNTS_S = 5.0
"""What SDKs said last, while they left, is worth so much waiting at the end."""

Prepare = Callable[["Program"], Awaitable[None]]
"""What is to be done once the roles work and before the port is open."""


@dataclass(frozen=True, slots=True)
class Program:
    """The parts of a running process."""

    settings: Settings
    pool: ObservedPool
    store: EventStore
    accounts: Accounts
    analytics: Analytics
    context_samples: ContextSamples
    redis: RedisClient
    writers: Writers
    rulesets: Rulesets
    presence: RulesetsPresence
    readiness: Readiness
    projector: Projector | None
    gateway: Gateway
    loop_lag: LoopLag
    descriptors: Descriptors
    port: int


async def serve(settings: Settings, prepare: Prepare | None = None) -> None:
    """Run the roles of ``settings`` until a signal ends it.

    Raises a store's or Redis's error where either cannot be reached at the start, and
    :class:`~server.listening.CannotListen`.
    """
    async with AsyncExitStack() as stack:
        listener = listen(settings)
        stack.callback(listener.close)
        pool = await stack.enter_async_context(
            create_pool(settings.database_url, max_size=settings.database_pool_size)
        )
        async with pool.acquire() as connection:
            await require_current(connection)
        redis = await stack.enter_async_context(connect_redis(settings.redis_url))
        program = await stack.enter_async_context(_running(settings, pool, redis, listener))
        await _first_account(program)
        # Early callers wait in the backlog instead of being refused.
        listener.listen(BACKLOG)
        if prepare is not None:
            await prepare(program)
        await _serve_http(program, listener)


@asynccontextmanager
async def _running(
    settings: Settings, pool: ObservedPool, redis: RedisClient, listener: socket.socket
) -> AsyncIterator[Program]:
    """Start the roles; at the end of the block stop them."""
    store, rulesets = EventStore(pool), Rulesets(redis)
    wakes = Wakes(redis)
    async with asyncio.TaskGroup() as tasks:
        writers = Writers(store, tasks, wakes.published)
        wakes.tell(writers.hear_of)
        projector = _projector(settings, store, redis)
        if projector is not None:
            wakes.tell(projector.nudge)
        presence = RulesetsPresence(store, writers, rulesets)
        descriptors = raise_limit()
        gateway = _gateway(settings, redis, presence, descriptors)
        analytics, samples = Analytics(pool), ContextSamples(pool)
        keeper = CountKeeper(analytics, samples, settings.analytics_days, presence.is_gone)
        gateway.upstream.sink = keeper.write
        follower = Follower(store)
        wakes.tell(follower.nudge)
        loop_lag = LoopLag()
        runs = [
            follower.run(),
            writers.follow(follower),
            wakes.run(),
            gateway.run(),
            loop_lag.run(),
            *([projector.run()] if projector else []),
            *([gateway.upstream.run(), keeper.run()] if "gateway" in settings.roles else []),
        ]
        running = [tasks.create_task(run) for run in runs]
        yield Program(
            settings=settings,
            pool=pool,
            store=store,
            accounts=Accounts(pool),
            analytics=analytics,
            context_samples=samples,
            redis=redis,
            writers=writers,
            rulesets=rulesets,
            presence=presence,
            readiness=Readiness(store, redis, presence, gateway),
            projector=projector,
            gateway=gateway,
            loop_lag=loop_lag,
            port=int(listener.getsockname()[1]),
            descriptors=descriptors,
        )
        await gateway.upstream.finish(_LAST_COUNTS_S)
        writers.stop()
        for task in running:
            task.cancel()


def _projector(settings: Settings, store: EventStore, redis: RedisClient) -> Projector | None:
    """None where that is no role of this process."""
    if "projector" not in settings.roles:
        return None
    return Projector(store, redis, timedelta(days=settings.tombstone_days))


def _gateway(
    settings: Settings, redis: RedisClient, presence: RulesetsPresence, descriptors: Descriptors
) -> Gateway:
    """Every process has one: HTTP reads of it what it answers to SDK keys."""
    return Gateway(
        redis,
        is_current=presence.is_current,
        settings=_stream_settings(settings, descriptors),
        upstream=UpstreamSettings(sampling=settings.context_samples),
    )


def _stream_settings(settings: Settings, descriptors: Descriptors) -> StreamSettings:
    there_are = descriptors.connections
    if settings.max_connections > there_are:
        log.warning("max_connections_cut", asked=settings.max_connections, there_are=there_are)
    return StreamSettings(
        heartbeat_s=settings.heartbeat_seconds,
        max_connections=min(settings.max_connections or there_are, there_are),
        max_connections_per_key=settings.max_connections_per_key,
        handshakes_per_second=settings.handshakes_per_second,
    )


async def _first_account(program: Program) -> None:
    settings = program.settings
    if not settings.admin_email or not settings.admin_password:
        return
    account = await ensure_admin(
        program.writers, program.accounts, settings.admin_email, settings.admin_password
    )
    if settings.admin_token:
        await ensure_token(
            program.writers, account.account_id, settings.admin_token, "HALYARD_ADMIN_TOKEN"
        )


async def _serve_http(program: Program, listener: socket.socket) -> None:
    settings = program.settings
    config = uvicorn.Config(
        create_app(_dependencies(program), routes=_routes(settings)),
        ws=program.gateway.protocol if "gateway" in settings.roles else "none",  # type: ignore[arg-type]
        http=heads_of(program.descriptors.sockets),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=10,
    )
    window_s = settings.drain_seconds
    server = DrainingServer(
        config,
        program.gateway,
        window_s,
        grace_s=min(GRACE_S, window_s),
        shares_port=settings.reuse_port,
    )
    log.info("listening", host=settings.host, port=program.port, roles=settings.roles)
    await server.serve(acceptors(listener))


def _routes(settings: Settings) -> tuple[Route, ...]:
    if "api" in settings.roles:
        return ROUTES
    of_gateway = KEY_ROUTES if "gateway" in settings.roles else ()
    return (*operations.ROUTES, *metrics.ROUTES, *of_gateway)


def _dependencies(program: Program) -> Dependencies:
    readiness, counters = program.readiness, HttpCounters()
    return Dependencies(
        writers=program.writers,
        store=program.store,
        authenticator=Authenticator(program.writers),
        readiness={"synchronised": readiness.synchronised},
        staleness={
            "database": readiness.database,
            "redis": readiness.redis,
            "streams": readiness.streams,
        },
        actor_names=AccountNames(program.accounts),
        rulesets=program.rulesets,
        gateway=program.gateway,
        event_streams=_event_streams(program),
        counters=counters,
        metrics=_exposition(program, counters),
        settings=HttpSettings(analytics_days=program.settings.analytics_days),
        analytics=program.analytics,
        context_samples=program.context_samples,
    )


def _exposition(program: Program, counters: HttpCounters) -> Exposition:
    settings = program.settings
    figures: list[Figures] = [
        ProcessFigures(program.loop_lag, settings.roles),
        RequestFigures(counters),
        WritingFigures(program.writers, program.pool),
    ]
    projected, streamed = None, None
    if {"api", "gateway"} & set(settings.roles):  # both serve SDK keys
        figures += [StreamFigures(program.gateway), UpstreamFigures(program.gateway)]
        streamed = program.gateway.counters
    if program.projector is not None:
        # Projects have names that say something; the port may be one that anybody reaches.
        figures.append(ProjectorFigures(program.projector, naming=bool(settings.metrics_token)))
        projected = program.projector.counters
    figures.append(LagFigures(projected, streamed))
    return Exposition(figures, token=settings.metrics_token)


def _event_streams(program: Program) -> EventStreams:
    limit = min(MAX_STREAMS, program.descriptors.event_streams)
    streams = EventStreams(
        heartbeat_s=program.settings.heartbeat_seconds,
        limit=limit,
        limit_of_key=max(1, limit // 2),
    )
    program.gateway.drains.append(streams.end_all)
    return streams
