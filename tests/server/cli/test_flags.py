"""`halyard flags` asks a running server, and shows what that answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.cli import Halyard, json_of


@pytest.fixture
def flag(api: httpx.Client, project: str) -> str:
    """The key of a boolean flag of the project."""
    body = {"key": "checkout", "tags": ["shop"], "comment": "begun"}
    assert api.post(f"/projects/{project}/flags", json=body).status_code == 201
    return "checkout"


def listed(halyard: Halyard, project: str, *options: str) -> list[str]:
    found = json_of(halyard("flags", "list", project, *options, "--json"))["flags"]
    return [each["key"] for each in found]


def shown(halyard: Halyard, project: str, flag: str, *options: str) -> dict[str, Any]:
    answer: dict[str, Any] = json_of(halyard("flags", "show", project, flag, *options, "--json"))
    return answer


def test_a_flag_is_created_as_it_is_described(project: str, halyard: Halyard) -> None:
    created = halyard(
        *("flags", "create", project, "banner", "--name", "Banner", "--type", "string"),
        *("--variation", "plain=hello", "--variation", "loud={1}", "--fallthrough", "loud"),
        *("--off-variation", "plain", "--description", "On top", "--client-side"),
        *("--tag", "shop", "--tag", "top"),
    )
    assert (created.exit_code, "Created flag 'banner'" in created.stdout) == (0, True)
    flag = shown(halyard, project, "banner")
    assert flag["variations"] == [
        {"key": "plain", "value": "hello"},
        {"key": "loud", "value": "{1}"},
    ]
    assert flag["fallthrough"] == {"variation": "loud"}
    assert (flag["offVariation"], flag["clientSide"]) == ("plain", True)
    assert (flag["name"], flag["tags"]) == ("Banner", ["shop", "top"])
    assert "loud = " in halyard("flags", "show", project, "banner").stdout


def test_values_that_are_no_strings_are_written_in_json(project: str, halyard: Halyard) -> None:
    done = halyard(
        *("flags", "create", project, "limit", "--type", "json"),
        *("--variation", 'few={"n": 1}', "--variation", "none=null"),
    )
    assert done.exit_code == 0, done.output
    values = [each["value"] for each in shown(halyard, project, "limit")["variations"]]
    assert values == [{"n": 1}, None]


@pytest.mark.parametrize("word", ["few", "few=many"])
def test_a_variation_that_is_none_is_told(project: str, halyard: Halyard, word: str) -> None:
    refused = halyard("flags", "create", project, "x", "--type", "integer", "--variation", word)
    assert (refused.exit_code, f"'{word}'" in refused.stderr) == (2, True)


def test_a_flag_is_switched_on_and_off_in_one_environment(
    project: str, flag: str, halyard: Halyard
) -> None:
    there = ("--environment", "production")
    on = halyard("flags", "enable", project, flag, *there, "--comment", "launch")
    assert on.stdout.startswith("Enabled 'checkout' in 'production'; the log is at seq ")
    enabled = {
        key: each["enabled"] for key, each in shown(halyard, project, flag)["environments"].items()
    }
    assert enabled == {"development": False, "staging": False, "production": True}

    again = halyard("flags", "enable", project, flag, *there)
    assert (again.exit_code, again.stdout.startswith("It was so already")) == (0, True)
    off = json_of(halyard("flags", "disable", project, flag, "-e", "production", "--json"))
    assert [each["type"] for each in off["events"]] == ["FlagDisabled"]
    assert shown(halyard, project, flag, *there)["enabled"] is False


def test_in_an_emergency_a_flag_is_switched_without_approval(
    api: httpx.Client, project: str, flag: str, halyard: Halyard
) -> None:
    environment = f"/projects/{project}/environments/production"
    assert api.patch(environment, json={"requiredApprovals": 1}).is_success
    words = ("flags", "enable", project, flag, "-e", "production")
    refused = halyard(*words)
    assert (refused.exit_code, "needs 1 approval" in refused.stderr) == (1, True)
    assert halyard(*words, "--bypass-approval", "--comment", "it burns").exit_code == 0
    newest = json_of(halyard("flags", "history", project, flag, "--json"))["events"][0]
    assert newest["causationId"] == "approval-bypass"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("--sort -key", ["checkout", "banner"]),
        ("--search ann --type number", ["banner"]),
        ("--tag shop --archived any", ["checkout"]),
        ("--tag shop --tag top", []),
        ("--state enabled --staleness active --staleness unused", ["banner"]),
        ("--state enabled -e production", []),
        ("--maintainer account-1 --no-client-side --limit 1", ["banner"]),
        ("--rules gold --segment vip", []),
    ],
)
def test_flags_are_found_by_what_is_asked_for(
    api: httpx.Client, project: str, flag: str, halyard: Halyard, options: str, found: list[str]
) -> None:
    banner = {"key": "banner", "type": "number", "variations": [{"key": "one", "value": 1}]}
    flags = f"/projects/{project}/flags"
    api.post(f"/projects/{project}/segments", json={"key": "vip"})
    assert api.post(flags, json=banner).status_code == 201
    assert api.post(f"{flags}/banner/environments/staging/enable").is_success
    assert listed(halyard, project, *options.split()) == found


def test_a_table_says_where_a_flag_is_enabled(
    api: httpx.Client, project: str, flag: str, halyard: Halyard
) -> None:
    api.post(f"/projects/{project}/flags", json={"key": "banner"})
    api.post(f"/projects/{project}/flags/banner/environments/staging/enable")
    table = halyard("flags", "list", project).stdout.splitlines()
    assert ["staging" in line for line in table] == [False, True, False]


def test_what_cannot_be_looked_for_is_told_with_its_place(
    project: str, flag: str, halyard: Halyard
) -> None:
    refused = halyard("flags", "list", project, "--environment", "producton", "--segment", "vip")
    assert refused.exit_code == 1
    assert "?environment" in refused.stderr
    assert "production" in refused.stderr
    assert "?segment" in refused.stderr


def test_lists_are_followed_page_after_page(
    api: httpx.Client, project: str, halyard: Halyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.cli.remote.PAGE", 2)
    keys = ["f0", "f1", "f2", "f3", "f4"]
    for key in keys:
        api.post(f"/projects/{project}/flags", json={"key": key})
    assert listed(halyard, project) == keys
    assert listed(halyard, project, "--limit", "3") == keys[:3]
    assert listed(halyard, project, "--limit", "4") == keys[:4]


def test_an_archived_flag_is_listed_where_it_is_asked_for_and_comes_back(
    api: httpx.Client, project: str, flag: str, halyard: Halyard
) -> None:
    seq = api.get(f"/projects/{project}").json()["seq"]
    assert halyard("flags", "archive", project, flag).stdout.startswith("Archived 'checkout'; ")
    assert listed(halyard, project) == []
    assert listed(halyard, project, "--archived", "true") == [flag]
    assert listed(halyard, project, "--at", str(seq)) == [flag]
    assert shown(halyard, project, flag, "--at", str(seq))["archived"] is False
    assert halyard("flags", "restore", project, flag).exit_code == 0
    assert listed(halyard, project) == [flag]


def test_a_flag_is_deleted_when_that_is_confirmed(
    api: httpx.Client, project: str, flag: str, halyard: Halyard
) -> None:
    path = f"/projects/{project}/flags/{flag}"
    assert halyard("flags", "delete", project, flag, input="n\n").exit_code == 1
    assert api.get(path).status_code == 200
    assert halyard("flags", "delete", project, flag, input="y\n").exit_code == 0
    assert api.get(path).status_code == 404


def test_the_history_of_a_deleted_flag_is_told_newest_first(
    api: httpx.Client, project: str, flag: str, halyard: Halyard
) -> None:
    settings = f"/projects/{project}/flags/{flag}/environments/staging"
    api.post(f"{settings}/enable", params={"comment": "try it"})
    deleted = json_of(halyard("flags", "delete", project, flag, "--yes", "--json"))
    assert [each["type"] for each in deleted["events"]] == ["FlagDeleted"]
    lines = halyard("flags", "history", project, flag).stdout.splitlines()[1:]
    assert ["FlagDeleted" in lines[0], "FlagEnabled" in lines[1]] == [True, True]
    assert [word in lines[1] for word in ("staging", "Ada", "try it")] == [True, True, True]
    assert "begun" in lines[-1]

    one = json_of(halyard("flags", "history", project, flag, "--limit", "1", "--json"))["events"]
    assert [each["type"] for each in one] == ["FlagDeleted"]
    there = halyard("flags", "history", project, flag, "--environment", "staging", "--json")
    assert [each["type"] for each in json_of(there)["events"]] == ["FlagEnabled"]


def test_what_others_wrote_does_not_steer_the_terminal(
    api: httpx.Client, project: str, flag: str, halyard: Halyard
) -> None:
    path = f"/projects/{project}/flags/{flag}/archive"
    assert api.post(path, json={"comment": "\x1b[2Jgone\x9b\x07"}).is_success
    printed = halyard("flags", "history", project, flag).stdout
    assert "\\x1b[2Jgone\\x9b\\x07" in printed
    assert not {"\x1b", "\x9b", "\x07"} & set(printed)


def test_how_a_flag_is_set_in_an_environment_is_shown_with_its_rules(
    api: httpx.Client, project: str, flag: str, halyard: Halyard
) -> None:
    settings = f"/projects/{project}/flags/{flag}/environments/staging"
    shares = [{"variation": "on", "weight": 25_500}, {"variation": "off", "weight": 74_500}]
    rule = {
        "when": {"attribute": "plan", "op": "in", "values": ["pro"]},
        "serve": {"rollout": {"buckets": shares}},
        "name": "Paying",
    }
    targets = {"targets": [{"variation": "on", "keys": ["alice", "bob"]}]}
    added = api.post(f"{settings}/rules", json=rule)
    assert added.status_code == 201, added.text
    assert api.put(f"{settings}/targets", json=targets).is_success
    text = halyard("flags", "show", project, flag, "--environment", "staging").stdout
    for part in ("Paying", "on 25.5%, off 74.5%", '"values":["pro"]', "2 user to on"):
        assert part in text


def test_a_key_that_would_lead_elsewhere_is_refused(project: str, halyard: Halyard) -> None:
    for key in ("..", ".", "", "a/b"):
        refused = halyard("flags", "delete", project, key, "--yes")
        assert (refused.exit_code, "cannot be a key" in refused.stderr) == (2, True)
    assert halyard("projects", "show", project).exit_code == 0


def test_a_flag_that_is_not_there_is_told_by_name(
    project: str, flag: str, halyard: Halyard
) -> None:
    missing = halyard("flags", "archive", project, "check-out")
    assert missing.exit_code == 1
    assert "'check-out'" in missing.stderr
    assert f"'{flag}'" in missing.stderr
