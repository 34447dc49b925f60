from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from halyard_protocol.evaluator import INTERPRETED_CALLS
from halyard_sdk import Context, ExplainedDetail, testing
from halyard_sdk.context_sample import ContextSample
from halyard_sdk.evaluations import Evaluations
from halyard_sdk.exposures import Tally
from halyard_sdk.testing import InMemoryClient

VALUES = {"bool": True, "text": "x", "int": 3, "float": 1.5, "tree": {"a": [1]}, "list": [1, 2]}


@pytest.fixture
def flags() -> InMemoryClient:
    return testing.client(VALUES)


def ask(flags: Evaluations, form: str, key: str, default: Any) -> Any:
    return getattr(flags, form)(key, "alice", default)


@pytest.mark.parametrize(
    ("form", "key"),
    [
        ("boolean", "bool"),
        ("string", "text"),
        ("integer", "int"),
        ("number", "float"),
        ("number", "int"),
        ("json", "tree"),
        ("json", "list"),
        *(("variation", key) for key in VALUES),
    ],
)
def test_each_form_answers_flags_of_its_type(flags: InMemoryClient, form: str, key: str) -> None:
    assert ask(flags, form, key, default=None) == VALUES[key]


@pytest.mark.parametrize(
    ("form", "key"),
    [
        ("boolean", "int"),
        ("boolean", "text"),
        ("string", "bool"),
        ("integer", "bool"),
        ("integer", "float"),
        ("number", "bool"),
        ("number", "text"),
        ("json", "text"),
        ("json", "bool"),
    ],
)
def test_another_type_is_the_default(flags: InMemoryClient, form: str, key: str) -> None:
    default = object()
    assert ask(flags, form, key, default) is default


def test_a_number_is_no_integer_even_where_it_is_whole(flags: InMemoryClient) -> None:
    whole = msgspec.structs.replace(testing.flag("whole", 3).build(), type="number")
    flags.put(whole)
    assert flags.number("whole", "alice", 0.5) == 3
    assert flags.integer("whole", "alice", 7) == 7


def test_a_value_that_is_not_of_its_flags_type_is_the_default(flags: InMemoryClient) -> None:
    flags.put(msgspec.structs.replace(testing.flag("odd", "x").build(), type="boolean"))
    assert flags.boolean("odd", "alice", default=False) is False


def test_another_type_is_said_in_the_detail(flags: InMemoryClient) -> None:
    detail = flags.detail("text", "alice", 5, expect="integer")
    assert (detail.value, detail.variation) == (5, None)
    assert (detail.reason.kind, detail.reason.error_code) == ("ERROR", "TYPE_MISMATCH")
    assert "'text'" in detail.reason.message


def test_a_type_that_there_is_not_is_that_of_no_flag(flags: InMemoryClient) -> None:
    wrong: Any = "str"
    assert flags.detail("text", "alice", 5, expect=wrong).reason.error_code == "TYPE_MISMATCH"


def test_an_unknown_flag_is_the_default_with_the_reason(flags: InMemoryClient) -> None:
    detail = flags.detail("nope", "alice", 5, expect="integer")
    assert detail.value == 5
    assert detail.reason.error_code == "FLAG_NOT_FOUND"


def test_a_flag_that_is_off_without_an_off_variation_is_the_default_of_any_type(
    flags: InMemoryClient,
) -> None:
    flags.put(testing.flag("bool").disable())
    assert flags.string("bool", "alice", "mine") == "mine"
    assert flags.detail("bool", "alice", 1).reason.kind == "DISABLED"


@pytest.mark.parametrize(
    "context",
    [
        "alice",
        {"key": "alice"},
        {"kind": "multi", "user": {"key": "alice"}, "organization": {"key": "o"}},
        Context.of("alice"),
    ],
)
def test_a_context_comes_in_several_shapes(flags: InMemoryClient, context: Any) -> None:
    flags.put(testing.flag("bool").serve(False).target(True, "alice"))
    assert flags.boolean("bool", context, default=False) is True


@pytest.mark.parametrize("context", [None, 5, "", {"key": 5}, {"kind": "multi"}, b"alice"])
def test_what_is_no_context_is_the_default_with_the_reason(
    flags: InMemoryClient, context: Any
) -> None:
    detail = flags.detail("bool", context, "mine")
    assert detail.value == "mine"
    assert detail.reason.error_code == "INVALID_CONTEXT"
    assert flags.all_flags(context) == {}


