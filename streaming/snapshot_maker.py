"""Snapshots that take long to make, made in a thread, one after the other.

One thread, because the loop wants the other processor; and no more than one is ever asked for of a
feed and a wire format, however many connections wait for it. Compressing lets the loop run beside
it, and what does not is cut into pieces (:mod:`streaming.framing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import structlog
from halyard_protocol.session.feed import Feed
from halyard_protocol.session.frames import SnapshotFrame, SnapshotSource, WireFormat

from streaming.framing import framed_aside

Wanted: TypeAlias = tuple[Feed, WireFormat]

log = structlog.get_logger("halyard.stream")


class SnapshotMaker:
    """See the module.

    Args:
        made: called on the loop after each attempt. Its feed keeps the snapshot by then, unless
            the wire epoch has changed meanwhile; or the attempt failed, which is its argument.
    """

    def __init__(self, made: Callable[[Wanted, BaseException | None], None]) -> None:
        self._made = made
        self._wanted: dict[Wanted, None] = {}
        """In order; the first is being made."""
        self._making = False

    def make(self, wanted: Wanted) -> None:
        """Have a snapshot made of what the feed is when its turn comes."""
        self._wanted[wanted] = None
        self._next()

    def _next(self) -> None:
        if self._making or not self._wanted:
            return
        self._making = True
        wanted = next(iter(self._wanted))
        feed, wire = wanted
        loop = asyncio.get_running_loop()
        making = loop.run_in_executor(None, _framed, feed.source(), wire)
        making.add_done_callback(partial(self._done, wanted))

    def _done(self, wanted: Wanted, making: asyncio.Future[SnapshotFrame]) -> None:
        self._making = False
        del self._wanted[wanted]
        if making.cancelled():
            return  # the process is ending
        failure = making.exception()
        if failure is None:
            wanted[0].keep(making.result())
        else:
            log.error("a snapshot could not be made", exc_info=failure)
        self._made(wanted, failure)
        self._next()


def _framed(source: SnapshotSource, wire: WireFormat) -> SnapshotFrame:
    return source.framed(framed_aside, wire)
