"""The composition root: the roles of one process, put together and taken apart again.

Life cycle: connect, check the schema, start the roles in one task group, listen on one port until
a signal, drain, stop the roles, disconnect. A role that crashes takes the process with it: a
supervisor starts it again, and nothing is half alive.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
import uvicorn

from eventstore.accounts import Accounts
from eventstore.analytics import Analytics
from eventstore.contexts import ContextSamples
from eventstore.follow import Follower
from eventstore.identities import Identities
from eventstore.migrate import require_current
from eventstore.origins import Origins
from eventstore.pool import ObservedPool, create_pool
from eventstore.refusals import Refusals
from eventstore.store import EventStore
from eventstore.token_uses import TokenUses
from eventstore.webhooks import Webhooks
from projections.rulesets import Rulesets
from projections.runner import Projector
from projections.script import RedisClient
from server.addresses import address_days, keep_addresses
from server.counting import CountKeeper
from server.descriptors import Descriptors, raise_limit
from server.garbage import long_lived_put_aside
from server.http import metrics, operations
from server.http.actors import AccountNames
from server.http.app import create_app
from server.http.auth import Authenticator
from server.http.counters import HttpCounters
from server.http.dependencies import Dependencies, HttpSettings
from server.http.event_feed import EventFeeds
from server.http.event_stream import MAX_STREAMS, EventStreams
from server.http.heads import heads_of
from server.http.routes import Route
from server.http.table import KEY_ROUTES, ROUTES
from server.installation import ensure_admin, ensure_token
from server.listening import BACKLOG, acceptors, listen
from server.logins.desk import LoginDesk, login_desk
from server.metrics.exposition import Exposition, Figures
from server.metrics.lag import LagFigures
from server.metrics.logins import LoginFigures
from server.metrics.loop_lag import LoopLag
from server.metrics.process import ProcessFigures
from server.metrics.projector import ProjectorFigures
from server.metrics.refusals import RefusalFigures
from server.metrics.requests import RequestFigures
from server.metrics.stream import StreamFigures
from server.metrics.upstream import UpstreamFigures
from server.metrics.webhooks import WebhookFigures
from server.metrics.writing import WritingFigures
from server.oidc.desk import oidc_desk
from server.readiness import Readiness, RulesetsPresence
from server.redis_client import connect_redis
from server.refusals import RefusalKeeper
from server.settings import Settings
from server.token_use import TokenUseNotes
from server.wakes import Wakes
from server.webhooks.attempts import Attempts
from server.webhooks.counters import WebhookCounters
from server.webhooks.courier import Means
from server.webhooks.dispatch import Dispatch
from server.webhooks.posting import Poster
from server.writing.writers import Writers
from streaming.drain import GRACE_S, DrainingServer
from streaming.gateway import Gateway
from streaming.settings import StreamSettings
from streaming.upstream.settings import UpstreamSettings

log = structlog.get_logger(__name__)

_LAST_COUNTS_S = 5.0
"""What SDKs said last, while they left, is worth so much waiting at the end."""

_LAST_REFUSALS_S = 2.0

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
    origins: Origins
    token_uses: TokenUseNotes
    refusals: RefusalKeeper
    redis: RedisClient
    writers: Writers
    desk: LoginDesk
    rulesets: Rulesets
    presence: RulesetsPresence
    readiness: Readiness
    projector: Projector | None
    gateway: Gateway
    dispatch: Dispatch
    loop_lag: LoopLag
    descriptors: Descriptors
    port: int


async def serve(settings: Settings, prepare: Prepare | None = None) -> None:
    """Run the roles of ``settings`` until a signal ends it.

    Raises a store's or Redis's error where either cannot be reached at the start, and
    :class:`~server.listening.CannotListen`.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(long_lived_put_aside())
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
    store, rulesets, wakes = EventStore(pool), Rulesets(redis), Wakes(redis)
    async with asyncio.TaskGroup() as tasks:
        writers = Writers(store, tasks, wakes.published)
        projector = _projector(settings, store, redis)
        if projector is not None:
            wakes.tell(projector.nudge)
        presence = RulesetsPresence(store, writers, rulesets)
        descriptors, loop_lag = raise_limit(), LoopLag()
        gateway = _gateway(settings, redis, presence, descriptors)
        origins, token_uses = Origins(pool), TokenUseNotes(TokenUses(pool))
        refusals = RefusalKeeper(Refusals(pool), partial(address_days, writers))
        desk = login_desk(pool, writers, redis, (origins, refusals.stored, Identities(pool)))
        analytics, samples = Analytics(pool), ContextSamples(pool)
        keeper = CountKeeper(analytics, samples, settings.analytics_days, presence.is_gone)
        gateway.upstream.sink = keeper.write
        follower = Follower(store)
        dispatch = _dispatch(settings, pool, store, writers)
        for hears in (writers.hear_of, follower.nudge, dispatch.nudge):
            wakes.tell(hears)
        program = Program(
            settings=settings,
            pool=pool,
            store=store,
            accounts=Accounts(pool),
            analytics=analytics,
            context_samples=samples,
            origins=origins,
            token_uses=token_uses,
            refusals=refusals,
            redis=redis,
            writers=writers,
            desk=desk,
            rulesets=rulesets,
            presence=presence,
            readiness=Readiness(store, redis, presence, gateway),
            projector=projector,
            gateway=gateway,
            dispatch=dispatch,
            loop_lag=loop_lag,
            port=int(listener.getsockname()[1]),
            descriptors=descriptors,
        )
        runs = _runs(program, follower, wakes, keeper)
        running = [tasks.create_task(run) for run in runs]
        yield program
        await _finish(program)
        for task in running:
            task.cancel()


