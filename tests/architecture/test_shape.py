"""Names, sizes and docstrings: what lets a reader find any room in a minute."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture import house

EMPTY_WORDS = {
    "util", "utils", "helper", "helpers", "common", "core", "base", "manager", "managers",
    "service", "misc", "shared",
}  # fmt: skip
"""What says nothing about what a module is for."""

SOURCES = [path for suffix in (".py", ".sql", ".lua", ".c") for path in house.files(suffix)]
LINES = {"source": 500, "tests": 800}
FUNCTION_LINES = 60

ROOMS = re.compile(r"\nRooms\b.*:\n")

SUBSTANCE = 180
"""Characters: less than two full lines cannot say what a package is for and must never do."""


def packages() -> list[Path]:
    return [path.parent for path in house.shipped() if path.name == "__init__.py"]


def docstring(package: Path) -> str:
    return ast.get_docstring(house.tree(package / "__init__.py")) or ""


def test_the_repository_is_found() -> None:
    assert len(house.shipped()) > 100
    assert len(house.files(".md")) > 20


def test_no_module_and_no_folder_has_an_empty_name() -> None:
    named = {
        house.name_of(path)
        for path in house.files(".py")
        for part in (*path.relative_to(house.ROOT).parts[:-1], path.stem)
        if EMPTY_WORDS & set(part.split("_"))
    }
    assert named == set()


def test_no_class_is_named_for_managing_or_helping() -> None:
    classes = {
        f"{house.name_of(path)}: {node.name}"
        for path in house.files(".py")
        for node in ast.walk(house.tree(path))
        if isinstance(node, ast.ClassDef)
        and re.search(r"(Utils?|Helpers?|Manager|Service)$", node.name)
    }
    assert classes == set()


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    def bound(path: Path) -> int:
        return LINES["tests" if path.is_relative_to(house.ROOT / "tests") else "source"]

    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    # The dumped schema grows with each migration, and nobody writes it.
    long = {house.name_of(p): n for p, n in lengths.items() if n > bound(p)}
    assert long.keys() <= {"eventstore/schema.sql"}, long


def test_no_function_is_long() -> None:
    long = {
        f"{house.name_of(path)}: {function.name}": house.length(function)
        for path in house.files(".py")
        for function in house.functions(path)
        if house.length(function) > FUNCTION_LINES
    }
    assert long == {}


def test_most_functions_are_short() -> None:
    lengths = sorted(
        house.length(each) for path in house.shipped() for each in house.functions(path)
    )
    assert lengths[len(lengths) // 2] <= 9
    assert lengths[len(lengths) * 9 // 10] < 25


@pytest.mark.parametrize("package", packages(), ids=house.name_of)
def test_every_package_says_what_it_is_for(package: Path) -> None:
    assert len(docstring(package)) >= SUBSTANCE
    assert "laceholder" not in docstring(package)


@pytest.mark.parametrize("package", house.PACKAGES)
def test_every_package_that_is_imported_by_others_says_what_it_never_does(package: str) -> None:
    text = docstring(house.PACKAGES[package])
    assert re.search(r"\bnever\b", text, re.IGNORECASE)
    assert ROOMS.search(text)
    assert "\nInvariants" in text


@pytest.mark.parametrize(
    "folder", [each for each in packages() if ROOMS.search(docstring(each))], ids=house.name_of
)
def test_the_rooms_of_a_package_are_all_of_its_modules(folder: Path) -> None:
    _, rooms = ROOMS.split(docstring(folder))
    named = set(re.findall(r"[a-z_]+", rooms))
    modules = {path.stem for path in folder.glob("*.py") if path.stem[0] != "_"}
    below = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert (modules | below) - named == set()


def test_only_the_sdk_says_again_what_its_modules_say() -> None:
    """Others import a name from where it is defined: there is one place to look."""
    allowed = house.PACKAGES["halyard_sdk"] / "__init__.py"
    again = {
        f"{house.name_of(path)}: {name}"
        for path in house.shipped()
        if path.name == "__init__.py" and path != allowed
        for name in imported(path) - used(path)
    }
    assert again == set()


def imported(path: Path) -> set[str]:
    """Names that a module imports."""
    return {
        alias.asname or alias.name.split(".")[0]
        for node in ast.walk(house.tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and getattr(node, "module", None) != "__future__"
        for alias in node.names
    }


def used(path: Path) -> set[str]:
    """Names that a module uses."""
    return {node.id for node in ast.walk(house.tree(path)) if isinstance(node, ast.Name)}
