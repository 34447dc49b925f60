from __future__ import annotations

import asyncio

import asyncpg
import pytest
from halyard_protocol.conditions import Leaf
from halyard_protocol.ruleset import Prerequisite, Rule, Serve

from domain import commands as c
from domain import state as states
from domain.errors import Refusal, StaleRevision, UnknownEntity
from domain.facts import Entity
from eventstore.log import Snapshot
from eventstore.pool import create_pool
from eventstore.store import EventStore
from server.credentials import new_id
from server.writing.deciders import PROJECT
from server.writing.errors import IdempotencyMismatch, LogPoisoned, LogUnknown, NotReached
from server.writing.history import StaleWithEvents
from server.writing.submission import Answer, Submission
from server.writing.writers import Writers
from tests.server.writing.conftest import Starter
from tests.support.projecting import truncated


async def ask(
    writers: Writers,
    *commands: c.Command,
    actor: str = "ann",
    key: str | None = None,
    request: bytes = b"",
) -> Answer:
    complete = [c.complete(command, new_id) for command in commands]
    submission = Submission.of(actor, *complete, idempotency_key=key, request=request)
    return await writers.submit("shop", submission)


def enable(flag: str, environment: str = "development", expected: int | None = None) -> c.Command:
    return c.EnableFlag(flag=flag, environment=environment, expected_revision=expected)


def disable(flag: str, environment: str = "development", expected: int | None = None) -> c.Command:
    return c.DisableFlag(flag=flag, environment=environment, expected_revision=expected)


async def outcomes(*asked: object) -> tuple[list[Answer], list[Exception]]:
    results = await asyncio.gather(*asked, return_exceptions=True)  # type: ignore[call-overload]
    accepted = [result for result in results if isinstance(result, Answer)]
    return accepted, [result for result in results if isinstance(result, Exception)]


async def test_an_accepted_command_is_answered_with_its_place_in_the_log(writers: Writers) -> None:
    created = await ask(writers, c.CreateFlag(flag="banner"))
    enabled = await ask(writers, enable("banner"))
    assert enabled.seq == created.seq + 1
    assert enabled.revision == 1
    assert [event.type for event in enabled.events] == ["FlagEnabled"]
    folded = await writers.state("shop")
    assert folded.seq == enabled.seq
    assert folded.state.settings["banner", "development"].enabled


async def test_a_command_that_changes_nothing_is_accepted_without_an_event(
    writers: Writers,
) -> None:
    created = await ask(writers, c.CreateFlag(flag="banner"))
    answer = await ask(writers, disable("banner"))
    assert (answer.seq, answer.events) == (created.seq, ())


async def test_events_name_what_their_submission_carries_out(
    writers: Writers, database_url: str
) -> None:
    command = c.complete(c.CreateFlag(flag="banner"), new_id)
    for causation_id in ("", "revert:1"):
        submission = Submission.of("ann", command, causation_id=causation_id)
        seq = (await writers.submit("shop", submission)).seq
        async with create_pool(database_url, max_size=1) as pool:
            [event] = await EventStore(pool).read("shop", seq - 1, 1)
        assert event.causation_id == (causation_id or None)
        command = c.RenameFlag("banner", "Another")


async def test_an_atomic_batch_refused_midway_leaves_no_trace(writers: Writers) -> None:
    before = await writers.state("shop")
    seq, digest = before.seq, states.digest(before.state)
    with pytest.raises(UnknownEntity):
        await ask(writers, c.CreateFlag(flag="one"), c.CreateFlag(flag="two"), enable("three"))
    after = await writers.state("shop")
    assert (after.seq, states.digest(after.state)) == (seq, digest)


async def test_one_idempotency_key_from_eight_callers_takes_effect_once(
    writers: Writers, start: Starter
) -> None:
    other = await start()
    asked = [
        ask(at, c.CreateFlag(flag="banner", salt="s"), key="k1", request=b"same")
        for at in (writers, other) * 4
    ]
    accepted, refused = await outcomes(*asked)
    assert refused == []
    assert {answer.seq for answer in accepted} == {accepted[0].seq}
    assert sum(not answer.replayed for answer in accepted) == 1
    assert (await writers.state("shop", accepted[0].seq)).seq == accepted[0].seq


async def test_a_key_with_another_request_is_refused(writers: Writers) -> None:
    await ask(writers, c.CreateFlag(flag="one"), key="k1", request=b"one")
    with pytest.raises(IdempotencyMismatch):
        await ask(writers, c.CreateFlag(flag="two"), key="k1", request=b"two")


