"""A log as it grows: each event as a server-sent event, whose id is its seq.

A stream has no queue: it knows the seq that it has come to, and reads the log on from there. So
none is left out and none comes twice, whichever process wrote it, and a client that names the last
seq it has goes on after it. A slow reader holds one page in memory; one that takes nothing for
:data:`STALL_S` is cut off, with :data:`TOO_SLOW` behind what it has not read, and may come back.

Word that the log has grown comes from the writers of this process, from those of others, and from
the net beneath them (:meth:`~server.writing.writers.Writers.on_growth`); nothing is polled.

Whoever listens may be told, before each page and with each heartbeat, that it must not any more.

Life of a stream: until the peer has gone, its token is revoked, its account may not read the log
any more, or this process drains. A stream that ends says why in an event ``end``.

Format: WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Literal, TypeAlias

from halyard_protocol.codec import encode
from starlette.types import Receive

from server.http.event_views import EventView
from server.http.stream_wait import StreamWait

RETRY_MS = 1_000
STALL_S = 30.0
MAX_FEEDS = 500
"""Of one process."""
MAX_FEEDS_OF_ACCOUNT = 20
ENDING_S = 5.0
"""Over how long the ends of streams are spread at most."""

Ending: TypeAlias = Literal["draining", "unauthenticated", "forbidden", "too-slow"]

Read: TypeAlias = Callable[[int], Awaitable[tuple[Sequence[EventView], int, bool]]]
"""From a seq: the events after it that are wanted, up to which seq that is, and whether that is all
that there is."""
Admitted: TypeAlias = Callable[[], Awaitable[Ending | None]]
"""Why the stream must end; None while it may go on."""


def _end(reason: Ending) -> bytes:
    return b"event: end\ndata: %s\n\n" % encode({"reason": reason})


TOO_SLOW = _end("too-slow")
"""The last word to a reader that takes nothing."""


class EventFeeds:
    """The open streams of one process.

    Attributes:
        ending: this process drains: no new streams.
    """

    def __init__(
        self,
        *,
        heartbeat_s: float = 15.0,
        limit: int = MAX_FEEDS,
        limit_of_account: int = MAX_FEEDS_OF_ACCOUNT,
    ) -> None:
        self.ending = False
        self._heartbeat_s = heartbeat_s
        self._limit = limit
        self._limit_of_account = limit_of_account
        self._open: dict[Feed, None] = {}
        self._of_account: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def admits(self, account_id: str) -> bool:
        """Whether this account may open another stream."""
        if self.ending or len(self._open) >= self._limit:
            return False
        return self._of_account[account_id] < self._limit_of_account

    def end_all(self, within_s: float) -> None:
        """Let no stream be opened any more, and end each at a time of its own."""
        self.ending = True
        for place, feed in enumerate(self._open):
            feed.end_in(min(within_s, ENDING_S) * place / len(self._open))

    async def follow(
        self,
        account_id: str,
        after: int,
        read: Read,
        admitted: Admitted,
        *,
        listen: Callable[[Callable[[], None]], Callable[[], None]],
        receive: Receive,
    ) -> AsyncGenerator[bytes]:
        """The bytes of one stream, until it ends.

        ``listen`` is given what to call when there may be more, and answers how to stop that.
        """
        feed = Feed(after, read, admitted, self._heartbeat_s)
        stop = listen(feed.wake)
        self._open[feed] = None
        self._of_account[account_id] += 1
        try:
            yield b"retry: %d\nid: %d\n\n" % (RETRY_MS, after)
            async for part in feed.parts(receive):
                yield part
        finally:
            stop()
            del self._open[feed]
            self._of_account[account_id] -= 1
            if not self._of_account[account_id]:
                del self._of_account[account_id]


class Feed:
    """One stream: how far it has come, and when it is to look again. Times are the loop's."""

    __slots__ = (
        "_admitted",
        "_end_s",
        "_heartbeat_s",
        "_loop",
        "_read",
        "_seq",
        "_wait",
        "_woken",
    )

    def __init__(self, after: int, read: Read, admitted: Admitted, heartbeat_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seq = after
        """All up to here was told, or was not asked for."""
        self._read = read
        self._admitted = admitted
        self._heartbeat_s = heartbeat_s
        self._end_s = math.inf
        self._woken = True
        self._wait = StreamWait()

    def wake(self) -> None:
        """There may be more, or less to tell it to."""
        self._woken = True
        self._wait.hasten(self._loop.time())

    def end_in(self, delay_s: float) -> None:
        """The stream is to end then."""
        self._end_s = self._loop.time() + delay_s
        self._wait.hasten(self._end_s)

    async def parts(self, receive: Receive) -> AsyncGenerator[bytes]:
        """What is written, until the end."""
        while True:
            ending = await self._ending()
            if ending is not None:
                yield _end(ending)
                return
            if self._woken:
                self._woken = False
                events, self._seq, whole = await self._read(self._seq)
                self._woken = self._woken or not whole
                if events:
                    yield b"".join(map(_event, events))
                if self._woken:
                    continue
            if await self._has_gone(receive):
                return
            if not self._woken:
                # An id without data moves a client on past what it did not ask for.
                yield b"id: %d\n\n" % self._seq

    async def _ending(self) -> Ending | None:
        return "draining" if self._loop.time() >= self._end_s else await self._admitted()

    async def _has_gone(self, receive: Receive) -> bool:
        """Wait until there is word, or it is time for a heartbeat, or the peer has gone."""
        deadline_s = min(self._loop.time() + self._heartbeat_s, self._end_s)
        return await self._wait.has_gone(receive, deadline_s)


def _event(view: EventView) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (view.seq, encode(view))
