"""One flag as it is asked for many contexts, over and over: decided once for all that look alike.

The answer is kept by what the flag sees of a context, for as long as time does not change it. Where
almost every context looks different (a rollout by their keys), nothing is kept: deciding costs less
than finding. Where time matters it is kept all the same, since it says until when it is true.

When the flag has changed, or something that it leans on, whoever gets the same as before gets the
same object as before: that is what tells the few whom a change concerns from all the others.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from halyard_protocol.context import Attributes, Context
from halyard_protocol.evaluation import Detail
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.next_instant import is_timeless, next_instant
from halyard_protocol.ruleset import Flag, MalformedFlag
from halyard_protocol.session.outcomes import Outcome, outcome_of
from halyard_protocol.session.sight import (
    Attribute,
    Seen,
    attributes_seen,
    expiries_ms,
    has_ramps,
    seen,
)

KEPT_ANSWERS: Final = 64
"""Of one flag that time does not touch: as soon as there are more, none is kept."""

KEPT_OUTCOMES: Final = 256
"""Of a flag's forms before this one; of more, the oldest are forgotten, and told anew."""

PACE_MS: Final = 1_000
"""A flag is not asked again because of the time more often than this, but where it expires."""

RAMP_PACE_MS: Final = 10_000
"""One that rises steadily: of many contexts, a few change in every second."""


class _Answer(NamedTuple):
    outcome: Outcome
    until_ms: float
    """The first instant at which time alone may change it; infinite where it never does."""


class _Sight(NamedTuple):
    """What is found out when a flag is asked for the first time."""

    attributes: tuple[Attribute, ...]
    timeless: bool
    pace_ms: int
    expiries_ms: frozenset[int]
    """Instants that are kept to exactly."""


class Question:
    """A flag in one of its forms, with all that it leans on; ``former`` is the one before it.

    Attributes:
        due_ms: by when some answer may have become another, at the earliest; infinite where none
            does.
    """

    __slots__ = (
        "_answers",
        "_former",
        "_not_before_ms",
        "_outcomes",
        "_room",
        "_sight",
        "_various",
        "due_ms",
        "flag",
    )

    def __init__(self, flag: Flag | MalformedFlag, former: Question | None = None) -> None:
        self.flag = flag
        self.due_ms = math.inf
        self._former: dict[bytes, Outcome] = {} if former is None else former.known()
        self._answers: dict[Seen, _Answer] = {}
        self._outcomes: dict[tuple[Any, ...], Outcome] = {}
        self._sight: _Sight | None = None
        self._various = False
        """Nothing is kept: too many contexts look different."""
        self._not_before_ms = -math.inf
        self._room = KEPT_ANSWERS
        """With more answers than these, it is time to see how many contexts there still are."""

    def outcome(self, evaluator: Evaluator, kinds: dict[str, Attributes], now_ms: int) -> Outcome:
        """What the flag gives a context. ``evaluator`` has the documents of this form."""
        if self._various:
            return self._decided(evaluator, kinds, now_ms)
        sight = self._sight or self._look(evaluator)
        looks = seen(sight.attributes, kinds)
        answer = self._answers.get(looks)
        if answer is None or answer.until_ms <= now_ms:
            answer = self._answer(evaluator, kinds, now_ms, sight)
            if sight.timeless and len(self._answers) >= KEPT_ANSWERS:
                self._various = True
                self._answers.clear()
            else:
                self._answers[looks] = answer
                if len(self._answers) > self._room:
                    self.due_ms = min(self.due_ms, max(now_ms, self._not_before_ms))
        return answer.outcome

    def known(self) -> dict[bytes, Outcome]:
        """Outcomes of this form and of those before it, by what they say."""
        given = {each.said: each for each in self._outcomes.values()}
        # The newest come last, so that those are kept which are still given.
        known = {said: each for said, each in self._former.items() if said not in given} | given
        return dict(list(known.items())[-KEPT_OUTCOMES:])

    @property
    def timed(self) -> bool:
        """Whether answers depend on the time, as far as it was asked."""
        return self._sight is not None and not self._sight.timeless

    def expire(self, now_ms: int, contexts: int) -> None:
        """Forget what is no longer true, so that it is decided again when it is asked for.

        ``contexts``: how many there are; of more than twice as many answers, most are of contexts
        that have gone.
        """
        answers = {looks: each for looks, each in self._answers.items() if each.until_ms > now_ms}
        if len(answers) > KEPT_ANSWERS + 2 * contexts:
            answers = {}
        self._room = KEPT_ANSWERS + 4 * contexts
        self._answers = answers
        self._not_before_ms = now_ms + (PACE_MS if self._sight is None else self._sight.pace_ms)
        until_ms = {each.until_ms for each in answers.values()}
        self.due_ms = min(map(self._due_ms, until_ms), default=math.inf)

    def forget(self, now_ms: int) -> bool:
        """The clock was set: nothing that depends on it is known. Answers whether anything does."""
        if not self.timed:
            return False
        self._answers = {}
        self._not_before_ms = now_ms
        self.due_ms = math.inf
        return True

    def _due_ms(self, until_ms: float) -> float:
        """When to look after an answer that is true until then."""
        if self._sight is not None and until_ms in self._sight.expiries_ms:
            return until_ms
        return max(until_ms, self._not_before_ms)

    def _look(self, evaluator: Evaluator) -> _Sight:
        ruleset, key = evaluator.ruleset, self.flag.key
        pace_ms = RAMP_PACE_MS if has_ramps(ruleset, key) else PACE_MS
        self._sight = _Sight(
            attributes_seen(ruleset, key),
            is_timeless(ruleset, key),
            pace_ms,
            expiries_ms(ruleset, key),
        )
        return self._sight

    def _answer(
        self, evaluator: Evaluator, kinds: dict[str, Attributes], now_ms: int, sight: _Sight
    ) -> _Answer:
        outcome = self._decided(evaluator, kinds, now_ms)
        if sight.timeless:
            return _Answer(outcome, math.inf)
        until_ms = next_instant(evaluator.ruleset, self.flag.key, Context(kinds), now_ms)
        if until_ms is None:
            return _Answer(outcome, math.inf)
        self.due_ms = min(self.due_ms, self._due_ms(until_ms))
        return _Answer(outcome, until_ms)

    def _decided(self, evaluator: Evaluator, kinds: dict[str, Attributes], now_ms: int) -> Outcome:
        detail: Detail = evaluator.decisions[self.flag.key](kinds, now_ms, None)
        reason = detail.reason
        told = (detail.variation, reason.kind, reason.error_code, reason.in_experiment)
        outcome = self._outcomes.get(told)
        if outcome is None:
            outcome = outcome_of(self.flag.key, self.flag.version, detail)
            outcome = self._outcomes[told] = self._former.get(outcome.said, outcome)
        return outcome
