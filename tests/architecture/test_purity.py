"""What the pure rooms may not touch, and where everything may be caught."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import house

PURE = [
    path
    for path in house.shipped()
    if path.is_relative_to(house.PACKAGES["halyard_protocol"])
    or path.is_relative_to(house.PACKAGES["domain"])
    or path
    in {house.ROOT / "projections" / name for name in ("fold.py", "documents.py", "touches.py")}
]

WORLDLY = {
    "concurrency": {"asyncio", "concurrent", "contextvars", "multiprocessing", "queue", "sched",
                    "signal", "threading", "_thread"},
    "drivers and sockets": {"aiohttp", "asyncpg", "http", "httpx", "redis", "select", "selectors",
                            "socket", "ssl", "starlette", "urllib", "uvicorn", "websockets"},
    "files and processes": {"io", "os", "pathlib", "shutil", "subprocess", "sys", "tempfile"},
    "loggers": {"logging", "structlog", "warnings"},
    "clocks": {"time"},
    "chance": {"random", "secrets", "uuid"},
}  # fmt: skip

MAY_WRITE_FILES = {"sdk_protocol/halyard_protocol/schema.py"}
"""Run by hand to generate files, and imported by nothing else in the package."""

MAY_MAKE_CODE = {"sdk_protocol/halyard_protocol/compilation/source.py"}
"""The one place where text becomes Python: its own, never a flag's."""

CLOCKS_AND_FILES = {"now", "utcnow", "today", "open", "print", "input", "exec", "eval"}

CATCH_ALL = {
    "domain/pages.py": (1, "a page that failed halfway fails again for the next; re-raised"),
    "eventstore/errors.py": (1, "a driver's errors are translated here, others re-raised"),
    "projections/reading.py": (1, "the border of a projection's batch: its log is poisoned"),
    "sdk_python/halyard_sdk/context_sample.py": (1, "a sample never raises into an evaluation"),
    "sdk_python/halyard_sdk/evaluations.py": (2, "an evaluation never raises into its caller"),
    "sdk_python/halyard_sdk/follower.py": (2, "nothing that a server sends ends the follower"),
    "sdk_python/halyard_sdk/lastknown.py": (1, "a half-written file is removed, then re-raised"),
    "sdk_python/halyard_sdk/listeners.py": (1, "one callback's failure is not another's"),
    "sdk_python/halyard_sdk/tracking.py": (1, "tracking never raises into its caller"),
    "server/cli/key_commands.py": (1, "a task group's only fault is raised by its own name"),
    "server/cli/running.py": (1, "a task group's only fault is told by its own name"),
    "server/embedded/postgres.py": (1, "a server that did not start is stopped, then re-raised"),
    "server/embedded/valkey.py": (1, "a server that did not start is stopped, then re-raised"),
    "server/http/border.py": (1, "the border of a request"),
    "server/http/operations.py": (1, "a check of readiness: failing is the answer"),
    "server/webhooks/dispatch.py": (1, "one webhook's fault is not another's trouble"),
    "server/writing/folded_log.py": (1, "whatever is wrong with an event poisons its log only"),
    "server/writing/log_writer.py": (2, "the waiting are answered, a look is owed; re-raised"),
    "server/writing/planning.py": (1, "one caller's command fails, not the log"),
    "streaming/connection.py": (1, "the border of a connection"),
}  # fmt: skip
"""Where everything may be caught, how often, and why. Anywhere else a fault must show."""


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """The top-level packages that a module imports, wherever in it, with the line."""
    for node in ast.walk(house.tree(path)):
        match node:
            case ast.Import():
                yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield module.split(".")[0], node.lineno
            case _:
                pass


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """The last names of what a module calls, with the line."""
    for node in ast.walk(house.tree(path)):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield name, node.lineno
            case _:
                pass


@pytest.mark.parametrize("path", PURE, ids=house.name_of)
def test_a_pure_module_reaches_for_nothing(path: Path) -> None:
    kinds = {name: kind for kind, names in WORLDLY.items() for name in names}
    if house.name_of(path) in MAY_WRITE_FILES:
        kinds = {name: kind for name, kind in kinds.items() if kind != "files and processes"}
    assert [
        f"line {line}: {name} ({kinds[name]})" for name, line in imports(path) if name in kinds
    ] == []


@pytest.mark.parametrize("path", PURE, ids=house.name_of)
def test_a_pure_module_asks_no_clock_and_opens_no_file(path: Path) -> None:
    forbidden = CLOCKS_AND_FILES
    if house.name_of(path) in MAY_MAKE_CODE:
        forbidden = forbidden - {"exec"}
    if house.name_of(path) not in MAY_WRITE_FILES:
        assert [f"line {line}: {name}" for name, line in calls(path) if name in forbidden] == []


@pytest.mark.parametrize("path", PURE, ids=house.name_of)
def test_a_pure_module_awaits_nothing(path: Path) -> None:
    waits = ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
    assert not [node for node in ast.walk(house.tree(path)) if isinstance(node, waits)]


def catches_all(handler: ast.ExceptHandler) -> bool:
    named = ast.walk(handler.type) if handler.type else ()
    every = {"Exception", "BaseException", "ExceptionGroup", "BaseExceptionGroup"}
    return handler.type is None or any(isinstance(n, ast.Name) and n.id in every for n in named)


def test_everything_is_caught_only_where_it_is_meant_to_be() -> None:
    found = Counter(
        house.name_of(path)
        for path in house.shipped()
        for node in ast.walk(house.tree(path))
        if isinstance(node, ast.ExceptHandler) and catches_all(node)
    )
    assert found == {path: count for path, (count, _) in CATCH_ALL.items()}


def test_the_linter_is_told_to_look_away_only_there() -> None:
    told = {
        house.name_of(path)
        for path in house.shipped()
        if "BLE" + "001" in path.read_text(encoding="utf-8")
    }
    assert told <= set(CATCH_ALL)
