"""The SQL of ``queries.sql`` and its neighbours, by name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_FILES = (
    "queries.sql",
    "origin_queries.sql",
    "refusal_queries.sql",
    "webhook_queries.sql",
    "identity_queries.sql",
)
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)


@cache
def _statements() -> dict[str, str]:
    folder, parts = files("eventstore"), list[str]()
    for name in _FILES:
        _, *found = _NAME.split(folder.joinpath(name).read_text(encoding="utf-8"))
        parts += found
    texts = [_COMMENT.sub("", part).strip() for part in parts[1::2]]
    named = dict(zip(parts[::2], texts, strict=True))
    columns = named["event_columns"]
    return {name: text.replace("{event_columns}", columns) for name, text in named.items()}


def statement(name: str) -> str:
    """The text of a statement. Raises KeyError for a name that is not there."""
    return _statements()[name]
