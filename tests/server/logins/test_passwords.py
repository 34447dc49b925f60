"""Argon2 beside the loop, in bounds; and which passwords are refused."""

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from server.logins import passwords as module
from server.logins.errors import TooManyLogins
from server.logins.passwords import MAX_WAITING, WORKERS, Passwords, is_outdated, password_problems


async def test_a_password_matches_its_hash_and_nobody_matches_anything() -> None:
    passwords = Passwords()
    hashed = await passwords.hashed("a rather long one")
    assert hashed.startswith("$argon2id$")
    assert await passwords.matches(hashed, "a rather long one")
    assert not await passwords.matches(hashed, "another one")
    assert not await passwords.matches(None, "the password of nobody")
    assert not await passwords.matches("no hash at all", "another one")
    passwords.close()


def test_a_hash_of_other_parameters_is_outdated() -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    assert is_outdated(old.hash("x"))
    assert not is_outdated(PasswordHasher().hash("x"))


async def test_those_beyond_the_queue_are_refused_at_once_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free, working = threading.Event(), threading.Semaphore(0)

    def stuck(_hash: str | None, _password: str) -> bool:
        working.release()
        return free.wait(10)

    monkeypatch.setattr(module, "_matches", stuck)
    passwords = Passwords()
    tasks = [
        asyncio.create_task(passwords.matches(None, "x")) for _ in range(WORKERS + MAX_WAITING)
    ]
    await asyncio.gather(*(asyncio.to_thread(working.acquire) for _ in range(WORKERS)))
    with pytest.raises(TooManyLogins):
        await passwords.matches(None, "x")
    tasks[0].cancel()
    free.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert done[1:] == [True] * (len(tasks) - 1)
    assert await passwords.matches(None, "x")
    passwords.close()


@pytest.mark.parametrize(
    "password",
    ["elevenchars", "x" * 257, "ada@example.org", "ADA@EXAMPLE.ORG", "ada LOVELACE",
     "Password2026!", "correcthorsebatterystaple", "abababababab", "letmeinnow123"],
)  # fmt: skip
def test_what_is_guessed_first_is_refused(password: str) -> None:
    about = ("ada@example.org", "Ada Lovelace")
    assert list(password_problems("/password", password, 12, *about))


@pytest.mark.parametrize(
    "password", ["a rather long one", "Tr0ub4dor&3-and-more", "ünïcödé pässwörd"]
)
def test_what_is_long_and_own_is_accepted(password: str) -> None:
    assert not list(password_problems("/password", password, 12, "ada@example.org", "Ada", None))


@given(st.text(max_size=300))
def test_a_problem_never_repeats_the_password(password: str) -> None:
    for problem in password_problems("/p", password, 12, "ada@example.org"):
        assert len(password) < 8 or password not in problem.reason