def _runs(
    program: Program, follower: Follower, wakes: Wakes, keeper: CountKeeper
) -> list[Coroutine[Any, Any, None]]:
    """What goes on until the end, by roles."""
    settings = program.settings
    runs = [
        follower.run(),
        program.writers.follow(follower),
        wakes.run(),
        program.gateway.run(),
        program.loop_lag.run(),
        keep_addresses(program.origins, program.writers),
        program.token_uses.run(),
    ]
    if program.projector is not None:
        runs.append(program.projector.run())
    if "api" in settings.roles:
        runs += [program.dispatch.run(), program.desk.keeper.run(), program.refusals.run()]
    if "gateway" in settings.roles:
        runs += [program.gateway.upstream.run(), keeper.run()]
    return runs


async def _finish(program: Program) -> None:
    """Write what is still to be written, and take no more."""
    await program.gateway.upstream.finish(_LAST_COUNTS_S)
    await program.refusals.finish(_LAST_REFUSALS_S)
    program.desk.close()
    program.writers.stop()


def _projector(settings: Settings, store: EventStore, redis: RedisClient) -> Projector | None:
    """None where that is no role of this process."""
    if "projector" not in settings.roles:
        return None
    return Projector(store, redis, timedelta(days=settings.tombstone_days))


def _dispatch(
    settings: Settings, pool: ObservedPool, store: EventStore, writers: Writers
) -> Dispatch:
    counters = WebhookCounters()
    attempts = Attempts(
        table=Webhooks(pool),
        writers=writers,
        names=AccountNames(Accounts(pool)),
        poster=Poster(),
        bound=settings.webhook_networks,
        counters=counters,
    )
    dead_after = timedelta(days=settings.webhook_days)
    return Dispatch(Means(store, writers, attempts, counters, dead_after))


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
        proxy_headers=False,  # who may speak for others is a setting: server.http.peers
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
        authenticator=Authenticator(program.writers, program.desk, token_uses=program.token_uses),
        desk=program.desk,
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
        event_feeds=_event_feeds(program),
        counters=counters,
        metrics=_exposition(program, counters),
        settings=HttpSettings(
            analytics_days=program.settings.analytics_days,
            trusted_proxies=program.settings.trusted_proxies,
            public_url=program.settings.public_url,
        ),
        analytics=program.analytics,
        context_samples=program.context_samples,
        origins=program.origins,
        refusals=program.refusals,
        webhooks=program.dispatch.desk,
        oidc=oidc_desk(program.pool, program.settings.identity_providers),
    )


def _exposition(program: Program, counters: HttpCounters) -> Exposition:
    settings = program.settings
    figures: list[Figures] = [
        ProcessFigures(program.loop_lag, settings.roles),
        RequestFigures(counters),
        WritingFigures(program.writers, program.pool),
        LoginFigures(program.desk.counters),
    ]
    projected, streamed = None, None
    if {"api", "gateway"} & set(settings.roles):  # both serve SDK keys
        figures += [StreamFigures(program.gateway), UpstreamFigures(program.gateway)]
        streamed = program.gateway.counters
    if "api" in settings.roles:
        figures += [
            WebhookFigures(program.dispatch.counters),
            RefusalFigures(program.refusals),
        ]
    if program.projector is not None:
        # Projects have names that say something; the port may be one that anybody reaches.
        figures.append(ProjectorFigures(program.projector, naming=bool(settings.metrics_token)))
        projected = program.projector.counters
    figures.append(LagFigures(projected, streamed))
    return Exposition(figures, token=settings.metrics_token)


def _event_feeds(program: Program) -> EventFeeds:
    feeds = EventFeeds(heartbeat_s=program.settings.heartbeat_seconds)
    program.gateway.drains.append(feeds.end_all)
    return feeds


def _event_streams(program: Program) -> EventStreams:
    limit = min(MAX_STREAMS, program.descriptors.event_streams)
    streams = EventStreams(
        heartbeat_s=program.settings.heartbeat_seconds,
        limit=limit,
        limit_of_key=max(1, limit // 2),
    )
    program.gateway.drains.append(streams.end_all)
    return streams
