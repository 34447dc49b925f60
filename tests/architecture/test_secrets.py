"""Secrets are compared in constant time, or looked up by their hash: never with ``==``."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.house import ROOT

PACKAGES = ("domain", "eventstore", "streaming", "server")
SECRET = frozenset(
    ("cookie", "csrf", "fingerprint", "password", "presented", "secret", "sha256", "signature")
)
TOKENS = frozenset(("access_token", "csrf_token", "refresh_token", "bearer_token"))
"""``token`` alone is the id of one in commands and events."""
PUBLIC = frozenset(("eventstore/migrate.py",))
"""The checksum of a migration."""


def named(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=func):
            return named(func)
        case _:
            return ""


def is_secret(node: ast.expr) -> bool:
    name = named(node).strip("_").lower()
    return name in TOKENS or not SECRET.isdisjoint((name, name.rpartition("_")[2]))


def compared(source: str) -> list[int]:
    """The lines on which something that is named like a secret is compared with ``==``."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops)
        and any(is_secret(each) for each in (node.left, *node.comparators))
    ]


def test_a_comparison_of_a_secret_is_noticed() -> None:
    assert compared("sent == csrf_token(cookie)") == [1]
    assert compared("if row.sha256 != digest: pass") == [1]
    assert compared("hmac.compare_digest(sent, secret)") == []


def test_no_secret_is_compared_in_a_time_that_tells_of_it() -> None:
    files = [path for package in PACKAGES for path in sorted(Path(ROOT, package).rglob("*.py"))]
    found = [
        f"{name}:{line}"
        for path in files
        if (name := path.relative_to(ROOT).as_posix()) not in PUBLIC
        for line in compared(path.read_text(encoding="utf-8"))
    ]
    assert len(files) > 100
    assert found == [], "compare secrets with hmac.compare_digest, or look them up by their hash"
