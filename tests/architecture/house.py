"""The repository as its rules see it: files, modules, functions, pages.

It is walked rather than asked of git, so that a file counts before it is committed and an unpacked
archive passes as well.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = {"__pycache__", "build", "dist", "node_modules", "results"}

PACKAGES = {
    "halyard_protocol": ROOT / "sdk_protocol" / "halyard_protocol",
    "halyard_sdk": ROOT / "sdk_python" / "halyard_sdk",
    **{
        name: ROOT / name for name in ("domain", "eventstore", "projections", "streaming", "server")
    },
}
"""The packages that are shipped, by the names that they are imported under."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _is_ours(folder: str) -> bool:
    if folder.startswith("."):
        return folder == ".ci"
    return folder not in GENERATED and not folder.endswith(".egg-info")


@cache
def files(suffix: str = "") -> tuple[Path, ...]:
    """Every file of the repository whose name ends with ``suffix``, in order."""
    found: list[Path] = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if _is_ours(name)]
        # In a worktree .git is a file, which says where the rest is.
        found += [Path(folder, n) for n in names if n.endswith(suffix) and n != ".git"]
    return tuple(sorted(found))


@cache
def shipped() -> tuple[Path, ...]:
    """The modules of the shipped packages."""
    return tuple(path for path in files(".py") if any(map(path.is_relative_to, PACKAGES.values())))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[Function]:
    """Every function of a module, methods and inner ones included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Lines from ``def`` to the end, the docstring included, decorators not."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def name_of(path: Path) -> str:
    """A path as messages show it."""
    return path.relative_to(ROOT).as_posix()
