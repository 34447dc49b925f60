"""What is written is read back the same; what is malformed costs only itself."""

from __future__ import annotations

import msgspec
import pytest
from halyard_protocol.codec import (
    MalformedDocument,
    decode_flag,
    decode_segment,
    decoder,
    encode,
    without_depths,
)
from halyard_protocol.conditions import Condition, Leaf, condition_from_json, condition_to_json
from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, evaluate
from halyard_protocol.messages import Snapshot, decode_server_message
from halyard_protocol.ruleset import Environment, Flag, MalformedFlag, Ruleset, Segment
from halyard_protocol.session.replica import from_snapshot
from hypothesis import given, settings

from tests.support.rulesets import (
    FLAGS,
    NOW_MS,
    conditions,
    contexts,
    environments,
    flags,
    json_values,
    rulesets,
    segments,
)


@given(flags("one"))
@settings(max_examples=80)
def test_a_flag_is_read_as_it_was_written(flag: Flag) -> None:
    assert decode_flag(encode(flag)) == flag
    assert encode(decode_flag(encode(flag))) == encode(flag)


@given(segments("staff"))
@settings(max_examples=80)
def test_a_segment_is_read_as_it_was_written(segment: Segment) -> None:
    assert decode_segment(encode(segment)) == segment


@given(environments)
@settings(max_examples=30)
def test_an_environment_is_read_as_it_was_written(environment: Environment) -> None:
    assert decoder(Environment).decode(encode(environment)) == environment


@given(conditions)
def test_a_condition_is_read_as_it_was_written(condition: Condition) -> None:
    written = encode(condition)
    assert condition_from_json(msgspec.json.decode(written)) == condition


@given(json_values)
def test_whatever_was_read_as_a_condition_is_written_back(source: object) -> None:
    condition = condition_from_json(source)  # type: ignore[arg-type]
    assert condition_from_json(condition_to_json(condition)) == condition


@given(rulesets, contexts)
@settings(max_examples=40)
def test_a_detail_is_read_as_it_was_written(ruleset: Ruleset, context: Context) -> None:
    for key in FLAGS:
        detail = evaluate(ruleset, key, context, None, NOW_MS)
        assert decoder(Detail).decode(encode(detail)) == detail


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, "1"), (1, 1.5)])
def test_conditions_with_different_values_differ(one: object, other: object) -> None:
    left, right = Leaf("equals", (one,), "a"), Leaf("equals", (other,), "a")  # type: ignore[arg-type]
    assert left != right
    assert left == Leaf("equals", (one,), "a")  # type: ignore[arg-type]
    assert hash(left) == hash(Leaf("equals", (one,), "a"))  # type: ignore[arg-type]


def test_the_order_of_members_makes_no_difference_between_unknown_conditions() -> None:
    one, other = condition_from_json({"a": 1, "b": 2}), condition_from_json({"b": 2, "a": 1})
    assert one == other
    assert hash(one) == hash(other)


def test_a_malformed_flag_keeps_its_key_and_version() -> None:
    flag = decode_flag(b'{"key":"a","version":7,"enabled":"yes"}')
    assert isinstance(flag, MalformedFlag)
    assert (flag.key, flag.version) == ("a", 7)
    assert "enabled" in flag.problem


def test_a_malformed_version_costs_no_more_than_the_flag() -> None:
    flag = decode_flag(b'{"key":"a","version":null}')
    assert isinstance(flag, MalformedFlag)
    assert flag.version == 0


def test_a_malformed_segment_is_empty() -> None:
    segment = decode_segment(b'{"key":"a","version":7,"included":1}')
    assert segment == Segment(key="a", version=7)


@pytest.mark.parametrize("source", [b"{}", b'{"key":1}', b"[]"])
def test_a_document_without_a_key_cannot_be_kept(source: bytes) -> None:
    with pytest.raises(MalformedDocument):
        decode_flag(source)
    with pytest.raises(MalformedDocument):
        decode_segment(source)


@pytest.mark.parametrize("depth", [1_500, 100_000])
def test_a_document_that_nests_too_deep_is_malformed_under_its_key(depth: int) -> None:
    deep = b'{"key":"a","version":7,"%b":' + b"[" * depth + b"]" * depth + b"}"
    flag = decode_flag(deep % b"salt")
    assert isinstance(flag, MalformedFlag)
    assert (flag.key, flag.version) == ("a", 7)
    assert decode_segment(deep % b"salt") == Segment(key="a", version=7)
    assert decode_flag(deep % b"ofALaterVersion") == Flag(key="a", version=7)


def test_brackets_in_texts_are_not_depth() -> None:
    text = b'"' + b'[{\\"' * 500 + b'"'
    deep = b"[" * 250 + b"]" * 250
    source = b'{"a":' + text + b',"b":' + deep + b',"c":[' + text + b"]}"
    expected = b'{"a":' + text + b',"b":' + b"[" * 198 + b"1e999" + b"]" * 198
    assert without_depths(source) == expected + b',"c":[' + text + b"]}"


def test_a_deep_document_costs_its_message_nothing_else() -> None:
    deep = '{"key":"deep","salt":' + "[" * 5_000 + "]" * 5_000 + "}"
    frame = (
        '{"type":"snapshot","epoch":"e","seq":1,"environment":{"key":"test"},"segments":[],'
        '"flags":[{"key":"one"},' + deep + ',{"key":"two"}]}'
    )
    snapshot = decode_server_message(frame)
    assert isinstance(snapshot, Snapshot)
    flags = from_snapshot(snapshot).ruleset.flags
    assert flags["one"] == Flag(key="one")
    assert flags["two"] == Flag(key="two")
    assert isinstance(flags["deep"], MalformedFlag)
