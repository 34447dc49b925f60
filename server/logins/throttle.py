"""How often somebody may try: counted in Redis, so that trying another process is no way around.

An attempt is counted before it is made, and given back where it succeeded, so that many at once
are no more than the limit. The windows are fixed ones: whoever is refused waits for a time that
further attempts do not prolong. Without Redis each process counts for itself: a login is how an
operator gets in to mend things, and a limit for each process is still a limit.

Neither addresses nor names stand in Redis, but their SHA-256. What is counted for an account is
counted by its address as it is looked up, whatever its case; a caller's is the peer's, and of IPv6
the network (/64), of which a subscriber has a whole one.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import unicodedata
from importlib.resources import files
from ipaddress import IPv6Address, ip_address
from typing import Literal, NamedTuple

import structlog
from redis.exceptions import RedisError

from projections.script import RedisClient, Script

log = structlog.get_logger(__name__)

REDIS_TIMEOUT_S = 1.0
MAX_LOCAL = 10_000
"""Counters of one process; the oldest makes room."""
_IPV6_NETWORK_BITS = 64


class Limit(NamedTuple):
    """How many attempts within which time."""

    what: str
    attempts: int
    window_s: float


OF_ACCOUNT = Limit("account", 10, 900.0)
OF_ADDRESS = Limit("address", 100, 900.0)
"""More: an office may have one."""
OF_REGISTRATION = Limit("registration", 20, 3_600.0)
"""Accounts that are made from one address."""

OF_PROVIDERS = Limit("provider", 300, 900.0)
"""Logins that are begun at identity providers, from one address."""

_script = Script(files("server.logins").joinpath("throttle.lua").read_text(encoding="utf-8"))


def account_subject(email: str) -> str:
    """What attempts for an address are counted under."""
    return unicodedata.normalize("NFKC", email).casefold()


def address_subject(address: str) -> str:
    """What attempts from a peer are counted under."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> _IPV6_NETWORK_BITS:x}/64"


class Throttle:
    """Counts attempts; ``redis`` None for a process of its own."""

    def __init__(self, redis: RedisClient | None) -> None:
        self._redis = redis
        self._local = _LocalCounters()

    async def take(self, limit: Limit, subject: str) -> float:
        """Count an attempt: how many seconds to wait, 0 to go on."""
        return await self._do("take", limit, subject)

    async def give_back(self, limit: Limit, subject: str) -> None:
        """The attempt succeeded."""
        await self._do("give", limit, subject)

    async def clear(self, limit: Limit, subject: str) -> None:
        """Begin again at nothing."""
        await self._do("clear", limit, subject)

    async def _do(
        self, what: Literal["take", "give", "clear"], limit: Limit, subject: str
    ) -> float:
        key = _key(limit, subject)
        if self._redis is not None:
            try:
                async with asyncio.timeout(REDIS_TIMEOUT_S):
                    arguments = (what, limit.attempts, int(limit.window_s * 1000))
                    wait_ms: int = await _script.run(self._redis, [key], arguments)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("throttle_is_local", reason=type(error).__name__)
            else:
                return wait_ms / 1000
        return self._local.do(what, limit, key)


def _key(limit: Limit, subject: str) -> str:
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return f"halyard:attempts:{limit.what}:{{{digest}}}"


class _LocalCounters:
    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, float]] = {}
        """By key: how many, and until when (monotonic)."""

    def do(self, what: Literal["take", "give", "clear"], limit: Limit, key: str) -> float:
        now_s = time.monotonic()
        count, until_s = self._counts.get(key, (0, 0.0))
        if until_s <= now_s:
            count, until_s = 0, now_s + limit.window_s
        if what == "take" and count >= limit.attempts:
            return until_s - now_s
        after = {"take": count + 1, "give": max(count - 1, 0), "clear": 0}[what]
        self._counts.pop(key, None)
        if after:
            self._counts[key] = (after, until_s)
        while len(self._counts) > MAX_LOCAL:
            del self._counts[next(iter(self._counts))]
        return 0.0
