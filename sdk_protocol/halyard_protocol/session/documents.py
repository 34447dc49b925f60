"""Documents of a ruleset as bytes, and how ``snapshot`` and ``changes`` are joined from them.

Nothing is decoded but each document's head, and nothing is encoded twice: a message is the
documents' own bytes with punctuation between. SDK keys and kinds that this version does not know
are documents too, and never part of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["environment", "flag", "segment", "key", ""]


class Document(msgspec.Struct, frozen=True, gc=False):
    """One document, and what a feed must know of it."""

    kind: Kind
    """Empty where this version does not know the kind."""
    key: str
    version: int
    """The seq of its last change."""
    deleted: bool
    body: bytes
    """Its JSON."""


class _Head(msgspec.Struct, frozen=True):
    version: int = 0
    key: str = ""
    deleted: bool = False


_head_decoder = msgspec.json.Decoder(_Head)


def read_document(document_key: str, body: bytes) -> Document:
    """Read a document's head. Raises ``msgspec.DecodeError`` where there is none."""
    head = _head_decoder.decode(body)
    prefix, _, rest = document_key.partition(":")
    match prefix:
        case "environment":
            return Document("environment", head.key, head.version, head.deleted, body)
        case "flag" | "segment" | "key":
            return Document(prefix, rest, head.version, head.deleted, body)
        case _:
            return Document("", rest, head.version, head.deleted, body)


def in_order(documents: Mapping[str, Document]) -> dict[str, Document]:
    """The same documents, the least recently changed first."""
    return dict(sorted(documents.items(), key=lambda item: item[1].version))


def snapshot_parts(epoch: str, seq: int, documents: Iterable[Document]) -> list[bytes]:
    """The payload of a ``snapshot``, in parts to be joined."""
    living = [document for document in documents if not document.deleted]
    environment = _bodies(living, "environment") or [b'{"key":""}']
    return [
        f'{{"type":"snapshot","epoch":"{epoch}","seq":{seq},"environment":'.encode(),
        *environment,
        *_lists(b",", living),
        b"}",
    ]


def changes_parts(epoch: str, since: int, to: int, documents: Sequence[Document]) -> list[bytes]:
    """The payload of a ``changes`` that puts and deletes ``documents``, in parts to be joined."""
    living = [document for document in documents if not document.deleted]
    environment = _bodies(living, "environment")
    return [
        f'{{"type":"changes","epoch":"{epoch}","from":{since},"to":{to},"put":{{'.encode(),
        *((b'"environment":', *environment, b",") if environment else ()),
        *_lists(b"", living),
        b'},"delete":',
        _deleted(document for document in documents if document.deleted),
        b"}",
    ]


def _lists(before: bytes, living: Sequence[Document]) -> list[bytes]:
    return [
        before + b'"flags":[',
        *_with_commas(_bodies(living, "flag")),
        b'],"segments":[',
        *_with_commas(_bodies(living, "segment")),
        b"]",
    ]


def _bodies(documents: Iterable[Document], kind: Kind) -> list[bytes]:
    return [document.body for document in documents if document.kind == kind]


def _with_commas(bodies: Sequence[bytes]) -> list[bytes]:
    parts = [b","] * (2 * len(bodies) - 1) if bodies else []
    parts[::2] = bodies
    return parts


class _Deleted(msgspec.Struct, frozen=True):
    flags: list[str]
    segments: list[str]


def _deleted(documents: Iterable[Document]) -> bytes:
    deleted = _Deleted([], [])
    for document in documents:
        match document.kind:
            case "flag":
                deleted.flags.append(document.key)
            case "segment":
                deleted.segments.append(document.key)
            case "environment" | "key" | "":
                pass  # no message says that these are gone: keys are closed, the rest is unknown
    return msgspec.json.encode(deleted)
