"""What must stand before a command is looked at closely: its entity, its revision, no archive."""

from __future__ import annotations

from collections.abc import Sized

from halyard_protocol.codec import encode
from halyard_protocol.problems import text_problems

from domain import limits
from domain.asked import (
    Asked,
    OnChangeRequest,
    OnEnvironment,
    OnFlag,
    OnKey,
    OnSegment,
    OnSettings,
    OnWebhook,
)
from domain.change_request_commands import OpenChangeRequest
from domain.commands import (
    ArchiveFlag,
    Command,
    CreateEnvironment,
    CreateFlag,
    CreateProject,
    CreateSegment,
    DeleteFlag,
    IssueSdkKey,
    RestoreFlag,
)
from domain.errors import Archived, LimitReached, StaleRevision, UnknownEntity
from domain.facts import Entity, environment_entity
from domain.names import refuse
from domain.state import ProjectState
from domain.webhook_commands import CreateWebhook


def require(state: ProjectState, command: Command, entity: Entity) -> None:
    """Refuse what addresses nothing, something stale, or something archived; in this order."""
    if not isinstance(command, CreateProject):
        _require_existing(state, command)
    _require_revision(state, command, entity)
    refuse(text_problems("/comment", command.comment, limits.COMMENT_LENGTH))
    _require_unarchived(state, command)


def _require_existing(state: ProjectState, command: Command) -> None:
    if state.project is None:
        raise UnknownEntity(Entity("project", ""))
    match command:
        case (
            CreateEnvironment()
            | CreateFlag()
            | CreateSegment()
            | CreateWebhook()
            | OpenChangeRequest()
        ):
            pass
        case OnEnvironment():
            _require_environment(state, command.environment)
        case OnKey():
            _require_environment(state, command.environment)
            _require_key(state, command)
        case OnFlag():
            _require_flag(state, command.flag)
        case OnSettings():
            _require_flag(state, command.flag)
            _require_environment(state, command.environment)
        case OnSegment() if command.segment not in state.segments:
            raise UnknownEntity(Entity("segment", command.segment), state.segments)
        case OnChangeRequest() if command.change_request not in state.change_requests:
            raise UnknownEntity(Entity("change-request", command.change_request))
        case OnWebhook() if command.webhook not in state.webhooks:
            raise UnknownEntity(Entity("webhook", command.webhook))


def _require_environment(state: ProjectState, key: str) -> None:
    if key not in state.environments:
        raise UnknownEntity(environment_entity(key), state.environments)


def _require_flag(state: ProjectState, key: str) -> None:
    if key not in state.flags:
        raise UnknownEntity(Entity("flag", key), state.flags)


def _require_key(state: ProjectState, command: OnKey) -> None:
    place = command.key, command.environment
    if place not in state.keys and not isinstance(command, IssueSdkKey):
        raise UnknownEntity(Entity("key", *place))


def _require_revision(state: ProjectState, command: Asked, entity: Entity) -> None:
    expected = command.expected_revision
    if expected is not None and expected != state.revision(entity):
        raise StaleRevision(entity, expected, state.revision(entity))


def _require_unarchived(state: ProjectState, command: Command) -> None:
    match command:
        case CreateFlag() | ArchiveFlag() | RestoreFlag() | DeleteFlag():
            pass
        case OnFlag() | OnSettings() if state.flags[command.flag].archived:
            raise Archived(command.flag)


def require_room(rows: Sized, limit: int, what: str) -> None:
    """Refuse one more where there are as many as there may be."""
    if len(rows) >= limit:
        raise LimitReached(what, limit)


def same(one: object, other: object) -> bool:
    """Whether two values are the same as JSON: to Python 1, 1.0 and true are equal."""
    return one == other and encode(one) == encode(other)
