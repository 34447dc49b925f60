"""One attempt to deliver: credentials looked up, rendered, signed, sent, and told in a sentence."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from domain.state import Webhook
from eventstore.log import StoredEvent
from eventstore.webhooks import Attempt, Webhooks
from server.webhooks.counters import WebhookCounters
from server.webhooks.destinations import InvalidDestination, Target, read_destination
from server.webhooks.messages import Message, message
from server.webhooks.networks import Networks
from server.webhooks.posting import Answer, Poster
from server.webhooks.retrying import outcome_of
from server.webhooks.signing import signature
from server.writing.writers import Writers

Names: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""From account ids to the names that people see; ids without one are left out."""

_FORGOTTEN = Answer(None, 0, "its address or its secret is not known any more: give it anew")


class Attempts:
    """Makes them. Raises :class:`~eventstore.errors.StoreError`, and what ``Writers`` raises.

    Args:
        bound: the networks that the operator lets administrators allow, in CIDR.
    """

    def __init__(
        self,
        *,
        table: Webhooks,
        writers: Writers,
        names: Names,
        poster: Poster,
        bound: tuple[str, ...],
        counters: WebhookCounters,
    ) -> None:
        self.table = table
        self._writers = writers
        self._names = names
        self._poster = poster
        self._bound = bound
        self._counters = counters

    async def make(
        self, log_id: str, hook: Webhook, events: Sequence[StoredEvent], delivery_id: str
    ) -> tuple[Attempt, Answer]:
        """Send events, or a ping where there are none, and say what came of it."""
        answer = await self._sent(log_id, hook, events, delivery_id)
        outcome = outcome_of(answer.status)
        self._counters.attempts[outcome] += 1
        self._counters.attempt_s.observe(answer.duration_ms / 1000)
        if outcome == "delivered":
            self._counters.events += len(events)
        attempt = Attempt(
            delivery_id,
            events[0].seq if events else 0,
            events[-1].seq if events else 0,
            len(events),
            outcome,
            answer.status,
            answer.duration_ms,
            answer.error,
            # PostgreSQL stores no null character; there is none that is printable.
            answer.excerpt,
        )
        return attempt, answer

    async def _sent(
        self, log_id: str, hook: Webhook, events: Sequence[StoredEvent], delivery_id: str
    ) -> Answer:
        target, secrets = await self._target(log_id, hook), await self._secrets(log_id, hook)
        if target is None or not secrets:
            return _FORGOTTEN
        try:
            to = read_destination(target.url)
        except InvalidDestination as error:
            return Answer(None, 0, f"its address {error}")
        names = await self._names({event.actor_id for event in events}) if events else {}
        told = message(log_id, hook, events, names, delivery_id)
        settings = (await self._writers.system()).state.settings
        networks = Networks(settings.webhook_networks, self._bound)
        return await self._poster.post(to, _headers(target, told, secrets), told.body, networks)

    async def _target(self, log_id: str, hook: Webhook) -> Target | None:
        kept = await self.table.credentials(log_id, hook.id, "target", (hook.target,))
        value = kept.get(hook.target)
        return None if value is None else msgspec.json.decode(value, type=Target)

    async def _secrets(self, log_id: str, hook: Webhook) -> tuple[str, ...]:
        """The current one, and the former one for as long as it is good."""
        named = [hook.secret]
        until = hook.previous_until
        if hook.previous_secret is not None and until is not None and datetime.now(UTC) < until:
            named.append(hook.previous_secret)
        kept = await self.table.credentials(log_id, hook.id, "secret", named)
        return tuple(kept[each].decode() for each in named if each in kept)


def _headers(target: Target, told: Message, secrets: tuple[str, ...]) -> dict[str, str]:
    return {
        **target.headers,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Content-Type": told.content_type,
        "Halyard-Delivery": told.delivery_id,
        "Halyard-Event": told.events,
        "Halyard-Signature": signature(secrets, int(time.time()), told.body),
    }
