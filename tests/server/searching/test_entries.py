"""What becomes of a flag as time passes."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain import commands as c
from server.searching.entries import flag_entry
from server.searching.staleness import STALE_AFTER
from tests.support.project_logs import BEGIN, ProjectLog

SOON = BEGIN + timedelta(days=1)
LATE = BEGIN + STALE_AFTER + timedelta(days=1)


def staleness(now: datetime, *commands: c.Command) -> str:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"), *commands)
    return flag_entry(log.state, "alpha").staleness(now)


def enabled() -> tuple[c.Command, ...]:
    return c.EnableFlag("alpha", "development"), c.EnableFlag("alpha", "production")


def test_a_flag_that_gives_everybody_the_same_is_stale_after_a_month() -> None:
    assert staleness(SOON, *enabled()) == "active"
    assert staleness(LATE, *enabled()) == "stale"


def test_a_flag_that_differs_between_environments_still_decides_something() -> None:
    assert staleness(LATE, enabled()[0]) == "active"


def test_a_flag_that_was_never_set_anywhere_is_unused_after_a_month() -> None:
    assert staleness(SOON) == "active"
    assert staleness(LATE) == "unused"
    assert staleness(LATE, c.RenameFlag("alpha", name="A")) == "unused"


def test_a_flag_past_its_expiry_is_expired_where_it_is_enabled() -> None:
    expiry = c.SetExpiry("alpha", "production", expires_at=SOON)
    assert staleness(SOON - timedelta(seconds=1), *enabled(), expiry) == "active"
    assert staleness(SOON, *enabled(), expiry) == "expired"
    assert staleness(SOON, enabled()[0], expiry) == "active"


def test_a_flag_that_is_tagged_permanent_stays() -> None:
    assert staleness(LATE, c.TagFlag("alpha", tags=("permanent",))) == "permanent"


def test_an_archived_flag_is_archived_whatever_else_it_is() -> None:
    tag = c.TagFlag("alpha", tags=("permanent",))
    assert staleness(LATE, tag, c.ArchiveFlag("alpha")) == "archived"
