"""`halyard projects` asks a running server, and says what that says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
import yaml

from server.http.app import create_app
from server.http.dependencies import HttpSettings
from tests.support.api import TOKEN, install, running_dependencies
from tests.support.cli import Halyard, json_of
from tests.support.program import free_port


class Running(threading.Thread):
    """The API on a port, in a thread with a loop of its own."""

    def __init__(self, database_url: str) -> None:
        super().__init__(daemon=True)
        self._database_url = database_url
        self._server: uvicorn.Server | None = None
        self.port = free_port()
        self.ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        # A log line on standard output would be taken for the command's.
        quiet = HttpSettings(access_log=False)
        async with running_dependencies(self._database_url, settings=quiet) as dependencies:
            await install(dependencies)
            config = uvicorn.Config(
                create_app(dependencies), port=self.port, lifespan="off", log_config=None
            )
            config.load()
            self._server = server = uvicorn.Server(config)
            server.lifespan = config.lifespan_class(config)
            await server.startup()
            self.ready.set()
            await server.main_loop()
            await server.shutdown()

    def stop(self) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self.join(20)


@pytest.fixture
def server(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    running = Running(database_url)
    running.start()
    assert running.ready.wait(20)
    url = f"http://127.0.0.1:{running.port}"
    monkeypatch.setenv("HALYARD_URL", url)
    monkeypatch.setenv("HALYARD_TOKEN", TOKEN)
    yield url
    running.stop()


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
