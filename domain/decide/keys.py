"""Decisions on SDK keys."""

from __future__ import annotations

from collections.abc import Iterator

from halyard_protocol.limits import MAX_NAME_LENGTH
from halyard_protocol.problems import Problem, Problems, text_problems

from domain import limits
from domain.commands import IssueSdkKey, RevokeSdkKey, SetSdkKeyOrigins
from domain.errors import KeyTaken, LimitReached, Revoked
from domain.events import SdkKeyIssued, SdkKeyKind, SdkKeyOriginsSet, SdkKeyRevoked
from domain.facts import Entity
from domain.names import id_problems, refuse, sha256_problems
from domain.origins import normal_origins, origins_problems
from domain.state import ProjectState, SdkKey


def issue(state: ProjectState, command: IssueSdkKey) -> SdkKeyIssued:
    """One more key."""
    environment = state.environments[command.environment]
    refuse(
        id_problems("/key", command.key),
        text_problems("/name", command.name, MAX_NAME_LENGTH),
        _secret_problems(command, environment.id),
        _origins_problems(command.kind, command.origins),
    )
    held = tuple(_keys_of(state, command.environment))
    if any(_clash(key, command) for key in held):
        raise KeyTaken(Entity("key", command.key, command.environment))
    if sum(key.revoked_at is None for key in held) >= limits.SDK_KEYS:
        raise LimitReached(f"keys in environment '{command.environment}'", limits.SDK_KEYS)
    return SdkKeyIssued(
        command.kind,
        command.name,
        command.sha256,
        command.client_key,
        normal_origins(command.origins),
        comment=command.comment,
    )


def _keys_of(state: ProjectState, environment: str) -> Iterator[SdkKey]:
    return (key for key in state.keys.values() if key.environment == environment)


def _clash(key: SdkKey, command: IssueSdkKey) -> bool:
    if key.id == command.key:
        return True
    return (key.sha256, key.client_key) == (command.sha256, command.client_key)


def _secret_problems(command: IssueSdkKey, environment_id: str) -> Problems:
    if command.kind == "server":
        return _server_key_problems(command)
    return _client_key_problems(command, f"{environment_id}-c-")


def _server_key_problems(command: IssueSdkKey) -> Problems:
    if command.client_key is not None:
        yield Problem("/clientKey", "a server key is never stored in clear: give its sha256")
    if command.sha256 is None:
        yield Problem("/sha256", "missing: a server key is known by its SHA-256")
    else:
        yield from sha256_problems("/sha256", command.sha256)


def _client_key_problems(command: IssueSdkKey, prefix: str) -> Problems:
    if command.sha256 is not None:
        yield Problem("/sha256", "a client key is public: give it in clear as clientKey")
    if command.client_key is None:
        yield Problem("/clientKey", "missing: a client key is stored in clear")
    elif not command.client_key.startswith(prefix) or command.client_key == prefix:
        yield Problem("/clientKey", f"a client key of this environment begins with {prefix}")
    else:
        yield from id_problems("/clientKey", command.client_key)


def _origins_problems(kind: SdkKeyKind, origins: tuple[str, ...]) -> Problems:
    if kind == "server":
        if origins:
            reason = "only a client key has origins: a server key is not for browsers"
            yield Problem("/origins", reason)
    else:
        yield from origins_problems("/origins", origins)


def set_origins(state: ProjectState, command: SetSdkKeyOrigins) -> SdkKeyOriginsSet | None:
    """Whose pages may use it from now on."""
    key = state.keys[command.key, command.environment]
    refuse(_origins_problems(key.kind, command.origins))
    if key.revoked_at is not None:
        raise Revoked(key.id)
    origins = normal_origins(command.origins)
    if origins == key.origins:
        return None
    return SdkKeyOriginsSet(origins, comment=command.comment)


def revoke(state: ProjectState, command: RevokeSdkKey) -> SdkKeyRevoked | None:
    """The end of one."""
    if state.keys[command.key, command.environment].revoked_at is not None:
        return None
    return SdkKeyRevoked(comment=command.comment)
