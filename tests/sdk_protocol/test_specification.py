"""The specification leaves out none of the words that the code knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from halyard_protocol import evaluation, messages, traces
from halyard_protocol.close_codes import CLOSE_RULES
from halyard_protocol.conditions import MAX_DEPTH, OPERATORS
from halyard_protocol.evaluation import Detail, PrerequisiteOutcome, Reason, ReasonKind
from halyard_protocol.explanation import Explanation
from halyard_protocol.instants import time_attributes
from halyard_protocol.limits import MAX_BUCKETS, MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH
from halyard_protocol.matching import SegmentProblem, Through
from halyard_protocol.recording import MAX_TRACE_PARTS
from halyard_protocol.ruleset import (
    Bucket,
    Environment,
    Flag,
    FlagType,
    Prerequisite,
    Ramp,
    Rollout,
    Rule,
    Segment,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
    Variation,
)
from halyard_protocol.showing import MAX_ITEMS, MAX_NESTING, MAX_TEXT

TEXT = (Path(__file__).parents[2] / "sdk_protocol" / "README.md").read_text(encoding="utf-8")

PROSE = " ".join(TEXT.split())

TYPES: list[Any] = [
    Flag, Variation, Prerequisite, Target, Rule, Serve, Rollout, Bucket, Ramp, Segment, SegmentKeys,
    SegmentRule, Environment, Detail, Reason, messages.Resume, messages.SdkInfo, messages.Put,
    messages.Delete, *get_args(messages.ServerMessage), *get_args(messages.ClientMessage),
    messages.TrackingEvent, Explanation,
    traces.FlagTrace, traces.PrerequisiteTrace, traces.TargetTrace, traces.RuleTrace,
    traces.GroupTrace, traces.LeafTrace, traces.MembershipTrace, traces.RolloutTrace,
    traces.ShareTrace, traces.RampTrace, traces.SegmentTrace, traces.SegmentTest, traces.ListTrace,
    traces.SegmentRuleTrace, traces.WeightTrace, traces.Shown,
]  # fmt: skip


def has_word(word: str) -> bool:
    return re.search(rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])", TEXT) is not None


@pytest.mark.parametrize("of", TYPES, ids=lambda of: of.__name__)
def test_every_field_of_the_wire_is_in_the_specification(of: Any) -> None:
    for field in msgspec.structs.fields(of):
        assert has_word(field.encode_name), field.encode_name


def test_every_operator_reason_and_type_is_in_the_specification() -> None:
    errors = (evaluation.FLAG_NOT_FOUND, evaluation.MALFORMED_FLAG)
    words = (*OPERATORS, *get_args(ReasonKind), *get_args(FlagType), *errors)
    for word in (*words, *time_attributes(0, None), *get_args(messages.Intent)):
        assert f"`{word}`" in TEXT, word


def test_every_word_of_a_trace_is_in_the_specification() -> None:
    words = (*get_args(PrerequisiteOutcome), *get_args(SegmentProblem), *get_args(Through))
    for word in words:
        assert f"`{word}`" in TEXT, word


def test_the_bounds_of_a_trace_are_those_of_the_code() -> None:
    assert f"at most {MAX_TRACE_PARTS:,} parts" in PROSE
    assert f"at most {MAX_ITEMS} elements and members" in PROSE
    assert f"{MAX_NESTING} levels of lists and objects, and texts of {MAX_TEXT} char" in PROSE
    assert f"the first {MAX_ITEMS} are shown; of `shares`, the first {MAX_BUCKETS}" in PROSE


def test_every_close_code_is_in_the_specification() -> None:
    documented = {int(code) for code in re.findall(r"^\| ([0-9]{4}) \|", TEXT, re.MULTILINE)}
    assert documented == {int(code) for code in CLOSE_RULES}


def test_the_depths_are_those_of_the_code() -> None:
    assert f"more than {MAX_PREREQUISITE_DEPTH} prerequisites" in PROSE
    assert f"nested more than {MAX_DEPTH}" in PROSE
    assert MAX_SEGMENT_DEPTH + 1 == 9
    assert "nine are decided, and nobody is in a tenth" in PROSE


def test_every_link_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings
