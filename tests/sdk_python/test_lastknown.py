from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from halyard_protocol.messages import Snapshot, decode_server_message
from halyard_protocol.session.replica import Replica, from_snapshot
from halyard_sdk import lastknown
from halyard_sdk.lastknown import LastKnown
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.stream_peer import flag


def replica(seq: int = 5, *flags: dict[str, Any]) -> Replica:
    message = decode_server_message(
        json.dumps(
            {
                "type": "snapshot",
                "epoch": "1.0",
                "seq": seq,
                "environment": {"key": "dev"},
                "flags": flags or (flag("a"),),
                "segments": [{"key": "s"}],
            }
        )
    )
    assert isinstance(message, Snapshot)
    return from_snapshot(message)


@pytest.fixture
def file(tmp_path: Path) -> LastKnown:
    return LastKnown(tmp_path / "flags" / "ruleset", "abcdefghijkl")


def test_what_is_saved_is_what_is_loaded(file: LastKnown) -> None:
    before = replica(5, flag("a"), {"key": "bad", "enabled": "perhaps"})
    assert file.save(before, 1000.5)
    saved = file.load()
    assert saved is not None
    assert saved.replica == before
    assert (saved.vouched_at_s, saved.resumable) == (1000.5, True)


def test_no_file_is_nothing(file: LastKnown, caplog: pytest.LogCaptureFixture) -> None:
    assert file.load() is None
    assert not caplog.records


def test_only_the_owner_may_read_it(file: LastKnown) -> None:
    file.save(replica(), 0.0)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_each_save_replaces_the_file_whole_and_leaves_nothing_beside_it(file: LastKnown) -> None:
    file.save(replica(5, flag("a", "x" * 1000)), 0.0)
    first = file.path.stat().st_ino
    file.save(replica(6), 0.0)
    assert file.path.stat().st_ino != first
    assert [path.name for path in file.path.parent.iterdir()] == ["ruleset"]
    saved = file.load()
    assert saved is not None
    assert saved.replica.seq == 6


def test_a_file_of_another_environment_is_not_used(
    file: LastKnown, caplog: pytest.LogCaptureFixture
) -> None:
    file.save(replica(), 0.0)
    assert LastKnown(file.path, "bbcdefghijkl").load() is None
    assert "another environment" in caplog.text


def test_a_file_of_another_protocol_is_evaluated_from_but_not_resumed(
    file: LastKnown, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(lastknown, "PROTOCOL_VERSION", 0)
        file.save(replica(), 0.0)
    saved = file.load()
    assert saved is not None
    assert not saved.resumable


def test_a_file_of_another_schema_is_not_used(
    file: LastKnown, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(lastknown, "SCHEMA", 2)
        file.save(replica(), 0.0)
    assert file.load() is None
    assert "another form" in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_a_damaged_file_is_never_used_and_never_raises(
    file: LastKnown, data: st.DataObject
) -> None:
    file.save(replica(), 0.0)
    content = bytearray(file.path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    file.path.write_bytes(content)
    assert file.load() is None


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n", b"{}", b"null\nnull\nnull"])
def test_what_was_never_such_a_file_is_not_used(file: LastKnown, content: bytes) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    assert file.load() is None


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"null\n",
        b"[]\n{}",
        b'{"schema":1}\n{}',
        b'{"schema":1,"protocol":1,"environment":"abcdefghijkl","vouchedAt":"now"}\n{}',
        b'{"schema":1,"protocol":1,"environment":"abcdefghijkl","vouchedAt":0}\n{}',
        b'{"schema":1,"protocol":1,"environment":"abcdefghijkl","vouchedAt":0}\n{"type":"x"}',
    ],
)
def test_a_whole_file_that_another_program_made_is_not_used(file: LastKnown, rest: bytes) -> None:
    import hashlib

    file.path.parent.mkdir()
    file.path.write_bytes(hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    assert file.load() is None


def test_where_it_cannot_be_written_that_is_logged_and_the_old_one_stays(
    file: LastKnown, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.mkdir(parents=True)
    assert not file.save(replica(), 0.0)
    assert "cannot write" in caplog.text
    assert file.load() is None
    assert "cannot read" in caplog.text


@pytest.mark.parametrize("vouched_at_s", [-1e300, 0.0, 1e300, float("inf"), float("nan")])
def test_the_age_is_sane_whatever_the_clock_said(file: LastKnown, vouched_at_s: float) -> None:
    file.save(replica(), vouched_at_s)
    saved = file.load()
    assert saved is not None
    assert 0 <= saved.age_s <= time.time()
