"""What of a reason may be told to whoever has nothing but a client key, which is public."""

from __future__ import annotations

from halyard_protocol.evaluation import FLAG_NOT_FOUND, Reason


def without_rules(reason: Reason) -> Reason:
    """The same reason, naming neither rules nor other flags."""
    return Reason(
        reason.kind,
        error_code=reason.error_code,
        bucket=reason.bucket,
        in_experiment=reason.in_experiment,
        message=_message(reason),
    )


def without_bucket(reason: Reason) -> Reason:
    """The same without rules and bucket: what contexts with the same outcome have in common."""
    return Reason(
        reason.kind,
        error_code=reason.error_code,
        in_experiment=reason.in_experiment,
        message=_message(reason),
    )


def _message(reason: Reason) -> str:
    named = reason.message and reason.error_code != FLAG_NOT_FOUND
    return "the flag cannot be evaluated" if named else reason.message
