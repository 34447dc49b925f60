"""Which functions a ruleset's flags and segments become, and what each depends on.

A flag's function calls those of its prerequisites and segments directly. It stays right for as long
as all the documents that it depends on are the same objects, in whichever ruleset: that is what
lets a change of one flag leave the functions of all others alone.

Not everything is compiled. A circle, a chain deeper than the specification allows, and a flag whose
functions could run for long (diamonds of segments or prerequisites, enormous rules) have no
function: the interpreter, which remembers answers and counts depth, decides those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

from halyard_protocol.compilation.attributes import Attributes
from halyard_protocol.compilation.conditions import NEVER, Conditions
from halyard_protocol.compilation.flags import Parent, write_flag
from halyard_protocol.compilation.segments import membership, write_segment
from halyard_protocol.compilation.source import Source
from halyard_protocol.conditions import (
    SEGMENT_OPERATORS,
    All,
    AnyOf,
    Condition,
    Leaf,
    Not,
)
from halyard_protocol.evaluation import MALFORMED_FLAG, Detail, Reason
from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH, MAX_SEGMENT_DEPTH
from halyard_protocol.matching import is_understood
from halyard_protocol.next_instant import is_timeless
from halyard_protocol.ruleset import Environment, Flag, MalformedFlag, Ruleset, Segment

MAX_STEPS = 1_000
"""Conditions, groups, lists of keys and shares of rollouts, through all that a function calls: what
a call may look at, and how much is parsed."""

Sort: TypeAlias = Literal["flag", "segment", "environment"]
Document: TypeAlias = Flag | MalformedFlag | Segment | Environment | None


class NotCompiled(Exception):
    """This flag is the interpreter's."""


Place: TypeAlias = tuple[Sort, str]
"""Where a ruleset has a document."""


class Compiled(NamedTuple):
    """A function and what is known of it."""

    call: Callable[..., Any]
    dependencies: dict[Place, Document]
    """The documents as they were when the function was made; None where there was none."""
    steps: int
    """As :data:`MAX_STEPS` counts them."""
    height: int
    """1, or more than the highest of its own sort that it calls."""
    simple: bool = False
    """Of a flag: no instant, whichever is passed, makes a difference, and no value can change."""

    def holds_in(self, ruleset: Ruleset) -> bool:
        """Whether the function is right for this ruleset too: it has the very same documents."""
        for (sort, key), document in self.dependencies.items():
            if _document(ruleset, sort, key) is not document:
                return False
        return True


def _document(ruleset: Ruleset, sort: Sort, key: str) -> Document:
    match sort:
        case "flag":
            return ruleset.flags.get(key)
        case "segment":
            return ruleset.segments.get(key)
        case "environment":
            return ruleset.environment


Known: TypeAlias = dict[Place, Compiled]
"""The functions so far, of this ruleset or of ones before it. Shared between threads: each entry is
replaced whole, and looked at before it is used."""


def compile_flag(ruleset: Ruleset, key: str, known: Known) -> Compiled:
    """The function ``(kinds, now, default) -> Detail`` of a flag that the ruleset has.

    Takes what it needs from ``known`` where that is still right, and adds to it what it makes.
    Raises :class:`NotCompiled`.
    """
    return _Compiler(ruleset, known).flag(key)


class _Compiler:
    """Compiles one flag, and what it calls."""

    def __init__(self, ruleset: Ruleset, known: Known) -> None:
        self.ruleset = ruleset
        self._known = known
        self._underway: set[Place] = set()

    def flag(self, key: str) -> Compiled:
        flag = self.ruleset.flags[key]
        if isinstance(flag, MalformedFlag):
            return Compiled(_unreadable(flag), {("flag", key): flag}, 1, 1, simple=True)
        return self._found("flag", key) or self._made(
            "flag", key, lambda: _Function(self, "flag", "kinds, now, default").of_flag(flag)
        )

    def segment(self, key: str) -> Compiled:
        segment = self.ruleset.segments[key]
        return self._found("segment", key) or self._made(
            "segment", key, lambda: _Function(self, "segment", "kinds, now").of_segment(segment)
        )

    def _found(self, sort: Sort, key: str) -> Compiled | None:
        known = self._known.get((sort, key))
        return known if known is not None and known.holds_in(self.ruleset) else None

    def _made(self, sort: Sort, key: str, make: Callable[[], Compiled]) -> Compiled:
        place = (sort, key)
        if place in self._underway:
            raise NotCompiled
        self._underway.add(place)
        made = self._known[place] = make()
        self._underway.remove(place)
        return made


