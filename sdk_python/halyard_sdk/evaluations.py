"""The questions that every client answers, from a ruleset in memory and without any I/O.

Nothing here raises: what goes wrong is the caller's default, with the reason in the detail.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from time import time_ns
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

from halyard_protocol.context import USER, Attributes, Context, InvalidContext
from halyard_protocol.evaluation import Detail, Reason
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.explanation import Explanation, explain
from halyard_protocol.ruleset import Environment, Flag, FlagType, MalformedFlag, Ruleset

from halyard_sdk.exposures import Tally

log = logging.getLogger("halyard_sdk")

AnyContext: TypeAlias = "Context | str | Mapping[str, Any]"
"""A prepared context, the key of a user, or the attributes as ``Context.of`` takes them."""

D = TypeVar("D")

PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
INVALID_CONTEXT = "INVALID_CONTEXT"
TYPE_MISMATCH = "TYPE_MISMATCH"
GENERAL = "GENERAL"

_ACCEPTED: dict[FlagType, tuple[FlagType, ...]] = {
    "boolean": ("boolean",),
    "string": ("string",),
    "integer": ("integer",),
    "number": ("number", "integer"),
    "json": ("json",),
}
"""By the type that a caller expects, the types of flags that will do."""
_CLASSES: dict[FlagType, tuple[type, ...]] = {
    "boolean": (bool,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}
"""Of the values: what a server sends is not taken on trust."""
_NOT_READY = Reason("ERROR", error_code=PROVIDER_NOT_READY, message="there is no ruleset yet")


_MUTABLE = (dict, list)


class ExplainedDetail(Detail, frozen=True):
    """A detail, and how it came about."""

    explanation: Explanation | None
    """None where there was nothing to evaluate: no ruleset, or no valid context."""


class RulesetSource(Protocol):
    """Where the present ruleset is to be had; None while there is none."""

    @property
    def ruleset(self) -> Ruleset | None:
        """Replaced whole, never changed."""
        ...


class Evaluations:
    """What can be asked of a client, from any thread. None of it waits, and none of it raises.

    A context is the key of a user, a mapping such as ``{"key": "alice", "country": "DE"}``, or
    a prepared :class:`~halyard_protocol.context.Context`, which saves reading it each time.
    """

    _source: RulesetSource
    _tally: Tally
    _evaluator: Evaluator

    def _begin_evaluations(self, tally: Tally) -> None:
        """To be called once, before anything is asked."""
        self._tally = tally
        self._evaluator = Evaluator(Ruleset(Environment(""), {}, {}), watch=tally.watch)

    @property
    def dropped_exposures(self) -> int:
        """How many evaluations of tracked flags were counted, and could not be told the server."""
        return self._tally.dropped

    def variation(self, key: str, context: AnyContext, default: D) -> D | Any:
        """The flag's value for this context, of whatever type the flag is."""
        return self.detail(key, context, default).value

    def boolean(self, key: str, context: AnyContext, default: bool) -> bool:
        """The value of a boolean flag; the default where the flag is of another type."""
        value: bool = self.detail(key, context, default, expect="boolean").value
        return value

    def string(self, key: str, context: AnyContext, default: str) -> str:
        """The value of a string flag; the default where the flag is of another type."""
        value: str = self.detail(key, context, default, expect="string").value
        return value

    def integer(self, key: str, context: AnyContext, default: int) -> int:
        """The value of an integer flag; the default where the flag is of another type."""
        value: int = self.detail(key, context, default, expect="integer").value
        return value

    def number(self, key: str, context: AnyContext, default: float) -> float:
        """The value of a number or integer flag; the default where the flag is of another type."""
        value: float = self.detail(key, context, default, expect="number").value
        return value

    def json(self, key: str, context: AnyContext, default: Any) -> Any:
        """The value of a JSON flag, the caller's to keep; the default for another type."""
        return self.detail(key, context, default, expect="json").value

    @overload
    def detail(
        self,
        key: str,
        context: AnyContext,
        default: Any,
        *,
        expect: FlagType | None = None,
        explain: Literal[False] = False,
    ) -> Detail: ...

    @overload
    def detail(
        self,
        key: str,
        context: AnyContext,
        default: Any,
        *,
        expect: FlagType | None = None,
        explain: Literal[True],
    ) -> ExplainedDetail: ...

    def detail(
        self,
        key: str,
        context: AnyContext,
        default: Any,
        *,
        expect: FlagType | None = None,
        explain: bool = False,
    ) -> Detail:
        """The value with its variation and the reason; with ``explain``, also how it came about.

        Where something is wrong, ``reason.kind`` is ``ERROR`` and ``reason.error_code`` one of
        PROVIDER_NOT_READY, FLAG_NOT_FOUND, MALFORMED_FLAG, INVALID_CONTEXT, TYPE_MISMATCH (the
        flag is not of the type in ``expect``), GENERAL. Explaining takes some hundred times as
        long: it is for finding out, not for serving.
        """
        try:
            if explain:
                return self._explained(key, context, default, expect)
            ruleset = self._source.ruleset
            evaluator = self._evaluator
            if evaluator.ruleset is not ruleset:
                if ruleset is None:
                    return Detail(default, None, _NOT_READY)
                evaluator = self._follow(ruleset)
            kinds = context.kinds if context.__class__ is Context else _kinds(context)
            if expect is None:
                decide = evaluator.simple.get(key)
                if decide is not None:  # a look at the clock takes as long as a condition or two
                    return decide(kinds, 0, default)
            answer = evaluator.decisions[key](kinds, time_ns() // 1_000_000, default)
            flag = ruleset.flags.get(key)
            if answer.variation is not None:
                answer = _checked(answer, flag, default, expect)
            if flag.__class__ is Flag and flag.track_exposures:
                self._tally.note(flag, answer, kinds)
            return answer
        except InvalidContext as problem:
            return _error(default, INVALID_CONTEXT, str(problem))
        except Exception as fault:
            log.exception("a fault while evaluating")
            return _error(default, GENERAL, repr(fault))

    def all_flags(self, context: AnyContext) -> dict[str, Any]:
        """Every flag's value for this context, by key, all of one ruleset.

        Flags in error are left out; so is everything where there is no ruleset, or no valid
        context.
        """
        try:
            ruleset = self._source.ruleset
            if ruleset is None:
                return {}
            decisions = self._follow(ruleset).decisions
            kinds, now_ms = _kinds(context), time_ns() // 1_000_000
            answers = {key: decisions[key](kinds, now_ms, None) for key in ruleset.flags}
        except InvalidContext as problem:
            log.warning("no flags for an invalid context: %s", problem)
            return {}
        except Exception:
            log.exception("a fault while evaluating")
            return {}
        return {key: _own(a.value) for key, a in answers.items() if a.reason.kind != "ERROR"}

    def _follow(self, ruleset: Ruleset) -> Evaluator:
        """The evaluator of the present ruleset; keeps what was compiled for the one before."""
        evaluator = self._evaluator
        if evaluator.ruleset is not ruleset:
            evaluator = self._evaluator = evaluator.following(ruleset)
        return evaluator

    def _explained(
        self, key: str, context: AnyContext, default: Any, expect: FlagType | None
    ) -> ExplainedDetail:
        ruleset = self._source.ruleset
        if ruleset is None:
            return ExplainedDetail(default, None, _NOT_READY, None)
        try:
            asking = Context(_kinds(context))
        except InvalidContext as problem:
            reason = _error(default, INVALID_CONTEXT, str(problem)).reason
            return ExplainedDetail(default, None, reason, None)
        explanation = explain(ruleset, key, asking, default, time_ns() // 1_000_000)
        flag = ruleset.flags.get(key)
        detail = _checked(explanation.detail, flag, default, expect)
        if isinstance(flag, Flag) and flag.track_exposures:
            self._tally.note(flag, detail, asking.kinds)
        return ExplainedDetail(detail.value, detail.variation, detail.reason, explanation)


def _kinds(context: AnyContext) -> dict[str, Attributes]:
    """The attributes by kind; those of a plain user as they are, for the length of one call."""
    if context.__class__ is str and context:
        return {USER: {"key": context}}
    if context.__class__ is dict and "kind" not in context:
        key = context.get("key")
        if key is None or (key.__class__ is str and key):
            return {USER: context}
    return context.kinds if isinstance(context, Context) else Context.of(context).kinds


def _checked(
    answer: Detail, flag: Flag | MalformedFlag | None, default: Any, expect: FlagType | None
) -> Detail:
    """The same answer if it is of the expected type; a list or an object as the caller's own."""
    if answer.variation is None or flag is None:
        return answer
    value = answer.value
    if expect is not None and not _is_of(expect, value, flag):
        return _error(default, TYPE_MISMATCH, f"the flag '{flag.key}' is not of type {expect}")
    if value.__class__ not in _MUTABLE:
        return answer
    return Detail(_own(value), answer.variation, answer.reason)


def _own(value: Any) -> Any:
    """A copy where that is needed, for a ruleset's values must never change."""
    return copy.deepcopy(value) if value.__class__ in _MUTABLE else value


def _is_of(expected: FlagType, value: Any, flag: Flag | MalformedFlag) -> bool:
    if not isinstance(flag, Flag) or flag.type not in _ACCEPTED.get(expected, ()):
        return False
    return expected == "json" or value.__class__ in _CLASSES[expected]


def _error(default: Any, code: str, message: str) -> Detail:
    return Detail(default, None, Reason("ERROR", error_code=code, message=message))
