"""What is done every hour: forgetting what is over, finishing erasures."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from eventstore.errors import StoreError
from eventstore.login_secrets import LoginSecrets
from eventstore.logins import Logins
from server.logins.people import People
from server.writing.errors import WritingError

log = structlog.get_logger(__name__)

EVERY_S = 3_600.0


class LoginKeeper:
    """Runs beside the API until it is cancelled."""

    def __init__(self, stored: Logins, secrets: LoginSecrets, people: People) -> None:
        self._stored = stored
        self._secrets = secrets
        self._people = people

    async def run(self) -> None:
        """Forget, every hour; a database that is away is asked again in the next one."""
        while True:
            try:
                await self.keep()
            except (StoreError, WritingError) as error:
                log.warning("logins_not_kept", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def keep(self) -> None:
        """Forget what is over by now. Raises :class:`~eventstore.errors.StoreError`."""
        settings = (await self._people.state()).settings
        idle, longest = (
            timedelta(hours=settings.session_idle_hours),
            timedelta(days=settings.session_days),
        )
        await self._stored.forget(idle, longest)
        await self._secrets.forget()
        await self._people.finish_erasures()
