"""Notes when tokens are used, off the way of the requests that use them.

A request puts a line into memory, at most one a minute for each token; a task writes them together.
What was not written when a process dies is lost: it is for people to look at, and a minute old.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from eventstore.errors import StoreError
from eventstore.token_uses import TokenUses

EVERY = timedelta(minutes=1)
WRITTEN_EVERY_S = 5.0
MAX_NOTED = 10_000
"""Tokens in a minute; the use of others is not noted."""

log = structlog.get_logger(__name__)


class TokenUseNotes:
    """What one process has seen; :meth:`run` writes it until cancelled."""

    def __init__(self, stored: TokenUses) -> None:
        self.stored = stored
        self._waiting: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}

    def used(self, token_id: str) -> None:
        """A request has come with a token."""
        now = datetime.now(UTC)
        noted_at = self._noted.get(token_id)
        if noted_at is None and len(self._noted) >= MAX_NOTED:
            return
        if noted_at is None or now - noted_at >= EVERY:
            self._noted[token_id] = self._waiting[token_id] = now

    async def run(self) -> None:
        """Write, every few seconds and at the end; a database that is away is asked again."""
        try:
            while True:
                await asyncio.sleep(WRITTEN_EVERY_S)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Write what was noted; kept for the next time where that fails."""
        waiting, self._waiting = self._waiting, {}
        try:
            await self.stored.note(waiting)
        except StoreError as error:
            self._waiting = waiting | self._waiting
            log.warning("token_use_not_kept", reason=str(error))
        recent = datetime.now(UTC) - EVERY
        self._noted = {token: at for token, at in self._noted.items() if at > recent}
