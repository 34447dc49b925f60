"""The provider behind OpenFeature's own API, unmodified, on real sockets."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from queue import Queue
from time import monotonic
from typing import Any

import pytest
from halyard_sdk import AsyncClient, Client, testing
from halyard_sdk.openfeature import READY_TIMEOUT_S, HalyardProvider, read_context
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import (
    FlagEvaluationDetails,
    FlagEvaluationOptions,
    FlagValueType,
    Reason,
)
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

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


# --- answers

TYPES: list[tuple[str, Any, Any]] = [
    ("boolean", True, False),
    ("string", "dark", "light"),
    ("integer", 7, 1),
    ("float", 0.5, 1.0),
    ("object", {"sizes": [1, 2]}, {}),
    ("object", [1, 2], []),
]


@pytest.mark.parametrize(("kind", "value", "default"), TYPES, ids=str)
async def test_every_type_is_answered_with_its_details(
    peer: StreamPeer, kind: str, value: Any, default: Any
) -> None:
    await connected(peer, flag("beta", value, version=42))
    client = api.get_client()
    context = EvaluationContext("alice")
    details = getattr(client, f"get_{kind}_details")("beta", default, context)
    assert (details.value, details.variant, details.reason) == (value, "on", Reason.DEFAULT)
    assert details.flag_metadata == {"reasonKind": "FALLTHROUGH", "version": 42}
    assert (details.flag_key, details.error_code) == ("beta", None)
    assert getattr(client, f"get_{kind}_value")("beta", default, context) == value
    assert await getattr(client, f"get_{kind}_details_async")("beta", default, context) == details
    assert await getattr(client, f"get_{kind}_value_async")("beta", default, context) == value


@pytest.mark.parametrize(
    ("kind", "value", "default"),
    [
        ("boolean", "true", False),
        ("boolean", 1, False),
        ("string", 1, "none"),
        ("integer", True, 3),
        ("integer", 0.5, 3),
        ("float", "0.5", 1.5),
        ("float", True, 1.5),
        ("object", "text", {"a": 1}),
        ("object", {}, "not this default"),
    ],
)
async def test_another_type_is_a_mismatch_and_the_default(
    kind: str, value: Any, default: Any
) -> None:
    in_memory({"beta": value})
    client = api.get_client()
    for details in (
        getattr(client, f"get_{kind}_details")("beta", default),
        await getattr(client, f"get_{kind}_details_async")("beta", default),
    ):
        if default == "not this default":  # nothing is wrong: for comparison
            assert (details.value, details.error_code) == ({}, None)
            return
        assert (details.value, details.reason) == (default, Reason.ERROR)
        assert details.error_code is ErrorCode.TYPE_MISMATCH
        assert details.variant is None


def test_an_integer_is_asked_for_as_a_float_too() -> None:
    in_memory({"small": 3, "large": 10**400})
    client = api.get_client()
    value = client.get_float_value("small", 1.5)
    assert (value, type(value)) == (3.0, float)
    assert client.get_float_details("large", 1.5).error_code is ErrorCode.TYPE_MISMATCH


def test_json_that_is_no_object_is_a_mismatch() -> None:
    client = in_memory()
    for value in ("text", 3, True):
        client.put(
            {
                "key": "beta", "type": "json", "enabled": True,
                "variations": [{"key": "on", "value": value}],
                "fallthrough": {"variation": "on"},
            }
        )  # fmt: skip
        details = api.get_client().get_object_details("beta", {"a": 1})
        assert (details.value, details.error_code) == ({"a": 1}, ErrorCode.TYPE_MISMATCH)


def test_what_is_handed_out_is_the_callers() -> None:
    in_memory({"beta": {"sizes": [1, 2]}})
    client = api.get_client()
    first: Any = client.get_object_value("beta", {})
    first["sizes"].append(3)
    assert client.get_object_value("beta", {}) == {"sizes": [1, 2]}


def test_reasons_and_metadata_tell_what_decided() -> None:
    client = in_memory()
    client.put(testing.flag("rule").rule(False, "country", "in", "DE"))
    client.put(testing.flag("target").target(False, "alice"))
    client.put(testing.flag("off").disable(off=False))
    client.put(testing.flag("gone").disable())
    client.put(
        {
            "key": "split", "type": "boolean", "enabled": True, "salt": "s", "version": 9,
            "variations": [{"key": "on", "value": True}, {"key": "off", "value": False}],
            "fallthrough": {
                "rollout": {
                    "experiment": "e",
                    "buckets": [
                        {"variation": "on", "weight": 50000},
                        {"variation": "off", "weight": 50000},
                    ],
                }
            },
        }
    )  # fmt: skip
    context = EvaluationContext("alice", {"country": "DE"})

    def asked(key: str) -> FlagEvaluationDetails[bool]:
        return api.get_client().get_boolean_details(key, True, context)

    assert asked("rule").reason == Reason.TARGETING_MATCH
    assert asked("rule").flag_metadata["ruleId"] == "rule-0"
    assert asked("target").reason == Reason.TARGETING_MATCH
    assert (asked("off").reason, asked("off").value) == (Reason.DISABLED, False)
    gone = asked("gone")
    assert (gone.reason, gone.value, gone.variant) == (Reason.DISABLED, True, None)
    assert gone.error_code is None
    split = asked("split")
    assert split.reason == Reason.SPLIT
    assert split.flag_metadata["version"] == 9
    assert split.flag_metadata["inExperiment"] is True
    assert isinstance(split.flag_metadata["bucket"], float)
    assert all(isinstance(v, bool | int | float | str) for v in split.flag_metadata.values())


def test_what_goes_wrong_is_told_by_its_code() -> None:
    client = in_memory({"beta": True})
    client.put({**flag("broken"), "fallthrough": {"variation": "none such"}})
    asking = api.get_client()
    missing = asking.get_boolean_details("none such", True)
    assert (missing.value, missing.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    assert "none such" in (missing.error_message or "")
    assert asking.get_boolean_details("broken", False).error_code is ErrorCode.PARSE_ERROR
    for context in (
        EvaluationContext("alice", {"kind": ""}),
        EvaluationContext("alice", {"kind": "multi", "organization": 3}),
        EvaluationContext(3),  # type: ignore[arg-type]
        EvaluationContext(
            "alice", {"when": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}
        ),
    ):
        details = asking.get_boolean_details("beta", False, context)
        assert (details.value, details.error_code) == (False, ErrorCode.INVALID_CONTEXT)


def test_before_it_is_initialized_it_answers_defaults() -> None:
    provider = HalyardProvider("http://127.0.0.1:1", KEY)
    details = provider.resolve_boolean_details("beta", True)
    assert (details.value, details.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)


def test_arguments_that_cannot_be_right_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="address"):
        HalyardProvider("localhost", KEY)
    with pytest.raises(ValueError, match="key"):
        HalyardProvider("http://localhost", "")


# --- contexts


def test_contexts_become_halyards() -> None:
    at = datetime(2026, 11, 21, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    context = EvaluationContext(
        "alice",
        {
            "country": "DE",
            "age": 30,
            "joined": at,
            "naive": datetime(2026, 1, 2, 3, 4, 5, 600000),  # noqa: DTZ001
            "address": {"city": "Berlin", "since": at},
            "logins": (at, "never"),
        },
    )
    assert read_context(context).kinds == {
        "user": {
            "key": "alice",
            "country": "DE",
            "age": 30,
            "joined": "2026-11-21T10:30:00Z",
            "naive": "2026-01-02T03:04:05.600000Z",
            "address": {"city": "Berlin", "since": "2026-11-21T10:30:00Z"},
            "logins": ["2026-11-21T10:30:00Z", "never"],
        }
    }
    assert read_context(None).kinds == {"user": {}}
    assert read_context(EvaluationContext()).kinds == {"user": {}}


def test_kinds_are_named_by_attributes() -> None:
    one = EvaluationContext("acme", {"kind": "organization", "plan": "premium"})
    assert read_context(one).kinds == {"organization": {"key": "acme", "plan": "premium"}}
    several = EvaluationContext(
        "alice", {"kind": "multi", "user": {"country": "DE"}, "organization": {"key": "acme"}}
    )
    assert read_context(several).kinds == {
        "user": {"key": "alice", "country": "DE"},
        "organization": {"key": "acme"},
    }


def test_no_targeting_key_is_needed() -> None:
    client = in_memory()
    client.put(testing.flag("theme", "light", "dark").rule("dark", "country", "in", "DE"))
    context = EvaluationContext(attributes={"country": "DE"})
    details = api.get_client().get_string_details("theme", "none", context)
    assert (details.value, details.error_code) == ("dark", None)
    assert api.get_client().get_string_value("theme", "none") == "light"


def test_contexts_are_merged_and_hooks_see_and_shape_the_answer() -> None:
    client = in_memory()
    client.put(
        testing.flag("theme", "light", "dark").when(
            "dark",
            {
                "all": [
                    {"attribute": "global", "op": "equals", "values": [1]},
                    {"attribute": "client", "op": "equals", "values": [2]},
                    {"attribute": "call", "op": "equals", "values": [3]},
                    {"attribute": "hook", "op": "equals", "values": [4]},
                    {"attribute": "key", "op": "equals", "values": ["alice"]},
                ]
            },
        )
    )
    seen: list[FlagEvaluationDetails[FlagValueType]] = []

    class Shaping(Hook):
        def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext:
            assert hook_context.provider_metadata is not None
            assert hook_context.provider_metadata.name == "Halyard"
            return EvaluationContext(attributes={"hook": 4})

        def after(
            self,
            hook_context: HookContext,
            details: FlagEvaluationDetails[FlagValueType],
            hints: HookHints,
        ) -> None:
            seen.append(details)

    api.set_evaluation_context(EvaluationContext("nobody", {"global": 1, "call": 0}))
    asking = api.get_client()
    asking.context = EvaluationContext(attributes={"client": 2})
    value = asking.get_string_value(
        "theme",
        "none",
        EvaluationContext("alice", {"call": 3}),
        FlagEvaluationOptions(hooks=[Shaping()]),
    )
    assert value == "dark"
    assert [(each.value, each.reason) for each in seen] == [("dark", Reason.TARGETING_MATCH)]


# --- tracking


def test_what_is_tracked_reaches_the_client() -> None:
    client = in_memory()
    asking = api.get_client()
    asking.context = EvaluationContext("nobody", {"country": "DE"})
    asking.track("visit")
    details = TrackingEventDetails(9.95, {"articles": 3})
    asking.track("purchase", EvaluationContext("alice"), details)
    visit, purchase = client.tracked
    assert (visit.name, visit.keys, visit.value) == ("visit", {"user": "nobody"}, None)
    assert (purchase.name, purchase.keys) == ("purchase", {"user": "alice"})
    assert (purchase.value, purchase.metadata) == (9.95, {"articles": 3})


def test_what_cannot_be_tracked_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    client = in_memory()
    api.get_client().track("visit", EvaluationContext("alice", {"kind": ""}))
    assert client.tracked == ()
    assert "not tracked" in caplog.text
    HalyardProvider("http://127.0.0.1:1", KEY).track("visit")


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
