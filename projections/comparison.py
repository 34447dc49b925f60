"""What differs between a ruleset in Redis and what the log gives, and what that means for SDKs.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from eventstore.contents import Content
from projections.documents import VersionedDocument, is_tombstone
from projections.rulesets import Meta

Fault: TypeAlias = Literal["missing", "unexpected", "different", "misplaced"]
"""Of a document in Redis: not there; there, but not of this log; with other bytes; or in the index
under another version, so that "what changed since" would be answered wrongly."""


class Difference(msgspec.Struct, frozen=True):
    """One document that is not as it should be. Versions are None where there is no document."""

    document: str
    fault: Fault
    stored_version: int | None
    expected_version: int | None


class Audit(msgspec.Struct, frozen=True):
    """A ruleset in Redis with all there is to compare, as of one instant."""

    meta: Meta
    documents: dict[str, bytes]
    index: dict[str, int]
    """Versions by document, as the index has them."""


def differences(audit: Audit, expected: Iterable[VersionedDocument]) -> tuple[Difference, ...]:
    """What differs, by document. Tombstones up to the horizon are nobody's business any more."""
    wanted = {
        document.name: document
        for document in expected
        if document.version > audit.meta.horizon or not document.deleted
    }
    stored = {
        name: body
        for name, body in audit.documents.items()
        if name in wanted or _version(body) > audit.meta.horizon or not is_tombstone(body)
    }
    names = sorted(wanted.keys() | stored.keys() | audit.index.keys() - audit.documents.keys())
    found = (_difference(name, audit.index, stored, wanted) for name in names)
    return tuple(difference for difference in found if difference is not None)


def _difference(
    name: str,
    index: Mapping[str, int],
    stored: Mapping[str, bytes],
    wanted: Mapping[str, VersionedDocument],
) -> Difference | None:
    body, document = stored.get(name), wanted.get(name)
    if document is None:
        version = index.get(name) if body is None else _version(body)
        return Difference(name, "unexpected", version, None)
    if body is None:
        return Difference(name, "missing", None, document.version)
    if body != document.body:
        return Difference(name, "different", _version(body), document.version)
    if index.get(name) != document.version:
        return Difference(name, "misplaced", index.get(name), document.version)
    return None


class _Versioned(msgspec.Struct):
    version: int = 0


_version_decoder = msgspec.json.Decoder(_Versioned)


def _version(body: bytes) -> int:
    try:
        return _version_decoder.decode(body).version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


def content_of_build(
    settled: Content | None, live: Meta | None, fold_version: int, *, same: bool
) -> Content:
    """The content that a new generation must have, given what was settled before.

    By the same fold the same log always gives the same documents; so the number stays, unless SDKs
    may hold other documents under it.

    Args:
        settled: the content of the environment so far.
        live: meta of the ruleset that is to be replaced, where it is of the same epoch.
        fold_version: of the fold that builds.
        same: the live ruleset was written by the same fold, and does not differ from what that
            gives at the same seq.
    """
    if settled is None:
        return Content(1 if live is None else live.content + 1, fold_version)
    # A live ruleset with a lower number was superseded already: a Redis that came back from a dump.
    trusted = live is None or live.content < settled.number
    if settled.fold_version == fold_version and (
        trusted or (same and live is not None and live.content == settled.number)
    ):
        return settled
    highest = max(settled.number, 0 if live is None else live.content)
    return Content(highest + 1, fold_version)
