"""The bytes of answers: what providers require of them, and that they are made once."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from halyard_protocol.codec import decode_flag
from halyard_protocol.context import Context
from halyard_protocol.evaluator import INTERPRETED_CALLS, Evaluator
from halyard_protocol.ruleset import Environment, Flag, MalformedFlag, Ruleset
from hypothesis import given, settings
from hypothesis import strategies as st

from server.http.ofrep.answers import Answers, bulk_body, bulk_ending, digest
from tests.support.rulesets import NOW_MS, contexts, rulesets

ALICE = Context.of("alice")
ENDING = bulk_ending("development", "/stream", 120)


def flag(key: str, **fields: Any) -> Flag | MalformedFlag:
    on_off = [{"key": "on", "value": True}, {"key": "off", "value": False}]
    plain = {"enabled": True, "version": 3, "variations": on_off, "salt": "s"}
    document = {"key": key, **plain, "fallthrough": {"variation": "on"}, **fields}
    return decode_flag(msgspec.json.encode(document))


def of_one_value(key: str, kind: str, value: Any) -> Flag | MalformedFlag:
    return flag(key, type=kind, variations=[{"key": "on", "value": value}])


def ruleset_of(*flags: Flag | MalformedFlag) -> Ruleset:
    return Ruleset(Environment("development"), {each.key: each for each in flags}, {})


def answered(ruleset: Ruleset, context: Context = ALICE, **options: Any) -> list[bytes]:
    evaluator = Evaluator(ruleset)
    answers = Answers(ruleset, client_side=options.get("client_side", False))
    return answers.some(evaluator, context, NOW_MS, 0, len(answers))


def only(each: Flag | MalformedFlag) -> dict[str, Any]:
    (answer,) = answered(ruleset_of(each))
    read: dict[str, Any] = json.loads(answer)
    return read


def test_a_success_has_key_value_reason_variant_and_metadata() -> None:
    assert only(flag("checkout")) == {
        "key": "checkout",
        "value": True,
        "reason": "DEFAULT",
        "variant": "on",
        "metadata": {"reasonKind": "FALLTHROUGH", "version": 3},
    }


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("number", 3, b'"value":3.0,'),
        ("number", 0.25, b'"value":0.25,'),
        ("number", -0.0, b'"value":-0.0,'),
        ("integer", 3, b'"value":3,'),
        ("integer", 3.0, b'"value":3,'),
        ("boolean", False, b'"value":false,'),
        ("string", "", b'"value":"",'),
        ("json", {"a": [1, 1.0, None]}, b'"value":{"a":[1,1.0,null]},'),
        ("json", 3, b'"value":3,'),
    ],
)
def test_a_value_is_written_as_its_type_is(kind: str, value: Any, written: bytes) -> None:
    (answer,) = answered(ruleset_of(of_one_value("f", kind, value)))
    assert written in answer


def test_a_null_is_left_out_for_providers_take_it_for_an_object() -> None:
    answer = only(of_one_value("f", "json", None))
    assert "value" not in answer
    assert answer["variant"] == "on"


def test_where_the_callers_default_is_served_there_is_no_value_but_a_variant() -> None:
    assert only(flag("f", enabled=False)) == {
        "key": "f",
        "reason": "DISABLED",
        "variant": "",
        "metadata": {"reasonKind": "DISABLED", "version": 3},
    }


def test_an_off_variation_is_served_as_disabled() -> None:
    answer = only(flag("f", enabled=False, offVariation="off"))
    assert (answer["value"], answer["reason"], answer["variant"]) == (False, "DISABLED", "off")


def test_a_malformed_flag_is_a_failure_with_details_and_harms_no_other() -> None:
    first, second = answered(ruleset_of(flag("a", targets=3), flag("b")))
    failure = json.loads(first)
    assert failure.keys() == {"key", "errorCode", "errorDetails"}
    assert (failure["key"], failure["errorCode"]) == ("a", "PARSE_ERROR")
    assert failure["errorDetails"]
    assert json.loads(second)["value"] is True


SPLIT = {
    "rollout": {
        "experiment": "x",
        "buckets": [
            {"variation": "on", "weight": 50_000},
            {"variation": "off", "weight": 50_000, "untracked": True},
        ],
    }
}


def test_each_context_of_a_rollout_has_its_own_bucket() -> None:
    ruleset = ruleset_of(flag("f", fallthrough=SPLIT))
    evaluator, answers = Evaluator(ruleset), Answers(ruleset, client_side=False)
    for number in range(50):
        context = Context.of(f"user-{number}")
        (answer,) = answers.some(evaluator, context, NOW_MS, 0, 1)
        detail = evaluator.detail("f", context, None, NOW_MS)
        expected = {"reasonKind": "FALLTHROUGH", "version": 3, "bucket": detail.reason.bucket}
        if detail.reason.in_experiment:
            expected["inExperiment"] = True
        assert json.loads(answer) == {
            "key": "f",
            "value": detail.value,
            "reason": "SPLIT",
            "variant": detail.variation,
            "metadata": expected,
        }


def test_flags_come_in_the_order_of_their_keys() -> None:
    ruleset = ruleset_of(flag("zeta"), flag("alpha"), flag("Beta"))
    assert [json.loads(each)["key"] for each in answered(ruleset)] == ["Beta", "alpha", "zeta"]


def test_a_client_key_sees_only_what_is_marked_for_it() -> None:
    shown, hidden = flag("shown", clientSide=True), flag("hidden")
    ruleset = ruleset_of(hidden, shown, flag("broken", clientSide=True, targets=3))
    (answer,) = answered(ruleset, client_side=True)
    assert json.loads(answer)["key"] == "shown"
    answers = Answers(ruleset, client_side=True)
    assert answers.one(Evaluator(ruleset), "hidden", ALICE, NOW_MS) is None
    assert answers.one(Evaluator(ruleset), "shown", ALICE, NOW_MS) is not None


def test_a_page_is_told_neither_rules_nor_other_flags() -> None:
    ruled = flag(
        "a",
        clientSide=True,
        rules=[{"id": "vips", "when": {"all": []}, "serve": {"variation": "on"}}],
    )
    split = flag(
        "b",
        clientSide=True,
        rules=[{"id": "vips", "when": {"all": []}, "serve": SPLIT}],
    )
    hidden = [{"flag": "hidden", "variations": ["on"]}]
    unmet = flag("c", clientSide=True, offVariation="off", prerequisites=hidden)
    ring = flag("d", clientSide=True, prerequisites=[{"flag": "secret", "variations": ["on"]}])
    secret = flag("secret", prerequisites=[{"flag": "secret", "variations": ["on"]}])
    ruleset = ruleset_of(ruled, split, unmet, ring, secret)
    told = {each["key"]: each for each in map(json.loads, answered(ruleset, client_side=True))}
    assert told["a"]["metadata"] == {"reasonKind": "RULE_MATCH", "version": 3}
    assert told["b"]["metadata"].keys() - {"inExperiment"} == {"reasonKind", "version", "bucket"}
    assert told["c"]["metadata"] == {"reasonKind": "PREREQUISITE_FAILED", "version": 3}
    assert told["d"]["errorDetails"] == "the flag cannot be evaluated"
    known = {each["key"]: each for each in map(json.loads, answered(ruleset))}
    assert known["a"]["metadata"]["ruleId"] == "vips"
    assert known["c"]["metadata"]["prerequisite"] == "hidden"
    assert "secret" in known["d"]["errorDetails"]


def often(answers: Answers, evaluator: Evaluator) -> list[bytes]:
    """The answers of a ruleset that is much asked, so that its flags are compiled."""
    for _ in range(2 * INTERPRETED_CALLS):
        written = answers.some(evaluator, ALICE, NOW_MS, 0, len(answers))
    return written


def test_the_bytes_of_an_outcome_are_made_once() -> None:
    ruleset = ruleset_of(flag("a"), flag("b"))
    evaluator, answers = Evaluator(ruleset), Answers(ruleset, client_side=False)
    first = often(answers, evaluator)
    second = answers.some(evaluator, Context.of("bob"), NOW_MS, 0, 2)
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert [json.loads(each)["key"] for each in second] == ["a", "b"]


def test_the_bytes_of_a_default_are_made_once() -> None:
    ruleset = ruleset_of(flag("a", enabled=False), flag("b", targets=3))
    evaluator, answers = Evaluator(ruleset), Answers(ruleset, client_side=False)
    first = often(answers, evaluator)
    second = answers.some(evaluator, Context.of("bob"), NOW_MS, 0, 2)
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_an_unchanged_flag_keeps_its_bytes_when_the_ruleset_changes() -> None:
    same = flag("same")
    before, after = ruleset_of(same, flag("other")), ruleset_of(same, flag("other", version=4))
    evaluator, answers = Evaluator(before), Answers(before, client_side=False)
    kept = dict(zip(("other", "same"), often(answers, evaluator), strict=True))
    following = Answers(after, client_side=False, previous=answers)
    other, unchanged = following.some(evaluator.following(after), ALICE, NOW_MS, 0, 2)
    assert unchanged is kept["same"]
    assert json.loads(other)["metadata"]["version"] == 4


def test_details_that_are_made_anew_each_time_do_not_pile_up() -> None:
    ruleset = ruleset_of(flag("a"))
    evaluator, answers = Evaluator(ruleset), Answers(ruleset, client_side=False)
    details = [
        msgspec.structs.replace(evaluator.detail("a", ALICE, None, NOW_MS)) for _ in range(3_000)
    ]
    written = {answers.written("a", detail) for detail in details}
    assert len(written) == 1
    assert len(answers._by_key["a"]._kept) < 100
    for detail in details:
        answers._make("a", detail)
    assert len(answers._kept) < 2_000


def test_a_bulk_answer_ends_with_the_set_of_flags_and_the_stream_of_changes() -> None:
    assert json.loads(bulk_body(answered(ruleset_of(flag("a"))), ENDING)) == {
        "flags": [only(flag("a"))],
        "metadata": {"flagSetId": "development"},
        "eventStreams": [
            {"type": "sse", "endpoint": {"requestUri": "/stream"}, "inactivityDelaySec": 120}
        ],
    }
    assert json.loads(bulk_body([], bulk_ending("development", None, 120))) == {
        "flags": [],
        "metadata": {"flagSetId": "development"},
    }


def test_a_digest_is_a_strong_tag_of_these_bytes() -> None:
    assert digest(b"a") == digest(b"a") != digest(b"b")


@settings(max_examples=50)
@given(rulesets, contexts, st.booleans())
def test_whatever_the_ruleset_the_answers_are_json_and_as_evaluated(
    ruleset: Ruleset, context: Context, client_side: bool
) -> None:
    evaluator, answers = Evaluator(ruleset), Answers(ruleset, client_side=client_side)
    for _ in range(2 * INTERPRETED_CALLS):
        body = bulk_body(answers.some(evaluator, context, NOW_MS, 0, len(answers)), ENDING)
        for answer in json.loads(body)["flags"]:
            detail = evaluator.detail(answer["key"], context, None, NOW_MS)
            if detail.reason.kind == "ERROR":
                assert answer["errorCode"]
                assert client_side or answer["errorDetails"] == detail.reason.message
            else:
                assert answer.get("value") == detail.value
                assert answer["variant"] == (detail.variation or "")
                assert answer["metadata"].get("bucket") == detail.reason.bucket
