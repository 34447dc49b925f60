"""How a function gets at what it compares: the attributes of each kind, and the instant.

Every function has the parameters ``kinds`` (attributes by kind, as in a context) and ``now`` (epoch
milliseconds).
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from halyard_protocol.compilation.source import Source
from halyard_protocol.context import ENVIRONMENT, TIME, USER, path_steps
from halyard_protocol.ruleset import Environment

_MEMBERSHIPS = {"group": "groups", "role": "roles"}


_sets: WeakValueDictionary[tuple[str, ...], frozenset[str]] = WeakValueDictionary()
"""The sets in use: hundreds of functions may look through the keys of one segment."""


def _set_of(keys: tuple[str, ...]) -> frozenset[str]:
    known = _sets.get(keys)
    if known is None:
        known = _sets[keys] = frozenset(keys)
    return known


class Attributes:
    """The attributes that the function made of ``source`` looks at.

    Attributes:
        sees_environment: whether the function depends on the environment's document.
    """

    def __init__(self, source: Source, environment: Environment) -> None:
        self.sees_environment = False
        self._source = source
        self._environment = environment
        self._kinds: dict[str, str] = {}

    def value(self, kind: str, name: str, zone: str | None = None) -> str:
        """The expression of an attribute; None where it or its kind is missing."""
        bind = self._source.bind
        if kind == TIME:
            return "now" if name == "now" else f"clock({bind(name)}, {bind(zone)}, now)"
        if name.startswith("/"):
            return f"walk({self._of(kind)}, {bind(path_steps(name))})"
        return f"{self._of(kind)}.get({bind(name)})"

    def is_listed(self, kind: str, keys: tuple[str, ...]) -> str:
        """The expression of being listed, as in :func:`halyard_protocol.matching.listing`."""
        wanted = self._source.bind(_set_of(keys))
        tests = [self._is_key(kind, "key", wanted)]
        if kind == "organization":
            tests.append(self._is_key(USER, "organization", wanted))
        elif kind in _MEMBERSHIPS:
            tests.append(f"any_listed({self.value(USER, _MEMBERSHIPS[kind])}, {wanted})")
        return " or ".join(tests)

    def _is_key(self, kind: str, name: str, wanted: str) -> str:
        value = self.value(kind, name)
        return f"(x in {wanted} if (x := {value}).__class__ is str else listed(x, {wanted}))"

    def _of(self, kind: str) -> str:
        """The variable that holds the attributes of a kind, looked up once."""
        known = self._kinds.get(kind)
        if known is not None:
            return known
        variable = self._kinds[kind] = f"k{len(self._kinds)}"
        bind = self._source.bind
        missing = bind(self._supplied()) if kind == ENVIRONMENT else "NOTHING"
        wanted = "USER" if kind == USER else bind(kind)
        self._source.head.append(f"{variable} = kinds.get({wanted}, {missing})")
        return variable

    def _supplied(self) -> dict[str, object]:
        self.sees_environment = True
        return {**self._environment.attributes, "key": self._environment.key}
