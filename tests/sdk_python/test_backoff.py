from __future__ import annotations

from halyard_sdk.backoff import (
    FIRST_CEILING_S,
    LAST_CEILING_S,
    LONGEST_RETRY_AFTER_S,
    RETRY_AFTER_SPREAD_S,
    Backoff,
)


def test_the_ceiling_doubles_up_to_the_last_one() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    waits = [backoff.next_s() for _ in range(12)]
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == LAST_CEILING_S
    assert waits == sorted(waits)


def test_the_jitter_is_full() -> None:
    assert [Backoff(chance=lambda: 0.0).next_s() for _ in range(9)] == [0.0] * 9
    backoff = Backoff(chance=lambda: 0.5)
    assert [backoff.next_s() for _ in range(3)] == [0.05, 0.1, 0.2]


def test_health_begins_anew() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    for _ in range(20):
        backoff.next_s()
    backoff.healthy()
    assert backoff.next_s() == FIRST_CEILING_S


def test_what_the_server_asks_for_is_kept_to_and_spread_and_makes_no_wait_longer() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next_s(retry_after_s=7) for _ in range(9)] == [7 + RETRY_AFTER_SPREAD_S] * 9
    assert backoff.next_s() == FIRST_CEILING_S


def test_a_server_that_asks_for_no_wait_is_tried_less_and_less_often() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next_s(retry_after_s=0) for _ in range(3)] == [0.1, 0.2, 0.4]


def test_a_limit_is_not_tried_again_for_a_while() -> None:
    waits = [Backoff(chance=lambda share=share: share).later_s() for share in (0.0, 0.5, 1.0)]  # type: ignore[misc]
    assert waits == [15, 30, 45]


def test_no_server_can_send_an_sdk_away_for_ever() -> None:
    assert Backoff(chance=lambda: 0.0).next_s(retry_after_s=1e9) == LONGEST_RETRY_AFTER_S
    assert Backoff(chance=lambda: 0.0).next_s(retry_after_s=-5) == 0
