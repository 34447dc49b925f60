"""Events to rulesets. Pure, and deterministic.

A fold of the log from its beginning, one that was kept up to date, and one that went through
:meth:`RulesetFold.dump` and :func:`load` give the same bytes at the same seq.

Documents are encoded when asked for, never per event: that is what lets a rebuild run at the speed
of reading. An event that is not critical never touches a ruleset, so its body is not even decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from domain import events as e
from domain import state as project
from domain.evolve import FOLDS, CannotFold
from domain.facts import Entity, EntityKind
from domain.upcast import decode_event
from eventstore.log import GENESIS, StoredEvent
from projections.documents import (
    ENVIRONMENT_DOCUMENT,
    VersionedDocument,
    environment_document,
    flag_document,
    sdk_key_document,
    segment_document,
    tombstone,
)
from projections.touches import TOUCHES, Environments, EnvironmentVersions

FOLD_VERSION = 1
"""Raised whenever the same log would give other documents, versions or tombstones."""

SNAPSHOT_NAME = f"ruleset/{project.FOLD_VERSION}"
"""Under which dumps are kept: a dump holds the domain's state, which has a version of its own."""


class OutOfOrder(Exception):
    """An event was given to a fold that does not stand right before it."""

    def __init__(self, log_id: str, expected: int, seq: int) -> None:
        self.expected = expected
        self.seq = seq
        super().__init__(f"log {log_id}: expected the event at seq {expected}, got {seq}")


class VoidedTooLate(Exception):
    """An event that this fold has applied was voided after all: fold anew, knowing of it."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        super().__init__(f"the event at seq {seq} was voided after it had been applied")


class RulesetFold:
    """The rulesets of one log's environments, as of ``seq``.

    Args:
        log_id: the project's key.
        voided: seqs of the events that are passed over. All that are known must be given before
            the first event: a voided event is skipped by every reader, from the start.
    """

    __slots__ = ("environments", "hash", "log_id", "seq", "state", "voided")

    def __init__(self, log_id: str, voided: Iterable[int] = ()) -> None:
        self.log_id = log_id
        self.voided = frozenset(voided)
        self.seq = 0
        self.hash = GENESIS
        """The log's chain at ``seq``."""
        self.state = project.ProjectState()
        """What documents need of the project: no revisions, and names and the like may be old."""
        self.environments = Environments()

    def apply(self, stored: StoredEvent) -> None:
        """Fold the next event.

        Raises :class:`OutOfOrder` and :class:`VoidedTooLate`, and for an event that cannot be
        applied ``UnknownEvent``, ``MalformedEvent``, ``CannotFold``, or whatever the domain's fold
        stumbled over; after any of those this fold is of no further use.
        """
        if stored.seq != self.seq + 1:
            raise OutOfOrder(self.log_id, self.seq + 1, stored.seq)
        if stored.critical and stored.seq not in self.voided:
            self._apply(stored)
        self.seq = stored.seq
        self.hash = stored.hash

    def _apply(self, stored: StoredEvent) -> None:
        event = decode_event(stored.type, stored.schema_version, stored.body)
        kind = cast("EntityKind", stored.entity_kind)
        entity = Entity(kind, stored.entity_key, stored.environment)
        try:
            # Not through `evolve`: it also keeps revisions, which no document shows, and a rebuild
            # would spend a fifth of its time on them.
            FOLDS[type(event)](self.state, entity, event, stored.recorded_at)
        except (KeyError, StopIteration) as error:
            raise CannotFold(stored.type, entity, stored.seq) from error
        touch = TOUCHES.get(type(event))
        if touch is not None:
            touch(self.environments, self.state, entity, event, stored)
        elif type(event) is e.EventVoided and event.seq not in self.voided:
            raise VoidedTooLate(event.seq)

    def documents(self, env: str, since: int = 0) -> tuple[VersionedDocument, ...]:
        """The documents of an environment that are newer than ``since``, the oldest change first.

        Tombstones included. Raises ``KeyError`` for an environment that this log never had.
        """
        versions = self.environments.by_id[env]
        return tuple(
            VersionedDocument(name, version, self._document(versions, name, version))
            for name, version in versions.since(since)
        )

    def tombstones(self, env: str, upto: int) -> tuple[str, ...]:
        """The names of an environment's tombstones whose version is not above ``upto``."""
        versions = self.environments.by_id[env]
        return tuple(
            name
            for name, version in versions.versions.items()
            if version <= upto and self._row(versions, name) is None
        )

    def _document(self, of: EnvironmentVersions, name: str, version: int) -> bytes:
        match self._row(of, name):
            case project.FlagDefinition() as flag:
                return flag_document(flag, self.state.settings[flag.key, of.key], version)
            case project.SegmentDefinition() as segment:
                return segment_document(segment, version)
            case project.SdkKey() as sdk_key:
                return sdk_key_document(sdk_key, version)
            case project.Environment() as environment:
                return environment_document(environment, version)
            case _:
                key = of.key if name == ENVIRONMENT_DOCUMENT else name.partition(":")[2]
                return tombstone(key, version)

    def _row(self, of: EnvironmentVersions, name: str) -> Any:
        """What of the project's state a document shows; None where it is a tombstone."""
        if of.ended:
            return None
        kind, _, key = name.partition(":")
        match kind:
            case "flag":
                flag = self.state.flags.get(key)
                return None if flag is None or flag.archived else flag
            case "segment":
                return self.state.segments.get(key)
            case "key":
                sdk_key = self.state.keys.get((of.key_ids[name], of.key))
                return None if sdk_key is None or sdk_key.revoked_at else sdk_key
            case _:
                return self.state.environments.get(of.key)

    def dump(self) -> bytes:
        """Write the fold as JSON: the same bytes for equal folds, however they came about."""
        environments = [
            _Environment.of(versions) for _, versions in sorted(self.environments.by_id.items())
        ]
        state = msgspec.Raw(project.dump(self.state))
        return msgspec.json.encode(
            _Snapshot(self.log_id, self.seq, self.hash, sorted(self.voided), environments, state)
        )


