"""`halyard segments` asks a running server, and shows what that answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cli import Halyard, json_of


@pytest.fixture
def segment(api: httpx.Client, project: str) -> str:
    """The key of a segment of the project, with two users in it."""
    body = {"key": "beta", "included": [{"kind": "user", "keys": ["ann", "bob"]}]}
    assert api.post(f"/projects/{project}/segments", json=body).status_code == 201
    return "beta"


def listed(halyard: Halyard, project: str, *options: str) -> list[str]:
    found = json_of(halyard("segments", "list", project, *options, "--json"))["segments"]
    return [each["key"] for each in found]


def members(api: httpx.Client, project: str, segment: str) -> dict[str, Any]:
    answer: dict[str, Any] = api.get(f"/projects/{project}/segments/{segment}/members").json()
    return answer


def test_a_segment_is_created_shown_and_deleted(project: str, halyard: Halyard) -> None:
    created = halyard(
        *("segments", "create", project, "vip", "--name", "Very important"),
        *("--description", "Known by name"),
    )
    assert created.stdout.startswith("Created segment 'vip'; the log is at seq ")
    shown = json_of(halyard("segments", "show", project, "vip", "--json"))
    assert (shown["name"], shown["description"]) == ("Very important", "Known by name")
    assert halyard("segments", "delete", project, "vip", input="n\n").exit_code == 1
    deleted = json_of(halyard("segments", "delete", project, "vip", "--yes", "--json"))
    assert [each["type"] for each in deleted["events"]] == ["SegmentDeleted"]
    assert listed(halyard, project) == []
    before = str(deleted["seq"] - 1)
    assert listed(halyard, project, "--at", before) == ["vip"]


def test_segments_are_listed_with_their_members_counted(
    api: httpx.Client, project: str, segment: str, halyard: Halyard
) -> None:
    api.post(f"/projects/{project}/segments", json={"key": "alpha"})
    assert listed(halyard, project, "--sort", "-key") == [segment, "alpha"]
    assert listed(halyard, project, "--search", "alp", "--unused") == ["alpha"]
    assert listed(halyard, project, "--used") == []
    lines = halyard("segments", "list", project).stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["alpha", "alpha", "0", "0", "0", "0"],
        ["beta", "beta", "2", "0", "0", "0"],
    ]


def test_people_see_of_a_segment_its_rules_and_how_many_are_in_it(
    api: httpx.Client, project: str, segment: str, halyard: Halyard
) -> None:
    rules = [{"when": {"attribute": "plan", "op": "in", "values": ["pro"]}}]
    path = f"/projects/{project}/segments/{segment}/rules"
    assert api.put(path, json={"rules": rules}).is_success
    text = halyard("segments", "show", project, segment).stdout
    assert "2 user" in text
    assert '"values":["pro"]' in text


def test_a_segment_that_a_rule_names_is_not_deleted(
    api: httpx.Client, project: str, segment: str, halyard: Halyard
) -> None:
    api.post(f"/projects/{project}/flags", json={"key": "checkout"})
    attached = {"attach": [{"flag": "checkout", "environment": "staging", "variation": "on"}]}
    path = f"/projects/{project}/segments/{segment}/flags"
    assert api.put(path, json=attached).is_success
    refused = halyard("segments", "delete", project, segment, "--yes")
    assert refused.exit_code == 1
    assert "checkout" in refused.stderr


def test_members_are_added_and_removed(
    api: httpx.Client, project: str, segment: str, halyard: Halyard
) -> None:
    words = ("segments", "members")
    added = halyard(*words, "add", project, segment, "cy", "di")
    assert added.stdout.startswith("Added to 'beta'; ")
    assert halyard(*words, "remove", project, segment, "ann", "cy").exit_code == 0
    of_acme = ("acme", "--kind", "organization", "--members", "excluded")
    assert halyard(*words, "add", project, segment, *of_acme, "--comment", "left").exit_code == 0
    assert members(api, project, segment) == {
        "included": [{"keys": ["bob", "di"]}],
        "excluded": [{"kind": "organization", "keys": ["acme"]}],
    }
    newest = api.get(f"/projects/{project}/events", params={"limit": 1}).json()["items"][0]
    assert newest["body"]["comment"] == "left"


def test_members_are_taken_from_a_file(
    api: httpx.Client, project: str, segment: str, halyard: Halyard, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text("key,kind,members\ncy\nacme,organization,excluded\n")
    words = ("segments", "members", "import", project, segment, file)
    assert halyard(*words, "--comment", "spring").exit_code == 0
    assert members(api, project, segment)["included"] == [{"keys": ["ann", "bob", "cy"]}]
    replaced = json_of(halyard(*words, "--mode", "replace", "--json"))
    assert replaced["events"]
    assert members(api, project, segment) == {
        "included": [{"keys": ["cy"]}],
        "excluded": [{"kind": "organization", "keys": ["acme"]}],
    }
    assert halyard(*words, "--mode", "replace").stdout.startswith("It was so already")


def test_each_line_at_fault_is_named_and_nothing_is_done(
    api: httpx.Client, project: str, segment: str, halyard: Halyard, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text("cy\ndi,user,maybe\nacme,organization,excluded,more\n")
    refused = halyard("segments", "members", "import", project, segment, file)
    assert refused.exit_code == 1
    assert ["/lines/2" in refused.stderr, "/lines/3" in refused.stderr] == [True, True]
    assert members(api, project, segment)["included"] == [{"keys": ["ann", "bob"]}]
    missing = halyard("segments", "members", "import", project, segment, "nothing.csv")
    assert (missing.exit_code, "nothing.csv" in missing.stderr) == (2, True)
