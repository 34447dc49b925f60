"""The indexes that are kept from request to request: those used last."""

from __future__ import annotations

from server.searching.flag_index import FlagIndex

MAX_CURRENT = 64
"""Projects; of an installation with more, those that were used longest ago are indexed anew."""


class FlagIndexes:
    """One index for each project's current state."""

    def __init__(self) -> None:
        self._current: dict[str, FlagIndex] = {}
        """By project, in the order of their last use."""

    def of(self, project: str) -> FlagIndex:
        """The index of a project's current state, which may have to begin."""
        index = self._current.pop(project, None) or FlagIndex()
        self._current[project] = index
        if len(self._current) > MAX_CURRENT:
            del self._current[next(iter(self._current))]
        return index