class _Function:
    """One function in the making, and what it leans on."""

    def __init__(self, compiler: _Compiler, sort: Sort, parameters: str) -> None:
        self.compiler = compiler
        self.sort = sort
        self.environment = compiler.ruleset.environment
        self.source = Source(parameters)
        self.attributes = Attributes(self.source, self.environment)
        self.uses: Counter[str] = Counter()
        self.conditions = Conditions(self.source, self.attributes, self.membership, self.uses)
        self.dependencies: dict[Place, Document] = {}
        self.steps = 1
        self.height = 1

    def of_flag(self, flag: Flag) -> Compiled:
        self.dependencies["flag", flag.key] = flag
        self.spend(len(flag.targets) + len(flag.rules))
        for serve in (flag.fallthrough, *(rule.serve for rule in flag.rules)):
            self.spend(len(serve.rollout.buckets) if serve.rollout is not None else 0)
        for rule in flag.rules:
            if rule.enabled and is_understood(rule.when):
                self.weigh(rule.when)
        write_flag(flag, self.source, self.attributes, self.conditions, self.parent)
        frozen = all(each.value.__class__ not in (list, dict) for each in flag.variations)
        simple = frozen and is_timeless(self.compiler.ruleset, flag.key)
        return self.made()._replace(simple=simple)

    def of_segment(self, segment: Segment) -> Compiled:
        self.dependencies["segment", segment.key] = segment
        self.spend(len(segment.included) + len(segment.excluded))
        for rule in segment.rules:
            self.spend(1)
            if is_understood(rule.when):
                self.weigh(rule.when)
        write_segment(segment, self.source, self.attributes, self.conditions)
        return self.made()

    def made(self) -> Compiled:
        if self.attributes.sees_environment:
            self.dependencies["environment", self.environment.key] = self.environment
        return Compiled(self.source.function(), self.dependencies, self.steps, self.height)

    # --- what it leans on

    def membership(self, key: str) -> str:
        """The expression of being in a segment."""
        segment = self.compiler.ruleset.segments.get(key)
        if segment is None:
            self.spend(1)
            self.dependencies["segment", key] = None
            return NEVER
        small = membership(segment, self.attributes, self.conditions)
        if small is not None:
            self.spend(1 + len(segment.included) + len(segment.excluded) + len(segment.rules))
            self.dependencies["segment", key] = segment
            return small
        member = self.lean_on(self.compiler.segment(key), "segment", MAX_SEGMENT_DEPTH)
        return f"{self.source.bind(member)}(kinds, now)"

    def parent(self, key: str) -> Parent | None:
        """A flag that is required; None where it can never yield what is wanted."""
        flag = self.compiler.ruleset.flags.get(key)
        if not isinstance(flag, Flag) or not flag.enabled:
            self.dependencies["flag", key] = flag
            return None
        made = self.compiler.flag(key)
        return Parent(flag, self.lean_on(made, "flag", MAX_PREREQUISITE_DEPTH))

    def lean_on(self, other: Compiled, sort: Sort, max_height: int) -> Callable[..., Any]:
        if other.height > max_height:
            raise NotCompiled
        if sort == self.sort:
            self.height = max(self.height, other.height + 1)
        self.dependencies |= other.dependencies
        self.spend(other.steps)
        return other.call

    # --- what a call of it may cost

    def weigh(self, condition: Condition) -> None:
        self.spend(1)
        match condition:
            case All(children) | AnyOf(children):
                for child in children:
                    self.weigh(child)
            case Not(child):
                self.weigh(child)
            case Leaf() if condition.op in SEGMENT_OPERATORS:
                self.uses.update(map(str, condition.values))

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise NotCompiled


def _unreadable(flag: MalformedFlag) -> Callable[..., Detail]:
    message = f"flag '{flag.key}' cannot be read: {flag.problem}"
    reason = Reason("ERROR", error_code=MALFORMED_FLAG, message=message)
    return lambda _kinds, _now, default: Detail(default, None, reason)
