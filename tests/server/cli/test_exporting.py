"""`halyard events export`: a log in a file, whole however often it was cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import Halyard, json_of, lines_of


def test_a_log_is_written_once_and_gone_on_with(
    halyard: Halyard, demo: str, tmp_path: Path
) -> None:
    out = tmp_path / "demo.ndjson"
    everything = lines_of(halyard("events", "tail", "demo", "-n", "1000", "--json"))
    done = json_of(halyard("events", "export", "demo", "--out", str(out), "--json"))
    assert done == {"log": "demo", "after": 0, "seq": len(everything)}
    whole = out.read_bytes()
    assert [json.loads(line) for line in whole.splitlines()] == everything
    for kept in (0, 1, len(whole) // 2, len(whole) - 1, len(whole)):
        out.write_bytes(whole[:kept])
        halyard("events", "export", "demo", "--out", str(out))
        assert out.read_bytes() == whole, kept


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"something else\n", "no event"),
        (b'{"log":"other","seq":1}\n', "of 'other'"),
        (b'{"log":"demo","seq":100000}\n', "another history"),
    ],
)
def test_a_file_of_something_else_is_left_alone(
    halyard: Halyard, demo: str, tmp_path: Path, content: bytes, said: str
) -> None:
    out = tmp_path / "demo.ndjson"
    out.write_bytes(content)
    refused = halyard("events", "export", "demo", "--out", str(out))
    assert refused.exit_code != 0
    assert said in refused.stderr
    assert out.read_bytes() == content
