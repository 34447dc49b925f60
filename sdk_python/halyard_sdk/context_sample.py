"""A few of the contexts that flags were evaluated for, so that people can be shown what there is.

Bounded, and up to the program's owner: none at all where they say so, and never an attribute that
they call private. A context is written down at once, by whoever evaluates, because the mapping is
the caller's and may change: that costs microseconds, so it is done for few.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from halyard_protocol.codec import encode, to_builtins
from halyard_protocol.context import MULTI, Attributes, path_steps
from halyard_protocol.limits import MAX_VALUE_DEPTH
from halyard_protocol.messages import MAX_SAMPLED_CONTEXTS

log = logging.getLogger("halyard_sdk")

MAX_CONTEXT_BYTES: Final = 2 * 1024
"""Of one context as JSON; larger ones are left out."""
MAX_LOOKS: Final = 200
"""Contexts that are written down from one message to the next, the same and unfit ones included."""

Kinds: TypeAlias = dict[str, Attributes]
"""A context's attributes, by kind."""


class ContextSample:
    """Keeps some contexts, encoded and different from each other, until somebody takes them.

    Args:
        wanted: False keeps none.
        private: attributes that are left out, of every kind: a name, or a path such as
            ``/address/street``.

    Raises:
        ValueError: ``private`` is no list of names, or the key is among them.
    """

    def __init__(self, *, wanted: bool = True, private: Iterable[str] = ()) -> None:
        self._wanted = wanted
        self._private = tuple(map(_steps, _names(private)))
        self._lock = threading.RLock()
        self._kept: dict[bytes, None] = {}
        self._looks = 0

    def look_at(self, kinds: Kinds) -> None:
        """Keep this context, if there is room and it is worth it. Never raises."""
        if not self._wanted or self._looks >= MAX_LOOKS:
            return
        self._looks += 1  # threads may miscount: it is only not to be done all the time
        if len(self._kept) < MAX_SAMPLED_CONTEXTS:
            self._look_at(kinds)

    def _look_at(self, kinds: Kinds) -> None:
        try:
            encoded = encode(self._public(kinds))
        except Exception:
            log.debug("a context is no JSON", exc_info=True)
            return
        with self._lock:
            if len(encoded) <= MAX_CONTEXT_BYTES and len(self._kept) < MAX_SAMPLED_CONTEXTS:
                self._kept[encoded] = None

    def take(self) -> tuple[bytes, ...]:
        """What was kept since it was last taken."""
        with self._lock:
            kept, self._kept, self._looks = tuple(self._kept), {}, 0
        return kept

    def after_fork(self) -> None:
        """In the child: what was kept is the parent's."""
        self._lock = threading.RLock()
        self._kept, self._looks = {}, 0

    def _public(self, kinds: Kinds) -> dict[str, Any]:
        """The context as evaluation takes it, without what is private."""
        told = {kind: to_builtins(dict(attributes)) for kind, attributes in kinds.items()}
        for attributes in told.values():
            for steps in self._private:
                _leave_out(attributes, steps)
            if nests_deeper(attributes, MAX_VALUE_DEPTH):
                raise ValueError("it nests too deep")
        if len(told) == 1:
            [(kind, attributes)] = told.items()
            return {"kind": kind, **attributes}
        return {"kind": MULTI, **told}


def _names(private: Iterable[Any]) -> tuple[str, ...]:
    names = () if isinstance(private, str) else tuple(private)
    if isinstance(private, str) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("private_attributes are names of attributes: ('email', '/address/street')")
    if "key" in names or "/key" in names:
        raise ValueError(
            "private_attributes: a context is told by its key; for none, sample_contexts=False"
        )
    return names


def _steps(name: str) -> tuple[str, ...]:
    return path_steps(name) if name.startswith("/") else (name,)


def _leave_out(attributes: dict[str, Any], steps: tuple[str, ...]) -> None:
    *above, last = steps
    found: Any = attributes
    for step in above:
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, dict):
        found.pop(last, None)


def nests_deeper(value: Any, levels: int) -> bool:
    """Whether there are more than so many objects and arrays within each other."""
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(nests_deeper(child, levels - 1) for child in children)
