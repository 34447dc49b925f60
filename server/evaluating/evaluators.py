"""The evaluators that are kept from request to request: those used last."""

from __future__ import annotations

from halyard_protocol.evaluator import Evaluator

from domain.state import ProjectState
from server.evaluating.state_evaluator import StateEvaluator

MAX_KEPT = 64
"""Environments; of an installation with more, those that were used longest ago are made anew."""


class Evaluators:
    """One evaluator for each environment of a current state."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}
        """By project and environment, in the order of their last use."""

    def of(self, state: ProjectState, seq: int, environment: str) -> Evaluator:
        """The evaluator of a living project's state at ``seq``.

        Raises ``KeyError`` where it has no such environment.
        """
        place = ("" if state.project is None else state.project.key, environment)
        kept = self._kept.pop(place, None) or _Kept()
        evaluator = kept.of(state, seq, environment)
        self._kept[place] = kept
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return evaluator


class _Kept:
    __slots__ = ("_evaluator", "_following", "_seq", "_state")

    def __init__(self) -> None:
        self._following = StateEvaluator()
        self._state: ProjectState | None = None
        self._seq = 0
        self._evaluator: Evaluator | None = None

    def of(self, state: ProjectState, seq: int, environment: str) -> Evaluator:
        """A state changes in place: it is as it was while its seq is the same."""
        if self._evaluator is None or self._state is not state or self._seq != seq:
            self._evaluator = self._following.of(state, environment)
            self._state, self._seq = state, seq
        return self._evaluator
