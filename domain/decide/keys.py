"""Decisions on SDK keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from halyard_protocol.limits import MAX_NAME_LENGTH
from halyard_protocol.problems import Problem, Problems, instant_problems, text_problems

from domain import limits
from domain.asked import OnKey
from domain.commands import (
    IssueSdkKey,
    RevokeSdkKey,
    RotateSdkKey,
    SetSdkKeyExpiry,
    SetSdkKeyOrigins,
)
from domain.errors import KeyTaken, LimitReached, Revoked
from domain.events import (
    SdkKeyExpirySet,
    SdkKeyIssued,
    SdkKeyKind,
    SdkKeyOriginsSet,
    SdkKeyRevoked,
)
from domain.facts import Entity, Fact
from domain.names import id_problems, refuse, sha256_problems
from domain.origins import normal_origins, origins_problems
from domain.state import ProjectState, SdkKey


def issue(state: ProjectState, command: IssueSdkKey, now: datetime) -> SdkKeyIssued:
    """One more key."""
    refuse(
        id_problems("/key", command.key),
        text_problems("/name", command.name, MAX_NAME_LENGTH),
        _secret_problems(command.kind, command, state.environments[command.environment].id),
        _origins_problems(command.kind, command.origins),
    )
    _require_new(state, command.key, command, now)
    return SdkKeyIssued(
        command.kind,
        command.name,
        command.sha256,
        command.client_key,
        normal_origins(command.origins),
        comment=command.comment,
    )


def rotate(
    state: ProjectState, command: RotateSdkKey, now: datetime
) -> tuple[Fact[SdkKeyIssued], Fact[SdkKeyExpirySet]]:
    """A key like an old one, and the old one's end, ``overlap_hours`` from now."""
    old = _live(state, command, now)
    refuse(
        id_problems("/successor", command.successor),
        text_problems("/name", command.name or "", MAX_NAME_LENGTH),
        _secret_problems(old.kind, command, state.environments[old.environment].id),
    )
    _require_new(state, command.successor, command, now)
    issued = SdkKeyIssued(
        old.kind,
        old.name if command.name is None else command.name,
        command.sha256,
        command.client_key,
        old.origins,
        comment=command.comment,
    )
    expires_at = now + timedelta(hours=command.overlap_hours)
    ends = SdkKeyExpirySet(expires_at, comment=command.comment)
    successor = Entity("key", command.successor, old.environment)
    predecessor = Entity("key", old.id, old.environment)
    return (
        Fact(issued, successor, state.revision(successor) + 1),
        Fact(ends, predecessor, state.revision(predecessor) + 1),
    )


def _require_new(
    state: ProjectState, key: str, command: IssueSdkKey | RotateSdkKey, now: datetime
) -> None:
    held = tuple(_keys_of(state, command.environment))
    if any(_clash(row, key, command) for row in held):
        raise KeyTaken(Entity("key", key, command.environment))
    if sum(row.is_live(now) for row in held) >= limits.SDK_KEYS:
        raise LimitReached(f"keys in environment '{command.environment}'", limits.SDK_KEYS)


def _keys_of(state: ProjectState, environment: str) -> Iterator[SdkKey]:
    return (key for key in state.keys.values() if key.environment == environment)


def _clash(row: SdkKey, key: str, command: IssueSdkKey | RotateSdkKey) -> bool:
    if row.id == key:
        return True
    return (row.sha256, row.client_key) == (command.sha256, command.client_key)


def _secret_problems(
    kind: SdkKeyKind, command: IssueSdkKey | RotateSdkKey, environment_id: str
) -> Problems:
    if kind == "server":
        return _server_key_problems(command)
    return _client_key_problems(command, f"{environment_id}-c-")


def _server_key_problems(command: IssueSdkKey | RotateSdkKey) -> Problems:
    if command.client_key is not None:
        yield Problem("/clientKey", "a server key is never stored in clear: give its sha256")
    if command.sha256 is None:
        yield Problem("/sha256", "missing: a server key is known by its SHA-256")
    else:
        yield from sha256_problems("/sha256", command.sha256)


def _client_key_problems(command: IssueSdkKey | RotateSdkKey, prefix: str) -> Problems:
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


def set_origins(
    state: ProjectState, command: SetSdkKeyOrigins, now: datetime
) -> SdkKeyOriginsSet | None:
    """Whose pages may use it from now on."""
    key = state.keys[command.key, command.environment]
    refuse(_origins_problems(key.kind, command.origins))
    _live(state, command, now)
    origins = normal_origins(command.origins)
    if origins == key.origins:
        return None
    return SdkKeyOriginsSet(origins, comment=command.comment)


def set_expiry(
    state: ProjectState, command: SetSdkKeyExpiry, now: datetime
) -> SdkKeyExpirySet | None:
    """Until when it opens anything. One that has ended stays so: SDKs were told not to return."""
    expires_at = command.expires_at
    if expires_at is not None:
        refuse(_expiry_problems(expires_at, now))
        expires_at = expires_at.astimezone(UTC)
    if _live(state, command, now).expires_at == expires_at:
        return None
    return SdkKeyExpirySet(expires_at, comment=command.comment)


def _expiry_problems(expires_at: datetime, now: datetime) -> Problems:
    yield from instant_problems("/expiresAt", expires_at)
    if expires_at.tzinfo is not None and expires_at <= now:
        yield Problem("/expiresAt", "is over already: name an instant to come, or revoke the key")


def _live(state: ProjectState, command: OnKey, now: datetime) -> SdkKey:
    key = state.keys[command.key, command.environment]
    if not key.is_live(now):
        raise Revoked(key.id, key.expires_at if key.revoked_at is None else None)
    return key


def revoke(state: ProjectState, command: RevokeSdkKey) -> SdkKeyRevoked | None:
    """The end of one."""
    if state.keys[command.key, command.environment].revoked_at is not None:
        return None
    return SdkKeyRevoked(comment=command.comment)
