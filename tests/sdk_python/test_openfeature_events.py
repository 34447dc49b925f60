"""The provider behind OpenFeature's own API, unmodified: its life and what it tells of."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from queue import Queue
from time import monotonic

import pytest
from halyard_sdk import AsyncClient, Client
from halyard_sdk.openfeature import READY_TIMEOUT_S, HalyardProvider
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.provider import ProviderStatus

from tests.sdk_python.openfeature_stage import (
    CHANGED,
    ERROR,
    READY,
    STALE,
    Recorder,
    connected,
    forgotten,  # noqa: F401 used by every test here
    recorded,
)
from tests.support.stream_peer import KEY, TIMEOUT_S, StreamPeer, flag

# --- life cycle


async def test_it_is_ready_when_there_is_a_ruleset(peer: StreamPeer) -> None:
    handled: Queue[EventDetails] = Queue()
    api.add_handler(READY, handled.put)
    await connected(peer)
    assert api.get_client().get_provider_status() is ProviderStatus.READY
    names = [(await asyncio.to_thread(handled.get, timeout=TIMEOUT_S)).provider_name for _ in "12"]
    assert names == ["No-op Provider", "Halyard"]
    assert api.get_provider_metadata().name == "Halyard"


async def test_it_gives_up_in_time_and_is_ready_when_it_can_be(peer: StreamPeer) -> None:
    recorder = Recorder(HalyardProvider(peer.url, KEY, ready_timeout_s=0.05))
    with pytest.raises(ProviderNotReadyError):
        await recorder.initialize()
    details = recorder.provider.resolve_boolean_details("beta", False)
    assert details.error_code is ErrorCode.PROVIDER_NOT_READY
    await (await peer.talk()).synchronises(3, flag("beta"))
    await recorder.next_is(READY)
    assert (await recorder.next_is(CHANGED)).flags_changed == ["beta"]
    assert recorder.provider.resolve_boolean_details("beta", False).value is True
    await recorder.shutdown()


async def test_a_refused_key_is_fatal(peer: StreamPeer) -> None:
    provider = HalyardProvider(peer.url, KEY)
    ready = asyncio.create_task(asyncio.to_thread(api.set_provider_and_wait, provider))
    await (await peer.talk()).closes(4401, "no such key")
    with pytest.raises(ProviderFatalError) as refused:
        await asyncio.wait_for(ready, TIMEOUT_S)
    assert "no such key" in str(refused.value.error_message)
    assert api.get_client().get_provider_status() is ProviderStatus.FATAL
    details = api.get_client().get_boolean_details("beta", True)
    assert (details.value, details.error_code) == (True, ErrorCode.PROVIDER_FATAL)


async def test_shutting_down_disconnects_and_it_can_be_initialized_again(peer: StreamPeer) -> None:
    recorder, talk = await recorded(peer)
    await recorder.shutdown()
    assert await talk.hears_close() == 1000
    details = recorder.provider.resolve_boolean_details("beta", False)
    assert details.error_code is ErrorCode.PROVIDER_NOT_READY
    again = asyncio.create_task(recorder.initialize())
    await (await peer.talk()).synchronises(3, flag("beta"))
    await asyncio.wait_for(again, TIMEOUT_S)
    assert recorder.provider.resolve_boolean_details("beta", False).value is True
    await recorder.shutdown()


async def test_shutting_down_ends_an_initialization(peer: StreamPeer) -> None:
    recorder = Recorder(HalyardProvider(peer.url, KEY, ready_timeout_s=60))
    ready = asyncio.create_task(recorder.initialize())
    await peer.talk()
    await recorder.shutdown()
    with pytest.raises(ProviderNotReadyError):
        await asyncio.wait_for(ready, TIMEOUT_S)


async def test_shutting_down_while_a_connection_is_begun_leaves_none(
    peer: StreamPeer, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # in place of a file that takes its time
    recorder = Recorder(HalyardProvider(peer.url, KEY, cache_path=pipe, ready_timeout_s=60))
    ready = asyncio.create_task(recorder.initialize())
    file = await asyncio.to_thread(pipe.open, "wb")
    ending = asyncio.create_task(recorder.shutdown())
    await asyncio.wait((ending,), timeout=0.1)
    file.close()
    with pytest.raises(ProviderNotReadyError):
        await asyncio.wait_for(ready, TIMEOUT_S)
    await asyncio.wait_for(ending, TIMEOUT_S)


async def test_a_client_of_the_callers_is_left_open(peer: StreamPeer) -> None:
    client = Client(peer.url, KEY)
    await (await peer.talk()).synchronises(3, flag("beta"))
    recorder = Recorder(HalyardProvider(client))
    await recorder.initialize()
    await recorder.shutdown()
    assert client.boolean("beta", "alice", default=False)
    assert client.status.state == "READY"
    await asyncio.to_thread(client.close)


async def test_an_async_client_answers_the_async_resolvers(peer: StreamPeer) -> None:
    async with AsyncClient(peer.url, KEY) as client:
        provider = HalyardProvider(client)
        began_s = monotonic()
        with pytest.raises(ProviderNotReadyError):
            provider.initialize(EvaluationContext())  # in the loop that it would wait for
        assert monotonic() - began_s < READY_TIMEOUT_S / 2
        ready = asyncio.create_task(asyncio.to_thread(api.set_provider_and_wait, provider))
        talk = await peer.talk()
        await talk.synchronises(3, flag("beta"))
        await asyncio.wait_for(ready, TIMEOUT_S)
        assert await api.get_client().get_boolean_value_async("beta", False) is True
        await asyncio.to_thread(api.shutdown)


# --- events


async def test_the_first_ruleset_is_no_event_beside_ready(peer: StreamPeer) -> None:
    recorder, talk = await recorded(peer)
    await talk.changes(3, 4, flag("beta", on=False, version=4))
    assert (await recorder.next_is(CHANGED)).flags_changed == ["beta"]
    await recorder.shutdown()


async def test_changes_are_told_with_their_keys_to_openfeatures_handlers(
    peer: StreamPeer,
) -> None:
    talk = await connected(peer, flag("a"), flag("b"), flag("c"))
    handled: Queue[tuple[EventDetails, bool]] = Queue()
    client = api.get_client()

    def handler(details: EventDetails) -> None:
        handled.put((details, client.get_boolean_value("a", True)))

    client.add_handler(CHANGED, handler)
    await talk.changes(3, 4, flag("c", on=False, version=4), flag("a", on=False, version=4))
    details, value = await asyncio.to_thread(handled.get, timeout=TIMEOUT_S)
    assert details.flags_changed == ["a", "c"]
    assert value is False


async def test_a_loss_is_stale_then_an_error_and_a_return_ready_and_changed(
    peer: StreamPeer,
) -> None:
    recorder, _ = await recorded(peer, retry_grace_period_s=0.3)
    await peer.stop()
    await recorder.next_is(STALE)
    assert recorder.provider.resolve_boolean_details("beta", False).value is True
    error = await recorder.next_is(ERROR)
    assert error.error_code is ErrorCode.GENERAL
    assert error.message
    assert recorder.provider.resolve_boolean_details("beta", False).value is True
    await peer.start(peer.port)
    talk = await peer.talk()
    await talk.hears()
    await talk.welcomes("changes", 4)
    await talk.changes(3, 4, flag("beta", on=False, version=4))
    await recorder.next_is(READY)
    assert (await recorder.next_is(CHANGED)).flags_changed == ["beta"]
    assert recorder.provider.resolve_boolean_details("beta", True).value is False
    await recorder.shutdown()


async def test_a_short_loss_is_no_error_and_a_return_without_changes_names_none(
    peer: StreamPeer,
) -> None:
    recorder, talk = await recorded(peer, retry_grace_period_s=60)
    talk.breaks()
    await recorder.next_is(STALE)
    again = await peer.talk()
    await again.hears()
    await again.welcomes("none", 3)
    await recorder.next_is(READY)
    assert (await recorder.next_is(CHANGED)).flags_changed == []
    await recorder.shutdown()


async def test_openfeature_goes_on_asking_while_the_server_is_away(peer: StreamPeer) -> None:
    talk = await connected(peer, retry_grace_period_s=0)
    failed = threading.Event()
    api.add_handler(ERROR, lambda _: failed.set())
    await peer.stop()
    assert await asyncio.to_thread(failed.wait, TIMEOUT_S)
    client = api.get_client()
    assert client.get_provider_status() is ProviderStatus.ERROR
    assert client.get_boolean_value("beta", False) is True
    assert talk.socket.close_code is not None
    await peer.start(peer.port)


async def test_a_key_that_is_revoked_later_is_an_error_and_the_last_ruleset_answers(
    peer: StreamPeer,
) -> None:
    recorder, talk = await recorded(peer, retry_grace_period_s=60)
    await talk.closes(4401, "revoked")
    error = await recorder.next_is(ERROR)
    assert (error.error_code, "revoked" in (error.message or "")) == (ErrorCode.GENERAL, True)
    assert recorder.provider.resolve_boolean_details("beta", False).value is True
    await recorder.shutdown()


async def test_it_starts_from_the_file_and_says_that_it_is_stale(
    peer: StreamPeer, tmp_path: Path
) -> None:
    path = tmp_path / "ruleset"
    recorder, _ = await recorded(peer, cache_path=path)
    await recorder.shutdown()
    await peer.stop()
    recorder = Recorder(HalyardProvider(peer.url, KEY, cache_path=path))
    await recorder.initialize()
    await recorder.next_is(STALE)
    assert recorder.provider.resolve_boolean_details("beta", False).value is True
    await peer.start(peer.port)
    talk = await peer.talk()
    await talk.hears()
    await talk.welcomes("none", 3)
    await recorder.next_is(READY)
    assert (await recorder.next_is(CHANGED)).flags_changed == []
    await recorder.shutdown()


async def test_a_file_may_not_be_enough(peer: StreamPeer, tmp_path: Path) -> None:
    path = tmp_path / "ruleset"
    recorder, _ = await recorded(peer, cache_path=path)
    await recorder.shutdown()
    await peer.stop()
    recorder = Recorder(
        HalyardProvider(peer.url, KEY, cache_path=path, stale_ok=False, ready_timeout_s=0.2)
    )
    with pytest.raises(ProviderNotReadyError):
        await recorder.initialize()
    await recorder.shutdown()
    await peer.start(peer.port)


# --- in a process of its own

FORK = """
import os, sys, threading
from halyard_sdk.openfeature import HalyardProvider
from openfeature.evaluation_context import EvaluationContext

