"""The provider of OpenFeature on real sockets, and what it emits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from queue import Queue
from typing import Any

import pytest
from halyard_sdk import testing
from halyard_sdk.openfeature import HalyardProvider
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails

from tests.support.stream_peer import KEY, TIMEOUT_S, StreamPeer, Talk, flag

READY = ProviderEvent.PROVIDER_READY
STALE = ProviderEvent.PROVIDER_STALE
ERROR = ProviderEvent.PROVIDER_ERROR
CHANGED = ProviderEvent.PROVIDER_CONFIGURATION_CHANGED


@pytest.fixture(autouse=True)
async def forgotten() -> AsyncIterator[None]:
    """Each test finds and leaves the API as it is at first, and no thread of ours."""
    yield
    await asyncio.to_thread(api.shutdown)
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("halyard")]


class Recorder:
    """What a provider emits, in order: OpenFeature's own handlers run in several threads."""

    def __init__(self, provider: HalyardProvider) -> None:
        self.provider = provider
        self.emitted: Queue[tuple[ProviderEvent, ProviderEventDetails]] = Queue()
        provider.attach(lambda _, event, details: self.emitted.put((event, details)))

    async def next(self) -> tuple[ProviderEvent, ProviderEventDetails]:
        return await asyncio.to_thread(self.emitted.get, timeout=TIMEOUT_S)

    async def next_is(self, event: ProviderEvent) -> ProviderEventDetails:
        emitted, details = await self.next()
        assert emitted is event
        return details

    async def initialize(self) -> None:
        await asyncio.to_thread(self.provider.initialize, EvaluationContext())

    async def shutdown(self) -> None:
        await asyncio.to_thread(self.provider.shutdown)
        assert self.emitted.empty()


async def connected(peer: StreamPeer, *flags: dict[str, Any], **options: Any) -> Talk:
    """Make a provider OpenFeature's, and let it get this ruleset."""
    provider = HalyardProvider(peer.url, KEY, **options)
    ready = asyncio.create_task(asyncio.to_thread(api.set_provider_and_wait, provider))
    talk = await peer.talk()
    await talk.synchronises(3, *(flags or (flag("beta"),)))
    await asyncio.wait_for(ready, TIMEOUT_S)
    return talk


async def recorded(peer: StreamPeer, **options: Any) -> tuple[Recorder, Talk]:
    """The same without OpenFeature's API."""
    recorder = Recorder(HalyardProvider(peer.url, KEY, **options))
    ready = asyncio.create_task(recorder.initialize())
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta"))
    await asyncio.wait_for(ready, TIMEOUT_S)
    return recorder, talk


def in_memory(values: Mapping[str, Any] | None = None) -> testing.InMemoryClient:
    """A client in memory that answers OpenFeature."""
    client = testing.client(values)
    api.set_provider_and_wait(HalyardProvider(client))
    return client
