"""Where commands came from: addresses, programs and credentials, beside the log.

They are written with the events (:mod:`~eventstore.appending`), in one transaction. What says who
somebody is goes away: with its age, and with the account. Which credential it was stays as long as
the account, for it says nothing without the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg

from eventstore.errors import translating
from eventstore.log import Origin
from eventstore.statements import statement

FORGOTTEN_AT_ONCE = 5_000
"""Rows of one statement."""


class Origins:
    """The origins of all logs' commands. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of_events(self, log_id: str, seqs: Iterable[int]) -> dict[int, Origin]:
        """By seq, the origins of the commands that caused these events, where they are known."""
        with translating:
            rows = await self._pool.fetch(statement("origins"), log_id, list(seqs))
        return {row[0]: Origin(*row[1:]) for row in rows}

    async def erase(self, account_id: str) -> int:
        """Forget all of what this account did from where; how many commands that were."""
        with translating:
            done = await self._pool.execute(statement("erase_origins"), account_id)
        return _rows(done)

    async def forget_before(self, instant: datetime) -> int:
        """Forget addresses and programs of commands from before an instant; how many that were."""
        forgotten = 0
        while True:
            with translating:
                done = await self._pool.execute(
                    statement("forget_addresses"), instant, FORGOTTEN_AT_ONCE
                )
            forgotten += _rows(done)
            if _rows(done) < FORGOTTEN_AT_ONCE:
                return forgotten


def _rows(done: str) -> int:
    """How many rows a command tag such as ``DELETE 3`` names."""
    return int(done.rpartition(" ")[2])
