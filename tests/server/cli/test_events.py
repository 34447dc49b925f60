from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.cli.conftest import create_project
from tests.support.cli import Halyard, json_of, lines_of, tamper


def test_the_newest_events_are_printed_oldest_first(halyard: Halyard, demo: str) -> None:
    everything = lines_of(halyard("events", "tail", "demo", "--json"))
    seqs = [event["seq"] for event in everything]
    assert seqs == list(range(1, len(seqs) + 1))
    assert everything[0]["type"] == "ProjectCreated"
    assert everything[-1]["type"] == "FlagCreated"
    assert lines_of(halyard("events", "tail", "demo", "-n", "2", "--json")) == everything[-2:]
    assert lines_of(halyard("events", "tail", "demo", "-n", "0", "--json")) == []


def test_the_only_project_need_not_be_named(halyard: Halyard, demo: str) -> None:
    assert "FlagCreated flag checkout by ada" in halyard("events", "tail", "-n", "1").stdout


def test_one_of_several_projects_must_be_named(halyard: Halyard, demo: str) -> None:
    asyncio.run(create_project(demo, "other"))
    result = halyard("events", "tail")
    assert result.exit_code == 2
    assert "name a log: there are demo, other" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--kind", "environment", "entityKind"),
        ("--key", "checkout", "entityKey"),
        ("--environment", "staging", "environment"),
        ("--type", "FlagCreated", "type"),
        ("--actor", "ada", "actorId"),
    ],
)
def test_only_what_was_asked_for_is_printed(
    halyard: Halyard, demo: str, option: str, value: str, field: str
) -> None:
    events = lines_of(halyard("events", "tail", "demo", option, value, "--json"))
    assert events
    assert {event[field] for event in events} == {value}
    assert not lines_of(halyard("events", "tail", "demo", option, "nothing", "--json"))


def test_following_goes_on_with_new_events(halyard: Halyard, demo: str) -> None:
    command = [sys.executable, "-m", "server.cli.main"]
    command += ["events", "tail", "$system", "--follow", "--json"]
    environ = {**os.environ, "HALYARD_DATABASE_URL": demo}
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environ, cwd=root
    ) as tail:
        assert tail.stdout is not None
        asyncio.run(create_account(demo))
        assert '"type":"AccountCreated"' in tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        assert tail.wait() == 130


async def create_account(database_url: str) -> None:
    from domain.system.commands import CreateAccount
    from eventstore.log import SYSTEM_LOG
    from eventstore.pool import create_pool
    from eventstore.store import EventStore
    from server.writing.submission import Submission
    from server.writing.writers import Writers

    async with create_pool(database_url) as pool, asyncio.TaskGroup() as tasks:
        writers = Writers(EventStore(pool), tasks, lambda _log, _seq: None)
        command = CreateAccount(account="account-1", role="admin")
        await writers.submit(SYSTEM_LOG, Submission.of("setup", command))
        writers.stop()


def test_one_event_is_shown_with_all_that_is_stored(halyard: Halyard, demo: str) -> None:
    event = json_of(halyard("events", "show", "demo", "1", "--json"))
    assert event["type"] == "ProjectCreated"
    assert event["body"]["name"] == "Demo"
    assert len(bytes.fromhex(event["hash"])) == 32
    table = halyard("events", "show", "demo", "1").stdout
    assert event["hash"] in table
    assert '"name": "Demo"' in table


def test_an_event_that_is_not_there_is_said_so(halyard: Halyard, demo: str) -> None:
    result = halyard("events", "show", "demo", "999")
    assert result.exit_code == 1
    assert "log 'demo' has no event 999" in result.stderr


def test_an_intact_log_verifies(halyard: Halyard, demo: str) -> None:
    [found] = json_of(halyard("events", "verify", "--json"))["logs"]
    assert found["log"] == "demo"
    assert found["events"] == found["seq"] > 0
    assert found["problems"] == []
    checkpoint = f"{found['seq']}:{found['hash']}"
    assert halyard("events", "verify", "demo", "--checkpoint", checkpoint).exit_code == 0


def test_an_altered_event_is_found(halyard: Halyard, demo: str) -> None:
    tamper(demo, "UPDATE event SET actor_id = 'eve' WHERE log_id = 'demo' AND seq = 2")
    [found] = json_of(halyard("events", "verify", "--json"), exit_code=4)["logs"]
    assert [problem["seq"] for problem in found["problems"]] == [2]
    table = halyard("events", "verify", "demo").stdout
    assert "1 problems" in table
    assert "the hash does not follow" in table


def test_a_rewritten_log_is_found_by_a_checkpoint(halyard: Halyard, demo: str) -> None:
    kept = f"1:{'00' * 32}"
    [found] = json_of(
        halyard("events", "verify", "demo", "--checkpoint", kept, "--json"), exit_code=4
    )["logs"]
    assert found["problems"][0]["what"] == "the hash is not that of the checkpoint"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "1:00"], "a checkpoint belongs to one log"),
        (["demo", "--checkpoint", "one:00"], "'one:00' is no checkpoint; it takes SEQ:HASH"),
        (["demo", "--checkpoint", "1:xyz"], "'1:xyz' is no checkpoint; it takes SEQ:HASH"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_is_refused(
    halyard: Halyard, demo: str, arguments: list[str], message: str
) -> None:
    result = halyard("events", "verify", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_event_that_can_be_applied_is_not_voided(halyard: Halyard, demo: str) -> None:
    result = halyard("events", "void", "2", "--reason", "a whim")
    assert result.exit_code == 1
    assert "every event of 'demo' can be applied" in result.stderr


def test_voiding_the_event_that_poisons_a_log_lets_it_go_on(halyard: Halyard, demo: str) -> None:
    last = lines_of(halyard("events", "tail", "demo", "-n", "1", "--json"))[0]["seq"]
    tamper(demo, f"update event set type = 'FlagPainted' where log_id = 'demo' and seq = {last}")
    asyncio.run(create_project(demo, "other"))
    wrong = halyard("events", "void", str(last - 1), "--reason", "nobody knows it", "--log", "demo")
    assert wrong.exit_code == 1
    assert f"is {last}, not {last - 1}" in wrong.stderr
    voided = json_of(
        halyard("events", "void", last, "--reason", "nobody knows it", "--log", "demo", "--json")
    )
    assert voided == {"log": "demo", "voided": last, "seq": last + 1}
    newest = lines_of(halyard("events", "tail", "demo", "-n", "1", "--json"))[0]
    assert newest["type"] == "EventVoided"
    assert newest["body"] == {"seq": last, "reason": "nobody knows it"}
    again = halyard("events", "void", last, "--reason", "again", "--log", "demo")
    assert "every event of 'demo' can be applied" in again.stderr
    issued = halyard("keys", "issue", "demo", "development")
    assert issued.exit_code == 0, issued.stderr


@pytest.mark.parametrize("command", ["verify", "tail"])
def test_a_log_that_does_not_exist_is_not_taken_for_a_quiet_one(
    halyard: Halyard, demo: str, command: str
) -> None:
    result = halyard("events", command, "nope")
    assert result.exit_code == 1
    assert "there is no log 'nope'" in result.stderr