events = []
heard = threading.Event()
provider = HalyardProvider(sys.argv[1], sys.argv[2])

def emitted(_, event, details):
    events.append((event.value, details.flags_changed))
    heard.set()

provider.attach(emitted)
provider.initialize(EvaluationContext())

def asked():
    return provider.resolve_integer_details("beta", 0).value

if os.fork() == 0:
    assert asked() == 1, "answers at once from what was known"
    print("child is there", flush=True)
    assert heard.wait(10)
    print("child", asked(), events, flush=True)
    provider.shutdown()
    sys.exit()
_, status = os.wait()
assert status == 0, status
print("parent", asked(), events, flush=True)
provider.shutdown()
"""


async def test_a_fork_goes_on_with_a_connection_and_events_of_its_own(peer: StreamPeer) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, peer.url, KEY),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(TIMEOUT_S):
        await (await peer.talk()).synchronises(3, flag("beta", 1))
        assert await process.stdout.readline() == b"child is there\n"
        child = await peer.talk()
        await child.hears()
        await child.welcomes("changes", 4)
        await child.changes(3, 4, flag("beta", 2, version=4))
        told = (await process.stdout.readline()).decode().strip()
        assert told == "child 2 [('PROVIDER_CONFIGURATION_CHANGED', ['beta'])]"
        assert (await process.stdout.readline()).decode().strip() == "parent 1 []"
        assert await process.wait() == 0
