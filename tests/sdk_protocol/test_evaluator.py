"""What an evaluator keeps from one ruleset to the next, and that its answers never lag behind."""

from __future__ import annotations

import inspect
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import msgspec
from halyard_protocol.codec import convert
from halyard_protocol.conditions import Leaf
from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, Reason, evaluate
from halyard_protocol.evaluator import INTERPRETED_CALLS, SWEPT_AFTER, Decide, Evaluator
from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH
from halyard_protocol.ruleset import Environment, Flag, Rule, Ruleset, Segment, Serve, Variation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sdk_protocol.test_compilation import chain, nest, on_off, ruleset_of
from tests.support.rulesets import FLAGS, NOW_MS, SEGMENTS, contexts, environments, flags, rulesets
from tests.support.rulesets import segments as random_segments

DEFAULT = object()
ALICE = Context.of("alice")


def of_json(kind: type[Any], **parts: Any) -> Any:
    return convert(parts, kind)


PARENT = on_off("parent")
FLAG = of_json(
    Flag,
    key="one",
    enabled=True,
    variations=[{"key": "on", "value": True}, {"key": "off", "value": False}],
    offVariation="off",
    prerequisites=[{"flag": "parent", "variations": ["on"]}],
    rules=[
        {"id": "s", "when": {"op": "segment", "values": ["s"]}, "serve": {"variation": "on"}},
        {
            "id": "e",
            "when": {"kind": "environment", "attribute": "x", "op": "equals", "values": [1]},
            "serve": {"variation": "on"},
        },
    ],
    fallthrough={"variation": "off"},
)
EVERYBODY = of_json(Segment, key="s", rules=[{"id": "r", "when": {"all": []}}])
NOBODY = Segment(key="s")
OTHER = on_off("other")


def ruleset(**replaced: Any) -> Ruleset:
    flags = {"one": FLAG, "parent": PARENT, "other": OTHER, **replaced.pop("flags", {})}
    parts: dict[str, Any] = {"environment": Environment("test"), "segments": {"s": NOBODY}}
    return Ruleset(flags=flags, **{**parts, **replaced})


FIRST = ruleset()


def used(evaluator: Evaluator, *keys: str) -> Evaluator:
    """The same, after each flag was asked for so often that it is compiled."""
    for key in keys or ("one", "other"):
        for _ in range(INTERPRETED_CALLS + 1):
            evaluator.detail(key, ALICE, DEFAULT, NOW_MS)
    return evaluator


def value(evaluator: Evaluator) -> Any:
    return evaluator.detail("one", ALICE, DEFAULT, NOW_MS).value


