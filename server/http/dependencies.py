"""What the HTTP API stands on: given once, by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from eventstore.analytics import Analytics
from eventstore.contexts import ContextSamples
from eventstore.origins import Origins
from eventstore.store import EventStore
from projections.rulesets import Rulesets
from server.evaluating.evaluators import Evaluators
from server.http.auth import Authenticator
from server.http.authorisation import VisibleStates
from server.http.counters import HttpCounters
from server.http.event_feed import EventFeeds
from server.http.event_stream import EventStreams
from server.http.import_turns import ImportTurns
from server.http.ofrep.answers import KeptAnswers
from server.http.warrants import Accesses
from server.logins.desk import LoginDesk
from server.metrics.exposition import Exposition
from server.oidc.desk import OidcDesk
from server.refusals import RefusalKeeper
from server.searching.flag_indexes import FlagIndexes
from server.settings import Networks
from server.webhooks.dispatch import WebhookDesk
from server.writing.writers import Writers
from streaming.gateway import Gateway

Check: TypeAlias = Callable[[], Awaitable[str | None]]
"""Answers None while all is well, else a sentence saying what is stale or missing."""

ActorNames: TypeAlias = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""From account ids to the names that people see; ids without one are left out."""


async def _no_names(_ids: Collection[str]) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What an operator may choose of the HTTP API."""

    access_log: bool = True
    """Whether each answered request is a line in the log."""
    body_timeout_s: float = 30.0
    """How long a body may take to arrive."""
    key_timeout_s: float = 5.0
    """How long the environment of an SDK key may take to be read."""
    analytics_days: int = 90
    """How long counts are kept."""
    trusted_proxies: Networks = ()
    """Whose ``X-Forwarded-For`` is believed."""
    public_url: str = ""
    """The origin of this installation's pages, as browsers write it; empty: that of the request."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything that a handler may use."""

    writers: Writers
    store: EventStore
    authenticator: Authenticator
    readiness: Mapping[str, Check] = field(default_factory=dict)
    """By what is checked, such as ``database``: requests are sent elsewhere until all pass."""
    staleness: Mapping[str, Check] = field(default_factory=dict)
    """The same, but only told: being behind is no reason to send requests elsewhere."""
    settings: HttpSettings = HttpSettings()
    actor_names: ActorNames = _no_names
    rulesets: Rulesets | None = None
    """Where this process can see them."""
    accesses: Accesses = field(default_factory=Accesses)
    visible_states: VisibleStates = field(default_factory=VisibleStates)
    evaluators: Evaluators = field(default_factory=Evaluators)
    """Of the folded states."""
    flag_indexes: FlagIndexes = field(default_factory=FlagIndexes)
    """Of the folded states, for lists."""
    gateway: Gateway | None = None
    """What keeps rulesets current for SDK keys, where this process has it."""
    event_streams: EventStreams = field(default_factory=EventStreams)
    origins: Origins | None = None
    """Where commands came from."""
    import_turns: ImportTurns = field(default_factory=ImportTurns)
    event_feeds: EventFeeds = field(default_factory=EventFeeds)
    analytics: Analytics | None = None
    context_samples: ContextSamples | None = None
    refusals: RefusalKeeper | None = None
    """Where it is noted what accounts may not do."""
    webhooks: WebhookDesk | None = None
    ofrep_answers: KeptAnswers = field(default_factory=KeptAnswers)
    counters: HttpCounters = field(default_factory=HttpCounters)
    desk: LoginDesk | None = None
    """Where people log in, where this process has it."""
    oidc: OidcDesk | None = None
    """Where they log in by identity providers."""
    metrics: Exposition = field(default_factory=lambda: Exposition(()))
    """What ``/metrics`` answers."""
