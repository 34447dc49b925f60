"""Commands at random, over so few keys that they meet each other all the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from halyard_protocol.conditions import All, AnyOf, Condition, Leaf, Not
from halyard_protocol.ruleset import (
    Bucket,
    Prerequisite,
    Rollout,
    Rule,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
    Variation,
)
from hypothesis import strategies as st

from domain import change_request_commands as r
from domain import commands as c
from domain import webhook_commands as w

FLAGS = st.sampled_from(["a", "a", "a", "b", "b", "c"])
ENVIRONMENTS = st.sampled_from(["live", "live", "live", "dev"])
SEGMENTS = st.sampled_from(["s", "t"])
RULES = st.sampled_from(["r1", "r2"])
MEMBERS = st.lists(st.sampled_from(["ann", "bob", "cat"]), max_size=3).map(tuple)
KINDS = st.sampled_from(["user", "organization"])
NAMES = st.sampled_from(["One", "Two"])
ORIGINS = st.sampled_from([(), ("https://a.example",), ("https://*.a.example", "app://a")])
VARIATION_KEYS = st.sampled_from(["on", "on", "off", "off", "dim"])
ON_OFF = (Variation("on", True), Variation("off", False))
VARIATIONS = st.sampled_from(
    [
        ON_OFF,
        (*ON_OFF, Variation("dim", True)),
        (Variation("off", False),),
    ]
)
INSTANTS = st.sampled_from([datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2)])
EXPECTED = st.sampled_from([*[None] * 8, 1, 2])


def _rollout(first: str, second: str) -> Serve:
    return Serve(rollout=Rollout(buckets=(Bucket(first, 40_000), Bucket(second, 60_000))))


SERVES = st.one_of(VARIATION_KEYS.map(Serve), st.builds(_rollout, VARIATION_KEYS, VARIATION_KEYS))
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    SEGMENTS.map(lambda key: Leaf("segment", (key,))),
    st.just(Leaf("exists", attribute="plan")),
    st.just(Leaf("in", ("DE", "FR"), "country")),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, max_size=2).map(tuple).map(All),
        st.lists(inner, max_size=2).map(tuple).map(AnyOf),
    ),
    max_leaves=3,
)
WHOLE_RULES = st.builds(Rule, id=RULES, when=CONDITIONS, serve=SERVES)
PREREQUISITES = st.lists(
    st.builds(Prerequisite, FLAGS, VARIATION_KEYS.map(lambda key: (key,))),
    max_size=2,
    unique_by=lambda each: each.flag,
).map(tuple)
TARGETS = st.lists(st.builds(Target, VARIATION_KEYS, KINDS, MEMBERS), max_size=2).map(tuple)
MEMBER_LISTS = st.lists(
    st.builds(SegmentKeys, KINDS, MEMBERS), max_size=2, unique_by=lambda each: each.kind
).map(tuple)
SEGMENT_RULES = st.lists(
    st.builds(SegmentRule, id=RULES, when=CONDITIONS), max_size=2, unique_by=lambda each: each.id
).map(tuple)
LISTS = st.sampled_from(["included", "excluded"])

ON_SETTINGS = {"flag": FLAGS, "environment": ENVIRONMENTS, "expected_revision": EXPECTED}
ON_FLAG = {"flag": FLAGS, "expected_revision": EXPECTED}

BEGINNING: tuple[c.Command, ...] = (
    c.CreateProject("demo", environments=(c.NewEnvironment("dev"), c.NewEnvironment("live"))),
    c.CreateFlag("a"),
    c.CreateFlag("b", variations=(*ON_OFF, Variation("dim", True))),
    c.CreateSegment("s"),
)
"""What each history begins with, so that most of what follows meets something."""

_PLACES = [
    st.builds(c.CreateEnvironment, ENVIRONMENTS),
    st.builds(c.RenameEnvironment, ENVIRONMENTS, NAMES),
    st.builds(c.SetEnvironmentAttributes, ENVIRONMENTS, st.dictionaries(NAMES, st.booleans())),
    st.builds(c.ProtectEnvironment, ENVIRONMENTS),
    st.builds(c.UnprotectEnvironment, ENVIRONMENTS),
    st.builds(c.IssueSdkKey, ENVIRONMENTS, RULES, sha256=RULES.map(lambda key: key[1] * 64)),
    st.builds(
        c.IssueSdkKey,
        st.just("live"),
        RULES,
        kind=st.just("client"),
        client_key=st.just("000000000002-c-x"),
        origins=ORIGINS,
    ),
    st.builds(c.SetSdkKeyOrigins, ENVIRONMENTS, RULES, ORIGINS),
    st.builds(
        c.RotateSdkKey,
        ENVIRONMENTS,
        RULES,
        RULES,
        sha256=RULES.map(lambda key: key[1] * 64),
        overlap_hours=st.integers(0, 2),
    ),
    st.builds(
        c.SetSdkKeyExpiry,
        ENVIRONMENTS,
        RULES,
        st.none() | st.datetimes(timezones=st.just(UTC)),
    ),
    st.builds(c.RevokeSdkKey, ENVIRONMENTS, RULES),
    st.builds(c.RenameProject, NAMES),
    st.builds(c.VoidEvent, st.integers(0, 5), NAMES),
]
HOOKS = st.sampled_from(["h1", "h2"])
_WEBHOOKS = [
    st.builds(w.CreateWebhook, HOOKS, NAMES, st.just("https://a.example"), RULES, RULES),
    st.builds(w.RotateWebhookSecret, HOOKS, RULES),
    st.builds(w.EnableWebhook, HOOKS) | st.builds(w.DisableWebhook, HOOKS),
    st.builds(w.ReplayWebhook, HOOKS, st.integers(0, 5)),
    st.builds(w.DescribeWebhook, HOOKS, NAMES),
    st.builds(w.DeleteWebhook, HOOKS),
]
REQUESTS = st.sampled_from(["q1", "q2"])
HELD = st.lists(
    st.sampled_from(
        [
            {"type": "EnableFlag", "flag": "a", "environment": "dev"},
            {"type": "RenameFlag", "flag": "b", "name": "Two"},
        ]
    ),
    min_size=1,
    max_size=2,
).map(tuple)
_REQUESTS = [
    st.builds(r.OpenChangeRequest, change_request=REQUESTS, title=NAMES, commands=HELD),
    st.builds(r.EditChangeRequest, REQUESTS, title=NAMES),
    st.builds(r.EditChangeRequest, REQUESTS, commands=HELD),
    st.builds(r.RejectChangeRequest, REQUESTS) | st.builds(r.WithdrawChangeRequest, REQUESTS),
]
_ENDS = [
    st.just(c.DeleteProject()),
    st.just(BEGINNING[0]),
    st.builds(c.DeleteEnvironment, ENVIRONMENTS),
    st.builds(c.DeleteFlag, **ON_FLAG),
    st.builds(c.DeleteSegment, SEGMENTS),
]
_DEFINITIONS = [
    st.builds(c.CreateFlag, flag=FLAGS, variations=VARIATIONS, fallthrough=SERVES),
    st.builds(c.CreateFlag, flag=FLAGS),
    st.builds(c.RenameFlag, name=NAMES, **ON_FLAG),
    st.builds(c.DescribeFlag, description=NAMES, **ON_FLAG),
    st.builds(c.TagFlag, tags=st.lists(NAMES, unique=True).map(tuple), **ON_FLAG),
    st.builds(c.AssignMaintainer, maintainer=NAMES, **ON_FLAG),
    st.builds(c.ExposeClientSide, **ON_FLAG),
    st.builds(c.HideClientSide, **ON_FLAG),
    st.builds(c.ArchiveFlag, **ON_FLAG),
    st.builds(c.RestoreFlag, **ON_FLAG),
    st.builds(c.RestoreFlag, **ON_FLAG),
    st.builds(c.ChangeVariations, variations=VARIATIONS, **ON_FLAG),
]
_SETTINGS = [
    st.builds(c.EnableFlag, **ON_SETTINGS),
    st.builds(c.DisableFlag, **ON_SETTINGS),
    st.builds(c.ChangeOffVariation, off_variation=st.none() | VARIATION_KEYS, **ON_SETTINGS),
    st.builds(c.ChangeFallthrough, fallthrough=SERVES, **ON_SETTINGS),
    st.builds(c.ChangeTargets, targets=TARGETS, **ON_SETTINGS),
    st.builds(c.SetExpiry, expires_at=INSTANTS, **ON_SETTINGS),
    st.builds(c.ClearExpiry, **ON_SETTINGS),
    st.builds(c.SetExposureTracking, enabled=st.booleans(), **ON_SETTINGS),
    st.builds(c.ChangePrerequisites, prerequisites=PREREQUISITES, **ON_SETTINGS),
    st.builds(c.ChangePrerequisites, prerequisites=PREREQUISITES, **ON_SETTINGS),
]
_RULES = [
    st.builds(c.AddRule, rule=WHOLE_RULES, position=st.sampled_from([None, 0, 1]), **ON_SETTINGS),
    st.builds(c.ChangeRule, rule=WHOLE_RULES, **ON_SETTINGS),
    st.builds(c.RemoveRule, rule=RULES, **ON_SETTINGS),
    st.builds(c.ReorderRules, order=st.permutations(["r1", "r2"]).map(tuple), **ON_SETTINGS),
]
_SEGMENTS = [
    st.builds(c.CreateSegment, SEGMENTS, included=MEMBER_LISTS, rules=SEGMENT_RULES),
    st.builds(c.CreateSegment, SEGMENTS),
    st.builds(c.RenameSegment, SEGMENTS, NAMES),
    st.builds(c.DescribeSegment, SEGMENTS, NAMES),
    st.builds(c.AddSegmentMembers, SEGMENTS, MEMBERS, LISTS, KINDS),
    st.builds(c.RemoveSegmentMembers, SEGMENTS, MEMBERS, LISTS, KINDS),
    st.builds(c.ChangeSegmentRules, SEGMENTS, SEGMENT_RULES),
]
_KINDS_OF_COMMANDS: list[list[st.SearchStrategy[Any]]] = [
    *[_RULES] * 8,
    *[_SETTINGS] * 6,
    *[_DEFINITIONS] * 4,
    _WEBHOOKS,
    *[_SEGMENTS] * 4,
    *[_PLACES] * 2,
    _REQUESTS,
    _ENDS,
]
COMMANDS: st.SearchStrategy[c.Command] = (
    st.sampled_from(_KINDS_OF_COMMANDS).flatmap(st.sampled_from).flatmap(lambda chosen: chosen)
)

HISTORIES = st.lists(COMMANDS, min_size=20, max_size=60)
"""What may be asked of a project, one after the other; some of it will be refused."""
