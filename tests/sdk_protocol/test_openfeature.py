"""OpenFeature's words for Halyard's answers, and Halyard's reading of OpenFeature's contexts."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.evaluation import Reason, ReasonKind
from halyard_protocol.openfeature import (
    ErrorCode,
    ResolutionReason,
    context_of,
    error_code,
    flag_metadata,
    resolution_reason,
)


@pytest.mark.parametrize("kind", get_args(ReasonKind))
def test_every_kind_of_reason_has_a_word(kind: ReasonKind) -> None:
    assert resolution_reason(Reason(kind)) in get_args(ResolutionReason)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (Reason("DISABLED"), "DISABLED"),
        (Reason("EXPIRED"), "DISABLED"),
        (Reason("PREREQUISITE_FAILED", prerequisite="p"), "DEFAULT"),
        (Reason("TARGET_MATCH"), "TARGETING_MATCH"),
        (Reason("RULE_MATCH", rule_id="r", rule_index=0), "TARGETING_MATCH"),
        (Reason("RULE_MATCH", rule_id="r", rule_index=0, bucket=0.0), "SPLIT"),
        (Reason("FALLTHROUGH"), "DEFAULT"),
        (Reason("FALLTHROUGH", bucket=0.5), "SPLIT"),
        (Reason("ERROR", error_code="FLAG_NOT_FOUND"), "ERROR"),
    ],
    ids=str,
)
def test_what_decided_is_what_is_told(reason: Reason, word: str) -> None:
    assert resolution_reason(reason) == word


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("FLAG_NOT_FOUND", "FLAG_NOT_FOUND"),
        ("MALFORMED_FLAG", "PARSE_ERROR"),
        ("PROVIDER_NOT_READY", "PROVIDER_NOT_READY"),
        ("INVALID_CONTEXT", "INVALID_CONTEXT"),
        ("TYPE_MISMATCH", "TYPE_MISMATCH"),
        ("WHATEVER_COMES", "GENERAL"),
        (None, "GENERAL"),
    ],
)
def test_every_error_has_a_code(ours: str | None, theirs: str) -> None:
    assert error_code(Reason("ERROR", error_code=ours)) == theirs
    assert theirs in get_args(ErrorCode)


def test_what_is_no_error_has_no_code() -> None:
    assert error_code(Reason("FALLTHROUGH")) is None


def test_metadata_is_all_the_rest_of_a_reason_in_scalars() -> None:
    split = Reason("RULE_MATCH", rule_id="r", rule_index=2, bucket=0.25, in_experiment=True)
    assert flag_metadata(split, 7) == {
        "reasonKind": "RULE_MATCH",
        "version": 7,
        "ruleId": "r",
        "ruleIndex": 2,
        "bucket": 0.25,
        "inExperiment": True,
    }
    unmet = Reason("PREREQUISITE_FAILED", prerequisite="p")
    assert flag_metadata(unmet, 0) == {
        "reasonKind": "PREREQUISITE_FAILED",
        "version": 0,
        "prerequisite": "p",
    }
    assert flag_metadata(Reason("EXPIRED"), None) == {"reasonKind": "EXPIRED"}


@pytest.mark.parametrize(
    ("attributes", "kinds"),
    [
        ({}, {"user": {}}),
        ({"targetingKey": "alice"}, {"user": {"key": "alice"}}),
        ({"targetingKey": "", "country": "DE"}, {"user": {"country": "DE"}}),
        ({"targetingKey": None, "key": "bob"}, {"user": {"key": "bob"}}),
        ({"targetingKey": "alice", "key": 3}, {"user": {"key": "alice"}}),
        (
            {"kind": "organization", "targetingKey": "acme", "plan": {"tier": "premium"}},
            {"organization": {"key": "acme", "plan": {"tier": "premium"}}},
        ),
        (
            {
                "kind": "multi",
                "user": {"key": "alice"},
                "device": {"targetingKey": "d-1", "os": "x"},
            },
            {"user": {"key": "alice"}, "device": {"key": "d-1", "os": "x"}},
        ),
        (
            {"kind": "multi", "targetingKey": "alice", "organization": {"key": "acme"}},
            {"user": {"key": "alice"}, "organization": {"key": "acme"}},
        ),
        (
            {"kind": "multi", "targetingKey": "alice", "user": {"key": "bob"}},
            {"user": {"key": "bob"}},
        ),
    ],
    ids=str,
)
def test_a_context_is_read_with_its_targeting_key(
    attributes: dict[str, Any], kinds: dict[str, Any]
) -> None:
    assert context_of(attributes) == Context(kinds)


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({"targetingKey": 3}, "/targetingKey"),
        ({"targetingKey": ["alice"]}, "/targetingKey"),
        ({"key": 3}, "/key"),
        ({"kind": 3}, "/kind"),
        ({"kind": "time"}, "/kind"),
        ({"kind": "multi"}, ""),
        ({"kind": "multi", "user": "alice"}, "/user"),
        ({"kind": "multi", "user": "alice", "targetingKey": "bob"}, "/user"),
        ({"kind": "multi", "user": {"targetingKey": 3}}, "/user/targetingKey"),
    ],
    ids=str,
)
def test_what_is_no_context_names_the_member_at_fault(
    attributes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidContext) as refused:
        context_of(attributes)
    assert refused.value.field == field


def test_what_is_given_is_not_changed() -> None:
    given = {"kind": "multi", "targetingKey": "alice", "user": {"country": "DE"}}
    context_of(given)
    assert given == {"kind": "multi", "targetingKey": "alice", "user": {"country": "DE"}}
