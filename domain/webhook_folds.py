"""What each event of a webhook means: part of the fold of a project.

An event's seq is the mark of its entity, which :func:`domain.evolve.evolve` has put there already.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from domain import webhook_events as w
from domain.facts import Entity
from domain.state import ProjectState, Webhook
from domain.stored import Stored

Fold: TypeAlias = Callable[[ProjectState, Entity, Any, datetime], None]


def _change_webhook(change: Callable[[Webhook, Any], Webhook]) -> Fold:
    def fold(state: ProjectState, entity: Entity, event: object, _: datetime) -> None:
        state.webhooks.put(entity.key, change(state.webhooks[entity.key], event))

    return fold


def _webhook_created(
    state: ProjectState, entity: Entity, event: w.WebhookCreated, at: datetime
) -> None:
    seq = state.mark(entity).seq
    hook = Webhook(
        entity.key,
        event.name,
        event.description,
        event.address,
        event.target,
        event.headers,
        event.filter,
        event.template,
        event.secret,
        event.enabled,
        at,
        seq,
        seq,
        "" if event.enabled else "asked",
    )
    state.webhooks.put(entity.key, hook)


def _webhook_deleted(
    state: ProjectState, entity: Entity, _: w.WebhookDeleted, _at: datetime
) -> None:
    state.webhooks.remove(entity.key)


def _webhook_secret_rotated(
    state: ProjectState, entity: Entity, event: w.WebhookSecretRotated, at: datetime
) -> None:
    hook = state.webhooks[entity.key]
    changed = replace(
        hook,
        secret=event.secret,
        previous_secret=hook.secret,
        previous_until=at + timedelta(seconds=event.overlap_s),
    )
    state.webhooks.put(entity.key, changed)


def _webhook_enabled(
    state: ProjectState, entity: Entity, _: w.WebhookEnabled, _at: datetime
) -> None:
    seq = state.mark(entity).seq
    hook = state.webhooks[entity.key]
    changed = replace(hook, enabled=True, disabled_because="", begun_at=seq, begins_after=seq)
    state.webhooks.put(entity.key, changed)


def _webhook_replayed(
    state: ProjectState, entity: Entity, event: w.WebhookReplayed, _: datetime
) -> None:
    hook, seq = state.webhooks[entity.key], state.mark(entity).seq
    # A seq that is not there yet means "from now on": what comes before it would be lost unseen.
    begins_after = min(event.from_seq - 1, seq)
    state.webhooks.put(entity.key, replace(hook, begun_at=seq, begins_after=begins_after))


WEBHOOK_FOLDS: Final[dict[type[Stored], Fold]] = {
    w.WebhookCreated: _webhook_created,
    w.WebhookDescribed: _change_webhook(
        lambda row, event: replace(row, name=event.name, description=event.description)
    ),
    w.WebhookTargetChanged: _change_webhook(
        lambda row, event: replace(
            row, address=event.address, target=event.target, headers=event.headers
        )
    ),
    w.WebhookFilterChanged: _change_webhook(lambda row, event: replace(row, filter=event.filter)),
    w.WebhookTemplateChanged: _change_webhook(
        lambda row, event: replace(row, template=event.template)
    ),
    w.WebhookSecretRotated: _webhook_secret_rotated,
    w.WebhookEnabled: _webhook_enabled,
    w.WebhookDisabled: _change_webhook(
        lambda row, event: replace(row, enabled=False, disabled_because=event.reason)
    ),
    w.WebhookReplayed: _webhook_replayed,
    w.WebhookDeleted: _webhook_deleted,
}
