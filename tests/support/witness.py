"""A connected SDK that remembers every position it was ever at, and what it then had."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from halyard_protocol.ruleset import Flag
from halyard_protocol.session.replica import Replica
from halyard_sdk import AsyncClient
from halyard_sdk.listeners import Change


class Witness:
    """Checks at each change that its SDK never goes backwards within a wire epoch."""

    def __init__(self, url: str, key: str) -> None:
        self.client = AsyncClient(url, key)
        self.seen: dict[tuple[str, int], dict[str, bool]] = {}
        """Which flags were enabled, by (wire epoch, seq)."""
        self.faults: list[str] = []
        self._highest: dict[str, int] = {}
        self._moved = asyncio.Event()
        self.client.on_change(self._changed)

    @property
    def replica(self) -> Replica | None:
        """What the SDK has."""
        return self.client._follower._session.replica

    def _changed(self, _: Change) -> None:
        replica = self.replica
        assert replica is not None
        highest = self._highest.get(replica.epoch, 0)
        if replica.seq < highest:
            self.faults.append(f"{replica.epoch}: from {highest} back to {replica.seq}")
        self._highest[replica.epoch] = max(highest, replica.seq)
        self.seen[replica.epoch, replica.seq] = enabled_flags(replica)
        self._moved.set()

    async def reach(self, seq: int, timeout_s: float = 30.0) -> None:
        """Wait until the SDK has everything through ``seq``."""
        try:
            async with asyncio.timeout(timeout_s):
                while (replica := self.replica) is None or replica.seq < seq:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            at = None if replica is None else (replica.epoch, replica.seq)
            raise AssertionError(f"at {at}, not at {seq}: {self.client.status}") from None

    async def __aenter__(self) -> Self:
        await self.client.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.close()


def enabled_flags(replica: Replica) -> dict[str, bool]:
    """By key; malformed ones are left out."""
    flags = replica.ruleset.flags
    return {key: flag.enabled for key, flag in flags.items() if isinstance(flag, Flag)}
