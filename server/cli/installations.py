"""How administrative commands find what they administer.

In this order: the folder named by ``--data-dir``; the servers named by ``HALYARD_DATABASE_URL`` and
``HALYARD_REDIS_URL``; the folder ``./.halyard``. A folder whose Halyard runs is reached through it;
one that rests is woken, its servers alone, for as long as the command takes. Nothing is created:
a folder that holds no installation is an error.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer

from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.cli.exits import Exit, explained, fail
from server.embedded.data_dir import DataDir, holder, is_prepared, is_running
from server.embedded.supervisor import EmbeddedServers
from server.logs import set_up_logs
from server.settings import SETTINGS, SettingsError

T = TypeVar("T")

DEFAULT_DATA_DIR = Path(".halyard")


class NoInstallation(Exception):
    """There is nothing to administer, or it cannot be reached yet."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an installation keeps its things."""

    database_url: str
    redis_url: str | None
    """None where only the database was named."""


@asynccontextmanager
async def find_installation(
    data_dir: Path | None, environ: Mapping[str, str]
) -> AsyncIterator[Installation]:
    """The installation, reachable until the end of the block.

    Raises :class:`NoInstallation`, :class:`~server.settings.SettingsError` or
    :class:`~server.embedded.faults.EmbeddedServersError`.
    """
    named = _from_variables(environ) if data_dir is None else None
    if named is not None:
        yield named
        return
    folder = DataDir.at(data_dir or DEFAULT_DATA_DIR)
    if not is_prepared(folder):
        raise NoInstallation(_nothing_at(folder))
    if is_running(folder):
        yield _through_holder(folder)
        return
    async with EmbeddedServers(folder.root) as servers:
        yield Installation(servers.database_url, servers.redis_url)


def _nothing_at(folder: DataDir) -> str:
    return (
        f"there is no installation at {folder.root}: start one with `halyard dev`, name its folder "
        "with --data-dir, or set HALYARD_DATABASE_URL and HALYARD_REDIS_URL"
    )


def _from_variables(environ: Mapping[str, str]) -> Installation | None:
    problems: list[str] = []
    urls: dict[str, str] = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable)
        if not text or setting.name not in ("database_url", "redis_url"):
            continue
        try:
            urls[setting.name] = setting.read(text)
        except ValueError as allowed:
            problems.append(f"{setting.variable} cannot be used; it takes {allowed}")
    if problems:
        raise SettingsError(tuple(problems))
    if "database_url" not in urls:
        return None
    return Installation(urls["database_url"], urls.get("redis_url"))


def _through_holder(folder: DataDir) -> Installation:
    found = holder(folder)
    if found is None or found.database_url is None:
        raise NoInstallation(f"the Halyard at {folder.root} is just starting: try again")
    return Installation(found.database_url, found.redis_url)


def administer(data_dir: Path | None, work: Callable[[Installation], Awaitable[T]]) -> T:
    """Do ``work`` on the installation; errors end the program with a line and an exit code."""

    async def find_and_work() -> T:
        async with find_installation(data_dir, os.environ) as installation:
            return await work(installation)

    set_up_logs("warning", "console")
    with explained():
        try:
            return asyncio.run(find_and_work())
        except NoInstallation as error:
            fail(str(error), Exit.USAGE)
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None


def with_store(data_dir: Path | None, work: Callable[[EventStore], Awaitable[T]]) -> T:
    """Do ``work`` on the logs of the installation."""

    async def connect_and_work(installation: Installation) -> T:
        async with create_pool(installation.database_url, max_size=4) as pool:
            return await work(EventStore(pool))

    return administer(data_dir, connect_and_work)
