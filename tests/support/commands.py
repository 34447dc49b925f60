"""Commands at random, over so few keys that they meet each other all the time."""

from __future__ import annotations

from datetime import UTC, datetime

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

from domain import commands as c

FLAGS = st.sampled_from(["a", "b", "c"])
ENVIRONMENTS = st.sampled_from(["dev", "live"])
SEGMENTS = st.sampled_from(["s", "t"])
RULES = st.sampled_from(["r1", "r2", "r3"])
MEMBERS = st.lists(st.sampled_from(["ann", "bob", "cat"]), max_size=3).map(tuple)
KINDS = st.sampled_from(["user", "organization"])
NAMES = st.sampled_from(["One", "Two"])
VARIATION_KEYS = st.sampled_from(["on", "off", "dim"])
VARIATIONS = st.sampled_from(
    [
        (Variation("on", True), Variation("off", False)),
        (Variation("on", True), Variation("off", False), Variation("dim", True)),
        (Variation("off", False),),
    ]
)
INSTANTS = st.sampled_from([datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2)])
EXPECTED = st.one_of(st.none(), st.none(), st.integers(0, 3))


def _rollout(first: str, second: str) -> Serve:
    return Serve(rollout=Rollout(buckets=(Bucket(first, 40_000), Bucket(second, 60_000))))


SERVES = st.one_of(VARIATION_KEYS.map(Serve), st.builds(_rollout, VARIATION_KEYS, VARIATION_KEYS))
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    SEGMENTS.map(lambda key: Leaf("segment", (key,))),
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

TWO_ENVIRONMENTS = c.CreateProject(
    "demo", environments=(c.NewEnvironment("dev"), c.NewEnvironment("live"))
)
"""What each history begins with."""

COMMANDS: st.SearchStrategy[c.Command] = st.one_of(
    st.just(TWO_ENVIRONMENTS),
    st.builds(c.CreateFlag, flag=FLAGS, variations=VARIATIONS, fallthrough=SERVES),
    st.builds(c.CreateFlag, flag=FLAGS),
    st.builds(c.CreateSegment, SEGMENTS, included=MEMBER_LISTS, rules=SEGMENT_RULES),
    st.builds(c.CreateSegment, SEGMENTS),
    st.one_of(
        st.builds(c.RenameProject, NAMES),
        st.builds(c.VoidEvent, st.integers(0, 5), NAMES),
        st.builds(c.CreateEnvironment, ENVIRONMENTS),
        st.builds(c.RenameEnvironment, ENVIRONMENTS, NAMES),
        st.builds(c.SetEnvironmentAttributes, ENVIRONMENTS, st.dictionaries(NAMES, st.booleans())),
        st.builds(c.ProtectEnvironment, ENVIRONMENTS),
        st.builds(c.UnprotectEnvironment, ENVIRONMENTS),
        st.builds(c.DeleteEnvironment, ENVIRONMENTS),
        st.builds(c.IssueSdkKey, ENVIRONMENTS, RULES, sha256=RULES.map(lambda key: key[1] * 64)),
        st.builds(c.RevokeSdkKey, ENVIRONMENTS, RULES),
    ),
    st.one_of(
        st.builds(c.RenameFlag, name=NAMES, **ON_FLAG),
        st.builds(c.DescribeFlag, description=NAMES, **ON_FLAG),
        st.builds(c.TagFlag, tags=st.lists(NAMES, unique=True).map(tuple), **ON_FLAG),
        st.builds(c.AssignMaintainer, maintainer=NAMES, **ON_FLAG),
        st.builds(c.ExposeClientSide, **ON_FLAG),
        st.builds(c.HideClientSide, **ON_FLAG),
        st.builds(c.ArchiveFlag, **ON_FLAG),
        st.builds(c.RestoreFlag, **ON_FLAG),
        st.builds(c.DeleteFlag, **ON_FLAG),
        st.builds(c.ChangeVariations, variations=VARIATIONS, **ON_FLAG),
    ),
    st.one_of(
        st.builds(c.EnableFlag, **ON_SETTINGS),
        st.builds(c.DisableFlag, **ON_SETTINGS),
        st.builds(c.ChangeOffVariation, off_variation=st.none() | VARIATION_KEYS, **ON_SETTINGS),
        st.builds(c.ChangeFallthrough, fallthrough=SERVES, **ON_SETTINGS),
        st.builds(c.ChangeTargets, targets=TARGETS, **ON_SETTINGS),
        st.builds(c.SetExpiry, expires_at=INSTANTS, **ON_SETTINGS),
        st.builds(c.ClearExpiry, **ON_SETTINGS),
        st.builds(c.SetExposureTracking, enabled=st.booleans(), **ON_SETTINGS),
    ),
    st.builds(c.ChangePrerequisites, prerequisites=PREREQUISITES, **ON_SETTINGS),
    st.one_of(
        st.builds(
            c.AddRule, rule=WHOLE_RULES, position=st.none() | st.integers(0, 2), **ON_SETTINGS
        ),
        st.builds(c.ChangeRule, rule=WHOLE_RULES, **ON_SETTINGS),
        st.builds(c.RemoveRule, rule=RULES, **ON_SETTINGS),
        st.builds(c.ReorderRules, order=st.permutations(["r1", "r2"]).map(tuple), **ON_SETTINGS),
    ),
    st.one_of(
        st.builds(c.RenameSegment, SEGMENTS, NAMES),
        st.builds(c.DescribeSegment, SEGMENTS, NAMES),
        st.builds(c.AddSegmentMembers, SEGMENTS, MEMBERS, LISTS, KINDS),
        st.builds(c.RemoveSegmentMembers, SEGMENTS, MEMBERS, LISTS, KINDS),
        st.builds(c.ChangeSegmentRules, SEGMENTS, SEGMENT_RULES),
        st.builds(c.DeleteSegment, SEGMENTS),
    ),
)
"""Any command but DeleteProject, which would end most histories early."""

HISTORIES = st.lists(
    st.one_of(*[COMMANDS] * 30, st.just(c.DeleteProject())), min_size=5, max_size=60
)
"""What may be asked of a project, one after the other; much of it will be refused."""
