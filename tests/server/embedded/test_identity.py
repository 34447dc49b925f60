from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from server.embedded import identity
from server.embedded.binaries import postgres_binary
from server.embedded.faults import NoUnprivilegedUser
from server.embedded.identity import OURSELVES, check_reach, postgres_identity

FORBIDDING = """
import runpy, sys
if sys.argv[3].startswith("map:"):
    sys.exit("launcher: unshare(CLONE_NEWUSER): Operation not permitted")
runpy.run_path({launcher!r}, run_name="__main__")
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="concerns root only")


@pytest.fixture
def without_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose kernel refuses user namespaces, as some containers' do."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(FORBIDDING.format(launcher=str(identity._LAUNCHER)))
    monkeypatch.setattr(identity, "_LAUNCHER", launcher)


@pytest.mark.skipif(os.geteuid() == 0, reason="concerns ordinary users only")
def test_an_ordinary_user_stays_that_user(tmp_path: Path) -> None:
    assert postgres_identity(tmp_path / "postgres", postgres_binary("postgres")) == OURSELVES


@as_root
def test_root_gets_a_namespace_for_new_data_and_for_its_own(tmp_path: Path) -> None:
    binary = postgres_binary("postgres")
    for data in (tmp_path / "missing", tmp_path):
        found = postgres_identity(data, binary)
        assert found.as_whom.startswith("map:")
        assert found.account is None


@as_root
def test_data_of_an_account_keep_that_account(tmp_path: Path) -> None:
    os.chown(tmp_path, 65_534, 65_533)
    found = postgres_identity(tmp_path, postgres_binary("postgres"))
    assert found.as_whom == "be:65534:65533"
    assert found.account == (65_534, 65_533)


@as_root
def test_where_namespaces_are_forbidden_an_account_is_taken(
    tmp_path: Path, without_namespaces: None
) -> None:
    found = postgres_identity(tmp_path / "missing", postgres_binary("postgres"))
    assert found.account is not None
    assert pwd.getpwuid(found.account[0]).pw_name in ("postgres", "nobody", "daemon")


@as_root
def test_binaries_that_no_account_can_run_are_said_to_be_so(
    tmp_path: Path, without_namespaces: None
) -> None:
    with pytest.raises(NoUnprivilegedUser, match=r"cannot be run: .*(denied|No such file)"):
        postgres_identity(tmp_path / "missing", tmp_path / "postgres")


@as_root
def test_a_folder_behind_a_closed_one_is_out_of_an_accounts_reach(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    account = identity._account(nobody.pw_uid, nobody.pw_gid)
    check_reach(account, Path("/"))
    tmp_path.chmod(0o700)
    with pytest.raises(NoUnprivilegedUser, match="use a data folder"):
        check_reach(account, tmp_path)