async def test_a_repeated_key_is_answered_from_the_record_even_where_it_would_now_be_refused(
    writers: Writers,
) -> None:
    first = await ask(writers, c.CreateFlag(flag="one"), key="k1", request=b"one")
    again = await ask(writers, c.CreateFlag(flag="one"), key="k1", request=b"one")
    assert again.replayed
    assert again.seq == first.seq


async def test_thirty_two_writers_through_two_processes_lose_no_update(
    writers: Writers, start: Starter
) -> None:
    other = await start()
    await ask(writers, c.CreateFlag(flag="banner"))

    async def toggle(number: int) -> Answer:
        command = enable if number % 2 else disable
        await barrier.wait()
        return await ask((writers, other)[number % 2], command("banner", expected=0))

    barrier = asyncio.Barrier(32)
    accepted, refused = await outcomes(*(toggle(number) for number in range(32)))
    changed = [answer for answer in accepted if answer.events]
    assert len(changed) == 1
    stale = [error for error in refused if isinstance(error, StaleWithEvents)]
    assert len(stale) == len(refused)
    assert {error.between[0].seq for error in stale} == {changed[0].seq}
    entity = Entity("flag", "banner", "development")
    assert (await other.state("shop", changed[0].seq)).state.revision(entity) == 1


async def test_every_loser_who_reads_again_gets_through_in_the_end(
    writers: Writers, start: Starter
) -> None:
    other = await start()
    await ask(writers, c.CreateFlag(flag="banner"))
    entity = Entity("flag", "banner", "development")

    async def describe_once(number: int) -> int:
        at, revision = (writers, other)[number % 2], 0
        while True:
            rule = Rule(
                id=f"r{number}",
                when=Leaf("equals", (str(number),), "team"),
                serve=Serve(variation="on"),
            )
            command = c.AddRule(
                flag="banner", environment="development", rule=rule, expected_revision=revision
            )
            try:
                return (await ask(at, command, actor=f"a{number}")).revision
            except StaleRevision as stale:
                revision = stale.actual

    revisions = await asyncio.gather(*(describe_once(number) for number in range(32)))
    assert sorted(revisions) == list(range(1, 33))
    seq = max([(await at.state("shop")).seq for at in (writers, other)])
    state = (await other.state("shop", seq)).state
    assert {rule.id for rule in state.settings["banner", "development"].rules} == {
        f"r{number}" for number in range(32)
    }
    assert state.revision(entity) == 32


async def test_two_prerequisites_that_would_form_a_cycle_do_not_both_win(
    writers: Writers, start: Starter
) -> None:
    other = await start()
    for number in range(8):
        a, b = f"a{number}", f"b{number}"
        await ask(writers, c.CreateFlag(flag=a), c.CreateFlag(flag=b))
        accepted, refused = await outcomes(ask(writers, _needs(a, b)), ask(other, _needs(b, a)))
        assert (len(accepted), len(refused)) == (1, 1)
        assert isinstance(refused[0], Refusal)


def _needs(flag: str, other: str) -> c.Command:
    return c.ChangePrerequisites(
        flag=flag, environment="production", prerequisites=(Prerequisite(other, ("on",)),)
    )


async def test_a_segment_is_not_deleted_and_used_at_once(writers: Writers, start: Starter) -> None:
    other = await start()
    await ask(writers, c.CreateFlag(flag="banner"))
    for number in range(8):
        segment = f"s{number}"
        await ask(writers, c.CreateSegment(segment=segment))
        rule = Rule(id=segment, when=Leaf("segment", (segment,)), serve=Serve(variation="on"))
        accepted, refused = await outcomes(
            ask(writers, c.DeleteSegment(segment=segment)),
            ask(other, c.AddRule(flag="banner", environment="staging", rule=rule)),
        )
        assert (len(accepted), len(refused)) == (1, 1)
        assert isinstance(refused[0], Refusal)


