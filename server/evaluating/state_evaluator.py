"""From a project's folded state to the evaluator of one environment, and along with it.

What did not change stays the same object from state to state, so that what the evaluator has
compiled of it is kept. A row of the state that is the same object is the same.
"""

from __future__ import annotations

from typing import NamedTuple

from halyard_protocol.evaluator import Evaluator
from halyard_protocol.ruleset import Environment, Flag, Ruleset, Segment

from domain.facts import Entity
from domain.state import FlagDefinition, FlagSettings, ProjectState, SegmentDefinition
from projections.documents import environment_here, flag_here, segment_here


class _FlagRow(NamedTuple):
    definition: FlagDefinition
    settings: FlagSettings
    flag: Flag


class _SegmentRow(NamedTuple):
    definition: SegmentDefinition
    segment: Segment


class StateEvaluator:
    """Follows one environment of a project. Versions in its ruleset are all 0.

    Bringing it up to date looks at every flag and segment (about 5 ms for 10,000), and makes anew
    those that changed.
    """

    __slots__ = ("_evaluator", "_flags", "_segments")

    def __init__(self) -> None:
        self._evaluator = Evaluator(Ruleset(Environment(""), {}, {}))
        self._flags: dict[str, _FlagRow] = {}
        self._segments: dict[str, _SegmentRow] = {}

    def of(self, state: ProjectState, environment: str) -> Evaluator:
        """The evaluator of the state as it is. Raises ``KeyError`` without such an environment."""
        row = state.environments[environment]
        self._flags = {
            flag.key: self._flag_row(flag, state.settings[flag.key, environment])
            for flag in state.flags.values()
            if not flag.archived
        }
        self._segments = {
            segment.key: self._segment_row(segment) for segment in state.segments.values()
        }
        flags = {key: row.flag for key, row in self._flags.items()}
        segments = {key: row.segment for key, row in self._segments.items()}
        ruleset = Ruleset(environment_here(row), dict(flags), segments)
        self._evaluator = self._evaluator.following(ruleset)
        return self._evaluator

    def _flag_row(self, definition: FlagDefinition, settings: FlagSettings) -> _FlagRow:
        known = self._flags.get(definition.key)
        if known is None:
            return _FlagRow(definition, settings, flag_here(definition, settings))
        if known.definition is definition and known.settings is settings:
            return known
        flag = flag_here(definition, settings)
        # A flag that was renamed, say, is the same to an evaluator.
        return _FlagRow(definition, settings, known.flag if known.flag == flag else flag)

    def _segment_row(self, definition: SegmentDefinition) -> _SegmentRow:
        known = self._segments.get(definition.key)
        if known is None:
            return _SegmentRow(definition, segment_here(definition))
        if known.definition is definition:
            return known
        segment = segment_here(definition)
        return _SegmentRow(definition, known.segment if known.segment == segment else segment)


def version_of(state: ProjectState, flag: str, environment: str) -> int:
    """The seq of the last event of a flag, or of how it is set in an environment.

    Not below the version of the flag's document, which counts only what an SDK can see.
    """
    definition = state.mark(Entity("flag", flag))
    return max(definition.seq, state.mark(Entity("flag", flag, environment)).seq)
