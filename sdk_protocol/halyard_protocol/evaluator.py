"""What one ruleset answers: what an SDK, the gateway and the HTTP endpoints all evaluate with.

It gives the answers of :func:`halyard_protocol.evaluation.evaluate`, the reference, and like that
it is pure and total: the caller passes the instant. A flag is interpreted until it has been asked
for a few times, and then compiled: so a ruleset that is asked for each flag once, or a flag that
changes faster than it is used, costs no compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from halyard_protocol.compilation.compiler import Compiled, Known, NotCompiled, compile_flag
from halyard_protocol.context import Attributes, Context
from halyard_protocol.evaluation import Detail, evaluate
from halyard_protocol.next_instant import is_timeless, next_instant
from halyard_protocol.ruleset import Flag, Ruleset

Decide: TypeAlias = Callable[[dict[str, Attributes], int, Any], Detail]
"""From the attributes by kind, the instant (epoch milliseconds) and the caller's default."""

Watch: TypeAlias = Callable[[Flag, Decide], Decide]
"""Puts something in the place of what decides a flag, which answers the same; or leaves it."""

SWEPT_AFTER = 64
"""Rulesets: functions that are right no more hold at most so many versions of a document."""

INTERPRETED_CALLS = 32
"""At most so many calls of one flag are interpreted: compiling costs about as much."""


class Evaluator:
    """Evaluates the flags of one ruleset; safe to use from many threads.

    Answers are shared: their values must not be changed.

    Args:
        ruleset: what to answer from.
        interpreted_calls: how often a flag may be asked for before it is compiled. Each flag has a
            number of its own, from a quarter of this up to it, so that what asks for all flags
            does not compile all of them in the same call.
        watch: asked once for each function that is put into ``simple``; so that who is to hear of
            some flags' answers need not ask at each answer whether this is one of them.

    Attributes:
        ruleset: what it answers from; never changed.
        decisions: for each flag key, existing or not, the function that decides it. What
            :meth:`detail` does, without a call more.
        simple: of these, those that are compiled, may be passed any instant, since none makes a
            difference, and answer no lists and objects, which would have to be copied before they
            are handed out. What an SDK is asked for most, and may answer soonest.
    """

    __slots__ = ("_timeless", "decisions", "ruleset", "simple")

    def __init__(
        self,
        ruleset: Ruleset,
        *,
        interpreted_calls: int = INTERPRETED_CALLS,
        watch: Watch | None = None,
    ) -> None:
        self._begin(Decisions(ruleset, {}, interpreted_calls, watch), ruleset)

    def _begin(self, decisions: Decisions, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.decisions = decisions
        self.simple = decisions.simple
        self._timeless: dict[str, bool] = {}

    def following(self, ruleset: Ruleset) -> Evaluator:
        """The evaluator of the ruleset that replaces this one's.

        What was compiled is kept for each flag whose documents are the same objects in both.
        """
        after = Evaluator.__new__(Evaluator)
        after._begin(self.decisions.following(ruleset), ruleset)
        return after

    def detail(self, flag_key: str, context: Context, default: Any, now_ms: int) -> Detail:
        """Decide one flag for one context at one instant (``now_ms``, since the epoch)."""
        return self.decisions[flag_key](context.kinds, now_ms, default)

    def next_instant(self, flag_key: str, context: Context, now_ms: int) -> int | None:
        """The next instant at which time alone may change the answer; None where it never does.

        See :func:`halyard_protocol.next_instant.next_instant`, which is asked only for flags that
        depend on time at all.
        """
        if flag_key not in self.ruleset.flags:
            return None
        timeless = self._timeless.get(flag_key)
        if timeless is None:
            timeless = self._timeless[flag_key] = is_timeless(self.ruleset, flag_key)
        return None if timeless else next_instant(self.ruleset, flag_key, context, now_ms)


class Decisions(dict[str, Decide]):
    """The functions that are ready to be called; any other is found when it is asked for."""

    __slots__ = (
        "_calls",
        "_interpreted_calls",
        "_known",
        "_ruleset",
        "_unswept",
        "_watch",
        "simple",
    )

    def __init__(
        self, ruleset: Ruleset, known: Known, interpreted_calls: int, watch: Watch | None
    ) -> None:
        super().__init__()
        self.simple: dict[str, Decide] = {}
        self._ruleset = ruleset
        self._known = known
        self._interpreted_calls = interpreted_calls
        self._watch = watch
        self._calls: dict[str, int] = {}
        """How often each flag was interpreted; threads may miscount."""
        self._unswept = 0
        """Rulesets that came since the last sweep."""

    def following(self, ruleset: Ruleset) -> Decisions:
        """The decisions of the ruleset that replaces this one.

        Calls are counted on, else a flag would be interpreted forever where rulesets are replaced
        more quickly than it is asked for often enough.
        """
        after = Decisions(ruleset, self._known, self._interpreted_calls, self._watch)
        after._calls, after._unswept = self._calls, self._unswept + 1
        if after._unswept >= SWEPT_AFTER:
            after._sweep()
        return after

    def _sweep(self) -> None:
        """Let go of functions that are right no more, with the documents that they hold.

        Not with each ruleset: to look at ten thousand functions takes milliseconds.
        """
        ruleset, self._unswept = self._ruleset, 0
        functions, calls = tuple(self._known.items()), tuple(self._calls.items())
        self._known = {place: made for place, made in functions if made.holds_in(ruleset)}
        self._calls = {key: number for key, number in calls if key in ruleset.flags}

    def __missing__(self, key: str) -> Decide:
        """The function of a flag that is not ready yet."""
        known = self._known.get(("flag", key))
        if known is not None and known.holds_in(self._ruleset):
            return self._ready(key, known)
        if key not in self._ruleset.flags:  # strangers' keys must not pile up
            return self._interpreted(key)
        calls = self._calls[key] = self._calls.get(key, 0) + 1
        return self._interpreted(key) if calls <= self._patience(key) else self._compiled(key)

    def _patience(self, key: str) -> int:
        most = self._interpreted_calls
        return most - hash(key) % (most - most // 4 + 1)

    def _interpreted(self, key: str) -> Decide:
        return partial(_interpret, self._ruleset, key)

    def _compiled(self, key: str) -> Decide:
        self._calls.pop(key, None)
        try:
            made = compile_flag(self._ruleset, key, self._known)
        except (NotCompiled, RecursionError):  # compiling takes more of the stack than interpreting
            decide = self[key] = self._interpreted(key)
            return decide
        return self._ready(key, made)

    def _ready(self, key: str, made: Compiled) -> Decide:
        decide: Decide = made.call
        self[key] = decide
        if made.simple:
            self.simple[key] = self._watched(key, decide)
        return decide

    def _watched(self, key: str, decide: Decide) -> Decide:
        flag = self._ruleset.flags.get(key)
        if self._watch is None or not isinstance(flag, Flag):
            return decide
        return self._watch(flag, decide)


def _interpret(
    ruleset: Ruleset, key: str, kinds: dict[str, Attributes], now_ms: int, default: Any
) -> Detail:
    return evaluate(ruleset, key, Context(kinds), default, now_ms)
