"""The provider of OpenFeature: ``pip install 'halyard-sdk[openfeature]'``.

::

    from halyard_sdk.openfeature import HalyardProvider
    from openfeature import api

    api.set_provider_and_wait(HalyardProvider("https://flags.example.org", key))
    api.get_client().get_boolean_value("new-checkout", False, EvaluationContext("alice"))

Resolving is a look into memory, the asynchronous resolvers' as well: it never waits and never
raises. Merging contexts and running hooks is OpenFeature's. What its words mean here is the table
in :mod:`halyard_protocol.openfeature`; when it is told of what, stands in
:mod:`halyard_sdk.announcements`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.evaluation import Detail
from halyard_protocol.evaluation import Reason as WhyHalyard
from halyard_protocol.openfeature import (
    TARGETING_KEY,
    context_of,
    error_code,
    flag_metadata,
    resolution_reason,
)
from halyard_protocol.ruleset import Flag, FlagType
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from halyard_sdk.address import Address
from halyard_sdk.announcements import Announcement, Announcer, Kind
from halyard_sdk.async_client import AsyncClient
from halyard_sdk.client import Client
from halyard_sdk.context_sample import ContextSample
from halyard_sdk.evaluations import (
    INVALID_CONTEXT,
    PROVIDER_NOT_READY,
    TYPE_MISMATCH,
    AnyContext,
    RulesetSource,
)
from halyard_sdk.listeners import Change
from halyard_sdk.status import State, Status

__all__ = ["HalyardProvider"]

log = logging.getLogger("halyard_sdk")

V = TypeVar("V")
Object: TypeAlias = "Sequence[FlagValueType] | Mapping[str, FlagValueType]"

READY_TIMEOUT_S = 10.0
GRACE_S = 5.0

_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})
_REASONS = {reason.value: reason for reason in Reason}


class AnyClient(Protocol):
    """A ``Client``, an ``AsyncClient``, or one of ``halyard_sdk.testing``."""

    _source: RulesetSource

    @property
    def status(self) -> Status:
        """Whether the answers are up to date."""
        ...

    def detail(
        self, key: str, context: AnyContext, default: Any, *, expect: FlagType | None = None
    ) -> Detail:
        """A flag's answer."""
        ...

    def track(
        self,
        name: str,
        context: AnyContext,
        value: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell what a context did."""
        ...

    def on_change(self, callback: Callable[[Change], object], /) -> Callable[[], None]:
        """Call back with each change."""
        ...

    def on_status(self, callback: Callable[[Status], object], /) -> Callable[[], None]:
        """Call back with each new status."""
        ...


class HalyardProvider(AbstractProvider):
    """Answers OpenFeature from a ruleset that is kept up to date.

    ::

        HalyardProvider("https://flags.example.org", key)
        HalyardProvider(client)

    With an address, the provider connects when it is initialized and disconnects when it is shut
    down. With a client, connecting and closing stay the caller's. An ``AsyncClient`` has to be
    started by its owner; it is waited for from any thread but that of an event loop.

    Initializing waits until flags can be evaluated. After ``ready_timeout_s`` it gives up
    (``PROVIDER_NOT_READY``) but goes on connecting, to be READY as soon as it can; where the key
    is refused it fails for good (``PROVIDER_FATAL``). A loss makes it STALE at once and an ERROR
    after ``retry_grace_period_s``, and all the while the last known ruleset answers.

    Args:
        client: the server's address as ``Client`` takes it, or a client.
        key: with an address: a server key of the environment.
        cache_path: with an address: a file for the last known ruleset.
        sample_contexts: with an address, like ``private_attributes``: as ``Client`` takes it.
        private_attributes: those that are never sent.
        ready_timeout_s: for how long initializing waits.
        stale_ok: whether a ruleset from the file is enough to be initialized.
        retry_grace_period_s: from STALE to ERROR; with 0 a loss is an ERROR at once.

    Raises:
        ValueError: the address, the key or ``private_attributes`` cannot be right.
    """

    @overload
    def __init__(
        self,
        client: str,
        key: str,
        *,
        cache_path: str | os.PathLike[str] | None = None,
        sample_contexts: bool = True,
        private_attributes: Iterable[str] = (),
        ready_timeout_s: float = READY_TIMEOUT_S,
        stale_ok: bool = True,
        retry_grace_period_s: float = GRACE_S,
    ) -> None: ...

    @overload
    def __init__(
        self,
        client: AnyClient,
        *,
        ready_timeout_s: float = READY_TIMEOUT_S,
        stale_ok: bool = True,
        retry_grace_period_s: float = GRACE_S,
    ) -> None: ...

    def __init__(
        self,
        client: AnyClient | str,
        key: str = "",
        *,
        cache_path: str | os.PathLike[str] | None = None,
        sample_contexts: bool = True,
        private_attributes: Iterable[str] = (),
        ready_timeout_s: float = READY_TIMEOUT_S,
        stale_ok: bool = True,
        retry_grace_period_s: float = GRACE_S,
    ) -> None:
        super().__init__()
        self._client: AnyClient | None = None
        self._connect: Callable[[], Client] | None = None
        if isinstance(client, str):
            Address.of(client, key)
            is_name = isinstance(private_attributes, str)  # refused next, in one piece
            private = private_attributes if is_name else tuple(private_attributes)
            ContextSample(private=private)
            self._connect = partial(
                Client,
                client,
                key,
                cache_path=cache_path,
                sample_contexts=sample_contexts,
                private_attributes=private,
            )
        else:
            self._client = client
        self._ready_timeout_s = ready_timeout_s
        self._stale_ok = stale_ok
        self._grace_s = retry_grace_period_s
        self._following: _Following | None = None  # from initialize to shutdown
        # A shutdown finds all that an initialization in another thread has begun, or nothing.
        self._changing = threading.Lock()

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="Halyard")

    # --- life cycle

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002
        """Wait until flags can be evaluated; OpenFeature calls this.

        Raises:
            ProviderNotReadyError: not in time; the provider goes on trying.
            ProviderFatalError: refused for good, and no ruleset is known.
        """
        following = self._begin()
        try:
            following.wait(self._ready_timeout_s, stale_ok=self._stale_ok)
        except ProviderNotReadyError:
            following.announcer.begin(Kind.ERROR)
            raise
        following.announcer.begin(Kind.READY)

    def shutdown(self) -> None:
        """Stop telling of events, and disconnect, if the connection is the provider's own.

        The provider may be initialized again.
        """
        with self._changing:
            following, self._following = self._following, None
            client = self._client
            if self._connect is not None:
                self._client = None
        if following is not None:
            following.end()
        if self._connect is not None and isinstance(client, Client):
            client.close()

    def _begin(self) -> _Following:
        with self._changing:
            if self._client is None and self._connect is not None:
                self._client = self._connect()
            assert self._client is not None  # noqa: S101 - there is one, or an address
            if self._following is None:
                self._following = _Following(self._client, self._grace_s, self._emit)
            return self._following

    def _emit(self, announcement: Announcement) -> None:
        with suppress(RuntimeError):  # the program is ending, and nobody can be told any more
            match announcement.kind:
                case Kind.READY:
                    self.emit_provider_ready(ProviderEventDetails())
                case Kind.STALE:
                    self.emit_provider_stale(ProviderEventDetails(message=announcement.message))
                case Kind.ERROR:
                    # Not fatal, even if it is for good: then OpenFeature would no longer ask,
                    # and everybody got defaults where the last known ruleset can still answer.
                    details = ProviderEventDetails(
                        message=announcement.message, error_code=ErrorCode.GENERAL
                    )
                    self.emit_provider_error(details)
                case Kind.CHANGED:
                    keys = sorted(announcement.flags)
                    self.emit_provider_configuration_changed(
                        ProviderEventDetails(flags_changed=keys)
                    )

    # --- evaluation

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """The answer of a boolean flag."""
        return self._resolve("boolean", flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """The answer of a string flag."""
        return self._resolve("string", flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """The answer of an integer flag."""
        return self._resolve("integer", flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """The answer of a number flag, or of an integer flag; a float always."""
        resolved = self._resolve("number", flag_key, default_value, evaluation_context)
        value: object = resolved.value
        try:
            if value.__class__ is int:
                resolved.value = float(resolved.value)
        except OverflowError:
            return _mismatch(default_value, flag_key, "is too large for a float")
        return resolved

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Object]:
        """The answer of a JSON flag whose value is an object or an array, the caller's to keep."""
        resolved = self._resolve("json", flag_key, default_value, evaluation_context)
        if resolved.error_code is None and not isinstance(resolved.value, dict | list):
            return _mismatch(default_value, flag_key, "is neither an object nor an array")
        return resolved

    def _resolve(
        self,
        expected: FlagType,
        key: str,
        default: V,
        evaluation_context: EvaluationContext | None,
    ) -> FlagResolutionDetails[V]:
        client = self._client
        if client is None:
            return _error(default, PROVIDER_NOT_READY, "the provider is not initialized")
        try:
            context = read_context(evaluation_context)
        except InvalidContext as problem:
            return _error(default, INVALID_CONTEXT, str(problem))
        while True:
            ruleset = client._source.ruleset
            answer = client.detail(key, context, default, expect=expected)
            if client._source.ruleset is ruleset:  # else the version might be of another answer
                break
        flag = None if ruleset is None else ruleset.flags.get(key)
        return _resolution(answer, flag.version if isinstance(flag, Flag) else None)

    # --- tracking

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Tell the server what a context did; never waits. What cannot be told is dropped."""
        if self._client is None:
            log.debug("not tracked: the provider is not initialized")
            return
        try:
            context = read_context(evaluation_context)
        except InvalidContext as problem:
            log.warning("not tracked: %s", problem)
            return
        details = tracking_event_details or TrackingEventDetails()
        self._client.track(tracking_event_name, context, details.value, details.attributes)


class _Following:
    """What a provider hears of its client, from initializing to shutting down."""

    def __init__(
        self, client: AnyClient, grace_s: float, emit: Callable[[Announcement], object]
    ) -> None:
        self._client = client
        self._ended = False
        self._moved = threading.Event()  # the status, or the end
        self.announcer = Announcer(grace_s, lambda: client.status, emit)
        self._leave = (
            client.on_change(self.announcer.hear_change),
            client.on_status(self._hear_status),
        )

    def wait(self, timeout_s: float, *, stale_ok: bool) -> None:
        """Return once flags can be evaluated; raises as ``initialize`` does."""
        deadline_s = monotonic() + timeout_s
        while not self._is_ready(stale_ok=stale_ok):
            if _waits_for_itself(self._client):
                raise ProviderNotReadyError("await the client's wait_ready() first")
            if not self._moved.wait(deadline_s - monotonic()):
                raise ProviderNotReadyError(self._client.status.reason or "no answer in time")
            self._moved.clear()

    def end(self) -> None:
        """Hear and tell no more."""
        for leave in self._leave:
            leave()
        self.announcer.close()
        self._ended = True
        self._moved.set()

    def _hear_status(self, status: Status) -> None:
        self.announcer.hear_status(status)
        self._moved.set()

    def _is_ready(self, *, stale_ok: bool) -> bool:
        if self._ended:
            raise ProviderNotReadyError("shut down meanwhile")
        status = self._client.status
        match status.state:
            case State.READY:
                return True
            case State.OFFLINE if self._client._source.ruleset is None:
                raise ProviderFatalError(status.reason)
            case State.OFFLINE:
                return True
            case state:
                return stale_ok and state is State.STALE


def _waits_for_itself(client: object) -> bool:
    """Whether to block here might block the event loop in which the client would get ready."""
    if not isinstance(client, AsyncClient):
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# --- OpenFeature's values and ours


def read_context(evaluation_context: EvaluationContext | None) -> Context:
    """The context that an evaluation context stands for.

    None at all, or without a targeting key, is a user without a key. Dates with times become
    RFC 3339 in UTC (those without a zone are taken to be in UTC), wherever in the attributes.
    Raises :class:`InvalidContext`.
    """
    if evaluation_context is None:
        return context_of({})
    attributes = {
        name: value if value.__class__ in _AS_THEY_ARE else _json(value)
        for name, value in evaluation_context.attributes.items()
    }
    if evaluation_context.targeting_key:
        attributes[TARGETING_KEY] = evaluation_context.targeting_key
    return context_of(attributes)


def _json(value: object) -> object:
    match value:
        case str():
            return value
        case datetime():
            return _rfc3339(value)
        case Mapping():
            return {name: _json(member) for name, member in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_json(element) for element in value]
        case _:
            return value


def _rfc3339(value: datetime) -> str:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise InvalidContext("", f"{value} is no instant in UTC") from None


def _resolution(answer: Detail, version: int | None) -> FlagResolutionDetails[Any]:
    reason = answer.reason
    code = error_code(reason)
    return FlagResolutionDetails(
        value=answer.value,
        error_code=None if code is None else ErrorCode(code),
        error_message=None if code is None else reason.message,
        reason=_REASONS[resolution_reason(reason)],
        variant=answer.variation,
        flag_metadata=flag_metadata(reason, version),
    )


def _error(default: V, code: str, message: str) -> FlagResolutionDetails[V]:
    why = WhyHalyard("ERROR", error_code=code, message=message)
    return _resolution(Detail(default, None, why), None)


def _mismatch(default: V, key: str, what: str) -> FlagResolutionDetails[V]:
    return _error(default, TYPE_MISMATCH, f"the value of the flag '{key}' {what}")
