"""Which flags meet what is asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from halyard_protocol.conditions import All, AnyOf, Leaf, Not
from halyard_protocol.ruleset import Prerequisite, Rule, Serve, Target, Variation

from domain import commands as c
from server.searching.criteria import Criteria
from server.searching.flag_index import FlagIndex
from tests.support.project_logs import BEGIN, ProjectLog

NOW = BEGIN + timedelta(days=1)
PLACE = ("checkout", "production")


@pytest.fixture
def index() -> FlagIndex:
    log = ProjectLog()
    log.do(
        c.CreateSegment("staff"),
        c.CreateFlag(
            "banner", flag_type="string", variations=(Variation("a", "A"),), maintainer=""
        ),
        c.CreateFlag("checkout", name="Neue KASSE", tags=("web", "pay"), maintainer="ann"),
        c.CreateFlag("old", description="Straße", client_side=True),
        c.ArchiveFlag("old"),
        c.EnableFlag(*PLACE),
        c.AddRule(
            *PLACE,
            Rule(
                "r1",
                All((Not(Leaf("segment", ("staff",))), AnyOf((Leaf("in", ("DE", 7), "country"),)))),
                Serve("on"),
                name="Europe first",
            ),
        ),
        c.ChangeTargets(*PLACE, targets=(Target("on", keys=("ada@example.org",)),)),
        c.ChangePrerequisites(*PLACE, prerequisites=(Prerequisite("banner", ("a",)),)),
    )
    index = FlagIndex()
    index.follow(log.state, len(log.events))
    return index


@pytest.mark.parametrize(
    ("criteria", "keys"),
    [
        ({}, "banner checkout"),
        ({"archived": "any"}, "banner checkout old"),
        ({"archived": "true"}, "old"),
        ({"search": "kasse"}, "checkout"),
        ({"search": "STRASSE", "archived": "any"}, "old"),
        ({"tag": ("web", "pay")}, "checkout"),
        ({"tag": ("web", "ios")}, ""),
        ({"maintainer": "ann"}, "checkout"),
        ({"maintainer": ""}, "banner"),
        ({"type": "string"}, "banner"),
        ({"client_side": True, "archived": "any"}, "old"),
        ({"client_side": False}, "banner checkout"),
        ({"state": "enabled"}, "checkout"),
        ({"state": "enabled", "environment": "development"}, ""),
        ({"state": "disabled"}, "banner"),
        ({"state": "disabled", "environment": "development"}, "banner checkout"),
        ({"segment": "staff"}, "checkout"),
        ({"segment": "staff", "environment": "production"}, "checkout"),
        ({"segment": "staff", "environment": "development"}, ""),
        ({"rules": "europe"}, "checkout"),
        ({"rules": "country"}, "checkout"),
        ({"rules": "7"}, "checkout"),
        ({"rules": "STAFF"}, "checkout"),
        ({"rules": "ADA@"}, "checkout"),
        ({"rules": "banner"}, "checkout"),
        ({"rules": "ada@", "environment": "development"}, ""),
        ({"rules": "europe first DE"}, ""),
        ({"staleness": ("active",)}, "banner checkout"),
        ({"staleness": ("stale", "archived"), "archived": "any"}, "old"),
    ],
)
def test_a_flag_is_found_that_meets_everything(
    index: FlagIndex, criteria: dict[str, Any], keys: str
) -> None:
    (entries,) = index.order("key").chunks(None, descending=False)
    found = Criteria(**criteria).select(entries, NOW)
    assert [entry.flag.key for entry in found] == keys.split()
