from __future__ import annotations

import pytest
import redis

from tests.support.cli import Halyard, json_of, tamper


def verdicts(halyard: Halyard, exit_code: int = 4) -> dict[str, str]:
    """The verdict by the name of each check. The servers of tests are not durable: that is 4."""
    checks = json_of(halyard("doctor", "--json"), exit_code)["checks"]
    return {check["name"]: check["verdict"] for check in checks}


def test_a_sound_installation_is_well_but_for_the_durability_of_test_servers(
    halyard: Halyard, demo: str
) -> None:
    assert halyard("projections", "rebuild").exit_code == 0
    found = verdicts(halyard)
    assert found.pop("durable commits") == "wrong"
    assert set(found.values()) == {"well"}
    assert found.keys() >= {
        "PostgreSQL version",
        "schema",
        "clocks",
        "Redis version",
        "Redis keeps everything",
        "file descriptors",
        "chain demo",
        "ruleset demo/production",
    }


def test_what_to_do_stands_beside_what_was_found(halyard: Halyard, demo: str) -> None:
    table = halyard("doctor").stdout
    assert "acknowledged must mean durable" in table
    assert "start a server with the role projector" in table


def test_redis_that_may_forget_is_wrong(halyard: Halyard, demo: str, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert verdicts(halyard)["Redis keeps everything"] == "wrong"
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_an_altered_log_is_wrong(halyard: Halyard, demo: str) -> None:
    tamper(demo, "UPDATE event SET actor_id = 'eve' WHERE log_id = 'demo' AND seq = 2")
    assert verdicts(halyard)["chain demo"] == "wrong"


def test_only_the_newest_events_of_a_long_log_are_read(
    halyard: Halyard, demo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.cli.examining.NEWEST_EVENTS", 2)
    checks = json_of(halyard("doctor", "--json"), 4)["checks"]
    found = [check["found"] for check in checks if check["name"] == "chain demo"]
    assert found == ["the newest 2 events are intact"]


def test_a_missing_schema_is_wrong_and_says_what_to_run(
    halyard: Halyard, empty_database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALYARD_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("HALYARD_REDIS_URL", redis_url)
    assert verdicts(halyard)["schema"] == "wrong"
    assert "halyard db migrate" in halyard("doctor").stdout


def test_what_does_not_answer_does_not_hide_the_rest(
    halyard: Halyard, demo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALYARD_REDIS_URL", "redis://127.0.0.1:1")
    found = verdicts(halyard)
    assert found["Redis"] == "wrong"
    assert found["chain demo"] == "well"
    monkeypatch.setenv("HALYARD_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert verdicts(halyard)["database"] == "wrong"