class _Environment(msgspec.Struct, frozen=True):
    id: str
    key: str
    ended: bool
    changed: int
    hash: bytes
    versions: list[tuple[str, int]]
    key_ids: list[tuple[str, str]]

    @classmethod
    def of(cls, versions: EnvironmentVersions) -> _Environment:
        return cls(
            versions.id,
            versions.key,
            versions.ended,
            versions.changed,
            versions.hash,
            versions.since(0),
            sorted(versions.key_ids.items()),
        )

    def restored(self) -> EnvironmentVersions:
        versions = EnvironmentVersions(self.id, self.key)
        versions.ended, versions.changed, versions.hash = self.ended, self.changed, self.hash
        versions.versions, versions.key_ids = dict(self.versions), dict(self.key_ids)
        return versions


class _Snapshot(msgspec.Struct, frozen=True):
    log_id: str
    seq: int
    hash: bytes
    voided: list[int]
    environments: list[_Environment]
    state: msgspec.Raw


_snapshot_decoder = msgspec.json.Decoder(_Snapshot)


def load(source: bytes) -> RulesetFold:
    """Read what :meth:`RulesetFold.dump` wrote. Raises ``msgspec.DecodeError`` for anything else.

    A fold that is older than an event voided since must not be used: compare ``voided``.
    """
    snapshot = _snapshot_decoder.decode(source)
    fold = RulesetFold(snapshot.log_id, snapshot.voided)
    fold.seq, fold.hash = snapshot.seq, snapshot.hash
    fold.state = project.load(bytes(snapshot.state))
    for environment in snapshot.environments:
        fold.environments.add(environment.restored())
    return fold
