"""A gateway on a free port, with a real Valkey and one ruleset behind it, for the benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import redis.asyncio
import structlog
import uvicorn
from starlette.applications import Starlette

from server.embedded.supervisor import EmbeddedServers
from streaming.gateway import Gateway
from streaming.settings import StreamSettings
from tests.streaming.stage import until, yes
from tests.streaming.writing import ENV, Ruleset

UNDISTURBED = StreamSettings(
    heartbeat_s=3600, silence_s=3600, hello_timeout_s=3600, handshakes_per_second=1e6
)


@contextlib.asynccontextmanager
async def gateway_stage(flags: int) -> AsyncIterator[tuple[Gateway, Ruleset, int]]:
    """The gateway, its ruleset of so many flags, and its port; no pings, no heartbeats."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedServers(Path(folder) / "data", durable=False) as servers:
            async with redis.asyncio.from_url(servers.redis_url) as client:
                ruleset = await Ruleset(client).create(*(f"flag-{n}" for n in range(flags)))
                gateway = Gateway(client, is_current=yes, settings=UNDISTURBED)
                async with _serving(gateway) as port:
                    yield gateway, ruleset, port


@contextlib.asynccontextmanager
async def _serving(gateway: Gateway) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        Starlette(),
        ws=gateway.protocol,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(gateway.run())
    serving = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def everybody_synchronised(gateway: Gateway, connections: int) -> None:
    """Wait until so many connections have their snapshot, and the sockets are quiet."""
    await until(lambda: gateway.counters.snapshots >= connections, within_s=120)
    await asyncio.sleep(1)


def environment_of(gateway: Gateway) -> object:
    """The one environment in use."""
    return gateway.hub.environments[ENV]
