"""Follows a server's stream: the asynchronous core that every client stands on.

Pattern: a :class:`~halyard_protocol.session.client.ClientSession` decides, this class carries out.
Each input (a frame, an end, time) is given to the session synchronously, and its actions are begun
before anything is awaited, so that a cancellation cannot leave half a change.

Concurrency: everything runs in one event loop. From other threads, only ``ruleset`` and ``status``
may be read (each is replaced whole, never changed) and the listeners used.

Life cycle: made, ``adopt()`` at most once, ``run()`` at most once, until ``close()``.

Invariants:
    - At most one attempt to connect is under way, and at most one more is due.
    - ``ruleset`` never becomes None again.
    - Nothing that a server sends, and nothing that a callback does, ends ``run()``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import assert_never

from halyard_protocol.messages import (
    MalformedMessage,
    Snapshot,
    decode_server_message,
    track_frame,
)
from halyard_protocol.ruleset import Ruleset
from halyard_protocol.session.affected import affected
from halyard_protocol.session.client import NORMAL_CLOSURE, ClientSession
from halyard_protocol.session.client_actions import (
    Action,
    Actions,
    Close,
    Connect,
    LinkId,
    Redial,
    Report,
    Send,
    Stop,
    Updated,
)
from halyard_protocol.session.replica import Changed, Replica, from_snapshot

from halyard_sdk.address import Address
from halyard_sdk.backoff import Backoff
from halyard_sdk.connection import SDK, Connection, Ended
from halyard_sdk.context_sample import ContextSample
from halyard_sdk.dialer import Dialer
from halyard_sdk.exposures import Tally
from halyard_sdk.keeper import Keeper
from halyard_sdk.lastknown import LastKnown, Saved
from halyard_sdk.listeners import Change, Listeners
from halyard_sdk.status import State, Status, wall_clock
from halyard_sdk.tracking import Tracker

log = logging.getLogger("halyard_sdk")

LARGE_FRAME_BYTES = 128 * 1024
"""Snapshots above this are read in a thread, so that they do not hold up the loop."""

TRACK_PERIOD_S = 5.0
"""How often tracking events are sent, where there are any."""

EXPOSURES_PERIOD_S = 30.0
"""How often the sums of exposures are sent, where there are any; the first time somewhat sooner,
so that clients which were started together do not send together."""

LAST_WORD_S = 1.0
"""For how long, at most, a close is held up by sending the rest of both."""


class Follower:
    """Keeps ``ruleset`` in step with a server.

    Args:
        address: where, and with which key.
        file: keeps the last known ruleset; None keeps none.
        tally: counts exposures; None counts none that are ever sent.
        replica: what is known already.
        chance: where the jitter comes from.
    """

    def __init__(
        self,
        address: Address,
        file: LastKnown | None = None,
        *,
        tally: Tally | None = None,
        replica: Replica | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.changes: Listeners[Change] = Listeners()
        self.statuses: Listeners[Status] = Listeners()
        self.tracker = Tracker()
        self.tally = tally or Tally(ContextSample(wanted=False))
        self._chance = chance
        self._address = address
        self._session = ClientSession(SDK, monotonic(), replica)
        self._keeper = None if file is None else Keeper(file)
        self._dialer = Dialer(address, Backoff(chance), self._failed)
        self._closing = asyncio.Event()
        self._problem = ""  # what went wrong last, until all is well again
        self._connections: dict[LinkId, Connection] = {}
        self._links_opened = 0
        self._timer: asyncio.TimerHandle | None = None  # fires at the session's deadline
        self._tasks: asyncio.TaskGroup
        self._dialing: asyncio.Task[None]
        self.ruleset: Ruleset | None = None if replica is None else replica.ruleset
        self.status = self._status_now()

    # --- life cycle

    def read_file(self) -> Saved | None:
        """What the file holds, if anything. Blocks, changes nothing, never raises."""
        return None if self._keeper is None else self._keeper.load()

    def adopt(self, saved: Saved | None) -> None:
        """Begin with what the file held. To be called before ``run()``."""
        if saved is None or self.ruleset is not None:
            return
        now_s = monotonic()
        self._session = ClientSession(
            SDK,
            now_s,
            saved.replica,
            stale_since_s=now_s - saved.age_s,
            resumable=saved.resumable,
        )
        self._publish()

    async def run(self) -> None:
        """Connect, and stay connected, until closed or cancelled; in the end write the file."""
        self._dialer.connect_now()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._dialing = self._tasks.create_task(self._dial())
                telling = [self._tasks.create_task(do()) for do in (self._track, self._expose)]
                await self._until_closing()
                for task in (self._dialing, *telling):
                    task.cancel()
                await self._last_word()
                for connection in self._connections.values():
                    self._tasks.create_task(connection.close(NORMAL_CLOSURE, "closed by its user"))
        except Exception:
            log.exception("a fault: no further changes will be received")
        finally:
            self.close()
            if self._timer is not None:
                self._timer.cancel()
            if self._keeper is not None:
                self._keeper.finish(self._session)

    def close(self) -> None:
        """Let ``run()`` come to its end. Evaluating stays possible."""
        self._closing.set()
        self._keep_no_more()
        self._publish()

    def readiness(self, *, stale_ok: bool) -> bool | None:
        """Whether waiting is over: True with a ruleset, False without; None where it goes on."""
        match self.status.state:
            case State.READY:
                return True
            case State.STALE:
                return True if stale_ok else None
            case State.INITIALIZING:
                return None
            case State.OFFLINE:
                return stale_ok and self.ruleset is not None

    def after_fork(self) -> Follower:
        """In the child: one that goes on from here. This one's connections are the parent's."""
        for connection in self._connections.values():
            connection.release()
        heir = Follower(
            self._address,
            None if self._keeper is None else self._keeper.file,
            tally=self.tally,
            replica=self._session.replica,
        )
        heir.changes, heir.statuses = self.changes, self.statuses
        heir.changes.after_fork()
        heir.statuses.after_fork()
        heir.tally.after_fork()
        return heir

    async def _until_closing(self) -> None:
        try:
            await self._closing.wait()
        finally:
            self._closing.set()  # a cancellation is a close, too

    # --- connections

    async def _dial(self) -> None:
        while True:
            connection = await self._dialer.connection()
            self._tasks.create_task(self._serve(connection))

    async def _serve(self, connection: Connection) -> None:
        self._links_opened += 1
        link = self._links_opened
        self._connections[link] = connection
        self._perform(self._session.opened(link, monotonic()))
        try:
            while True:
                await self._take(link, await connection.receive())
        except Ended as ended:
            self._perform(self._session.closed(link, ended.code, str(ended), monotonic()))
        except Exception as fault:
            log.exception("a fault while reading the stream")
            self._perform(self._session.unreadable(link, repr(fault), monotonic()))
        finally:
            del self._connections[link]
            await connection.close(NORMAL_CLOSURE, "")

    async def _take(self, link: LinkId, frame: bytes) -> None:
        try:
            message = decode_server_message(frame)
        except (MalformedMessage, RecursionError) as problem:
            self._perform(self._session.unreadable(link, str(problem), monotonic()))
            return
        read = None
        if isinstance(message, Snapshot) and len(frame) > LARGE_FRAME_BYTES:
            read = await asyncio.to_thread(from_snapshot, message, self._session.replica)
        self._perform(self._session.received(link, message, monotonic(), read))

    def _perform(self, actions: Actions) -> None:
        self._problem = next((a.reason for a in actions if isinstance(a, Redial)), self._problem)
        self._publish()
        if self._closing.is_set():
            return
        for action in actions:
            self._begin(action)
        self._arm()

    def _begin(self, action: Action) -> None:
        match action:
            case Send(link, payload):
                self._tasks.create_task(self._connections[link].send(payload))
            case Updated(changed):
                self._updated(changed)
            case Close(link, code, reason):
                self._tasks.create_task(self._connections[link].close(code, reason))
            case Connect(after_s):
                self._dialer.connect_beside(after_s)
            case Redial(reason, later):
                self._dialer.connect_again(reason, later=later)
            case Stop(reason):
                self._dialing.cancel()
                self._keep_no_more()
                log.error("will not connect again: %s", reason)
            case Report(text):
                log.warning("%s", text)
            case _:
                assert_never(action)

    def _updated(self, changed: Changed) -> None:
        if self._keeper is not None:
            self._keeper.schedule(self._session, self._tasks)
        if self.changes and self.ruleset is not None:
            self.changes.tell(Change(affected(self.ruleset, changed)))

    # --- tracking events, exposures

    async def _track(self) -> None:
        while True:
            await asyncio.sleep(TRACK_PERIOD_S)
            await self._send_tracked()

    async def _send_tracked(self) -> None:
        """Send what waits, each event once at most: a batch that met a closing door is dropped."""
        while (link := self._session.accepted) is not None and (batch := self.tracker.batch()):
            if not await self._connections[link].send(track_frame(batch)):
                self.tracker.lost(len(batch))
                return

    async def _expose(self) -> None:
        await asyncio.sleep(EXPOSURES_PERIOD_S * (1 + self._chance()) / 2)
        while True:
            await self._send_exposures()
            await asyncio.sleep(EXPOSURES_PERIOD_S)

    async def _send_exposures(self) -> None:
        """Send what was counted until now; what meets a closing door waits for the next time."""
        if self._session.accepted is None:
            return
        self.tally.collect()
        while (link := self._session.accepted) is not None:
            batch = self.tally.batch(self.tracker.dropped)
            if batch is None:
                return
            sent = False
            try:
                sent = await self._connections[link].send(batch.frame)
            finally:
                if not sent:
                    self.tally.give_back(batch)
            if not sent:
                return
            await asyncio.sleep(0)  # ten thousand counters take a while, and the loop is not ours

    async def _last_word(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await self._send_tracked()
                await self._send_exposures()

    def _keep_no_more(self) -> None:
        self.tracker.close()
        self.tally.close()

    # --- time

    def _arm(self) -> None:
        """See to it that the session's deadline is not missed.

        A deadline that moved further away is left to the timer that is there: it finds nothing
        to do then and arms anew. So bytes that arrive cost no timer.
        """
        deadline_s = self._session.deadline_s()
        if deadline_s is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + deadline_s - monotonic()
        if self._timer is not None and self._timer.when() <= at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(at, self._deadline)

    def _deadline(self) -> None:
        self._timer = None
        for link, connection in self._connections.items():
            self._session.seen(link, connection.heard_s)
        self._perform(self._session.tick(monotonic()))

    # --- what others see

    def _failed(self, reason: str) -> None:
        self._problem = reason
        self._publish()

    def _publish(self) -> None:
        """Show the session's replica and standing, the former first."""
        if self._session.replica is not None:
            self.ruleset = self._session.replica.ruleset
        if self._session.stale_since_s is None:
            self._problem = ""
        status = self._status_now()
        if (status.state, status.reason) == (self.status.state, self.status.reason):
            return
        if status.state is self.status.state:
            status = Status(status.state, self.status.since, status.reason)
        else:
            log.info("%s, was %s %s", status.state.value, self.status.state.value, status.reason)
        self.status = status
        self.statuses.tell(status)

    def _status_now(self) -> Status:
        session, now_s = self._session, monotonic()
        if self._closing.is_set():
            return Status(State.OFFLINE, wall_clock(now_s), "closed")
        if session.stopped is not None:
            return Status(State.OFFLINE, wall_clock(now_s), session.stopped)
        if session.replica is None:
            return Status(State.INITIALIZING, wall_clock(now_s), self._problem)
        if session.stale_since_s is None:
            return Status(State.READY, wall_clock(now_s))
        return Status(
            State.STALE, wall_clock(session.stale_since_s), self._problem or "catching up"
        )
