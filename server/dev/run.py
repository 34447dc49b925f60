"""Running a development installation: embedded servers, the schema, the demo, the welcome."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import asyncpg
import structlog
from msgspec.structs import replace
from rich.console import Console

from domain.system.commands import ChangeSettings
from domain.system.vocabulary import SYSTEM_LOG
from eventstore.migrate import migrate
from server.credentials import hash_password, new_token
from server.dev import demo
from server.dev.record import DevAdmin, DevRecord, read_record, write_record
from server.dev.welcome import print_welcome
from server.embedded.supervisor import EmbeddedServers
from server.installation import ensure_admin, ensure_token, revoke_tokens
from server.program import Program, serve
from server.settings import Settings, read_settings
from server.writing.errors import LogUnknown
from server.writing.submission import Submission

ADMIN_EMAIL = "admin@localhost"
TOKEN_NAME = "dev"  # noqa: S105 - a name, not a token
RULESETS_TIMEOUT_S = 30.0
DRAIN_S = 0.5
"""SDKs of a development machine have no other server to go to."""

log = structlog.get_logger(__name__)


def dev_settings(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """The settings of a development installation, but for its servers' addresses.

    Raises :class:`~server.settings.SettingsError`.
    """
    defaults = {"HALYARD_DRAIN_SECONDS": str(DRAIN_S), "HALYARD_LOG_LEVEL": "warning"}
    own = {"database_url": "postgresql:///", "redis_url": "unix:///"}
    return read_settings({**defaults, **environ}, {**overrides, **own})


async def run_dev(data_dir: Path, settings: Settings, console: Console) -> None:
    """Run until a signal ends it, or a server cannot be kept running.

    Raises :class:`~server.embedded.faults.EmbeddedServersError` or
    :class:`~server.listening.CannotListen`.
    """
    async with EmbeddedServers(data_dir) as servers:
        settings = replace(settings, database_url=servers.database_url, redis_url=servers.redis_url)
        await _migrate(servers.database_url)
        installation = _DevInstallation(data_dir, servers, console)
        async with asyncio.TaskGroup() as tasks:
            failing = tasks.create_task(servers.wait_failed())
            await serve(settings, installation.prepare)
            failing.cancel()


async def _migrate(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        applied = await migrate(connection)
    finally:
        await connection.close()
    log.info("migrated", applied=len(applied))


class _DevInstallation:
    """Makes what a development installation has beyond any other: on first start and after loss."""

    def __init__(self, data_dir: Path, servers: EmbeddedServers, console: Console) -> None:
        self._data_dir = data_dir
        self._servers = servers
        self._console = console

    async def prepare(self, program: Program) -> None:
        """Seed what is missing, write the record and greet."""
        known = read_record(self._data_dir)
        is_new = not await program.writers.exists(demo.PROJECT)
        standing = "just seeded" if is_new else "as you left it"
        admin = known.admin if known else _new_admin()
        actor_id = await self._admin(program, admin, is_lost=known is None)
        if is_new:
            await _open_registration(program, actor_id)
        await demo.seed(program.writers, actor_id)
        keys = known.keys if known and not is_new else await _keys(program, actor_id)
        if demo.PROJECT not in await program.writers.projects():
            keys, standing = {}, "deleted"
        record = self._record(program, admin, keys)
        file = write_record(self._data_dir, record)
        self._servers.announce(record.url)
        async with asyncio.timeout(RULESETS_TIMEOUT_S):
            await program.presence.wait_complete()
        print_welcome(record, file, self._console, standing)

    async def _admin(self, program: Program, admin: DevAdmin, *, is_lost: bool) -> str:
        account = await ensure_admin(program.writers, program.accounts, admin.email, admin.password)
        if is_lost:
            await program.accounts.set_password_hash(account.account_id, await _hashed(admin))
            await revoke_tokens(program.writers, account.account_id, TOKEN_NAME)
        await ensure_token(program.writers, account.account_id, admin.token, TOKEN_NAME)
        return account.account_id

    def _record(
        self, program: Program, admin: DevAdmin, keys: dict[str, demo.KeyPair]
    ) -> DevRecord:
        host = f"{_reachable(program.settings.host)}:{program.port}"
        return DevRecord(
            url=f"http://{host}",
            stream_url=f"ws://{host}/stream/v1",
            admin=admin,
            project=demo.PROJECT,
            keys=keys,
            database_url=self._servers.database_url,
            redis_url=self._servers.redis_url,
        )


async def _open_registration(program: Program, actor_id: str) -> None:
    """Whoever reaches a development machine may look around; elsewhere people are invited."""
    command = ChangeSettings(registration="open", registration_role="viewer")
    await program.writers.submit(SYSTEM_LOG, Submission.of(actor_id, command))


def _new_admin() -> DevAdmin:
    return DevAdmin(email=ADMIN_EMAIL, password=token_urlsafe(12), token=new_token())


async def _hashed(admin: DevAdmin) -> str:
    return await asyncio.to_thread(hash_password, admin.password)


async def _keys(program: Program, actor_id: str) -> dict[str, demo.KeyPair]:
    try:
        return await demo.issue_keys(program.writers, actor_id)
    except LogUnknown:
        return {}  # somebody has deleted the demo, and it stays deleted


def _reachable(host: str) -> str:
    """An address under which this machine reaches what listens on ``host``."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
