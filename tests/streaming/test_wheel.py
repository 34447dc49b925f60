from __future__ import annotations

import asyncio
import time

import pytest

from streaming.wheel import Wheel
from tests.streaming.stage import until


class Visited:
    """Remembers its visits, and asks for the next in so many seconds."""

    def __init__(self, *delays_s: float | None) -> None:
        self.delays_s = list(delays_s)
        self.visits_s: list[float] = []

    def visit(self, now_s: float) -> float | None:
        self.visits_s.append(now_s)
        return self.delays_s.pop(0) if self.delays_s else None


def turned(wheel: Wheel, seconds: float, step_s: float = 0.25) -> None:
    for step in range(1, round(seconds / step_s) + 1):
        wheel.turn(step * step_s)


def test_a_member_is_visited_about_when_it_asked() -> None:
    wheel, member = Wheel(), Visited(2.0, 0.5)
    wheel.enter(member, 1.0)
    turned(wheel, 10)
    assert member.visits_s == [1.0, 3.0, 3.5]


def test_a_visit_that_fails_costs_nobody_else_theirs() -> None:
    class Faulty(Visited):
        def visit(self, now_s: float) -> float | None:
            super().visit(now_s)
            raise ArithmeticError

    wheel, faulty, members = Wheel(), Faulty(), [Visited(1.0) for _ in range(3)]
    for member in (members[0], faulty, *members[1:]):
        wheel.enter(member, 0.5)
    wheel.turn(0.25)
    with pytest.raises(ArithmeticError):
        wheel.turn(0.5)
    for step in range(3, 9):
        wheel.turn(step * 0.25)
    assert [len(member.visits_s) for member in members] == [2, 2, 2]
    assert len(faulty.visits_s) == 1


def test_a_member_that_asks_for_no_more_is_forgotten() -> None:
    wheel, member = Wheel(), Visited(None)
    wheel.enter(member, 0.5)
    turned(wheel, 40)
    assert len(member.visits_s) == 1


def test_a_visit_beyond_the_ring_comes_early() -> None:
    wheel, member = Wheel(slots=8), Visited()
    wheel.enter(member, 60)
    turned(wheel, 60)
    assert member.visits_s == [1.75]


def test_a_turn_that_comes_late_visits_everybody_who_was_due() -> None:
    wheel, one, two = Wheel(), Visited(), Visited()
    wheel.enter(one, 0.5)
    wheel.enter(two, 2.0)
    wheel.turn(5.0)
    assert (one.visits_s, two.visits_s) == ([5.0], [5.0])


def test_a_turn_that_comes_late_visits_nobody_twice() -> None:
    wheel, member = Wheel(), Visited(0.25, 0.25)
    wheel.enter(member, 0.25)
    wheel.turn(5.0)
    assert member.visits_s == [5.0]


def test_members_of_one_moment_are_all_visited() -> None:
    wheel, members = Wheel(), [Visited() for _ in range(100)]
    for member in members:
        wheel.enter(member, 1.0)
    turned(wheel, 2)
    assert all(len(member.visits_s) == 1 for member in members)


async def test_it_turns_by_itself_until_it_is_stopped() -> None:
    wheel, member = Wheel(tick_s=0.01), Visited(*[0.01] * 1_000)
    wheel.enter(member, 0.01)
    wheel.start()
    await until(lambda: len(member.visits_s) >= 3)
    assert abs(member.visits_s[-1] - time.monotonic()) < 1
    wheel.stop()
    visits = len(member.visits_s)
    await asyncio.sleep(0.05)
    assert len(member.visits_s) == visits
