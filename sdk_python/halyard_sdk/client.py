"""The synchronous client: the same core as :class:`AsyncClient`, in a thread in the background."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from time import monotonic
from typing import Any, Self

from halyard_protocol.ruleset import Ruleset

from halyard_sdk.address import Address
from halyard_sdk.background import Background
from halyard_sdk.context_sample import ContextSample
from halyard_sdk.evaluations import AnyContext, Evaluations, RulesetSource
from halyard_sdk.exposures import Tally
from halyard_sdk.follower import Follower
from halyard_sdk.lastknown import LastKnown
from halyard_sdk.status import Status
from halyard_sdk.subscriptions import Subscriptions
from halyard_sdk.tracking import Tracking


class Client(Evaluations, Subscriptions, Tracking):
    """Evaluates flags from a ruleset that a connection in the background keeps up to date.

    ::

        with Client("https://flags.example.org", key) as flags:
            flags.wait_ready(5)
            if flags.boolean("new-checkout", {"key": "alice"}, False):
                ...

    Safe to use from any thread. Callbacks run in the background thread. A process forked from one
    that has a client may go on using it: the child connects for itself when it first asks.

    Args:
        url: of the server: ``https://host[:port]``, or ``wss://…``, with or without a path.
        key: a server key of the environment.
        cache_path: a file for the last known ruleset, to start from when the server is away. It is
            read here and now.

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
        self._follower.adopt(self._follower.read_file())
        self._changes, self._statuses = self._follower.changes, self._follower.statuses
        self._tracker = self._follower.tracker
        self._source: RulesetSource = _Dormant(self)
        self._waking = threading.Lock()
        self._closed = False
        self._background: Background
        self._finalizer: weakref.finalize[[], Client]
        self._awake()
        _clients().add(self)

    @property
    def status(self) -> Status:
        """Whether the answers are up to date; if not, since when, and why."""
        return self._awake().status

    def track(
        self,
        name: str,
        context: AnyContext,
        value: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """As :meth:`Tracking.track`; the first question to a forked process's client, it may be."""
        with suppress(RuntimeError):  # no thread can be started any more: the program ends
            self._awake()
        super().track(name, context, value, metadata)

    def wait_ready(self, timeout_s: float, *, stale_ok: bool = True) -> bool:
        """Wait until there is a ruleset, for at most ``timeout_s``.

        Returns:
            True once flags can be evaluated: from the server's ruleset, or from the file's while
            the status is still STALE; with ``stale_ok=False`` only from the server's. False after
            the time, or at once where the client is OFFLINE without a ruleset.
        """
        follower, deadline_s = self._awake(), monotonic() + timeout_s
        moved = threading.Event()
        unsubscribe = self._statuses.add(lambda _: moved.set())
        try:
            while (ready := follower.readiness(stale_ok=stale_ok)) is None:
                if not moved.wait(deadline_s - monotonic()):
                    return False
                moved.clear()
            return ready
        finally:
            unsubscribe()

    def close(self) -> None:
        """Disconnect, and write the file. Evaluating stays possible, from the last ruleset."""
        with self._waking:
            self._closed = True
            if self._source is self._follower:
                self._finalizer.detach()
                self._background.stop()
            else:
                self._follower.close()
                self._source = self._follower

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _awake(self) -> Follower:
        """See to it that the thread runs."""
        if self._source is not self._follower:
            with self._waking:
                if self._source is not self._follower:
                    self._background = Background(self._follower)
                    self._background.start()
                    # Also at exit, where nobody closed; it must not hold on to the client.
                    self._finalizer = weakref.finalize(self, self._background.stop)
                    self._source = self._follower
        return self._follower

    def _after_fork(self) -> None:
        """In the child: the thread is the parent's. Another begins when it is first needed."""
        self._waking = threading.Lock()
        self._finalizer.detach()
        self._background.abandon()
        if not self._closed:
            self._follower = self._follower.after_fork()
            self._tracker = self._follower.tracker
            self._source = _Dormant(self)


class _Dormant:
    """Stands for a follower whose thread is yet to be started; so evaluating need not ask."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def ruleset(self) -> Ruleset | None:
        return self._client._awake().ruleset


@cache
def _clients() -> weakref.WeakSet[Client]:
    """Every client of this process, to be told of forks."""
    clients: weakref.WeakSet[Client] = weakref.WeakSet()

    def after_fork() -> None:
        for client in clients:
            client._after_fork()

    if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to survive
        os.register_at_fork(after_in_child=after_fork)
    return clients
