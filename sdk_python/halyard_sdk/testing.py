"""For the tests of programs that use Halyard: clients without a server, told what to answer.

::

    from halyard_sdk import testing

    with testing.client({"new-checkout": True}) as flags:
        assert checkout_page(flags) == ...

        flags.set("new-checkout", False)                 # for everybody, from now on
        flags.put(
            testing.flag("theme", "light", "dark")       # the first is what everybody gets
            .target("dark", "alice")                     # except this user,
            .rule("dark", "country", "in", "DE", "AT")   # and users with such an attribute
        )

        flags.track("purchase", "alice", 9.95)
        assert flags.tracked[0].value == 9.95

The evaluation is the real one, and so are callbacks, details and copies. There is no network, no
thread and no file. ``testing.async_client`` is the same for programs that take an ``AsyncClient``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from halyard_protocol.codec import convert, decoder
from halyard_protocol.conditions import condition_from_json
from halyard_protocol.messages import TrackingEvent
from halyard_protocol.ruleset import (
    Environment,
    Flag,
    FlagType,
    Rule,
    Ruleset,
    Segment,
    Serve,
    Target,
    Variation,
)
from halyard_protocol.session.affected import affected
from halyard_protocol.session.replica import Changed

from halyard_sdk.context_sample import ContextSample
from halyard_sdk.evaluations import Evaluations
from halyard_sdk.exposures import Tally
from halyard_sdk.listeners import Change, Listeners
from halyard_sdk.status import State, Status
from halyard_sdk.subscriptions import Subscriptions
from halyard_sdk.tracking import Tracker, Tracking

__all__ = ["AsyncInMemoryClient", "FlagBuilder", "InMemoryClient", "async_client", "client", "flag"]


_read_event = decoder(TrackingEvent).decode


def client(values: Mapping[str, Any] | None = None) -> InMemoryClient:
    """A client that answers each flag in ``values`` with its value, for everybody."""
    return InMemoryClient(values or {})


def async_client(values: Mapping[str, Any] | None = None) -> AsyncInMemoryClient:
    """The same in the shape of an ``AsyncClient``."""
    return AsyncInMemoryClient(values or {})


def flag(key: str, *values: Any) -> FlagBuilder:
    """Begin a flag that has these values (true and false if none is given), all of one type.

    Everybody gets the first, until something else is said.
    """
    return FlagBuilder(key, values or (True, False))


class FlagBuilder:
    """A flag in the making. Each method changes it and returns it, to be chained.

    Variations go by their values here: the value names the variation.
    """

    def __init__(self, key: str, values: tuple[Any, ...]) -> None:
        self._key = key
        self._values = values
        self._enabled = True
        self._everybody = self._variation(values[0])
        self._off: str | None = None
        self._targets: tuple[Target, ...] = ()
        self._rules: tuple[Rule, ...] = ()

    def serve(self, value: Any) -> Self:
        """What everybody gets for whom nothing else was said."""
        self._everybody = self._variation(value)
        return self

    def target(self, value: Any, *keys: str, kind: str = "user") -> Self:
        """What these get, by key."""
        self._targets += (Target(self._variation(value), kind, keys),)
        return self

    def rule(self, value: Any, attribute: str, op: str, *values: Any, kind: str = "user") -> Self:
        """What those get whose attribute compares so with any of the values. In order."""
        leaf = {"kind": kind, "attribute": attribute, "op": op, "values": list(values)}
        return self.when(value, leaf)

    def when(self, value: Any, condition: dict[str, Any]) -> Self:
        """What those get for whom a condition, as it travels in JSON, holds. In order."""
        serve = Serve(self._variation(value))
        rule = Rule(f"rule-{len(self._rules)}", condition_from_json(condition), serve)
        self._rules += (rule,)
        return self

    def disable(self, off: Any = None) -> Self:
        """Everybody gets ``off``; if that is None, the default that the caller passes."""
        self._enabled = False
        self._off = None if off is None else self._variation(off)
        return self

    def build(self) -> Flag:
        """The flag as a client would have received it."""
        return Flag(
            key=self._key,
            type=_type_of(self._values[0]),
            enabled=self._enabled,
            variations=tuple(Variation(self._variation(v), v) for v in self._values),
            off_variation=self._off,
            targets=self._targets,
            rules=self._rules,
            fallthrough=Serve(self._everybody),
            salt=self._key,
        )

    def _variation(self, value: Any) -> str:
        for index, known in enumerate(self._values):
            if known == value and type(known) is type(value):
                return f"variation-{index}"
        raise ValueError(f"{value!r} is not among the values of the flag '{self._key}'")


class InMemory(Evaluations, Subscriptions, Tracking):
    """What both kinds of client here are: a ruleset that a test has set."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._changes: Listeners[Change] = Listeners()
        self._statuses: Listeners[Status] = Listeners()
        self._status = Status(State.READY, datetime.now(UTC))
        self.ruleset = Ruleset(Environment("test"), {}, {})
        self._source = self
        self._tracker = Tracker()
        self._begin_evaluations(Tally(ContextSample(wanted=False)))
        self._tracked: list[TrackingEvent] = []
        for key, value in values.items():
            self.set(key, value)

    @property
    def status(self) -> Status:
        """READY, until closed."""
        return self._status

    @property
    def tracked(self) -> tuple[TrackingEvent, ...]:
        """What was tracked, oldest first, as a server would read it."""
        self._deliver()
        return tuple(self._tracked)

    def set(self, key: str, value: Any) -> None:
        """Answer this flag with this value, for everybody."""
        self.put(flag(key, value))

    def put(self, flag: FlagBuilder | Flag | Mapping[str, Any]) -> None:
        """Add a flag or replace it: one in the making, or one as it travels in JSON.

        Raises :data:`~halyard_protocol.codec.MalformedDocument` where the JSON is no flag.
        """
        new = _flag(flag)
        flags = {**self.ruleset.flags, new.key: new}
        self._become(
            Ruleset(self.ruleset.environment, flags, self.ruleset.segments),
            Changed(flags=frozenset({new.key})),
        )

    def remove(self, key: str) -> None:
        """From now on there is no such flag: callers get their default."""
        flags = {k: f for k, f in self.ruleset.flags.items() if k != key}
        self._become(
            Ruleset(self.ruleset.environment, flags, self.ruleset.segments),
            Changed(flags=frozenset({key})),
        )

    def put_segment(self, segment: Segment | Mapping[str, Any]) -> None:
        """Add a segment or replace it; as it travels in JSON."""
        new = segment if isinstance(segment, Segment) else convert(segment, Segment)
        segments = {**self.ruleset.segments, new.key: new}
        self._become(
            Ruleset(self.ruleset.environment, self.ruleset.flags, segments),
            Changed(segments=frozenset({new.key})),
        )

    def set_environment(self, **attributes: Any) -> None:
        """What conditions of the kind ``environment`` see."""
        self._become(
            Ruleset(Environment("test", attributes), self.ruleset.flags, self.ruleset.segments),
            Changed(environment=True),
        )

    def _become(self, ruleset: Ruleset, changed: Changed) -> None:
        self.ruleset = ruleset
        self._changes.tell(Change(affected(ruleset, changed)))

    def _deliver(self) -> None:
        while batch := self._tracker.batch():
            self._tracked += map(_read_event, batch)

    def _close(self) -> None:
        self._tracker.close()
        self._deliver()
        self._status = Status(State.OFFLINE, datetime.now(UTC), "closed")
        self._statuses.tell(self._status)


class InMemoryClient(InMemory):
    """In place of a ``Client``. Made by :func:`client`."""

    def wait_ready(self, timeout_s: float, *, stale_ok: bool = True) -> bool:  # noqa: ARG002
        """True, at once."""
        return True

    def close(self) -> None:
        """As with any client: OFFLINE, and goes on answering."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()


class AsyncInMemoryClient(InMemory):
    """In place of an ``AsyncClient``. Made by :func:`async_client`."""

    async def start(self) -> None:
        """Nothing: it is ready from the beginning."""

    async def wait_ready(self, timeout_s: float, *, stale_ok: bool = True) -> bool:  # noqa: ARG002
        """True, at once."""
        return True

    async def close(self) -> None:
        """As with any client: OFFLINE, and goes on answering."""
        self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._close()


def _flag(source: FlagBuilder | Flag | Mapping[str, Any]) -> Flag:
    match source:
        case FlagBuilder():
            return source.build()
        case Flag():
            return source
        case _:
            return convert(source, Flag)


def _type_of(value: Any) -> FlagType:
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case _:
            return "json"
