"""Placeholders in texts: ``{{flag}}`` stands for a value, and nothing else means anything.

There are no expressions, no conditions and no nesting, so nothing that stands in a template is
ever executed, and what is filled in is never read as a template again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from halyard_protocol.problems import Problem, Problems, hint

PLACEHOLDERS: Final = (
    "project", "webhook", "delivery", "seq", "type", "action", "kind", "key", "flag",
    "environment", "actor", "actorId", "comment", "time", "revision", "count", "lines",
)  # fmt: skip
"""What there is to fill in; ``lines`` is a sentence for each event of a delivery."""

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


def placeholder_problems(path: str, text: str) -> Problems:
    """Placeholders that nothing could be filled in for."""
    for found in _PLACEHOLDER.finditer(text):
        name = found[1].strip()
        if name not in PLACEHOLDERS:
            known = ", ".join(PLACEHOLDERS)
            reason = f"there is no '{name}' to fill in{hint(name, PLACEHOLDERS)}; known: {known}"
            yield Problem(path, reason)


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder replaced; one without a value by nothing."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1].strip(), ""), text)
