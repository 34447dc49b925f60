"""When to connect, and how often to try: one attempt at a time, with backoff between them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from halyard_sdk.address import Address
from halyard_sdk.backoff import HEALTHY_AFTER_S, Backoff
from halyard_sdk.connection import CannotConnect, Connection, open_connection

log = logging.getLogger("halyard_sdk")


class Dialer:
    """Opens connections as they are asked for; however often that is, one is due at most.

    Args:
        address: where to, and with which key.
        backoff: how long to wait where it went wrong.
        failed: told of each failure, in words.
    """

    def __init__(self, address: Address, backoff: Backoff, failed: Callable[[str], None]) -> None:
        self._address = address
        self._backoff = backoff
        self._failed = failed
        self._due_s: float | None = None
        self._not_before_s = -math.inf  # the server has asked for it, whatever else happens
        self._wake = asyncio.Event()  # ``_due_s`` was changed
        self._opened_s = math.inf  # when the newest connection was opened, if it is still there
        self._last_reason = ""

    def connect_now(self) -> None:
        """The first connection."""
        self._be_due_after(0)

    def connect_beside(self, after_s: float) -> None:
        """A second connection, because the present one is about to go."""
        self._reward_health()
        # A server that dismisses each newcomer is not to be asked in a tight loop.
        self._be_due_after(after_s + self._backoff.next_s())

    def connect_again(self, reason: str, *, later: bool = False) -> None:
        """Another connection, because the present one is lost; ``later``: over a limit."""
        self._reward_health()
        self._retry(reason, self._backoff.later_s() if later else None)

    async def connection(self) -> Connection:
        """The next connection, when it is due and an attempt has succeeded."""
        while True:
            await self._until_due()
            self._due_s = None
            try:
                connection = await open_connection(self._address)
            except CannotConnect as failure:
                self._retry(f"cannot connect: {failure}", failure.retry_after_s)
            else:
                self._due_s = None  # whatever was lost meanwhile, here is its successor
                self._not_before_s = -math.inf
                self._opened_s = monotonic()
                return connection

    def _retry(self, reason: str, retry_after_s: float | None) -> None:
        wait_s = self._backoff.next_s(retry_after_s)
        if retry_after_s is not None:
            self._not_before_s = monotonic() + wait_s
        level = logging.DEBUG if reason == self._last_reason else logging.WARNING
        log.log(level, "%s; trying again in %.1f s", reason, wait_s)
        self._last_reason = reason
        self._be_due_after(wait_s)
        self._failed(reason)

    def _be_due_after(self, wait_s: float) -> None:
        due_s = max(monotonic() + wait_s, self._not_before_s)
        self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)
        self._wake.set()

    async def _until_due(self) -> None:
        while self._due_s is None or self._due_s > monotonic():
            self._wake.clear()
            wait_s = None if self._due_s is None else self._due_s - monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    def _reward_health(self) -> None:
        """Called when a connection goes, so that one that held counts once."""
        if monotonic() - self._opened_s >= HEALTHY_AFTER_S:
            self._backoff.healthy()
            self._last_reason = ""
        self._opened_s = math.inf