async def test_a_process_that_is_always_behind_is_not_starved(
    writers: Writers, start: Starter
) -> None:
    other = await start()
    done = asyncio.Event()

    async def busy(worker: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            await ask(other, c.CreateSegment(segment=f"w{worker}-{number}"))

    async with asyncio.TaskGroup() as tasks:
        for worker in range(8):
            tasks.create_task(busy(worker))
        async with asyncio.timeout(30):
            for number in range(10):
                await ask(writers, c.CreateFlag(flag=f"f{number}"))
        done.set()
    assert len((await writers.state("shop")).state.flags) == 10


_KILL_OTHERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


async def test_lost_connections_neither_lose_nor_repeat_a_command(
    writers: Writers, database_url: str
) -> None:
    killer = await asyncpg.connect(database_url)
    killed = 0
    answers: list[Answer] = []
    for number in range(40):
        asked = asyncio.create_task(ask(writers, c.CreateSegment(segment=f"s{number}")))
        # Let the append get further before each kill: some die before it, some in it, some after.
        for _ in range(number % 7):
            await asyncio.sleep(0)
        killed += len(await killer.fetch(_KILL_OTHERS))
        answers.append(await asked)
    assert killed > 0
    rows = await killer.fetch("select entity_key from event where type = 'SegmentCreated'")
    await killer.close()
    assert sorted(row[0] for row in rows) == sorted(f"s{n}" for n in range(40))
    assert len({answer.seq for answer in answers}) == 40


async def test_the_state_equals_a_fresh_fold_of_the_log(writers: Writers, start: Starter) -> None:
    other = await start()
    await ask(writers, c.CreateFlag(flag="banner"), c.CreateSegment(segment="friends"))
    await asyncio.gather(
        *(
            ask((writers, other)[n % 2], (enable, disable)[n % 3 % 2]("banner"), actor=f"a{n}")
            for n in range(40)
        )
    )
    fresh = await (await start()).state("shop")
    for at in (writers, other):
        folded = await at.state("shop", fresh.seq)
        assert (folded.seq, folded.hash) == (fresh.seq, fresh.hash)
        assert states.digest(folded.state) == states.digest(fresh.state)


async def test_any_past_seq_can_be_looked_at(writers: Writers) -> None:
    await ask(writers, c.CreateFlag(flag="banner"))
    enabled = await ask(writers, enable("banner"))
    await ask(writers, disable("banner"))
    past = await writers.state_at("shop", enabled.seq)
    assert past.state.settings["banner", "development"].enabled
    assert past.seq == enabled.seq
    by_time = await writers.state_at("shop", past.last_at)
    assert by_time.seq == enabled.seq


async def test_a_reader_waits_for_the_seq_it_asks_for(writers: Writers, start: Starter) -> None:
    other = await start()
    await other.state("shop")
    created = await ask(writers, c.CreateFlag(flag="banner"))
    assert "banner" in (await other.state("shop", created.seq)).state.flags


async def test_a_seq_that_does_not_come_is_said_so(
    writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.writing.writers.MIN_SEQ_TIMEOUT_S", 0.05)
    with pytest.raises(NotReached):
        await writers.state("shop", 10_000)


async def test_an_unknown_project_costs_nothing(writers: Writers) -> None:
    with pytest.raises(LogUnknown):
        await writers.state("nowhere")
    with pytest.raises(LogUnknown):
        await writers.submit("nowhere", Submission.of("ann", enable("x")))
    assert await writers.projects() == ("shop",)


async def test_a_refusal_in_a_batch_says_which_command_it_was(writers: Writers) -> None:
    with pytest.raises(UnknownEntity) as refused:
        await ask(writers, c.CreateFlag(flag="one"), c.CreateFlag(flag="two"), enable("three"))
    assert refused.value.command_number == 2
    with pytest.raises(UnknownEntity) as refused:
        await ask(writers, enable("three"))
    assert refused.value.command_number is None


async def restore_to(store: EventStore, seq: int, *, bump: bool) -> None:
    """As a restore of PostgreSQL would leave the log: nothing after ``seq``."""
    await truncated(store._pool, "shop", seq)
    if bump:
        await store.bump_epoch("shop")


@pytest.mark.parametrize("bump", [True, False])
async def test_a_restored_log_replaces_the_state_of_every_running_writer(
    writers: Writers, start: Starter, bump: bool
) -> None:
    other = await start()
    kept = await ask(writers, c.CreateFlag(flag="kept"))
    for name in ("lost-a", "lost-b", "lost-c"):
        lost = await ask(writers, c.CreateFlag(flag=name))
    await other.state("shop", lost.seq)
    await restore_to(writers._store, kept.seq, bump=bump)
    for name in ("new-a", "new-b", "new-c", "new-d", "new-e"):
        new = await ask(writers, c.CreateFlag(flag=name))
    folded = await other.state("shop", new.seq)
    assert set(folded.state.flags) == {
        "kept",
        "new-a",
        "new-b",
        "new-c",
        "new-d",
        "new-e",
    }
    with pytest.raises(UnknownEntity):
        await ask(other, enable("lost-b"))
    assert (await ask(other, enable("new-b"))).events


async def test_a_restore_is_noticed_without_a_word_from_anybody(
    writers: Writers, start: Starter
) -> None:
    other = await start()
    kept = await ask(writers, c.CreateFlag(flag="kept"))
    lost = await ask(writers, c.CreateFlag(flag="lost"))
    await other.state("shop", lost.seq)
    await restore_to(writers._store, kept.seq, bump=True)
    async with asyncio.timeout(10):
        while "lost" in (await other.state("shop")).state.flags:
            await asyncio.sleep(0.01)


async def test_growth_is_noticed_without_a_wake_up(writers: Writers, start: Starter) -> None:
    other = await start()
    await other.state("shop")
    created = await ask(writers, c.CreateFlag(flag="banner"))
    async with asyncio.timeout(10):
        while (await other.state("shop")).seq < created.seq:
            await asyncio.sleep(0.01)


async def test_a_missing_event_stops_its_own_log_and_no_other(
    writers: Writers, start: Starter
) -> None:
    await ask(writers, c.CreateFlag(flag="one"), c.CreateFlag(flag="two"))
    fine = complete_project("fine")
    await writers.submit("fine", fine)
    pool = writers._store._pool
    await pool.execute("alter table event disable trigger all")
    await pool.execute("delete from event where log_id = 'shop' and seq = 3")
    other = await start()
    with pytest.raises(LogPoisoned):
        await other.state("shop")
    with pytest.raises(LogPoisoned):
        await ask(other, c.CreateFlag(flag="three"))
    assert (await other.state("fine")).state.project is not None
    assert await other.projects() == ("fine", "shop")


def complete_project(key: str) -> Submission:
    return Submission.of("setup", c.complete(c.CreateProject(project=key, name=key), new_id))


async def test_a_head_that_does_not_fit_is_said_so_and_not_tried_for_ever(
    writers: Writers,
) -> None:
    await ask(writers, c.CreateFlag(flag="one"))
    await writers._store._pool.execute(
        "update log_head set last_hash = sha256('x') where log_id = 'shop'"
    )
    with pytest.raises(LogPoisoned):
        await ask(writers, c.CreateFlag(flag="two"))


async def test_an_unreadable_snapshot_costs_time_only(writers: Writers, start: Starter) -> None:
    created = await ask(writers, c.CreateFlag(flag="one"))
    folded = await writers.state("shop")
    await writers._store.save_snapshot(
        Snapshot("shop", PROJECT.fold, states.FOLD_VERSION, folded.seq, folded.hash, b"{}")
    )
    assert (await (await start()).state("shop")).seq == created.seq


async def test_nobody_sees_half_an_atomic_batch(writers: Writers, start: Starter) -> None:
    other = await start()
    await other.state("shop")
    seen: set[int] = set()
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            seen.add((await other.state("shop")).seq)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    ends = {(await writers.state("shop")).seq}
    for batch in range(4):
        commands = [c.CreateSegment(segment=f"s{batch}-{n}") for n in range(400)]
        ends.add((await ask(writers, *commands)).seq)
    ends.add((await ask(other, c.CreateFlag(flag="last"))).seq)
    done.set()
    await watching
    assert seen <= ends


async def test_a_refused_project_leaves_nothing_behind(writers: Writers) -> None:
    for number in range(5):
        key = f"Bad {number}!"
        with pytest.raises(Refusal):
            await writers.submit(key, complete_project(key))
        assert not await writers.exists(key)
    assert set(writers._projects) == {"shop"}


async def test_states_used_longest_ago_make_room(
    writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.writing.writers.MAX_IN_USE", 3)
    for key in ("a", "b", "c", "d"):
        await writers.submit(key, complete_project(key))
    # Which of the others made room, and whether one could, depends on who was just reading on.
    assert list(writers._projects)[-1] == "d"
    assert len(writers._projects) <= 4
    for key in ("a", "b", "c", "shop"):
        assert (await writers.state(key)).state.project is not None
        assert list(writers._projects)[-1] == key
        assert len(writers._projects) <= 4
