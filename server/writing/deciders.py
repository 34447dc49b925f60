"""The two aggregates that have logs: a project, and the installation."""

from __future__ import annotations

from datetime import datetime

from domain import decide, evolve, state, system
from domain.facts import Entity
from server.writing.aggregate import Decider

PROJECT: Decider[state.ProjectState] = Decider(
    fold="project",
    fold_version=state.FOLD_VERSION,
    initial=state.ProjectState,
    decide=decide.decide,
    evolve=evolve.evolve,
    pass_over=evolve.pass_over,
    dump=state.dump,
    load=state.load,
)


def _pass_over(
    installation: system.SystemState, entity: Entity, revision: int, seq: int, at: datetime
) -> None:
    installation.marks.put(entity, state.Mark(revision, seq, at))


SYSTEM: Decider[system.SystemState] = Decider(
    fold="system",
    fold_version=system.SYSTEM_FOLD_VERSION,
    initial=system.SystemState,
    decide=system.decide_system,
    evolve=system.evolve_system,
    pass_over=_pass_over,
    dump=system.dump_system,
    load=system.load_system,
)
