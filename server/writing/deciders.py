"""The two aggregates that have logs: a project, and the installation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from domain import decide, evolve, pages, state
from domain.facts import Entity
from domain.system.decide import decide_system
from domain.system.evolve import evolve_system
from domain.system.state import SYSTEM_FOLD_VERSION, SystemState, dump_system, load_system
from server.writing.aggregate import Decider

PROJECT: Decider[state.ProjectState] = Decider(
    fold="project-pages",
    fold_version=state.FOLD_VERSION,
    initial=state.ProjectState,
    decide=decide.decide,
    evolve=evolve.evolve,
    pass_over=evolve.pass_over,
    writing=lambda project: partial(pages.dump, project.copy()),
    load=pages.load,
    pages_of=pages.pages_of,
)


def _pass_over(
    installation: SystemState, entity: Entity, revision: int, seq: int, at: datetime
) -> None:
    installation.marks.put(entity, state.Mark(revision, seq, at))


def _writing_system(installation: SystemState) -> Callable[[], bytes]:
    written = dump_system(installation)
    return lambda: written


SYSTEM: Decider[SystemState] = Decider(
    fold="system",
    fold_version=SYSTEM_FOLD_VERSION,
    initial=SystemState,
    decide=decide_system,
    evolve=evolve_system,
    pass_over=_pass_over,
    writing=_writing_system,
    load=load_system,
)