@pytest.mark.parametrize("key", [None, 5, [], {}, b"bool", object()])
def test_whatever_is_passed_as_a_key_nothing_is_raised(flags: InMemoryClient, key: Any) -> None:
    detail = flags.detail(key, "alice", "mine")
    assert detail.value == "mine"
    assert detail.reason.kind == "ERROR"


def test_hostile_attributes_raise_nothing(flags: InMemoryClient) -> None:
    class Hostile:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        def __hash__(self) -> int:
            raise RuntimeError

    flags.put(testing.flag("bool").serve(False).rule(True, "x", "equals", 1, "a"))
    detail = flags.detail("bool", {"key": "a", "x": Hostile()}, default=None)
    assert detail.value in (False, None)


def test_without_a_ruleset_everything_is_the_default() -> None:
    class Nothing(Evaluations):
        ruleset = None

        def __init__(self) -> None:
            self._source = self
            self._begin_evaluations(Tally(ContextSample()))

    detail = Nothing().detail("bool", "alice", "mine")
    assert (detail.value, detail.reason.error_code) == ("mine", "PROVIDER_NOT_READY")
    assert Nothing().all_flags("alice") == {}


def test_a_value_that_is_changed_by_its_caller_changes_nobody_elses(flags: InMemoryClient) -> None:
    flags.json("tree", "alice", None)["a"].append("mine")
    flags.all_flags("alice")["list"].clear()
    assert flags.json("tree", "alice", None) == {"a": [1]}
    assert flags.json("list", "alice", None) == [1, 2]


def test_all_flags_leaves_out_those_in_error(flags: InMemoryClient) -> None:
    flags.put({"key": "broken", "enabled": True, "fallthrough": {"variation": "nowhere"}})
    assert flags.all_flags("alice") == VALUES


def test_a_detail_explains_itself_where_it_is_asked_to(flags: InMemoryClient) -> None:
    flags.put(testing.flag("bool").serve(False).rule(True, "country", "in", "DE"))
    detail = flags.detail("bool", {"key": "a", "country": "DE"}, None, explain=True)
    assert isinstance(detail, ExplainedDetail)
    assert (detail.value, detail.reason.kind) == (True, "RULE_MATCH")
    assert detail.explanation is not None
    assert detail.explanation.trace is not None
    assert [rule.matched for rule in detail.explanation.trace.rules] == [True]
    assert flags.detail("bool", {"key": "a"}, None, explain=True, expect="string").reason == (
        flags.detail("bool", {"key": "a"}, None, expect="string").reason
    )


@pytest.mark.parametrize("context", [5, {"key": ""}])
def test_an_explanation_of_nothing_is_none(flags: InMemoryClient, context: Any) -> None:
    detail = flags.detail("bool", context, "mine", explain=True)
    assert (detail.value, detail.explanation) == ("mine", None)
    assert detail.reason.error_code == "INVALID_CONTEXT"


@pytest.mark.parametrize("form", ["detail", "explained", "all_flags"])
def test_what_is_handed_out_is_the_callers_own(flags: InMemoryClient, form: str) -> None:
    def tree() -> Any:
        match form:
            case "detail":
                return flags.detail("tree", "alice", None).value
            case "explained":
                return flags.detail("tree", "alice", None, explain=True).value
            case _:
                return flags.all_flags("alice")["tree"]

    for _ in range(INTERPRETED_CALLS + 1):  # interpreted, then compiled
        tree()["a"].append(2)
        assert tree() == {"a": [1]}


def test_the_same_is_answered_however_often_one_asks(flags: InMemoryClient) -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    flags.put(msgspec.structs.replace(testing.flag("timed").build(), expires_at=expires))
    for _ in range(INTERPRETED_CALLS + 2):
        for key, value in {**VALUES, "timed": True}.items():
            assert flags.variation(key, "alice", None) == value
    flags.put(msgspec.structs.replace(testing.flag("timed").build(), expires_at=datetime.now(UTC)))
    for _ in range(INTERPRETED_CALLS + 2):
        assert flags.detail("timed", "alice", None).reason.kind == "EXPIRED"


def test_a_callers_own_context_is_not_changed(flags: InMemoryClient) -> None:
    context = {"key": "alice", "tags": ["a"]}
    flags.boolean("bool", context, default=False)
    assert context == {"key": "alice", "tags": ["a"]}
