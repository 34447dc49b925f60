"""Reads the language-neutral vectors; unknown fields are errors, so that none goes unchecked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from halyard_protocol.codec import convert, decode_flag, decode_segment
from halyard_protocol.ruleset import Environment, Flag, MalformedFlag, Ruleset, Segment
from msgspec import UNSET, UnsetType

FOLDER = Path(__file__).parents[2] / "sdk_protocol" / "vectors"
SCHEMA = "vectors.schema.json"
BUCKET_TOLERANCE = 1e-8


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Reads exactly its fields."""


class OperatorCase(_Strict, frozen=True):
    """One leaf about the attribute ``subject`` of a user."""

    name: str
    op: str
    matches: bool
    attribute: Any = UNSET
    """The attribute's value; absent where the user does not have it."""
    values: list[Any] = msgspec.field(default_factory=list)
    now: int | None = None


class ConditionCase(_Strict, frozen=True):
    """A rule's ``when``: does it hold for the context?"""

    name: str
    when: Any
    context: Any
    matches: bool
    now: int | None = None


class ExpectedReason(_Strict, frozen=True):
    """The reason of a detail; its message is not compared."""

    kind: str
    error_code: str | None = None
    rule_id: str | None = None
    rule_index: int | None = None
    prerequisite: str | None = None
    bucket: float | None = None
    in_experiment: bool = False


class EvaluationCase(_Strict, frozen=True):
    """One flag for one context; ``default`` is null where absent."""

    name: str
    flag: str
    context: Any
    value: Any
    variation: str | None
    reason: ExpectedReason
    default: Any = None
    now: int | None = None


class ExplanationCase(_Strict, frozen=True):
    """One flag for one context, with its trace; ``default`` is null where absent."""

    name: str
    flag: str
    context: Any
    explanation: Any
    """Without the texts for people: the ``message`` of reasons, the ``problem`` of rules."""
    default: Any = None
    now: int | None = None


class BucketingCase(_Strict, frozen=True):
    """The bucketing number of a value; null where it cannot be hashed."""

    name: str
    key: str
    salt: str
    value: Any
    bucket: float | None
    seed: int | None = None


class ContextCase(_Strict, frozen=True):
    """Either the kinds, sorted, or the pointer of the field at fault."""

    name: str
    context: Any
    kinds: list[str] | UnsetType = UNSET
    invalid: str | UnsetType = UNSET


class DigestCase(_Strict, frozen=True):
    """The digest of values, and the canonical form that it is taken of."""

    name: str
    values: dict[str, msgspec.Raw]
    canonical: str
    digest: str


class Step(_Strict, frozen=True, omit_defaults=True):
    """One thing that happens to a client, or (``sends``) that it has to do because of it.

    ``link``: on which connection, numbered in the order in which they are opened.
    """

    link: int = 1
    opens: Literal[True] | UnsetType = UNSET
    breaks: Literal[True] | UnsetType = UNSET
    hears: msgspec.Raw | UnsetType = UNSET
    identify: Any = UNSET
    sends: Any = UNSET
    closes: Literal[True] | UnsetType = UNSET
    values: dict[str, msgspec.Raw] | UnsetType = UNSET
    """What it has then, and of whom."""
    of: Any = UNSET


class ConversationCase(_Strict, frozen=True):
    """What a client with a client key makes of what it is told."""

    name: str
    context: Any
    steps: list[Step]


class _File(_Strict, frozen=True, tag_field="kind", kw_only=True):
    schema: Literal["vectors.schema.json"] = msgspec.field(name="$schema")
    about: str


class _Ruled(_File, frozen=True, kw_only=True):
    """What conditions and evaluations happen in."""

    now: int
    environment: Any = msgspec.field(default_factory=lambda: {"key": "test"})
    segments: list[Any] = msgspec.field(default_factory=list)
    flags: list[Any] = msgspec.field(default_factory=list)

    def ruleset(self, *more: Flag) -> Ruleset:
        """The ruleset of this file, read as an SDK reads it."""
        flags = [*map(_flag, self.flags), *more]
        segments = map(_segment, self.segments)
        return Ruleset(
            convert(self.environment, Environment),
            {flag.key: flag for flag in flags},
            {segment.key: segment for segment in segments},
        )


class OperatorFile(_File, frozen=True, tag="operators", kw_only=True):
    """Cases of operators."""

    now: int
    cases: list[OperatorCase]


class ConditionFile(_Ruled, frozen=True, tag="conditions", kw_only=True):
    """Cases of conditions."""

    cases: list[ConditionCase]


class EvaluationFile(_Ruled, frozen=True, tag="evaluation", kw_only=True):
    """Cases of evaluation."""

    cases: list[EvaluationCase]


class ExplanationFile(_Ruled, frozen=True, tag="explanations", kw_only=True):
    """Cases of explanations."""

    cases: list[ExplanationCase]


class BucketingFile(_File, frozen=True, tag="bucketing", kw_only=True):
    """Cases of bucketing."""

    cases: list[BucketingCase]


class ContextFile(_File, frozen=True, tag="contexts", kw_only=True):
    """Cases of contexts."""

    cases: list[ContextCase]


class DigestFile(_File, frozen=True, tag="digests", kw_only=True):
    """Cases of digests."""

    cases: list[DigestCase]


class ConversationFile(_File, frozen=True, tag="conversations", kw_only=True):
    """Cases of conversations."""

    cases: list[ConversationCase]


VectorFile: TypeAlias = (
    OperatorFile
    | ConditionFile
    | EvaluationFile
    | ExplanationFile
    | BucketingFile
    | ContextFile
    | DigestFile
    | ConversationFile
)


def _flag(source: Any) -> Flag | MalformedFlag:
    return decode_flag(msgspec.json.encode(source))


def _segment(source: Any) -> Segment:
    return decode_segment(msgspec.json.encode(source))


def read_all() -> dict[str, VectorFile]:
    """Every file of vectors, by its name without the ending."""
    decoder = msgspec.json.Decoder(VectorFile)
    paths = sorted(path for path in FOLDER.glob("*.json") if path.name != SCHEMA)
    return {path.stem: decoder.decode(path.read_bytes()) for path in paths}


def schema() -> bytes:
    """The JSON Schema of a file of vectors."""
    described = msgspec.json.schema(VectorFile)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Halyard vectors"}
    return msgspec.json.format(msgspec.json.encode({**head, **described}), indent=2) + b"\n"
