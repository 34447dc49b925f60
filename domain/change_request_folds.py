"""What each event of a change request means: part of the fold of a project.

Of those that are closed the newest are kept, so that a state does not grow for ever; the log has
them all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from domain import change_request_events as e
from domain import limits
from domain.facts import Entity
from domain.state import Approval, ChangeRequest, ChangeRequestStatus, ProjectState
from domain.stored import Stored

Fold: TypeAlias = Callable[[ProjectState, Entity, Any, datetime], None]


def _opened(
    state: ProjectState, entity: Entity, event: e.ChangeRequestOpened, at: datetime
) -> None:
    request = ChangeRequest(
        entity.key,
        event.title,
        event.description,
        event.commands,
        event.base,
        (event.account,),
        at,
    )
    state.change_requests.put(entity.key, request)


def _edited(state: ProjectState, entity: Entity, event: e.ChangeRequestEdited, _: datetime) -> None:
    held = state.change_requests[entity.key]
    request = replace(
        held,
        title=event.title,
        description=event.description,
        commands=event.commands,
        base=event.base,
        authors=tuple(dict.fromkeys((*held.authors, event.account))),
        status="open",
        approvals=(),
    )
    state.change_requests.put(entity.key, request)


def _approved(
    state: ProjectState, entity: Entity, event: e.ChangeRequestApproved, at: datetime
) -> None:
    held = state.change_requests[entity.key]
    approvals = (*held.approvals, Approval(event.account, at))
    state.change_requests.put(entity.key, replace(held, approvals=approvals))


def _rejected(
    state: ProjectState, entity: Entity, _: e.ChangeRequestRejected, _at: datetime
) -> None:
    held = state.change_requests[entity.key]
    state.change_requests.put(entity.key, replace(held, status="rejected", approvals=()))


def _closed(status: ChangeRequestStatus) -> Fold:
    def fold(state: ProjectState, entity: Entity, _: object, at: datetime) -> None:
        held = state.change_requests[entity.key]
        state.change_requests.put(entity.key, replace(held, status=status, closed_at=at))
        _forget_oldest(state)

    return fold


def _forget_oldest(state: ProjectState) -> None:
    closed = [row for row in state.change_requests.values() if row.closed_at is not None]
    if len(closed) > limits.CLOSED_CHANGE_REQUESTS:
        oldest = min(closed, key=lambda row: state.mark(Entity("change-request", row.id)).seq)
        state.change_requests.remove(oldest.id)


CHANGE_REQUEST_FOLDS: Final[dict[type[Stored], Fold]] = {
    e.ChangeRequestOpened: _opened,
    e.ChangeRequestEdited: _edited,
    e.ChangeRequestApproved: _approved,
    e.ChangeRequestRejected: _rejected,
    e.ChangeRequestWithdrawn: _closed("withdrawn"),
    e.ChangeRequestApplied: _closed("applied"),
}
