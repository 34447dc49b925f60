from __future__ import annotations

from typing import Any

from halyard_protocol.conditions import condition_from_json
from halyard_protocol.ruleset import (
    Environment,
    Flag,
    MalformedFlag,
    Prerequisite,
    Rule,
    Ruleset,
    Segment,
    SegmentRule,
    Serve,
)
from halyard_protocol.session.affected import affected
from halyard_protocol.session.replica import Changed


def flag(key: str, *requires: str, when: Any = None) -> Flag:
    rules = () if when is None else (Rule("r", condition_from_json(when), Serve("on")),)
    return Flag(key=key, prerequisites=tuple(map(Prerequisite, requires)), rules=rules)


def ruleset(*flags: Flag | MalformedFlag, segments: tuple[Segment, ...] = ()) -> Ruleset:
    return Ruleset(Environment("dev"), {f.key: f for f in flags}, {s.key: s for s in segments})


def in_segment(key: str) -> dict[str, Any]:
    return {"op": "segment", "values": [key]}


def test_a_changed_flag_is_affected_and_others_are_not() -> None:
    assert affected(ruleset(flag("a"), flag("b")), Changed(frozenset("a"))) == {"a"}


def test_a_removed_flag_is_affected() -> None:
    assert affected(ruleset(flag("b")), Changed(frozenset("a"))) == {"a"}


def test_flags_that_require_it_are_affected_through_any_number_of_steps() -> None:
    rules = ruleset(flag("a"), flag("b", "a"), flag("c", "b"), flag("d"))
    assert affected(rules, Changed(frozenset("a"))) == {"a", "b", "c"}


def test_a_cycle_of_prerequisites_comes_to_an_end() -> None:
    rules = ruleset(flag("a", "b"), flag("b", "a"))
    assert affected(rules, Changed(frozenset("a"))) == {"a", "b"}


def test_flags_that_name_a_segment_are_affected_however_deep_it_stands() -> None:
    deep = {"all": [{"any": [{"not": in_segment("s")}]}]}
    rules = ruleset(flag("a", when=deep), flag("b", when=in_segment("t")), flag("c", "a"))
    assert affected(rules, Changed(segments=frozenset("s"))) == {"a", "c"}


def test_a_segment_that_names_a_segment_passes_it_on() -> None:
    outer = Segment(key="t", rules=(SegmentRule("r", condition_from_json(in_segment("s"))),))
    rules = ruleset(flag("a", when=in_segment("t")), segments=(outer, Segment(key="s")))
    assert affected(rules, Changed(segments=frozenset("s"))) == {"a"}


def test_the_environment_affects_those_that_ask_for_it() -> None:
    region = {"kind": "environment", "attribute": "region", "op": "equals", "values": ["eu"]}
    rules = ruleset(flag("a", when=region), flag("b", when={**region, "kind": "user"}))
    assert affected(rules, Changed(environment=True)) == {"a"}


def test_a_malformed_flag_and_an_unknown_condition_lean_on_nothing() -> None:
    rules = ruleset(MalformedFlag("a", 1, "?"), flag("b", when={"op": "telepathy"}))
    assert affected(rules, Changed(segments=frozenset("s"), environment=True)) == frozenset()
