"""From a method and a path to a route: one dictionary look-up per path segment.

Starlette's router tries one regular expression per route, in order. With this table that costs as
much as all the rest of a small request, so the routes stand in a tree instead. A literal segment
is preferred to a parameter, without going back: the table has no paths for which that matters, and
:class:`Tree` refuses two names for a parameter at the same place. A parameter that ends a path can
be written ``{key:path}``: it takes all that is left of the path, slashes included.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar


class Routed(Protocol):
    """What the tree needs to know of a route."""

    @property
    def method(self) -> str:
        """``GET``, ``POST`` and so on."""
        ...

    @property
    def path(self) -> str:
        """With parameters in braces: ``/projects/{project}``."""
        ...


R = TypeVar("R", bound=Routed)


class Found(NamedTuple, Generic[R]):
    """A route, and what stood in the place of its parameters."""

    route: R
    parameters: dict[str, str]


class MethodMissing(NamedTuple):
    """The path exists, for these methods only."""

    allowed: tuple[str, ...]


class _Node(Generic[R]):
    __slots__ = ("literals", "parameter", "parameter_name", "rest", "routes")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[R]] = {}
        self.parameter: _Node[R] | None = None
        self.parameter_name = ""
        self.rest = False
        """Whether the parameter takes all that is left of a path."""
        self.routes: dict[str, R] = {}
        """By method; empty where no path ends here."""


class Tree(Generic[R]):
    """All routes, built once. Raises ``ValueError`` where two contradict each other."""

    def __init__(self, routes: Iterable[R]) -> None:
        self._root: _Node[R] = _Node()
        for route in routes:
            node = self._root
            for segment in _segments(route.path):
                node = _descend(node, segment, route.path)
            if route.method in node.routes:
                raise ValueError(f"two routes for {route.method} {route.path}")
            node.routes[route.method] = route

    def find(self, method: str, path: str) -> Found[R] | MethodMissing | None:
        """The route of a request; None where no route has this path. HEAD is answered as GET."""
        node = self._root
        parameters: dict[str, str] = {}
        segments = _segments(path)
        for place, segment in enumerate(segments):
            child = node.literals.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not (segment or node.rest):
                    return None
                if node.rest:
                    parameters[node.parameter_name] = "/".join(segments[place:])
                    node = child
                    break
                parameters[node.parameter_name] = segment
            node = child
        route = node.routes.get("GET" if method == "HEAD" else method)
        if route is not None:
            return Found(route, parameters)
        return MethodMissing(tuple(sorted(node.routes))) if node.routes else None


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def _descend(node: _Node[R], segment: str, path: str) -> _Node[R]:
    if not segment.startswith("{"):
        return node.literals.setdefault(segment, _Node())
    name, _, kind = segment[1:-1].partition(":")
    rest = kind == "path"
    if node.parameter is None:
        node.parameter, node.parameter_name, node.rest = _Node(), name, rest
    elif (node.parameter_name, node.rest) != (name, rest):
        raise ValueError(f"{path}: '{name}' is called '{node.parameter_name}' elsewhere")
    return node.parameter
