"""What commands printed, for tests of the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import asyncpg
from typer.testing import Result

Halyard: TypeAlias = Callable[..., Result]
"""Runs `halyard` with some arguments."""


def json_of(result: Result, exit_code: int = 0) -> Any:
    """The JSON document that a command printed, having ended with ``exit_code``."""
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def lines_of(result: Result) -> list[Any]:
    """The JSON documents that a command printed one to a line."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def tamper(database_url: str, statement: str) -> None:
    """Alter history, as only somebody with the rights of the database's owner can."""

    async def run() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute("ALTER TABLE event DISABLE TRIGGER ALL")
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
