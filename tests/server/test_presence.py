"""Which environments there are, asked of Redis and of the logs together."""

from __future__ import annotations

import redis.asyncio

from projections.rulesets import Rulesets
from server.http.dependencies import Dependencies
from server.readiness import RulesetsPresence
from tests.support.api import PROJECT, client_of, created, install, running_dependencies
from tests.support.serving import serving_dependencies


async def ids_of(dependencies: Dependencies, project: str) -> dict[str, str]:
    state = (await dependencies.writers.state(project, 0)).state
    return {key: row.id for key, row in state.environments.items()}


async def test_an_environment_is_gone_once_it_was_deleted_and_not_while_redis_is_empty(
    database_url: str, redis_client: redis.asyncio.Redis
) -> None:
    async with serving_dependencies(database_url, redis_client) as dependencies:
        await install(dependencies)
        async with client_of(dependencies) as api:
            await created(api, "/api/v1/projects", {"key": "demo", "name": "Demo"})
            await created(api, "/api/v1/projects", {"key": "shop", "name": "Shop"})
            ids, of_shop = [await ids_of(dependencies, key) for key in ("demo", "shop")]
            assert dependencies.rulesets is not None
            presence = RulesetsPresence(
                dependencies.store, dependencies.writers, dependencies.rulesets
            )
            await presence.wait_complete()
            deleted = await api.delete(f"{PROJECT}/environments/development")
            assert deleted.status_code == 200, deleted.text
            assert await presence.is_gone(ids["development"])
            assert not await presence.is_gone(ids["production"])
            assert await presence.is_gone("env-of-nobody")
            assert not await presence.is_gone(of_shop["production"])
            deleted = await api.delete("/api/v1/projects/shop")
            assert deleted.status_code == 200, deleted.text
            assert await presence.is_gone(of_shop["production"])
    # Nobody projects any more.
    await redis_client.flushall()
    async with running_dependencies(database_url) as dependencies:
        presence = RulesetsPresence(
            dependencies.store, dependencies.writers, Rulesets(redis_client)
        )
        assert not await presence.is_gone(ids["production"])
        assert not await presence.is_gone("env-of-nobody")
