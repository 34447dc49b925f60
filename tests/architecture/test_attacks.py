"""Every attack that the documents tell of has tests, and they are where the documents say."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.house import ROOT

_ROWS = re.findall(
    r"^\| (?!attack |---)(.+?) \| (.+) \|$",
    (ROOT / "docs/explanation/attacks.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_the_list_is_read() -> None:
    assert len(_ROWS) >= 15


@pytest.mark.parametrize(("attack", "tried_by"), _ROWS)
def test_an_attack_is_tried_where_the_list_says(attack: str, tried_by: str) -> None:
    named = re.findall(r"`(tests/[^`]+\.py)::(\w+)`", tried_by)
    assert named, attack
    for path, test in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        defined = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert test in defined, f"{path} has no {test}"
