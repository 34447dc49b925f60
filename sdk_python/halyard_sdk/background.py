"""An event loop in a thread of its own, for programs that have none.

The thread is a daemon: a program that forgets to close its client ends all the same.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from contextlib import suppress

from halyard_sdk.follower import Follower

STOP_TIMEOUT_S = 3.0

_abandoned: list[Background] = []
"""Loops of the parent, in a child. Kept for ever: were they collected, they would close what the
parent still uses."""


class Background:
    """Runs one follower in a thread."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._run, name="halyard-sdk", daemon=True)

    def start(self) -> None:
        """Begin, once."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it a little, unless called from within. May be called repeatedly."""
        with suppress(RuntimeError):  # the loop has ended before
            self._loop.call_soon_threadsafe(self._follower.close)
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT_S)

    def abandon(self) -> None:
        """In the child of a fork, where the thread does not exist: leave the parent's loop alone.

        The selector is closed, which concerns this process only. Anything that unregistered
        a socket from it would unregister it in the parent as well.
        """
        with suppress(OSError):
            self._selector.close()
        _abandoned.append(self)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._follower.run())
