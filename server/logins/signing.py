"""The keys that sign access tokens: random, shared by all processes through PostgreSQL, rotated.

A key signs for a day and verifies for two hours more, which is longer than any access token lives.
A process reads the keys anew every few seconds while tokens come, and at once for a key that it
does not know, though not more often than once a second: made-up keys cost nothing.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta

from eventstore.login_secrets import LoginSecrets, SigningKey
from server.credentials import new_id

SIGNS_FOR = timedelta(days=1)
OVERLAP = timedelta(hours=2)
SECRET_BYTES = 32
FRESH_S = 10.0
AGAIN_S = 1.0


class KeyRing:
    """The keys as this process has read them. Raises :class:`~eventstore.errors.StoreError`."""

    def __init__(self, stored: LoginSecrets) -> None:
        self._stored = stored
        self._keys: dict[str, SigningKey] = {}
        self._read_at_s = -FRESH_S

    async def signing(self) -> SigningKey:
        """The key to sign with; made where there is none."""
        await self._read(FRESH_S)
        now = datetime.now(UTC)
        key = self._last()
        if key is None or key.signs_until <= now:
            secret = secrets.token_bytes(SECRET_BYTES)
            await self._stored.add_signing_key(new_id(), secret, SIGNS_FOR, OVERLAP)
            await self._read(0)
            key = self._last()
        if key is None:
            raise RuntimeError("a signing key that was just added is not there")
        return key

    async def verifying(self, key_id: str) -> SigningKey | None:
        """The key of this id, while it verifies."""
        await self._read(FRESH_S if key_id in self._keys else AGAIN_S)
        key = self._keys.get(key_id)
        return key if key is not None and datetime.now(UTC) < key.verifies_until else None

    def _last(self) -> SigningKey | None:
        return max(self._keys.values(), key=lambda key: key.signs_until, default=None)

    async def _read(self, older_than_s: float) -> None:
        if time.monotonic() - self._read_at_s < older_than_s:
            return
        keys = await self._stored.signing_keys()
        self._keys = {key.key_id: key for key in keys}
        self._read_at_s = time.monotonic()
