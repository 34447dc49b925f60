from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.webhooks.retrying import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    LONGEST_WISH_S,
    SPREAD,
    Again,
    Over,
    next_step,
    outcome_of,
    pause_s,
    wish_of,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHANCES = st.floats(0, 1)
DEAD_AFTER = timedelta(days=3)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "delivered"), (204, "delivered"), (302, "failed"), (404, "failed"), (410, "gone"),
     (500, "failed"), (199, "failed"), (None, "failed")],
)  # fmt: skip
def test_only_two_hundreds_are_accepted(status: int | None, outcome: str) -> None:
    assert outcome_of(status) == outcome


@given(st.integers(1, 10_000), CHANCES)
def test_pauses_double_up_to_a_bound(attempts: int, chance: float) -> None:
    pause = pause_s(attempts, chance)
    assert FIRST_PAUSE_S * (1 - SPREAD) <= pause <= LONGEST_PAUSE_S * (1 + SPREAD)
    assert pause_s(attempts + 1, 0.5) >= pause_s(attempts, 0.5)


@given(st.integers(1, 50), CHANCES, st.floats(0, 10**9))
def test_a_wish_is_honoured_up_to_a_day(attempts: int, chance: float, wish: float) -> None:
    assert pause_s(attempts, chance, wish) >= min(wish, LONGEST_WISH_S)


@given(
    status=st.sampled_from([None, 302, 404, 410, 429, 500]),
    attempts=st.integers(1, 1_000),
    failing_s=st.floats(0, 4 * 86_400),
    chance=CHANCES,
    wish=st.none() | st.integers(0, 10**6).map(str),
)
def test_it_is_tried_again_until_its_time_is_over(
    status: int | None, attempts: int, failing_s: float, chance: float, wish: str | None
) -> None:
    since = NOW - timedelta(seconds=failing_s)
    step = next_step(
        status,
        attempts=attempts,
        failing_since=since,
        now=NOW,
        dead_after=DEAD_AFTER,
        chance=chance,
        retry_after=wish,
    )
    if status == 410:
        assert step == Over("gone")
    elif NOW - since >= DEAD_AFTER:
        assert step == Over("dead")
    else:
        assert isinstance(step, Again)
        assert NOW < step.at <= since + DEAD_AFTER


@given(CHANCES)
def test_whoever_never_answers_is_dead_after_a_bounded_number_of_attempts(chance: float) -> None:
    now, attempts = NOW, 0
    while True:
        attempts += 1
        step = next_step(
            500, attempts=attempts, failing_since=NOW, now=now, dead_after=DEAD_AFTER, chance=chance
        )
        if isinstance(step, Over):
            break
        now = step.at
    assert now - NOW == DEAD_AFTER
    assert 70 <= attempts <= 110


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("-5", None),
        ("", None),
        ("9" * 400, 999_999_999.0),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert wish_of(text, NOW) == seconds
