"""What every engine is asked: one flag, one segment, and a thousand contexts.

The flag, of three rules, in words::

    1  country in COUNTRIES, and plan is "premium"   -> "express"
    2  in the segment of the EARLY_ADOPTERS          -> "guided"
    3  appVersion is above OLD_VERSION by SemVer     -> SHARE % "new", the others "classic"
    otherwise                                        -> "classic"

Each engine in `engines/` has it in its own terms and says there what its terms lack. Which contexts
get "new" is each engine's own affair, for they hash differently; everything else must be equal.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, Protocol, TypeAlias, get_args

Attributes: TypeAlias = dict[str, Any]
Case: TypeAlias = Literal["plain", "semver+bucket", "segment", "mixed"]

CASES: tuple[Case, ...] = get_args(Case)

KEY = "checkout"
DEFAULT = "none"
"""What an engine answers that does not know the flag; no rule serves it."""

SEGMENT = "early-adopters"
SALT = "b3c1"
SHARE = 30
"""Percent of those of rule 3 that get "new"."""

OLD_VERSION = "2.5.0"
COUNTRIES = ("DE", "AT", "CH", "FR", "BE", "NL", "LU", "DK", "SE", "NO", "FI", "IS")
ELSEWHERE = ("US", "CA", "BR", "JP", "IN", "AU", "ZA", "GB")
VERSIONS = ("1.9.12", "2.4.9", "2.5.0", "2.5.1", "2.10.0", "3.0.0-rc.1", "3.1.4", "10.0.2")
ABOVE = frozenset({"2.5.1", "2.10.0", "3.0.0-rc.1", "3.1.4", "10.0.2"})
"""Those of the versions that are above OLD_VERSION; written down, so that no engine is judged by
another one's reading of SemVer."""

CONTEXTS = 1_000
EARLY_ADOPTERS = tuple(f"user-{number}" for number in range(0, CONTEXTS, 5))


class Engine(Protocol):
    """One engine with the flag in memory, in the process that asks it."""

    def prepare(self, attributes: Attributes) -> Any:
        """A context in the form that a program would keep it in; not timed."""
        ...

    def ask(self, contexts: Sequence[Any]) -> None:
        """Get the flag's detail for each; this is what is timed, with its loop."""
        ...

    def answer(self, context: Any) -> str:
        """The flag's value, from the very detail that :meth:`ask` throws away."""
        ...


@cache
def contexts() -> tuple[Attributes, ...]:
    """The same thousand in every process: as many of each rule as would be seen in the wild."""
    chance = random.Random(20_240_229)
    return tuple(
        {
            "key": f"user-{number}",
            "country": chance.choice(COUNTRIES + ELSEWHERE),
            "plan": chance.choice(("free", "premium", "team")),
            "appVersion": chance.choice(VERSIONS),
            "email": f"user-{number}@example.org",
            "groups": ["beta", "staff"] if number % 7 == 0 else ["staff"],
        }
        for number in range(CONTEXTS)
    )


def rule_of(attributes: Attributes) -> int:
    """The rule that decides, 1 to 3, or 0 for none."""
    if attributes["country"] in COUNTRIES and attributes["plan"] == "premium":
        return 1
    if attributes["key"] in EARLY_ADOPTERS:
        return 2
    return 3 if attributes["appVersion"] in ABOVE else 0


def contexts_of(case: Case) -> list[Attributes]:
    """The contexts that a case consists of, in the order in which they come."""
    rule = {"plain": 1, "segment": 2, "semver+bucket": 3}.get(case)
    return [each for each in contexts() if rule is None or rule_of(each) == rule]


def disagreement(answers: Sequence[str]) -> str | None:
    """What is wrong with an engine's answers for :func:`contexts`; None if nothing is."""
    new = 0
    for attributes, answer in zip(contexts(), answers, strict=True):
        rule = rule_of(attributes)
        if rule == 3:
            new += answer == "new"
        allowed = {0: ("classic",), 1: ("express",), 2: ("guided",), 3: ("new", "classic")}[rule]
        if answer not in allowed:
            return f"{answer!r} for {attributes}, where rule {rule} serves {' or '.join(allowed)}"
    share = 100 * new / len(contexts_of("semver+bucket"))
    return None if abs(share - SHARE) < 8 else f"'new' for {share:.0f} % instead of {SHARE}"
