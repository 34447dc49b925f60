from __future__ import annotations

import pytest
import redis

from tests.support.cli import Halyard, json_of

ENVIRONMENTS = ["development", "production", "staging"]


def test_rulesets_that_are_not_there_are_behind_by_the_whole_log(
    halyard: Halyard, demo: str
) -> None:
    found = json_of(halyard("projections", "status", "--json"))["rulesets"]
    assert [at["environment"] for at in found] == ENVIRONMENTS
    assert all(at["seq"] is None and at["behind"] == at["logSeq"] > 0 for at in found)


def test_rebuilding_makes_what_is_missing_and_verifying_says_so(
    halyard: Halyard, demo: str
) -> None:
    missing = json_of(halyard("projections", "verify", "--json"), exit_code=4)["rulesets"]
    assert {each["finding"]["problem"] for each in missing} == {"missing"}
    done = json_of(halyard("projections", "rebuild", "--json"))["rulesets"]
    assert {each["rebuilt"]["outcome"] for each in done} == {"rebuilt"}
    assert halyard("projections", "verify").exit_code == 0
    status = json_of(halyard("projections", "status", "demo", "--json"))["rulesets"]
    assert {at["behind"] for at in status} == {0}


def test_a_dry_run_names_what_differs_and_changes_nothing(
    halyard: Halyard, demo: str, redis_url: str
) -> None:
    assert halyard("projections", "rebuild").exit_code == 0
    with redis.Redis.from_url(redis_url) as client:
        for name in client.keys("*:documents"):
            client.hdel(name, "flag:checkout")
    for _ in range(2):
        result = halyard("projections", "rebuild", "demo", "--dry-run")
        assert result.exit_code == 4
        assert result.stdout.count("flag:checkout") == len(ENVIRONMENTS)
    assert halyard("projections", "rebuild").exit_code == 0
    assert halyard("projections", "rebuild", "--dry-run").exit_code == 0


def test_a_project_that_is_not_there_is_said_so(halyard: Halyard, demo: str) -> None:
    result = halyard("projections", "verify", "nothing")
    assert result.exit_code == 1
    assert "there is no project 'nothing'" in result.stderr


def test_without_redis_it_says_what_to_set(
    halyard: Halyard, demo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HALYARD_REDIS_URL")
    result = halyard("projections", "status")
    assert result.exit_code == 2
    assert "HALYARD_REDIS_URL is required" in result.stderr
