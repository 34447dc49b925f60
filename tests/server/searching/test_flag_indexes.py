"""Which indexes are kept."""

from __future__ import annotations

from server.searching import flag_indexes
from server.searching.flag_indexes import FlagIndexes


def test_a_project_keeps_its_index_until_others_were_used_since() -> None:
    indexes = FlagIndexes()
    first = indexes.of("first")
    for number in range(flag_indexes.MAX_CURRENT - 1):
        indexes.of(f"project-{number}")
    assert indexes.of("first") is first
    for number in range(flag_indexes.MAX_CURRENT):
        indexes.of(f"project-{number}")
    assert indexes.of("first") is not first
