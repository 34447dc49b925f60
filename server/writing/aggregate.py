"""What kinds of log there are to this program: a folded state and the functions around it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from domain.facts import Entity, Fact, Issuer
from domain.pages import Pages

StateT = TypeVar("StateT", bound="FoldedState")


class FoldedState(Protocol):
    """What a project's state and the installation's have in common."""

    def revision(self, entity: Entity, /) -> int:
        """The entity's current revision, 0 where it never changed."""

    def overlay(self) -> Any:
        """A view that can be evolved without this state seeing it."""

    def absorb(self, overlay: Any, /) -> None:
        """Take over what was folded into an overlay of this state."""


class Decider(msgspec.Struct, Generic[StateT], frozen=True):
    """One aggregate as plain functions: what a log's events mean, and what may be appended."""

    fold: str
    """Under which its snapshots are kept."""
    fold_version: int
    initial: Callable[[], StateT]
    decide: Callable[[StateT, Any, Issuer], tuple[Fact[Any], ...]]
    """Raises :class:`~domain.errors.Refusal`."""
    evolve: Callable[[StateT, Fact[Any], int, datetime], None]
    pass_over: Callable[[StateT, Entity, int, int, datetime], None]
    writing: Callable[[StateT], Callable[[], bytes]]
    """Takes hold of a state as it is, and answers what writes it: slow, and for any thread."""
    load: Callable[[bytes], StateT]
    pages_of: Callable[[StateT], Pages | None] = lambda _state: None
    """Of a loaded state: the pages of it that have not been read."""
