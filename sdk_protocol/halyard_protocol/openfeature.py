"""What Halyard's answers and contexts are called in OpenFeature's words: one table for all.

The words are those of OpenFeature's specification (types: resolution reason, error code). Whatever
its reasons cannot tell apart stands in a flag's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from halyard_protocol.context import MULTI, USER, Context, InvalidContext, pointer_to
from halyard_protocol.evaluation import Reason, ReasonKind

ResolutionReason: TypeAlias = Literal[
    "STATIC",
    "DEFAULT",
    "TARGETING_MATCH",
    "SPLIT",
    "CACHED",
    "DISABLED",
    "UNKNOWN",
    "STALE",
    "ERROR",
]
ErrorCode: TypeAlias = Literal[
    "PROVIDER_NOT_READY",
    "FLAG_NOT_FOUND",
    "PARSE_ERROR",
    "TYPE_MISMATCH",
    "TARGETING_KEY_MISSING",
    "INVALID_CONTEXT",
    "PROVIDER_FATAL",
    "GENERAL",
]
MetadataValue: TypeAlias = str | int | float | bool

TARGETING_KEY = "targetingKey"

REASONS: dict[ReasonKind, ResolutionReason] = {
    "DISABLED": "DISABLED",
    "EXPIRED": "DISABLED",
    "PREREQUISITE_FAILED": "DEFAULT",
    "TARGET_MATCH": "TARGETING_MATCH",
    "RULE_MATCH": "TARGETING_MATCH",
    "FALLTHROUGH": "DEFAULT",
    "ERROR": "ERROR",
}
"""By kind, where no rollout decided; a rollout is ``SPLIT``, whatever led to it.

Never ``STATIC``: some caches keep such a value for every context, and the next change of the flag
can make it depend on one.
"""

ERROR_CODES: dict[str, ErrorCode] = {
    "FLAG_NOT_FOUND": "FLAG_NOT_FOUND",
    "MALFORMED_FLAG": "PARSE_ERROR",
    "PROVIDER_NOT_READY": "PROVIDER_NOT_READY",
    "INVALID_CONTEXT": "INVALID_CONTEXT",
    "TYPE_MISMATCH": "TYPE_MISMATCH",
}
"""By the codes of evaluation and of the SDK; what is not in it is ``GENERAL``."""


def resolution_reason(reason: Reason) -> ResolutionReason:
    """OpenFeature's word for a reason."""
    return REASONS[reason.kind] if reason.bucket is None else "SPLIT"


def error_code(reason: Reason) -> ErrorCode | None:
    """OpenFeature's word for what went wrong; None where nothing did."""
    if reason.kind != "ERROR":
        return None
    return ERROR_CODES.get(reason.error_code or "", "GENERAL")


def flag_metadata(reason: Reason, version: int | None) -> dict[str, MetadataValue]:
    """All that a reason says and OpenFeature has no word for; scalars only, none of them null.

    ``version`` is the flag's, None where there is no such flag. Always there is ``reasonKind``.
    """
    told: dict[str, Any] = {
        "reasonKind": reason.kind,
        "version": version,
        "ruleId": reason.rule_id,
        "ruleIndex": reason.rule_index,
        "prerequisite": reason.prerequisite,
        "bucket": reason.bucket,
        "inExperiment": reason.in_experiment or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def context_of(attributes: Mapping[str, Any]) -> Context:
    """Read an evaluation context: the targeting key and the attributes beside each other.

    ``targetingKey`` is the key of a user, or of the ``kind`` that the attributes name; before a
    member ``key`` it has the right of way. Empty or null it counts as absent, and without any key
    the attributes alone can match. With ``kind`` ``multi`` each other member is the context of
    one kind, with a ``key`` or a ``targetingKey`` of its own; the outer one is the user's where
    the user has none. Raises :class:`InvalidContext`.
    """
    if attributes.get("kind") != MULTI:
        return Context.of(_keyed(attributes, ""))
    kinds: dict[str, Any] = {
        kind: _keyed(member, pointer_to(kind)) if isinstance(member, Mapping) else member
        for kind, member in attributes.items()
        if kind != TARGETING_KEY
    }
    outer = _targeting_key(attributes, "")
    if outer is not None and isinstance(kinds.setdefault(USER, {}), Mapping):
        kinds[USER] = {"key": outer, **kinds[USER]}
    return Context.of(kinds)


def _keyed(attributes: Mapping[str, Any], path: str) -> dict[str, Any]:
    keyed = dict(attributes)
    keyed.pop(TARGETING_KEY, None)
    targeting_key = _targeting_key(attributes, path)
    if targeting_key is not None:
        keyed["key"] = targeting_key
    return keyed


def _targeting_key(attributes: Mapping[str, Any], path: str) -> str | None:
    key = attributes.get(TARGETING_KEY)
    if key is None or key == "":
        return None
    if not isinstance(key, str):
        raise InvalidContext(f"{path}/{TARGETING_KEY}", "a targeting key is a string")
    return key
