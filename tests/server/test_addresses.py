from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.system.commands import ChangeSettings
from eventstore.log import SYSTEM_LOG
from eventstore.origins import Origins
from eventstore.pool import create_pool
from server.addresses import forget_old_addresses
from server.writing.submission import Submission
from tests.support.api import PROJECT, client_of, install, running_dependencies


async def test_addresses_are_kept_for_as_long_as_administrators_want(database_url: str) -> None:
    async with (
        running_dependencies(database_url) as dependencies,
        client_of(dependencies) as api,
        create_pool(database_url, max_size=1) as pool,
    ):
        await install(dependencies)
        assert (await api.post("/api/v1/projects", json={"key": "demo"})).status_code == 201
        shorter = ChangeSettings(address_days=7)
        await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", shorter))
        origins, week = Origins(pool), timedelta(days=7)
        soon = datetime.now(UTC) + week - timedelta(hours=1)
        assert await forget_old_addresses(origins, dependencies.writers, soon) == 0
        [event] = (await api.get(f"{PROJECT}/events?limit=1")).json()["items"]
        assert event["origin"]["address"] == "127.0.0.1"
        later = datetime.now(UTC) + week + timedelta(hours=1)
        assert await forget_old_addresses(origins, dependencies.writers, later) > 0
        [event] = (await api.get(f"{PROJECT}/events?limit=1")).json()["items"]
        assert not (event["origin"] or {}).get("address")
