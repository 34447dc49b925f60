"""`halyard dev` and `halyard serve`."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.exits import explained

Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")]
Port = Annotated[int | None, typer.Option(help="Port; 0 takes a free one. [default: 8080]")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]
LogFormat = Annotated[str | None, typer.Option(help="console or json.")]


def dev(
    data_dir: Annotated[
        Path, typer.Option(help="Where PostgreSQL, Valkey and dev.json keep their data.")
    ] = Path(".halyard"),
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Start everything on this machine: the server, its own PostgreSQL and Valkey, a demo."""
    from rich.console import Console

    from server.dev.run import dev_settings, run_dev
    from server.logs import set_up_logs

    with explained():
        overrides = {"host": host, "port": port, "log_level": log_level, "log_format": log_format}
        settings = dev_settings(os.environ, overrides)
        set_up_logs(settings.log_level, settings.log_format)
        _run(run_dev(data_dir.absolute(), settings, Console()))


def serve(
    roles: Annotated[
        str | None, typer.Option(help="Some of api,gateway,projector. [default: all]")
    ] = None,
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    reuse_port: Annotated[
        bool, typer.Option("--reuse-port", help="Let several processes share the port.")
    ] = False,
) -> None:
    """Run the server on HALYARD_DATABASE_URL and HALYARD_REDIS_URL."""
    from server.logs import set_up_logs
    from server.program import serve as run
    from server.settings import read_settings

    with explained():
        settings = read_settings(
            os.environ,
            {
                "roles": roles,
                "host": host,
                "port": port,
                "log_level": log_level,
                "log_format": log_format,
                "reuse_port": "true" if reuse_port else None,
            },
        )
        set_up_logs(settings.log_level, settings.log_format)
        _run(run(settings))


def _run(program: Coroutine[Any, Any, None]) -> None:
    """Run to the end; Ctrl-C before the server listens is an ordinary end, too."""
    import uvloop

    try:
        uvloop.run(program)
    except KeyboardInterrupt:
        return
    except BaseExceptionGroup as group:
        raise _root(group) from group


def _root(error: BaseException) -> BaseException:
    """What ended a task group: the first error of the first task that failed."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
