"""Forgets from which addresses changes came, once administrators want it kept no longer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from eventstore.errors import StoreError
from eventstore.origins import Origins
from server.writing.errors import WritingError
from server.writing.writers import Writers

EVERY_S = 3600.0

log = structlog.get_logger(__name__)


async def keep_addresses(origins: Origins, writers: Writers) -> None:
    """Forget what is older than the installation's ``addressDays``, every hour, until cancelled."""
    while True:
        try:
            forgotten = await forget_old_addresses(origins, writers, datetime.now(UTC))
        except (StoreError, WritingError) as error:
            log.warning("addresses were not forgotten", error=repr(error))
        else:
            if forgotten:
                log.info("addresses forgotten", commands=forgotten)
        await asyncio.sleep(EVERY_S)


async def forget_old_addresses(origins: Origins, writers: Writers, now: datetime) -> int:
    """Forget once, and say of how many commands. Raises a store's error or a writer's."""
    return await origins.forget_before(now - timedelta(days=await address_days(writers)))


async def address_days(writers: Writers) -> int:
    """How long addresses are kept. Raises a store's error or a writer's."""
    return (await writers.system()).state.settings.address_days
