"""One timer for all connections: a ring of slots, of which one comes round at every tick.

A member is in one slot at a time. When that comes round the member is visited and says when it
wants the next visit. Visits may come early (at most once round the ring) and late by a tick, so a
member compares its own deadlines with the time it is given. Members that leave are not looked for:
they answer None at their next visit, and are forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol


class Member(Protocol):
    """Whoever wants visits."""

    def visit(self, now_s: float) -> float | None:
        """Do what is due; answer in how many seconds to come again, or None for never."""


class Wheel:
    """Visits members at about the times they ask for.

    Args:
        tick_s: the exactness, in seconds.
        slots: how many ticks go round; no visit is farther away than that.
    """

    def __init__(self, tick_s: float = 0.25, slots: int = 128) -> None:
        self._tick_s = tick_s
        self._slots: list[list[Member]] = [[] for _ in range(slots)]
        self._at = 0
        self._due_s = tick_s
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to turn, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._due_s = time.monotonic() + self._tick_s
        self._wind(self._loop)

    def stop(self) -> None:
        """Turn no more, and forget everybody."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None
        for slot in self._slots:
            slot.clear()

    def enter(self, member: Member, delay_s: float) -> None:
        """Visit ``member`` in about ``delay_s`` seconds."""
        ticks = min(len(self._slots) - 1, max(1, round(delay_s / self._tick_s)))
        self._slots[(self._at + ticks) % len(self._slots)].append(member)

    def turn(self, now_s: float) -> None:
        """Visit whoever is due by ``now_s``, on the monotonic clock."""
        due = deque(self._due(now_s))
        try:
            while due:
                member = due.popleft()
                delay_s = member.visit(now_s)
                if delay_s is not None:
                    self.enter(member, delay_s)
        finally:
            # A visit that fails must not cost the others theirs.
            for member in due:
                self.enter(member, 0)

    def _due(self, now_s: float) -> list[Member]:
        """Everybody up to the present first: nobody is visited twice because a turn was late."""
        due: list[Member] = []
        while self._due_s <= now_s:
            self._due_s += self._tick_s
            self._at = (self._at + 1) % len(self._slots)
            due += self._slots[self._at]
            self._slots[self._at] = []
        return due

    def _wind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._tick_s, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self.turn(time.monotonic())
        finally:
            if self._loop is not None:
                self._wind(loop)
