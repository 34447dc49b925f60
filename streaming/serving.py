"""The environments in use, for HTTP requests that come with an SDK key.

What the gateway keeps current for its connections answers these too. A request's key is judged by
the rules of the stream; from then on it is one look-up, until the environment's keys change or it
is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec
from halyard_protocol.evaluator import Evaluator

from streaming.caller import Caller, KeyRefused, NotAvailable
from streaming.keys import (
    SdkKey,
    allowed_origins,
    environment_of,
    listening_key,
    origin_allowed,
    read_key,
    read_listening_key,
)
from streaming.live_keys import REFUSED

if TYPE_CHECKING:
    from streaming.environment import Environment
    from streaming.hub import Hub


class _Named(msgspec.Struct, frozen=True):
    """What is told of a key."""

    id: str = ""
    name: str = ""


_named_decoder = msgspec.json.Decoder(_Named)


class ServedEnvironment:
    """One environment, as whoever has a live key of it may see it.

    Always what is so now: between two awaits of its caller nothing changes.

    Attributes:
        kind: of the key.
        key_id: under which administrators know the key.
        key_name: what they call it.
        listening_key: what stands for the key in the address of a stream of news.
    """

    __slots__ = (
        "__weakref__",
        "_document_key",
        "_environment",
        "key_id",
        "key_name",
        "kind",
        "listening_key",
    )

    def __init__(self, environment: Environment, key: SdkKey) -> None:
        document = environment.feed.key(key.document_key)
        named = _Named() if document is None else _named_decoder.decode(document.body)
        self.kind: Literal["server", "client"] = key.kind
        self.key_id = named.id
        self.key_name = named.name
        self.listening_key = listening_key(key)
        self._document_key = key.document_key
        self._environment = environment

    @property
    def live(self) -> bool:
        """Whether the key is still live; it can end while a long answer is under way."""
        return self._environment.keys.of_guest(self._document_key) is not None

    @property
    def is_for_any_page(self) -> bool:
        """Whether pages of any origin may use the key."""
        document = self._environment.keys.of_guest(self._document_key)
        return document is not None and not allowed_origins(document)

    def admits(self, origin: str | None) -> bool:
        """Whether the key is still live, and for pages of this origin; None for what is no page."""
        document = self._environment.keys.of_guest(self._document_key)
        return document is not None and origin_allowed(document, origin)

    @property
    def environment(self) -> str:
        """The environment's key."""
        return self._environment.feed.environment

    @property
    def epoch(self) -> str:
        """The wire epoch."""
        return self._environment.feed.epoch

    @property
    def seq(self) -> int:
        """The log was checked through here."""
        return self._environment.feed.seq

    @property
    def changed(self) -> int:
        """The last seq that altered a document."""
        return self._environment.feed.changed

    @property
    def stale(self) -> bool:
        """Served from memory, without being in touch with Redis."""
        return self._environment.feed.stale

    @property
    def evaluator(self) -> Evaluator:
        """The evaluator of the present documents; one for all, and kept from change to change."""
        return self._environment.evaluator.current()

    @property
    def etag(self) -> str:
        """Names the present documents; without quotes. Equal in every process that has them."""
        return self._environment.body.tag

    async def snapshot(self) -> bytes:
        """The payload of a ``snapshot`` message of the moment of the call."""
        return await self._environment.body.plain()

    async def compressed_snapshot(self) -> bytes:
        """The same with gzip."""
        return await self._environment.body.compressed()

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have ``listener`` called after each change of documents, keys or the wire epoch.

        It is called in between two steps of the loop, so it must be quick and must not raise. The
        environment stays in use until the function that is returned is called.
        """
        token, listeners = object(), self._environment.listeners
        listeners[token] = listener

        def unsubscribe() -> None:
            listeners.pop(token, None)

        return unsubscribe


class Serving:
    """Finds environments by the keys of HTTP requests."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def serve(
        self, presented: str, timeout_s: float, *, evaluating: bool
    ) -> ServedEnvironment:
        """See :meth:`streaming.gateway.Gateway.serve_key`."""
        environment = self._hub.environments.get(environment_of(presented))
        served = None if environment is None else environment.callers.get(presented)
        if environment is None or served is None:
            key = _sound(read_key(presented))
            environment = await self._judged(key, timeout_s)
            served = environment.callers[presented] = ServedEnvironment(environment, key)
        environment.asked = True
        if evaluating and not environment.evaluator.prepared:
            await environment.evaluator.prepare()
        return served

    async def listen(self, presented: str, timeout_s: float) -> ServedEnvironment:
        """See :meth:`streaming.gateway.Gateway.listen_with`."""
        # Never kept among the callers: there it would open evaluation as well.
        key = _sound(read_listening_key(presented))
        return ServedEnvironment(await self._judged(key, timeout_s), key)

    async def _judged(self, key: SdkKey, timeout_s: float) -> Environment:
        caller = Caller(key.document_key)
        self._hub.visit(caller, key.environment)
        try:
            async with asyncio.timeout(timeout_s):
                environment = await caller.found
        except TimeoutError as error:
            raise NotAvailable("the environment's ruleset was not read in time") from error
        # What was merged since it was found has expelled only those that were known by then.
        if not environment.keys.accepts(key.document_key):
            raise KeyRefused(REFUSED)
        return environment


def _sound(key: SdkKey | None) -> SdkKey:
    if key is None:
        raise KeyRefused("the key has not the form of an SDK key")
    return key
