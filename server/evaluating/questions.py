"""Which flags, for which contexts, at which instant; and the answers, as JSON, in slices of time.

Answers are written one by one as they are found, so that a large preview needs neither a long
pause of the loop nor all of its answers as objects.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.disclosure import without_rules
from halyard_protocol.evaluation import Reason
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.explanation import Explanation, explain
from halyard_protocol.problems import Problem
from halyard_protocol.traces import FlagTrace, SegmentTrace

SLICE_S = 0.003
"""How long is evaluated before the loop gets its turn."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Of all answers to one request: a short one can ask for the same long value very often."""


class AnswersTooLong(Exception):
    """The answers are longer than one request may ask for."""

    def __init__(self) -> None:
        super().__init__(f"the answers are longer than {MAX_ANSWER_BYTES} bytes: ask for fewer")


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What one flag answers to one context, and where it was asked for how that came about."""

    flag: str
    value: Any
    variation: str | None
    """Null where the value is the default."""
    reason: Reason
    version: int
    """The seq of the flag's last change; 0 where there is no such flag."""
    trace: FlagTrace | None = None
    segments: dict[str, SegmentTrace] = {}
    """Each segment that was decided, once, by its key."""
    truncated: bool = False
    """There was more than a trace holds."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of each context."""

    evaluator: Evaluator
    flags: Sequence[str]
    default: Any = None
    now_ms: int
    explain: bool = False
    hides_rules: bool = False
    """Whether reasons name neither rules nor other flags."""

    def answer(self, flag: str, context: Context) -> Evaluation:
        """What one flag answers to one context."""
        if self.explain:
            explained = explain(self.evaluator.ruleset, flag, context, self.default, self.now_ms)
        else:
            detail = self.evaluator.detail(flag, context, self.default, self.now_ms)
            explained = Explanation(detail)
        return self._evaluation(flag, explained)

    def _evaluation(self, flag: str, explained: Explanation) -> Evaluation:
        asked = self.evaluator.ruleset.flags.get(flag)
        reason = explained.detail.reason
        return Evaluation(
            flag=flag,
            value=explained.detail.value,
            variation=explained.detail.variation,
            reason=without_rules(reason) if self.hides_rules else reason,
            version=0 if asked is None else asked.version,
            trace=explained.trace,
            segments=explained.segments,
            truncated=explained.truncated,
        )


def _all(_evaluation: Evaluation) -> bool:
    return True


async def answers(
    question: Question, context: Context, wanted: Callable[[Evaluation], bool] = _all
) -> list[bytes]:
    """The evaluations of one context as JSON, in the order of the question's flags.

    Only those that are ``wanted``. Raises :class:`AnswersTooLong`.
    """
    return await _answers(question, context, _Pace(), wanted)


async def answers_in_turn(question: Question, contexts: Sequence[Any]) -> list[list[bytes] | bytes]:
    """The same for each context, as it was sent; for one that is none, a problem as JSON.

    Raises :class:`AnswersTooLong`.
    """
    pace = _Pace()
    found: list[list[bytes] | bytes] = []
    for number, source in enumerate(contexts):
        try:
            context = Context.of(source)
        except InvalidContext as error:
            found.append(encode(Problem(f"/contexts/{number}{error.field}", error.reason)))
        else:
            found.append(await _answers(question, context, pace))
    return found


async def _answers(
    question: Question,
    context: Context,
    pace: _Pace,
    wanted: Callable[[Evaluation], bool] = _all,
) -> list[bytes]:
    found = []
    for flag in question.flags:
        evaluation = question.answer(flag, context)
        if wanted(evaluation):
            answer = encode(evaluation)
            pace.answered(len(answer))
            found.append(answer)
        if pace.due:
            await pace.rest()
    return found


class _Pace:
    """When the loop is to get its turn, and when it is enough."""

    __slots__ = ("_began_s", "_bytes")

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self._bytes = 0

    def answered(self, size: int) -> None:
        """There is another answer of so many bytes."""
        self._bytes += size
        if self._bytes > MAX_ANSWER_BYTES:
            raise AnswersTooLong

    @property
    def due(self) -> bool:
        return time.perf_counter() - self._began_s > SLICE_S

    async def rest(self) -> None:
        await asyncio.sleep(0)
        self._began_s = time.perf_counter()
