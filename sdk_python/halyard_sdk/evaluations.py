"""The questions that every client answers, from a ruleset in memory and without any I/O.

Nothing here raises: what goes wrong is the caller's default, with the reason in the detail.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from time import time_ns
from typing import Any, Protocol, TypeAlias, TypeVar

from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.evaluation import Detail, Reason, evaluate
from halyard_protocol.ruleset import Flag, FlagType, MalformedFlag, Ruleset

log = logging.getLogger("halyard_sdk")

AnyContext: TypeAlias = "Context | str | Mapping[str, Any]"
"""A prepared context, the key of a user, or the attributes as ``Context.of`` takes them."""

D = TypeVar("D")

PROVIDER_NOT_READY = "PROVIDER_NOT_READY"
INVALID_CONTEXT = "INVALID_CONTEXT"
TYPE_MISMATCH = "TYPE_MISMATCH"
GENERAL = "GENERAL"

_PYTHON_TYPES: dict[FlagType, tuple[type, ...]] = {
    "boolean": (bool,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}
_NOT_READY = Reason("ERROR", error_code=PROVIDER_NOT_READY, message="there is no ruleset yet")


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

    def detail(
        self,
        key: str,
        context: AnyContext,
        default: Any,
        *,
        expect: FlagType | None = None,
    ) -> Detail:
        """The value with its variation and the reason.

        Where something is wrong, ``reason.kind`` is ``ERROR`` and ``reason.error_code`` one of
        PROVIDER_NOT_READY, FLAG_NOT_FOUND, MALFORMED_FLAG, INVALID_CONTEXT, TYPE_MISMATCH (the
        flag is not of the type in ``expect``), GENERAL.
        """
        try:
            ruleset = self._source.ruleset
            if ruleset is None:
                return Detail(default, None, _NOT_READY)
            asking = context if isinstance(context, Context) else Context.of(context)
            return _answer(ruleset, key, asking, default, expect)
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
            asking = context if isinstance(context, Context) else Context.of(context)
            answers = {key: _answer(ruleset, key, asking, None, None) for key in ruleset.flags}
        except InvalidContext as problem:
            log.warning("no flags for an invalid context: %s", problem)
            return {}
        except Exception:
            log.exception("a fault while evaluating")
            return {}
        return {key: a.value for key, a in answers.items() if a.reason.kind != "ERROR"}


def _answer(
    ruleset: Ruleset, key: str, asking: Context, default: Any, expect: FlagType | None
) -> Detail:
    answer = evaluate(ruleset, key, asking, default, time_ns() // 1_000_000)
    if answer.variation is None:
        return answer
    if expect is not None and not _is_of(expect, answer.value, ruleset.flags[key]):
        return _mismatch(default, key, expect)
    return _handed_out(answer)


def _handed_out(answer: Detail) -> Detail:
    """The same answer; a list or an object as a copy, for the ruleset's own must never change."""
    if answer.value.__class__ not in (dict, list):
        return answer
    return Detail(copy.deepcopy(answer.value), answer.variation, answer.reason)


def _is_of(expected: FlagType, value: Any, flag: Flag | MalformedFlag) -> bool:
    if expected == "json":
        return isinstance(flag, Flag) and flag.type == "json"
    return value.__class__ in _PYTHON_TYPES[expected]


def _mismatch(default: Any, key: str, expected: FlagType) -> Detail:
    return _error(default, TYPE_MISMATCH, f"the flag '{key}' is not of type {expected}")


def _error(default: Any, code: str, message: str) -> Detail:
    return Detail(default, None, Reason("ERROR", error_code=code, message=message))
