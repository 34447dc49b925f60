"""The client for asyncio: everything happens in the caller's event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import Self

from halyard_sdk.address import Address
from halyard_sdk.context_sample import ContextSample
from halyard_sdk.evaluations import Evaluations
from halyard_sdk.exposures import Tally
from halyard_sdk.follower import Follower
from halyard_sdk.lastknown import LastKnown
from halyard_sdk.status import Status
from halyard_sdk.subscriptions import Subscriptions
from halyard_sdk.tracking import Tracking


class AsyncClient(Evaluations, Subscriptions, Tracking):
    """Evaluates flags from a ruleset that a connection keeps up to date.

    ::

        async with AsyncClient("https://flags.example.org", key) as flags:
            await flags.wait_ready(5)
            if flags.boolean("new-checkout", {"key": "alice"}, False):
                ...

    Evaluating never waits and needs no ``await``. Callbacks run in the event loop. To be used
    from one event loop; where there is none, or there are several, take :class:`Client`.

    Args:
        url: of the server: ``https://host[:port]``, or ``wss://…``, with or without a path.
        key: a server key of the environment.
        cache_path: a file for the last known ruleset, to start from when the server is away.

        sample_contexts: whether, beside the sums of exposures, a few of the contexts are sent.
        private_attributes: those that are never sent: names, or paths such as ``/address/street``.

    Raises:
        ValueError: ``url`` or ``key`` cannot be right, or ``private_attributes`` are no names.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        cache_path: str | os.PathLike[str] | None = None,
        sample_contexts: bool = True,
        private_attributes: Iterable[str] = (),
    ) -> None:
        address = Address.of(url, key)
        file = None if cache_path is None else LastKnown(cache_path, address.identity)
        sample = ContextSample(wanted=sample_contexts, private=private_attributes)
        self._follower = Follower(address, file, tally=Tally(sample))
        self._begin_evaluations(self._follower.tally)
        self._source = self._follower
        self._changes, self._statuses = self._follower.changes, self._follower.statuses
        self._tracker = self._follower.tracker
        self._running: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()  # the file, if any, has been taken up

    @property
    def status(self) -> Status:
        """Whether the answers are up to date; if not, since when, and why."""
        return self._follower.status

    async def start(self) -> None:
        """Take up the file, if any, and begin to connect. ``async with`` calls it; once counts."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await self._begun.wait()

    async def wait_ready(self, timeout_s: float, *, stale_ok: bool = True) -> bool:
        """Wait until there is a ruleset, for at most ``timeout_s``.

        Returns:
            True once flags can be evaluated: from the server's ruleset, or from the file's while
            the status is still STALE; with ``stale_ok=False`` only from the server's. False after
            the time, or at once where the client is OFFLINE without a ruleset.
        """
        await self.start()
        moved = asyncio.Event()
        unsubscribe = self._statuses.add(lambda _: moved.set())
        try:
            async with asyncio.timeout(timeout_s):
                while (ready := self._follower.readiness(stale_ok=stale_ok)) is None:
                    await moved.wait()
                    moved.clear()
                return ready
        except TimeoutError:
            return False
        finally:
            unsubscribe()

    async def close(self) -> None:
        """Disconnect, and write the file. Evaluating stays possible, from the last ruleset."""
        self._follower.close()
        if self._running is not None:
            await asyncio.wait((self._running,))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _run(self) -> None:
        try:
            self._follower.adopt(await asyncio.to_thread(self._follower.read_file))
        finally:
            self._begun.set()
        await self._follower.run()
