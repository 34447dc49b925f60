"""What a client says about other clients: which revision it saw, and that it may be repeating.

``ETag`` is the entity's revision in quotes; ``If-Match`` sends it back. ``Idempotency-Key`` makes
a repeat of the same request answer what the first one was answered.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from halyard_protocol.problems import Problem

from server.http.call import Call
from server.http.faults import Malformed
from server.http.queries import MAX_SEQ
from server.http.replies import Header

IDEMPOTENCY_KEY_LENGTH = 200

_ETAG = re.compile(r'"([0-9]{1,18})"')
_SEQ = re.compile(r"[0-9]{1,18}")


def etag(revision: int) -> Header:
    """The header that says which revision was read, or made."""
    return (b"etag", b'"%d"' % revision)


def expected_revision(call: Call) -> int | None:
    """What ``If-Match`` expects; None without it, and for ``*``. Raises :class:`Malformed`."""
    value = call.header(b"if-match")
    if value is None or value == "*":
        return None
    match = _ETAG.fullmatch(value)
    if match is None:
        reason = 'is one ETag as it was given: a revision in quotes, such as "7"'
        raise Malformed(Problem("If-Match", reason))
    return int(match[1])


def idempotency_key(call: Call) -> str | None:
    """The key of the request, or None. Raises :class:`Malformed`."""
    value = call.header(b"idempotency-key")
    if value is None:
        return None
    if not 1 <= len(value) <= IDEMPOTENCY_KEY_LENGTH or not value.isprintable():
        reason = f"is 1 to {IDEMPOTENCY_KEY_LENGTH} printable characters"
        raise Malformed(Problem("Idempotency-Key", reason))
    return value


def request_fingerprint(call: Call) -> bytes:
    """What must be the same for two requests to be the same one, each part delimited."""
    parts = (
        call.method.encode(),
        call.path.encode(),
        call.raw_query,
        call.headers.get(b"if-match", b""),
        call.body,
    )
    return b"".join(hashlib.sha256(part).digest() for part in parts)


def read_seq(text: str) -> int | None:
    """A seq in decimal digits; None for anything else, and for what no log comes to."""
    return int(text) if _SEQ.fullmatch(text) and int(text) <= MAX_SEQ else None


def moment(at: str, name: str = "?at") -> int | datetime:
    """A seq, or a time with its zone. Raises :class:`Malformed` with the parameter's ``name``.

    A ``+`` that was not escaped in a query string arrives as a space, and is taken for what it was.
    """
    seq = read_seq(at)
    if seq is not None:
        return seq
    try:
        time = datetime.fromisoformat(at.replace(" ", "+") if "T" in at.upper() else at)
        time = time if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        time = None
    if time is None or time.tzinfo is None:
        reason = "is a seq, or an RFC 3339 time with its zone, such as 2026-05-01T12:00:00Z"
        raise Malformed(Problem(name, reason))
    return time
