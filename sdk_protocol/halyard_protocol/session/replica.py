"""The client's copy of a ruleset, as a value: what it is, of which epoch, and as of which seq.

Every function here answers a new :class:`Replica`; the one passed in is never changed, so whoever
evaluates from it sees either all of a message or nothing of it. Documents are read one by one: a
malformed flag, segment or environment costs only itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from halyard_protocol.codec import decode_flag, decode_segment, decoder, encode
from halyard_protocol.messages import Changes, Put, Resume, Snapshot
from halyard_protocol.ruleset import Environment, Flag, MalformedFlag, Ruleset, Segment

D = TypeVar("D", Flag | MalformedFlag, Segment)

_environment_decoder = decoder(Environment)


class Replica(msgspec.Struct, frozen=True):
    """A ruleset, and the position in the stream up to which it is complete."""

    epoch: str
    """The wire epoch, opaque."""
    seq: int
    ruleset: Ruleset

    @property
    def resume(self) -> Resume:
        """What a ``hello`` says to get only what this copy lacks."""
        return Resume(self.epoch, self.seq)


class Changed(msgspec.Struct, frozen=True):
    """What differs between a replica and the one before it; put, replaced or deleted alike."""

    flags: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    environment: bool = False

    def __bool__(self) -> bool:
        return bool(self.flags or self.segments or self.environment)


def from_snapshot(snapshot: Snapshot, before: Replica | None) -> tuple[Replica, Changed]:
    """A replica of exactly what the snapshot holds, and how it differs from ``before``."""
    old = None if before is None else before.ruleset
    new = Ruleset(
        _environment(snapshot.environment, old),
        _documents(decode_flag, snapshot.flags),
        _documents(decode_segment, snapshot.segments),
    )
    return Replica(snapshot.epoch, snapshot.seq, new), difference(old, new)


def with_changes(replica: Replica, changes: Changes) -> tuple[Replica, Changed]:
    """The replica after ``changes``; the caller has made sure that they follow on from it.

    Costs two dictionary copies (about 50 us for 10,000 flags) and what the delta itself holds.
    """
    put, delete, old = changes.put, changes.delete, replica.ruleset
    flags, flag_keys = _merged(old.flags, _documents(decode_flag, put.flags), delete.flags)
    segments, segment_keys = _merged(
        old.segments, _documents(decode_segment, put.segments), delete.segments
    )
    environment = _put_environment(put, old)
    changed = Changed(flag_keys, segment_keys, environment is not old.environment)
    ruleset = Ruleset(environment, flags, segments) if changed else old
    return Replica(changes.epoch, changes.to, ruleset), changed


def advanced(replica: Replica, seq: int) -> Replica:
    """The same ruleset, vouched for through ``seq``; never moves back."""
    return replica if seq <= replica.seq else Replica(replica.epoch, seq, replica.ruleset)


def difference(old: Ruleset | None, new: Ruleset) -> Changed:
    """Which documents two rulesets do not have in common, compared as they would be written.

    Not compared with ``==``, for which true is 1 and 1 is 1.0.
    """
    if old is None:
        return Changed(frozenset(new.flags), frozenset(new.segments), environment=True)
    return Changed(
        _differing(old.flags, new.flags),
        _differing(old.segments, new.segments),
        encode(old.environment) != encode(new.environment),
    )


def _differing(old: dict[str, D], new: dict[str, D]) -> frozenset[str]:
    either = old.keys() ^ new.keys()
    both = old.keys() & new.keys()
    return frozenset(either | {key for key in both if encode(old[key]) != encode(new[key])})


def _documents(decode: Callable[[msgspec.Raw], D], sources: Iterable[msgspec.Raw]) -> dict[str, D]:
    read = (_document(decode, source) for source in sources)
    return {document.key: document for document in read if document is not None}


def _document(decode: Callable[[msgspec.Raw], D], source: msgspec.Raw) -> D | None:
    """One document, or None where not even its key can be read."""
    try:
        return decode(source)
    except msgspec.DecodeError:
        return None


def _merged(
    old: dict[str, D], put: dict[str, D], delete: tuple[str, ...]
) -> tuple[dict[str, D], frozenset[str]]:
    gone: list[str] = [key for key in delete if key in old and key not in put]
    if not put and not gone:
        return old, frozenset()
    new = {**old, **put}
    for key in gone:
        del new[key]
    return new, frozenset((*put, *gone))


def _put_environment(put: Put, old: Ruleset) -> Environment:
    if put.environment is msgspec.UNSET:
        return old.environment
    return _environment(put.environment, old)


def _environment(source: msgspec.Raw, old: Ruleset | None) -> Environment:
    """The environment; a malformed one leaves the former in place."""
    try:
        return _environment_decoder.decode(source)
    except msgspec.DecodeError:
        return Environment(key="") if old is None else old.environment
