"""The SQL of ``queries.sql``, by name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def _statements() -> dict[str, str]:
    text = files("eventstore").joinpath("queries.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


def statement(name: str) -> str:
    """The text of a statement. Raises KeyError for a name that is not there."""
    return _statements()[name]
