"""Argon2id in a bounded pool, and which passwords are refused.

A check takes some 50 ms of a core and 64 MiB: on the event loop it would hold everybody up, and
without a bound a crowd of logins would take all memory. Parameters are those of argon2-cffi
(RFC 9106, second recommended option); a hash with others is made anew at the next login.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from halyard_protocol.problems import Problem

from server.logins.errors import TooManyLogins

T = TypeVar("T")

WORKERS = 2
"""Threads, and so 64 MiB each."""
MAX_WAITING = 64
"""Behind them; some two seconds of work."""
MAX_LENGTH = 256
"""Characters: hashing takes longer the more there are."""
_FEW_CHARACTERS = 4
"""A password of fewer different ones is guessed at once."""

_hasher = PasswordHasher()


@cache
def _nobodys_hash() -> str:
    """What a password is compared with where there is no account: it takes the same time."""
    return _hasher.hash("the password of nobody")


def _matches(password_hash: str | None, password: str) -> bool:
    try:
        _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


class Passwords:
    """Checks and hashes, a few at a time.

    Concurrency: whoever is cancelled leaves its work to run to its end in the pool.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="passwords")
        self._underway = 0

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one; None for nobody's, which takes as long.

        Raises :class:`TooManyLogins`.
        """
        return await self._run(lambda: _matches(password_hash, password))

    async def hashed(self, password: str) -> str:
        """The hash to store. Raises :class:`TooManyLogins`."""
        return await self._run(lambda: _hasher.hash(password))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._underway >= WORKERS + MAX_WAITING:
            raise TooManyLogins
        self._underway += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._underway -= 1
        if not future.cancelled():
            future.exception()  # whoever waited was told, or has gone

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@cache
def _common() -> frozenset[str]:
    text = files("server.logins").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def password_problems(
    path: str, password: str, min_length: int, *about: str | None
) -> Iterator[Problem]:
    """What is wrong with a password that somebody chose; ``about`` are its owner's names."""
    if not min_length <= len(password) <= MAX_LENGTH:
        yield Problem(path, f"is {min_length} to {MAX_LENGTH} characters long")
        return
    folded = password.casefold()
    if any(folded in _names(each) for each in about if each):
        yield Problem(path, "is your name or your address: choose something else")
    elif folded in _common() or _core(folded) in _common() or len(set(folded)) < _FEW_CHARACTERS:
        yield Problem(path, "is one of those that are tried first: choose something else")


def _names(name: str) -> tuple[str, ...]:
    folded = name.casefold()
    return (folded, folded.partition("@")[0], folded.replace(" ", ""))


def _core(folded: str) -> str:
    """Without the digits and signs around it, which are what is added to a word."""
    return folded.strip("0123456789!?.,;:-_*#+$%&@ ")
