from __future__ import annotations

from typing import Any

import pytest

from server.credentials import fingerprint
from tests.support.cli import Halyard, json_of, lines_of


def issue(halyard: Halyard, *options: str) -> Any:
    return json_of(halyard("keys", "issue", "demo", "staging", *options, "--json"))


def test_a_server_key_is_shown_once_and_stored_as_its_hash(halyard: Halyard, demo: str) -> None:
    issued = issue(halyard, "--name", "checkout service")
    [event] = lines_of(halyard("events", "tail", "--type", "SdkKeyIssued", "--json"))
    assert event["entityKey"] == issued["id"]
    assert event["body"]["sha256"] == fingerprint(issued["key"])
    [listed] = json_of(halyard("keys", "list", "demo", "--json"))["keys"]
    assert listed["name"] == "checkout service"
    assert issued["key"] not in str(event) + str(listed)


def test_a_client_key_is_public(halyard: Halyard, demo: str) -> None:
    issued = issue(halyard, "--kind", "client")
    [listed] = json_of(halyard("keys", "list", "demo", "--json"))["keys"]
    assert listed["clientKey"] == issued["key"]
    assert "-c-" in issued["key"]


def test_a_new_key_begins_with_the_id_of_its_environment(halyard: Halyard, demo: str) -> None:
    [created] = lines_of(
        halyard("events", "tail", "--type", "EnvironmentCreated", "--key", "staging", "--json")
    )
    assert issue(halyard)["key"].startswith(f"{created['body']['id']}-s-")


def test_people_can_copy_a_new_key_as_a_line(halyard: Halyard, demo: str) -> None:
    lines = halyard("keys", "issue", "demo", "staging").stdout.splitlines()
    assert lines[0].startswith("A server key of 'staging'")
    assert "-s-" in lines[1]
    assert len(lines) == 2


def test_a_revoked_key_is_listed_as_such(halyard: Halyard, demo: str) -> None:
    issued = issue(halyard)
    revoked = json_of(halyard("keys", "revoke", "demo", "staging", issued["id"], "--json"))
    [event] = lines_of(halyard("events", "tail", "--type", "SdkKeyRevoked", "--json"))
    assert event["seq"] == revoked["seq"]
    [listed] = json_of(halyard("keys", "list", "demo", "staging", "--json"))["keys"]
    assert listed["revokedAt"] is not None
    assert json_of(halyard("keys", "list", "demo", "production", "--json"))["keys"] == []


def test_a_key_is_rotated_and_lives_beside_its_successor(halyard: Halyard, demo: str) -> None:
    issued = issue(halyard, "--name", "shop")
    rotating = ("keys", "rotate", "demo", "staging", issued["id"])
    rotated = json_of(halyard(*rotating, "--overlap-hours", "48", "--json"))
    assert (rotated["replaced"], rotated["kind"]) == (issued["id"], "server")
    listed = json_of(halyard("keys", "list", "demo", "--json"))["keys"]
    by_id = {key["id"]: key for key in listed}
    assert by_id[issued["id"]]["expiresAt"] == rotated["replacedExpiresAt"]
    assert by_id[rotated["id"]]["name"] == "shop"
    assert rotated["key"] not in str(listed)
    lines = halyard(*rotating, "--overlap-hours", "0").stdout.splitlines()
    assert "ends at" in lines[0]
    assert "-s-" in lines[1]
    refused = halyard(*rotating)
    assert (refused.exit_code, "issue another one" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("issue", "demo", "stagin"), "there is no environment 'stagin'"),
        (("issue", "nothing", "staging"), "there is no project 'nothing'"),
        (("list", "demo", "stagin"), "there is no environment 'stagin'"),
        (("revoke", "demo", "staging", "nokey"), "there is no key 'nokey'"),
        (("rotate", "demo", "staging", "nokey"), "there is no key 'nokey'"),
    ],
)
def test_what_is_not_there_is_one_line_and_a_code(
    halyard: Halyard, demo: str, arguments: tuple[str, ...], message: str
) -> None:
    result = halyard("keys", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"halyard: {message}")
    assert result.stderr.count("\n") == 1


def test_the_origins_of_a_client_key_are_set(halyard: Halyard, demo: str) -> None:
    pages = ("https://shop.example", "https://*.shop.example")
    issued = issue(halyard, "--kind", "client", "--origin", pages[0], "--origin", pages[1])
    [listed] = json_of(halyard("keys", "list", "demo", "--json"))["keys"]
    assert listed["origins"] == list(pages)
    setting = ("keys", "origins", "demo", "staging", issued["id"])
    assert halyard(*setting, "http://localhost:3000").stdout.startswith("Set, as of event ")
    assert "http://localhost:3000" in halyard("keys", "list", "demo").stdout
    json_of(halyard(*setting, "--any", "--json"))
    [listed] = json_of(halyard("keys", "list", "demo", "--json"))["keys"]
    assert listed["origins"] == []
    assert halyard(*setting).exit_code == 2
    assert halyard(*setting, "--any", pages[0]).exit_code == 2
    refused = halyard(*setting, "https://shop.example/cart")
    assert (refused.exit_code, "/origins/0" in refused.stderr) == (1, True)
