"""How a stream of server-sent events waits: for a moment, or for its peer to go.

The moment can be brought forward while it waits. There is no task and no timer beside the
request's own.
"""

from __future__ import annotations

import asyncio

from starlette.types import Receive


class StreamWait:
    """The waiting of one stream. Times are those of the event loop."""

    __slots__ = ("_timeout",)

    def __init__(self) -> None:
        self._timeout: asyncio.Timeout | None = None
        """Present while it waits."""

    async def has_gone(self, receive: Receive, deadline_s: float) -> bool:
        """Wait until the deadline, or until the peer has gone; tell which."""
        try:
            async with asyncio.timeout_at(deadline_s) as self._timeout:
                while (await receive())["type"] != "http.disconnect":
                    pass  # the request's body, which has nothing to say
        except TimeoutError:
            return False
        finally:
            self._timeout = None
        return True

    def hasten(self, deadline_s: float) -> None:
        """Let it wait no longer than until then; nothing where it does not wait."""
        timeout = self._timeout
        if timeout is None or timeout.expired():
            return
        when_s = timeout.when()
        if when_s is None or deadline_s < when_s:
            timeout.reschedule(deadline_s)
