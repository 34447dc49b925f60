"""An index that has followed a state is what a new one of the same state is."""

from __future__ import annotations

import asyncio
import random
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain.facts import Entity
from domain.pages import dump, load, pages_of
from domain.state import Mark, ProjectState
from server.searching import flag_index, past_flags
from server.searching.criteria import Criteria
from server.searching.entries import FlagEntry, flag_entry
from server.searching.flag_index import FlagIndex
from server.searching.orders import SortBy, entry_place
from server.searching.past_flags import PastFlags
from server.writing.deciders import PROJECT
from server.writing.folded_log import FoldedLog
from tests.support.project_logs import BEGIN, SEGMENTS, ProjectLog, random_log

seeds = st.integers(0, 2**32).map(random.Random)
SORTS: tuple[SortBy, ...] = ("key", "name", "created", "changed")


def contents(index: FlagIndex) -> object:
    orders = {
        by: [entry for chunk in index.order(by).chunks(None, descending=False) for entry in chunk]
        for by in SORTS
    }
    return orders, {segment: index.users(segment) for segment in SEGMENTS}


def fresh(log: ProjectLog) -> FlagIndex:
    index = FlagIndex()
    index.follow(log.state, len(log.events))
    return index


@settings(max_examples=60)
@given(seeds, st.integers(1, 40))
def test_following_a_state_finds_what_a_look_at_every_row_finds(
    draw: random.Random, deltas: int
) -> None:
    log, index = ProjectLog(), FlagIndex()
    for _ in range(deltas):
        log.do_any(draw, draw.choice((1, 1, 3)))
        if draw.random() < 0.7:
            index.follow(log.state, len(log.events))
            assert contents(index) == contents(fresh(log))


CRITERIA = st.builds(
    Criteria,
    search=st.sampled_from(("", "a", "NAME 1", "is")),
    tag=st.sampled_from(((), ("tag-1",))),
    archived=st.sampled_from(("true", "false", "any")),
    client_side=st.sampled_from((None, True, False)),
    maintainer=st.sampled_from((None, "ann", "acc-1")),
    state=st.sampled_from((None, "enabled", "disabled")),
    environment=st.sampled_from((None, "production")),
    segment=st.sampled_from((None, None, SEGMENTS[0])),
    rules=st.sampled_from(("", "de", "user-1")),
    staleness=st.sampled_from(((), ("active", "archived"))),
)


def past_state(log: ProjectLog, snapshot_seq: int) -> ProjectState:
    """The state as it is read of a snapshot, and of the events since: not before it is asked."""
    before, past = FoldedLog(log.log_id, PROJECT), FoldedLog(log.log_id, PROJECT)
    before.apply(log.events[:snapshot_seq])
    past.begin_at(load(dump(before.state)), before.seq, before.hash)
    past.wait_for_readers()
    past.apply(log.events[snapshot_seq:])
    return past.state


@settings(max_examples=60)
@given(seeds, st.integers(1, 40), CRITERIA, st.sampled_from(SORTS), st.booleans(), st.booleans())
def test_a_state_that_was_is_looked_through_with_the_same_result(
    draw: random.Random,
    deltas: int,
    criteria: Criteria,
    by: SortBy,
    descending: bool,
    from_within: bool,
) -> None:
    log = random_log(draw, deltas)
    index, past = fresh(log), PastFlags(past_state(log, draw.randint(0, len(log.events))))
    some = [entry for chunk in index.order(by).chunks(None, descending=False) for entry in chunk]
    after = entry_place(by, draw.choice(some)) if from_within and some else None
    one, other = (
        list(flags.find(criteria, BEGIN, by, after, descending=descending))
        for flags in (index, past)
    )
    assert one == other
    assert [index.users(each) for each in SEGMENTS] == [past.users(each) for each in SEGMENTS]
    assert [index.count_users(each) for each in SEGMENTS] == [
        past.count_users(each) for each in SEGMENTS
    ]


