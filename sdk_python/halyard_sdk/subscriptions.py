"""What can be subscribed to at every client: changes of flags, and of the client's status."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias, TypeVar, overload

from halyard_sdk.listeners import Change, Listeners
from halyard_sdk.status import Status

log = logging.getLogger("halyard_sdk")

OnChange: TypeAlias = Callable[[Change], object]
Unsubscribe: TypeAlias = Callable[[], None]

T = TypeVar("T")


class Subscriptions:
    """Callbacks for changes. They run where the client works: keep them short.

    An exception from a callback is logged, and disturbs neither the client nor other callbacks.
    """

    _changes: Listeners[Change]
    _statuses: Listeners[Status]

    @overload
    def on_change(self, callback: OnChange, /, *, key: str | None = None) -> Unsubscribe: ...

    @overload
    def on_change(self, callback: OnChange, key: str | None, /) -> Unsubscribe: ...

    @overload
    def on_change(self, key: str, callback: OnChange, /) -> Unsubscribe: ...

    def on_change(
        self,
        first: OnChange | str,
        second: OnChange | str | None = None,
        /,
        *,
        key: str | None = None,
    ) -> Unsubscribe:
        """Call back when flags may answer otherwise than before; with a key, when that one may.

        Either ``on_change(callback)``, ``on_change("key", callback)`` or
        ``on_change(callback, key="key")``. A flag may answer otherwise when it was changed or
        removed, and when a segment or a prerequisite was on which it depends. Evaluating inside
        of the callback gives the new answer. What is returned ends the subscription.
        """
        callback, name = (second, first) if isinstance(first, str) else (first, second)
        name = key if name is None else name
        if isinstance(name, str) and callable(callback):
            return self._changes.add(_only(name, callback))
        return _added(self._changes, callback if name is None else None)

    def on_status(self, callback: Callable[[Status], object]) -> Unsubscribe:
        """Call back with each new status. What is returned ends the subscription."""
        return _added(self._statuses, callback)


def _added(listeners: Listeners[T], callback: object) -> Unsubscribe:
    if callable(callback):
        return listeners.add(callback)
    log.error("to subscribe takes a callback, and for changes perhaps the key of a flag")
    return _nothing


def _only(key: str, callback: OnChange) -> OnChange:
    def when_affected(change: Change) -> None:
        if key in change.flags:
            callback(change)

    return when_affected


def _nothing() -> None:
    """Ends a subscription that never was."""
