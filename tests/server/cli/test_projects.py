"""`halyard projects` asks a running server, and says what that says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from tests.support.api import TOKEN
from tests.support.cli import Halyard, json_of
from tests.support.program import free_port
from tests.support.running_api import RunningApi


@pytest.fixture
def server(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with RunningApi(database_url) as url:
        monkeypatch.setenv("HALYARD_URL", url)
        monkeypatch.setenv("HALYARD_TOKEN", TOKEN)
        yield url


def test_a_project_goes_out_and_comes_in_again(
    server: str, halyard: Halyard, tmp_path: Path
) -> None:
    assert halyard("projects", "create", "shop", "--name", "Shop").exit_code == 0
    listed = json_of(halyard("projects", "list", "--json"))["projects"]
    assert [each["key"] for each in listed] == ["shop"]
    assert "Shop" in halyard("projects", "show", "shop").stdout
    file = tmp_path / "shop.yaml"
    assert halyard("projects", "export", "shop", "--output", file).exit_code == 0
    document = yaml.safe_load(file.read_text())
    assert document["project"] == {"key": "shop", "name": "Shop"}

    assert halyard("projects", "import", "shop", file, "--dry-run").exit_code == 0
    document["project"]["name"] = "Store"
    file.write_text(yaml.safe_dump(document))
    shown = halyard("projects", "import", "shop", file, "--dry-run")
    assert shown.exit_code == 4
    assert "0 would be created, 1 would be changed" in shown.stdout
    done = json_of(halyard("projects", "import", "shop", file, "--comment", "renamed", "--json"))
    assert done["changed"] == 1
    assert json_of(halyard("projects", "show", "shop", "--json"))["name"] == "Store"


def test_a_copy_is_made_from_json(server: str, halyard: Halyard, tmp_path: Path) -> None:
    halyard("projects", "create", "shop")
    file = tmp_path / "shop.json"
    halyard("projects", "export", "shop", "--output", file)
    assert json.loads(file.read_text())["version"] == 1
    missing = halyard("projects", "import", "copy", file)
    assert (missing.exit_code, "'copy'" in missing.stderr) == (1, True)
    assert halyard("projects", "import", "copy", file, "--create").exit_code == 0
    assert halyard("projects", "export", "copy").stdout.startswith("version: 1\n")


def test_a_refusal_is_told_with_its_places(server: str, halyard: Halyard, tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    document = {"version": 1, "project": {"key": "a", "name": "A"}, "colour": 1, "shape": 2}
    file.write_text(json.dumps(document))
    refused = halyard("projects", "import", "shop", file, "--create")
    assert refused.exit_code == 1
    assert "/colour" in refused.stderr
    assert "/shape" in refused.stderr


def test_a_server_that_cannot_be_reached_is_named(halyard: Halyard) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = halyard("projects", "list", "--url", url, "--token", "x")
    assert (result.exit_code, url in result.stderr) == (3, True)


class Page(BaseHTTPRequestHandler):
    """Another program's: it answers the same page to whatever is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>Welcome</h1>")

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_another_program_in_the_servers_place_is_told(halyard: Halyard) -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as other:
        answering = threading.Thread(target=other.handle_request)
        answering.start()
        url = f"http://127.0.0.1:{other.server_port}"
        result = halyard("projects", "list", "--url", url, "--token", "x")
        answering.join(20)
    assert (result.exit_code, f"{url} answers no JSON" in result.stderr) == (1, True)


def test_a_wrong_token_and_no_server_are_told(server: str, halyard: Halyard) -> None:
    assert "token" in halyard("projects", "list", "--token", "wrong").stderr


def test_without_a_server_it_is_said_how_to_name_one(
    halyard: Halyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HALYARD_URL", raising=False)
    result = halyard("projects", "list")
    assert result.exit_code == 2
    assert "HALYARD_TOKEN" in result.stderr


def test_a_folder_of_dev_names_its_server(
    server: str, halyard: Halyard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HALYARD_URL")
    monkeypatch.delenv("HALYARD_TOKEN")
    (tmp_path / "dev.json").write_text(json.dumps({"url": server, "admin": {"token": TOKEN}}))
    assert json_of(halyard("projects", "list", "--data-dir", tmp_path, "--json")) == {
        "projects": []
    }


def test_a_file_that_is_not_there_is_named(server: str, halyard: Halyard) -> None:
    result = halyard("projects", "import", "shop", "nothing.yaml")
    assert (result.exit_code, "nothing.yaml" in result.stderr) == (2, True)
