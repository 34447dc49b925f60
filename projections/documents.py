"""A project's state as the documents of one environment: what SDKs receive, byte for byte.

Pure. Equal states give equal bytes, whether they were folded from the log's beginning or from a
snapshot: that is why keys of JSON objects are written in order.

A document that does not exist (deleted, archived, revoked, or in an environment that ended) is a
tombstone, so that whoever resumes learns of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from halyard_protocol.conditions import Condition, condition_to_json
from halyard_protocol.ruleset import Environment, Flag, Segment

from domain import state

ENVIRONMENT_DOCUMENT = "environment"
_TOMBSTONE_END = b',"deleted":true}'


class VersionedDocument(msgspec.Struct, frozen=True):
    """A document by its name, with the seq of its last change and its JSON."""

    name: str
    version: int
    body: bytes

    @property
    def deleted(self) -> bool:
        """Whether it is a tombstone."""
        return is_tombstone(self.body)


class SdkKeyDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """An SDK key that opens its environment; for servers only."""

    id: str
    kind: Literal["server", "client"]
    name: str
    version: int
    origins: tuple[str, ...] = ()
    """Whose pages may use it. Left out for anybody's: the bytes of before there were any."""
    expires_at: datetime | None = msgspec.field(name="expiresAt", default=None)
    """From when on it opens nothing. Left out where it has no end."""


class _Tombstone(msgspec.Struct, frozen=True):
    key: str
    version: int
    deleted: bool = True


def _write_hook(value: object) -> object:
    if isinstance(value, Condition):
        return condition_to_json(value)
    raise NotImplementedError(f"no writing of {type(value)}")


_encoder = msgspec.json.Encoder(enc_hook=_write_hook, order="deterministic")


def flag_document_name(key: str) -> str:
    """The name of a flag's document."""
    return f"flag:{key}"


def segment_document_name(key: str) -> str:
    """The name of a segment's document."""
    return f"segment:{key}"


def key_document_name(sha256: str | None, client_key: str | None) -> str:
    """The name of an SDK key's document, under which whoever presents the key finds it."""
    return f"key:{sha256 or client_key}"


def flag_here(flag: state.FlagDefinition, settings: state.FlagSettings, version: int = 0) -> Flag:
    """A flag as it stands in one environment."""
    return Flag(
        key=flag.key,
        version=version,
        type=flag.type,
        enabled=settings.enabled,
        variations=flag.variations,
        off_variation=settings.off_variation,
        prerequisites=settings.prerequisites,
        targets=settings.targets,
        rules=settings.rules,
        fallthrough=settings.fallthrough,
        salt=flag.salt,
        expires_at=settings.expires_at,
        client_side=flag.client_side,
        track_exposures=settings.track_exposures,
    )


def segment_here(segment: state.SegmentDefinition, version: int = 0) -> Segment:
    """A segment; the same in every environment but for its version."""
    return Segment(
        key=segment.key,
        version=version,
        included=segment.included,
        excluded=segment.excluded,
        rules=segment.rules,
        salt=segment.salt,
    )


def environment_here(environment: state.Environment, version: int = 0) -> Environment:
    """The environment itself, with its attributes."""
    return Environment(environment.key, environment.attributes, version)


def flag_document(flag: state.FlagDefinition, settings: state.FlagSettings, version: int) -> bytes:
    """A flag's document in one environment."""
    return _encoder.encode(flag_here(flag, settings, version))


def segment_document(segment: state.SegmentDefinition, version: int) -> bytes:
    """A segment's document."""
    return _encoder.encode(segment_here(segment, version))


def environment_document(environment: state.Environment, version: int) -> bytes:
    """The environment's own document."""
    return _encoder.encode(environment_here(environment, version))


def sdk_key_document(key: state.SdkKey, version: int) -> bytes:
    """A key that was not revoked."""
    shown = SdkKeyDocument(key.id, key.kind, key.name, version, key.origins, key.expires_at)
    return _encoder.encode(shown)


def tombstone(key: str, version: int) -> bytes:
    """What stays of a document that ended with the change at ``version``."""
    return _encoder.encode(_Tombstone(key, version))


def is_tombstone(body: bytes) -> bool:
    """Whether a document's JSON is a tombstone, as written here: nothing else ends like it."""
    return body.endswith(_TOMBSTONE_END)
