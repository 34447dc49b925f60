"""Folding events into documents: the same, however the log was cut on the way."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.evolve import CannotFold
from domain.upcast import MalformedEvent, UnknownEvent
from eventstore.log import StoredEvent
from projections.documents import VersionedDocument, is_tombstone
from projections.fold import OutOfOrder, RulesetFold, VoidedTooLate, load
from projections.touches import TOUCHES
from tests.support.project_logs import ProjectLog, deltas_of, random_log

seeds = st.integers(0, 2**32).map(random.Random)
Documents = dict[str, bytes]


def folded(events: Iterable[StoredEvent], voided: Iterable[int] = ()) -> RulesetFold:
    fold = RulesetFold("demo", voided)
    for stored in events:
        fold.apply(stored)
    return fold


def bodies(documents: Iterable[VersionedDocument]) -> Documents:
    return {document.name: document.body for document in documents}


def rulesets(fold: RulesetFold) -> dict[str, tuple[int, bytes, Documents]]:
    return {
        env: (versions.changed, versions.hash, bodies(fold.documents(env)))
        for env, versions in fold.environments.by_id.items()
    }


def changed(stored: StoredEvent, **changes: object) -> StoredEvent:
    fields = {name: getattr(stored, name) for name in StoredEvent.__struct_fields__}
    return StoredEvent(**{**fields, **changes})


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 60))
def test_a_fold_resumed_from_a_dump_at_any_seq_equals_one_from_the_beginning(
    draw: random.Random, deltas: int
) -> None:
    events = random_log(draw, deltas).events
    whole, live = folded(events), RulesetFold("demo")
    for stored in events:
        live.apply(stored)
        dump = live.dump()
        live = load(dump)
        assert live.dump() == dump
    assert live.dump() == whole.dump()
    assert rulesets(live) == rulesets(whole)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 50))
def test_a_snapshot_with_the_changes_since_equals_a_fresh_snapshot(
    draw: random.Random, deltas: int
) -> None:
    fold, seen = RulesetFold("demo"), dict[str, list[tuple[int, Documents]]]()
    for delta in deltas_of(random_log(draw, deltas).events):
        for stored in delta:
            fold.apply(stored)
        for env, (_, _, fresh) in rulesets(fold).items():
            for since, old in seen.get(env, []):
                assert {**old, **bodies(fold.documents(env, since))} == fresh
            seen.setdefault(env, []).append((fold.seq, fresh))


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 60))
def test_changed_is_the_highest_version_and_every_version_stands_in_its_document(
    draw: random.Random, deltas: int
) -> None:
    log = random_log(draw, deltas)
    fold = folded(log.events)
    for env, versions in fold.environments.by_id.items():
        documents = fold.documents(env)
        assert [d.version for d in documents] == sorted(versions.versions.values())
        assert versions.changed == documents[-1].version
        assert versions.hash == log.events[versions.changed - 1].hash
        for document in documents:
            assert msgspec.json.decode(document.body)["version"] == document.version


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 80))
def test_documents_show_what_the_project_has(draw: random.Random, deltas: int) -> None:
    log = random_log(draw, deltas)
    fold, state = folded(log.events), log.state
    for row in state.environments.values():
        documents = fold.documents(row.id)
        living = {d.name: msgspec.json.decode(d.body) for d in documents if not d.deleted}
        flags = {f"flag:{f.key}" for f in state.flags.values() if not f.archived}
        segments = {f"segment:{key}" for key in state.segments}
        keys = {
            f"key:{key.sha256 or key.client_key}"
            for key in state.keys.values()
            if key.environment == row.key and key.revoked_at is None
        }
        assert set(living) == {"environment"} | flags | segments | keys
        assert living["environment"]["attributes"] == row.attributes
        for name in flags:
            stands = state.settings[living[name]["key"], row.key]
            assert living[name]["enabled"] == stands.enabled
            assert len(living[name]["rules"]) == len(stands.rules)
            assert living[name]["clientSide"] == state.flags[living[name]["key"]].client_side


_BESIDE = ("Webhook", "ChangeRequest", "RequiredApprovals")
"""No ruleset has them."""


def test_random_logs_hold_nearly_every_event_type() -> None:
    log = random_log(random.Random(7), 2500)
    missing = set(e.EVENT_TYPES) - {stored.type for stored in log.events}
    missing = {name for name in missing if not name.startswith(_BESIDE)}
    assert missing == {"ProjectRenamed", "ProjectDeleted", "EventVoided"}


def test_every_critical_event_but_two_touches_documents() -> None:
    critical = {event for event in e.EVENT_TYPES.values() if event.critical}
    assert critical - set(TOUCHES) == {e.ProjectCreated, e.EventVoided}
    assert set(TOUCHES) <= critical


def test_a_new_environment_has_every_document_at_the_seq_of_its_creation() -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"), c.CreateFlag("beta"), c.CreateSegment("staff"))
    log.do(c.ArchiveFlag("beta"))
    seq = log.do(c.CreateEnvironment("sandbox"))[-1].seq
    documents = folded(log.events).documents(log.environments["sandbox"])
    assert [(d.name, d.version) for d in documents] == [
        ("environment", seq),
        ("flag:alpha", seq),
        ("segment:staff", seq),
    ]


def test_an_archived_flag_is_a_tombstone_until_it_is_restored() -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"))
    archived = log.do(c.ArchiveFlag("alpha"))[-1].seq
    env = log.environments["production"]
    documents = bodies(folded(log.events).documents(env))
    assert msgspec.json.decode(documents["flag:alpha"]) == {
        "key": "alpha",
        "version": archived,
        "deleted": True,
    }
    log.do(c.RestoreFlag("alpha"))
    assert not is_tombstone(bodies(folded(log.events).documents(env))["flag:alpha"])


@pytest.mark.parametrize("ending", [c.DeleteEnvironment("production"), c.DeleteProject()])
def test_an_environment_that_ended_stays_as_tombstones(ending: c.Command) -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"), c.IssueSdkKey("production", key="k", sha256="0" * 64))
    env = log.environments["production"]
    seq = log.do(ending)[-1].seq
    fold = folded(log.events)
    assert {d.name: (d.version, d.deleted) for d in fold.documents(env)} == {
        "environment": (seq, True),
        "flag:alpha": (seq, True),
        f"key:{'0' * 64}": (seq, True),
    }
    assert set(fold.tombstones(env, seq)) == {d.name for d in fold.documents(env)}
    assert fold.tombstones(env, seq - 1) == ()


def test_the_key_of_an_ended_environment_may_be_taken_by_a_new_one() -> None:
    log = ProjectLog()
    old = log.environments["production"]
    ended = log.do(c.DeleteEnvironment("production"))[-1].seq
    log.do(c.CreateEnvironment("production"))
    log.do(c.CreateFlag("alpha"))
    fold = load(folded(log.events).dump())
    assert fold.environments.by_id[old].changed == ended
    assert "flag:alpha" in bodies(fold.documents(log.environments["production"]))


def test_an_sdk_key_stays_under_the_name_it_is_found_by_to_its_tombstone() -> None:
    log = ProjectLog()
    env = log.environments["production"]
    shown = f"{env}-c-abcdefghijklmnopqrstuvwx"
    issued = c.IssueSdkKey("production", key="k", kind="client", client_key=shown, name="Web")
    first = log.do(issued)[-1].seq
    found = bodies(folded(log.events).documents(env))[f"key:{shown}"]
    assert msgspec.json.decode(found) == {
        "id": "k",
        "kind": "client",
        "name": "Web",
        "version": first,
    }
    seq = log.do(c.SetSdkKeyOrigins("production", "k", ("https://shop.example",)))[-1].seq
    found = bodies(folded(log.events).documents(env))[f"key:{shown}"]
    named = msgspec.json.decode(found)
    assert (named["origins"], named["version"]) == (["https://shop.example"], seq)
    log.do(c.SetSdkKeyOrigins("production", "k", ()))
    assert b"origins" not in bodies(folded(log.events).documents(env))[f"key:{shown}"]
    log.do(c.RevokeSdkKey("production", key="k"))
    assert is_tombstone(bodies(folded(log.events).documents(env))[f"key:{shown}"])


def test_an_event_that_is_not_critical_changes_no_ruleset_even_if_unknown() -> None:
    log = ProjectLog()
    renamed = log.do(c.CreateFlag("alpha"), c.RenameFlag("alpha", name="A"))[-1]
    before = rulesets(folded(log.events[:-1]))
    assert rulesets(folded(log.events)) == before
    unknown = changed(renamed, type="FlagPainted", body=b"\xff")
    assert rulesets(folded([*log.events[:-1], unknown])) == before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "FlagPainted"}, UnknownEvent),
        ({"schema_version": 99}, UnknownEvent),
        ({"body": b"{"}, MalformedEvent),
        ({"entity_key": "nobody"}, CannotFold),
        ({"seq": 99}, OutOfOrder),
    ],
)
def test_a_critical_event_that_cannot_be_applied_is_raised(
    changes: dict[str, object], expected: type[Exception]
) -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"))
    enabled = log.do(c.EnableFlag("alpha", "production"))[-1]
    with pytest.raises(expected):
        folded([*log.events[:-1], changed(enabled, **changes)])


def test_a_voided_event_is_passed_over_from_the_start() -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"))
    before = rulesets(folded(log.events))
    poisoned = changed(log.do(c.EnableFlag("alpha", "production"))[-1], type="FlagPainted")
    log.events[-1] = poisoned
    log.do(c.VoidEvent(poisoned.seq, "written by hand"))
    assert rulesets(folded(log.events, {poisoned.seq})) == before


def test_a_fold_that_applied_an_event_that_is_voided_later_says_so() -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"))
    log.do(c.VoidEvent(len(log.events), "a mistake"))
    with pytest.raises(VoidedTooLate):
        folded(log.events)
