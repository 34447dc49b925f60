"""Which keys open an environment now, and the end of those whose time comes.

A key may have an end, which its document names. One timer for each environment waits for the next
end, so nobody asks for it. A newcomer is judged by the clock; whoever is there already is closed
only by a ruleset that is as current as the log, because the end may just have been put off, and
4401 is for good. Until that is certain they stay, and it is asked again every :data:`AGAIN_S`.

The clock is this machine's: an end is as exact as machines agree on the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from halyard_protocol.close_codes import CloseCode
from halyard_protocol.session.documents import Document

from streaming.keys import end_of, origin_allowed

if TYPE_CHECKING:
    from streaming.connection import Connection
    from streaming.environment import Environment

REFUSED = "the key is wrong, was revoked, or has come to its end"
ELSEWHERE = "this key may not be used by pages of this origin"
ENDED = "the key has come to its end"
AGAIN_S = 2.0
LONGEST_WAIT_S = 3_600.0
"""Then the clock is looked at again: it may have been set, which no timer learns of."""


class LiveKeys:
    """See the module.

    Attributes:
        overdue: the end of a key has come, and was not carried out yet.
    """

    __slots__ = ("_environment", "_timer", "overdue")

    def __init__(self, environment: Environment) -> None:
        self.overdue = False
        self._environment = environment
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether some key has an end that is waited for."""
        return self._timer is not None

    def accepts(self, document_key: str) -> bool:
        """Whether a newcomer gets in with a key."""
        document = self._environment.feed.key(document_key)
        return document is not None and not _has_ended(document)

    def of_guest(self, document_key: str) -> Document | None:
        """The key of somebody who was let in; None where it opens nothing any more.

        While nothing can be learnt of the log, a key that has come to its end still stands.
        """
        document = self._environment.feed.key(document_key)
        if document is None or (_has_ended(document) and not self._environment.feed.stale):
            return None
        return document

    def allows(self, connection: Connection) -> bool:
        """Whether a connection whose key is live comes from where that may be used."""
        key = self._environment.feed.key(connection.document_key)
        return key is None or origin_allowed(key, connection.origin)

    def changed(self) -> None:
        """Keys were issued, changed or revoked."""
        for connection in self._connections():
            if self._environment.feed.key(connection.document_key) is None:
                connection.close(CloseCode.KEY_REFUSED, REFUSED)
            elif not self.allows(connection):
                connection.close(CloseCode.FORBIDDEN, ELSEWHERE)
        self._environment.forget_callers()
        self._await_next()

    def carry_out(self) -> None:
        """The ruleset is as current as the log: close those whose key has come to its end."""
        if not self.overdue:
            return
        for connection in self._connections():
            if not self.accepts(connection.document_key):
                connection.close(CloseCode.KEY_REFUSED, ENDED)
        self._environment.forget_callers()
        self._environment.notify()
        self._await_next()

    def stop(self) -> None:
        """Nobody uses the environment any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _connections(self) -> tuple[Connection, ...]:
        environment = self._environment
        return (*environment.connections, *environment.browsers.connections())

    def _await_next(self) -> None:
        self.stop()
        self.overdue = False
        now = datetime.now(UTC)
        if any(not self.accepts(connection.document_key) for connection in self._connections()):
            self._due()
            return
        coming = min((end for end in self._ends() if end > now), default=None)
        if coming is not None:
            self._wait(min((coming - now).total_seconds(), LONGEST_WAIT_S), coming)

    def _wait(self, delay_s: float, end: datetime) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._waited, end)

    def _waited(self, end: datetime) -> None:
        left_s = (end - datetime.now(UTC)).total_seconds()
        if left_s > 0:
            self._wait(min(left_s, LONGEST_WAIT_S), end)
        else:
            self._due()

    def _due(self) -> None:
        self.overdue = True
        self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._due)
        self._environment.read_newer()

    def _ends(self) -> Iterator[datetime]:
        for document in self._environment.feed.unrevoked_keys():
            end = end_of(document)
            if end is not None:
                yield end


def _has_ended(document: Document) -> bool:
    end = end_of(document)
    return end is not None and end <= datetime.now(UTC)