@pytest.mark.parametrize("criteria", [Criteria(rules="x"), Criteria(state="enabled")])
def test_no_entry_is_made_of_what_a_glance_at_its_settings_rules_out(
    criteria: Criteria, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ProjectLog()
    log.do(c.CreateFlag("alpha"), c.CreateFlag("beta"))
    made: list[str] = []

    def counted(state: ProjectState, key: str) -> FlagEntry:
        made.append(key)
        return flag_entry(state, key)

    monkeypatch.setattr(past_flags, "flag_entry", counted)
    assert not list(PastFlags(log.state).find(criteria, BEGIN))
    assert made == []


def test_a_page_of_flags_by_key_reads_no_others() -> None:
    log = ProjectLog()
    log.do(*(c.CreateFlag(key) for key in "abcdef"))
    created = len(log.events)
    log.do(c.DeleteFlag("b"), c.CreateFlag("g"))
    past = past_state(log, created)
    found = islice(PastFlags(past).find(Criteria(), BEGIN), 2)
    assert [entry.flag.key for entry in found] == ["a", "c"]
    pages = pages_of(past)
    assert pages is not None
    assert sorted(pages.unread("flag")) == ["d", "e", "f", "g"]
    rest = PastFlags(past).find(Criteria(), BEGIN, descending=True)
    assert [entry.flag.key for entry in rest] == ["g", "f", "e", "d", "c", "a"]


def test_rows_without_a_mark_are_found_with_their_environment() -> None:
    log, index = ProjectLog(), FlagIndex()
    log.do(c.CreateFlag("alpha"), c.CreateEnvironment("sandbox"))
    log.do(c.EnableFlag("alpha", "sandbox"))
    index.follow(log.state, len(log.events))
    # The same key stands for another environment, between two looks.
    log.do(c.DeleteEnvironment("sandbox"), c.CreateEnvironment("sandbox"))
    index.follow(log.state, len(log.events))
    assert not index["alpha"].is_enabled
    assert contents(index) == contents(fresh(log))


def test_nothing_is_left_of_a_project_that_was_deleted_and_created_again() -> None:
    log, index = ProjectLog(), FlagIndex()
    log.do(c.CreateFlag("alpha"))
    index.follow(log.state, len(log.events))
    log.do(c.DeleteEnvironment("development"), c.DeleteEnvironment("production"))
    index.follow(log.state, len(log.events))
    log.do(c.DeleteProject())
    log.do(c.CreateProject("demo", environments=()), c.CreateFlag("beta"))
    index.follow(log.state, len(log.events))
    assert contents(index) == contents(fresh(log))


def test_an_event_that_is_passed_over_moves_the_flag_all_the_same() -> None:
    log, index = ProjectLog(), FlagIndex()
    log.do(c.CreateFlag("alpha"))
    index.follow(log.state, len(log.events))
    seq = len(log.events) + 1
    log.state.marks.put(Entity("flag", "alpha"), Mark(2, seq, None))
    index.follow(log.state, seq)
    assert index["alpha"].changed.seq == seq


def test_what_did_not_change_is_not_made_anew() -> None:
    log, index = ProjectLog(), FlagIndex()
    log.do(c.CreateFlag("alpha"), c.CreateFlag("beta"))
    index.follow(log.state, len(log.events))
    alpha, beta = index["alpha"], index["beta"]
    log.do(c.EnableFlag("alpha", "production"))
    index.follow(log.state, len(log.events))
    assert index["beta"] is beta
    assert index["alpha"].settings["development"] is alpha.settings["development"]
    assert index["alpha"] == flag_entry(log.state, "alpha")


async def test_what_changes_while_an_index_begins_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flag_index, "SLICE_S", 0.0)  # the loop gets its turn after each flag
    log, index = ProjectLog(), FlagIndex()
    log.do(*(c.CreateFlag(f"flag-{number}") for number in range(20)))
    beginning = asyncio.ensure_future(index.begin(log.state, len(log.events)))
    same = asyncio.ensure_future(index.begin(log.state, len(log.events)))
    for _ in range(3):  # some flags are there, and others are not
        await asyncio.sleep(0)
    log.do(c.EnableFlag("flag-0", "production"), c.DeleteFlag("flag-19"), c.CreateFlag("new"))
    log.do(c.CreateEnvironment("sandbox"))
    await asyncio.gather(beginning, same)
    assert index.covers(log.state)
    index.follow(log.state, len(log.events))
    assert contents(index) == contents(fresh(log))


def test_another_state_is_another_index() -> None:
    log, other, index = ProjectLog(), ProjectLog(), FlagIndex()
    log.do(c.CreateFlag("alpha"))
    other.do(c.CreateFlag("beta"))
    index.follow(log.state, len(log.events))
    index.follow(other.state, len(other.events))
    assert index.covers(other.state)
    assert contents(index) == contents(fresh(other))
