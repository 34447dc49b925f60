"""Why somebody got what they got: an evaluation together with its trace.

:func:`explain` is the reference with a recorder listening, not a second evaluator: its detail is
what :func:`halyard_protocol.evaluation.evaluate` answers. It is pure and total like that, and some
five times slower.
"""

from __future__ import annotations

from typing import Any

import msgspec

from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, answer
from halyard_protocol.matching import Inquiry
from halyard_protocol.recording import Recorder
from halyard_protocol.ruleset import MalformedFlag, Ruleset
from halyard_protocol.showing import text, whole
from halyard_protocol.traces import FlagTrace, SegmentTrace


class Explanation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An answer and how it came about."""

    detail: Detail
    trace: FlagTrace | None = None
    """None where the flag is unknown."""
    segments: dict[str, SegmentTrace] = {}
    """Each segment that was decided, once, by its key."""
    truncated: bool = False
    """There was more than a trace holds: see :mod:`halyard_protocol.recording`."""


def explain(
    ruleset: Ruleset, flag_key: str, context: Context, default: Any, now_ms: int
) -> Explanation:
    """Decide one flag for one context at one instant (``now_ms``), and say how.

    The trace can always be written as JSON, whatever the attributes are; the detail where the
    value or the caller's default can be.
    """
    recorder = Recorder()
    detail = answer(Inquiry(ruleset, context, now_ms, recorder), flag_key, default)
    flag = ruleset.flags.get(flag_key)
    trace = recorder.flag
    if isinstance(flag, MalformedFlag):
        reason = msgspec.structs.replace(detail.reason, message=text(detail.reason.message))
        trace = FlagTrace(text(flag.key), whole(flag.version), False, None, reason)
    return Explanation(detail, trace, recorder.segments, recorder.truncated)