def test_a_flag_is_compiled_once_it_was_used_a_few_times() -> None:
    evaluator = Evaluator(FIRST)
    for _ in range(INTERPRETED_CALLS // 4):
        assert evaluator.detail("other", ALICE, DEFAULT, NOW_MS).value is True
        assert "other" not in evaluator.decisions
    used(evaluator, "other")
    assert "other" in evaluator.decisions


def test_flags_that_are_asked_for_together_are_not_all_compiled_in_one_go() -> None:
    keys = [f"flag-{number}" for number in range(400)]
    evaluator = Evaluator(ruleset(flags={key: on_off(key) for key in keys}))
    ready, most = 0, 0
    for _ in range(INTERPRETED_CALLS + 1):
        for key in keys:
            evaluator.detail(key, ALICE, DEFAULT, NOW_MS)
        most = max(most, len(evaluator.decisions) - ready)
        ready = len(evaluator.decisions)
    assert ready == len(keys)
    assert most < len(keys) / 5


def test_an_evaluator_that_is_to_compile_at_once_does_and_passes_that_on() -> None:
    evaluator = Evaluator(FIRST, interpreted_calls=0)
    for each in (evaluator, evaluator.following(ruleset(segments={}))):
        assert value(each) is False
        assert "one" in each.decisions


def test_where_the_stack_is_too_short_to_compile_a_flag_is_interpreted() -> None:
    rule = Rule("r", Leaf("segment", ("s0",)), Serve("on"))
    *above, last = chain(MAX_PREREQUISITE_DEPTH)
    deep = msgspec.structs.replace(last, rules=(rule,))
    evaluator = Evaluator(ruleset_of(*above, deep, segments=nest(MAX_SEGMENT_DEPTH, 30)))
    room = 700  # frames; more than interpreting takes, less than compiling does

    def ask_from(depth: int) -> Any:
        if depth > 0:
            return ask_from(depth - 1)
        return evaluator.detail("one", ALICE, DEFAULT, NOW_MS).value

    used_up = sys.getrecursionlimit() - room - len(inspect.stack(0))
    for _ in range(INTERPRETED_CALLS + 2):
        assert ask_from(used_up) is True


def test_what_is_not_in_the_ruleset_is_answered_and_leaves_no_trace() -> None:
    evaluator = Evaluator(FIRST)
    for number in range(100):
        detail = evaluator.detail(f"gone-{number}", ALICE, DEFAULT, NOW_MS)
        assert (detail.value, detail.reason.error_code) == (DEFAULT, "FLAG_NOT_FOUND")
    assert len(evaluator.decisions) == 0
    assert len(evaluator.decisions._calls) == 0


def test_what_did_not_change_is_not_compiled_again() -> None:
    before = used(Evaluator(FIRST))
    changed = msgspec.structs.replace(FLAG, version=2)
    after = before.following(ruleset(flags={"one": changed}))
    assert after.decisions["other"] is before.decisions["other"]
    assert after.decisions["one"] is not before.decisions["one"]


def test_a_flag_is_compiled_however_often_others_change() -> None:
    evaluator = Evaluator(FIRST)
    for version in range(INTERPRETED_CALLS + 1):
        changed = msgspec.structs.replace(FLAG, version=version)
        evaluator = evaluator.following(ruleset(flags={"one": changed}))
        evaluator.detail("other", ALICE, DEFAULT, NOW_MS)
    assert "other" in evaluator.decisions


def test_a_change_is_seen_at_once_whatever_it_is_a_change_of() -> None:
    before = used(Evaluator(FIRST))
    assert value(before) is False
    for change in (
        ruleset(segments={"s": EVERYBODY}),
        ruleset(environment=Environment("test", {"x": 1})),
    ):
        after = before.following(change)
        assert value(after) is True
        assert value(used(after)) is True
        assert value(after.following(FIRST)) is False
    for gone in (msgspec.structs.replace(PARENT, enabled=False), None):
        kept = {"one": FLAG, "other": OTHER} | ({} if gone is None else {"parent": gone})
        after = used(before.following(Ruleset(Environment("test"), kept, {"s": EVERYBODY})))
        assert after.detail("one", ALICE, 1, NOW_MS).reason.kind == "PREREQUISITE_FAILED"
    assert value(before) is False


def test_a_segment_that_appears_is_seen_at_once() -> None:
    before = used(Evaluator(ruleset(segments={})))
    assert value(before) is False
    assert value(before.following(ruleset(segments={"s": EVERYBODY}))) is True


def test_simple_are_flags_without_time_and_without_lists_and_objects() -> None:
    timed = on_off("timed", expires_at=datetime(2026, 6, 16, tzinfo=UTC))
    tree = on_off("tree", variations=(Variation("on", {"a": 1}), Variation("off", False)))
    flags = {"timed": timed, "tree": tree}
    evaluator = used(Evaluator(ruleset(flags=flags)), "other", "timed", "tree")
    assert set(evaluator.decisions) == {"other", "timed", "tree"}
    assert set(evaluator.simple) == {"other"}
    assert evaluator.simple["other"] is evaluator.decisions["other"]
    after = evaluator.following(ruleset(flags={"other": timed}))
    assert after.simple.get("other") is None


def test_who_watches_is_asked_once_for_each_simple_flag_of_each_ruleset() -> None:
    asked: list[Flag] = []
    watched = Detail("watched", None, Reason("FALLTHROUGH"))

    def watch(flag: Flag, decide: Decide) -> Decide:
        asked.append(flag)
        return (lambda *_: watched) if flag.key == "other" else decide

    timed = on_off("timed", expires_at=datetime(2026, 6, 16, tzinfo=UTC))
    first = ruleset(flags={"timed": timed})
    keys = ("other", "timed", "parent")
    evaluator = used(Evaluator(first, watch=watch), *keys)
    assert [flag.key for flag in asked] == ["other", "parent"]
    assert evaluator.simple["other"](ALICE.kinds, 0, None) is watched
    assert evaluator.simple["parent"] is evaluator.decisions["parent"]
    assert evaluator.decisions["other"](ALICE.kinds, 0, None).variation is not None
    after = evaluator.following(
        ruleset(flags={"timed": timed, "other": msgspec.structs.replace(OTHER, version=9)})
    )
    used(after, *keys)
    assert [(flag.key, flag.version) for flag in asked[2:]] == [("other", 9), ("parent", 0)]


def test_an_answer_tells_until_when_it_holds() -> None:
    expires = datetime(2026, 6, 16, tzinfo=UTC)
    evaluator = Evaluator(ruleset(flags={"timed": on_off("timed", expires_at=expires)}))
    for _ in range(2):
        assert evaluator.next_instant("timed", ALICE, NOW_MS) == expires.timestamp() * 1000
        assert evaluator.next_instant("one", ALICE, NOW_MS) is None
        assert evaluator.next_instant("gone", ALICE, NOW_MS) is None


def test_what_rulesets_have_no_more_is_let_go() -> None:
    evaluator = Evaluator(FIRST)
    for number in range(3 * SWEPT_AFTER):
        gone, asked = f"gone-{number}", f"asked-{number}"
        parts = {gone: on_off(gone), asked: on_off(asked)}
        evaluator = used(evaluator.following(ruleset(flags=parts)), gone)
        evaluator.detail(asked, ALICE, DEFAULT, NOW_MS)
    assert len(evaluator.decisions._known) <= SWEPT_AFTER
    assert len(evaluator.decisions._calls) <= SWEPT_AFTER


def test_functions_hold_few_versions_of_what_changed() -> None:
    """Though each of the flags was compiled with another version, and not asked for since."""
    keys = [f"in-{number}" for number in range(3 * SWEPT_AFTER)]
    flags = {key: msgspec.structs.replace(FLAG, key=key) for key in keys}
    evaluator = Evaluator(FIRST)
    for version, key in enumerate(keys):
        changed = ruleset(flags=flags, segments={"s": Segment(key="s", version=version)})
        evaluator = used(evaluator.following(changed), key)
    held = {
        id(made.dependencies["segment", "s"])
        for (_, key), made in evaluator.decisions._known.items()
        if key in flags
    }
    assert 1 <= len(held) <= SWEPT_AFTER


@given(
    rulesets,
    st.lists(
        st.one_of(
            st.sampled_from(FLAGS).flatmap(flags),
            st.sampled_from(SEGMENTS).flatmap(random_segments),
            st.sampled_from([("flags", key) for key in FLAGS]),
            st.sampled_from([("segments", key) for key in SEGMENTS]),
            environments,
        ),
        min_size=1,
        max_size=4,
    ),
    contexts,
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_after_any_changes_the_answers_are_the_new_rulesets(
    first: Ruleset, changes: list[Any], context: Context
) -> None:
    evaluator = Evaluator(first, interpreted_calls=1)
    for change in (None, *changes):
        evaluator = evaluator.following(changed(evaluator.ruleset, change))
        for key in (*FLAGS, "gone"):
            expected = evaluate(evaluator.ruleset, key, context, DEFAULT, NOW_MS)
            for _ in range(4):
                assert evaluator.detail(key, context, DEFAULT, NOW_MS) == expected


def changed(before: Ruleset, change: Any) -> Ruleset:
    flags, segments = dict(before.flags), dict(before.segments)
    environment = before.environment
    match change:
        case Flag():
            flags[change.key] = change
        case Segment():
            segments[change.key] = change
        case Environment():
            environment = change
        case ("flags", key):
            flags.pop(key, None)
        case ("segments", key):
            segments.pop(key, None)
    return Ruleset(environment, flags, segments)


def test_threads_that_share_an_evaluator_all_get_the_right_answers() -> None:
    """Each ruleset's answers are its own, however compiling and following interleave."""
    versions = [ruleset(segments={"s": EVERYBODY if n % 2 else NOBODY}) for n in range(200)]
    current = [Evaluator(versions[0])]
    faults: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            evaluator = current[0]
            expected = evaluator.ruleset.segments["s"] is EVERYBODY
            if value(evaluator) is not expected:
                faults.append(evaluator)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for version in versions:
        current[0] = used(current[0].following(version), "one")
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
