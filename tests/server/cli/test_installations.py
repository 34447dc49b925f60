from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.cli.installations import Installation, NoInstallation, find_installation
from server.embedded.data_dir import DataDir, DataDirLock, Holder, is_running
from server.embedded.supervisor import EmbeddedServers
from tests.support.cli import Halyard, json_of

VARIABLES = {
    "HALYARD_DATABASE_URL": "postgresql://db/halyard",
    "HALYARD_REDIS_URL": "redis://cache",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    """A prepared `.halyard` in the current folder, whose servers never ran."""
    monkeypatch.chdir(tmp_path)
    data_dir = DataDir.at(tmp_path / ".halyard")
    data_dir.prepare()
    return data_dir


async def test_variables_name_servers() -> None:
    async with find_installation(None, VARIABLES) as found:
        assert found == Installation("postgresql://db/halyard", "redis://cache")


async def test_the_database_alone_may_be_named() -> None:
    only = {"HALYARD_DATABASE_URL": "postgresql://db/halyard"}
    async with find_installation(None, only) as found:
        assert found == Installation("postgresql://db/halyard", None)


async def test_a_running_one_is_reached_through_its_holder(folder: DataDir) -> None:
    with DataDirLock(folder) as lock:
        lock.announce(Holder(7, None, "postgresql://here/halyard", "unix:///here"))
        async with find_installation(None, {}) as found:
            assert found == Installation("postgresql://here/halyard", "unix:///here")


async def test_variables_go_before_the_default_folder_but_not_before_a_named_one(
    folder: DataDir,
) -> None:
    with DataDirLock(folder) as lock:
        lock.announce(Holder(7, None, "postgresql://here/halyard", "unix:///here"))
        async with find_installation(None, VARIABLES) as found:
            assert found.database_url == "postgresql://db/halyard"
        async with find_installation(folder.root, VARIABLES) as found:
            assert found.database_url == "postgresql://here/halyard"


async def test_one_that_is_just_starting_is_said_to_be(folder: DataDir) -> None:
    with DataDirLock(folder), pytest.raises(NoInstallation, match="is just starting"):
        async with find_installation(None, {}):
            pass


async def test_nothing_is_created_where_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoInstallation, match="start one with `halyard dev`"):
        async with find_installation(None, {}):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_command_without_an_installation_is_a_usage_error(
    halyard: Halyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HALYARD_DATABASE_URL", raising=False)
    result = halyard("db", "status")
    assert result.exit_code == 2
    assert result.stderr.startswith("halyard: there is no installation at ")


def test_one_that_rests_is_woken_for_the_command(halyard: Halyard, tmp_path: Path) -> None:
    async def begin() -> None:
        async with EmbeddedServers(tmp_path / "data", durable=False):
            pass

    asyncio.run(begin())
    assert json_of(halyard("db", "migrate", "--data-dir", tmp_path / "data", "--json"))["applied"]
    assert halyard("db", "status", "--data-dir", tmp_path / "data").exit_code == 0
    assert not is_running(DataDir.at(tmp_path / "data"))
