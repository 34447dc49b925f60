"""The provider behind OpenFeature's own API, unmodified: its answers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from halyard_sdk import testing
from halyard_sdk.openfeature import HalyardProvider, read_context
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import (
    FlagEvaluationDetails,
    FlagEvaluationOptions,
    FlagValueType,
    Reason,
)
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.track import TrackingEventDetails

from tests.sdk_python.openfeature_stage import (
    connected,
    forgotten,  # noqa: F401 used by every test here
    in_memory,
)
from tests.support.stream_peer import KEY, StreamPeer, flag

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
