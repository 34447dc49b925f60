"""Deciding: what follows from a command in a project as it stands.

``decide`` is pure. It answers with facts to store, with nothing where the command changes
nothing, or with a refusal. It must never change the state: that is :mod:`domain.evolve`'s, once
the facts are stored.

Order of refusals: what is addressed is not there (404); it changed since (412); the command is
wrong in itself (422); it and the state do not go together (409). An archived flag is refused
before the command is looked at closely.

One module for each kind of entity; ``standing`` has what all commands share, ``content`` what a
ruleset may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from domain import commands as c
from domain import webhook_commands as w
from domain.approvals import require_approval
from domain.asked import Asked, OnChangeRequest
from domain.decide import (
    change_requests,
    environments,
    flags,
    keys,
    projects,
    rules,
    segments,
    settings,
    standing,
    webhooks,
)
from domain.events import Event
from domain.facts import Fact, Issuer
from domain.state import ProjectState

Decider: TypeAlias = Callable[[ProjectState, Any], Event | None]
"""Says what happens to the entity that a command addresses; None for nothing."""
TimedDecider: TypeAlias = Callable[[ProjectState, Any, datetime], Event | None]
"""The same, at an instant."""


def decide(state: ProjectState, command: c.Command, by: Issuer) -> tuple[Fact[Event], ...]:
    """The facts that follow from ``command``. Raises :class:`~domain.errors.Refusal`.

    Ids and salts must have been filled in (:func:`domain.commands.complete`).
    """
    entity = command.addressed(state.project.key if state.project else "")
    standing.require(state, command, entity)
    if isinstance(command, c.CreateProject):
        return projects.create(state, command)
    if isinstance(command, c.CreateFlag) and command.maintainer is None:
        command = replace(command, maintainer=by.actor_id)
    require_approval(state, command, by)
    if isinstance(command, OnChangeRequest):
        event: Event | None = change_requests.decide_request(state, command, by)
        return () if event is None else (Fact(event, entity, state.revision(entity) + 1),)
    if isinstance(command, c.RotateSdkKey):
        return keys.rotate(state, command, by.now)
    timed = TIMED.get(type(command))
    if timed is not None:
        event = timed(state, command, by.now)
    else:
        event = DECIDERS[type(command)](state, command)
    return () if event is None else (Fact(event, entity, state.revision(entity) + 1),)


DECIDERS: dict[type[Asked], Decider] = {
    c.RenameProject: projects.rename,
    c.DeleteProject: projects.delete,
    c.VoidEvent: projects.void,
    c.CreateEnvironment: environments.create,
    c.RenameEnvironment: environments.rename,
    c.SetEnvironmentAttributes: environments.set_attributes,
    c.ProtectEnvironment: environments.protect,
    c.UnprotectEnvironment: environments.unprotect,
    c.SetRequiredApprovals: environments.set_required_approvals,
    c.DeleteEnvironment: environments.delete,
    c.RevokeSdkKey: keys.revoke,
    c.CreateFlag: flags.create,
    c.RenameFlag: flags.rename,
    c.DescribeFlag: flags.describe,
    c.TagFlag: flags.tag,
    c.AssignMaintainer: flags.assign,
    c.ExposeClientSide: flags.expose,
    c.HideClientSide: flags.hide,
    c.ArchiveFlag: flags.archive,
    c.RestoreFlag: flags.restore,
    c.DeleteFlag: flags.delete,
    c.ChangeVariations: flags.change_variations,
    c.EnableFlag: settings.enable,
    c.DisableFlag: settings.disable,
    c.ChangeOffVariation: settings.change_off_variation,
    c.ChangeFallthrough: settings.change_fallthrough,
    c.ChangeTargets: settings.change_targets,
    c.AddRule: rules.add,
    c.ChangeRule: rules.change,
    c.RemoveRule: rules.remove,
    c.ReorderRules: rules.reorder,
    c.ChangePrerequisites: settings.change_prerequisites,
    c.SetExpiry: settings.set_expiry,
    c.ClearExpiry: settings.clear_expiry,
    c.SetExposureTracking: settings.set_exposure_tracking,
    c.CreateSegment: segments.create,
    c.RenameSegment: segments.rename,
    c.DescribeSegment: segments.describe,
    c.AddSegmentMembers: segments.add_members,
    c.RemoveSegmentMembers: segments.remove_members,
    c.ChangeSegmentRules: segments.change_rules,
    c.DeleteSegment: segments.delete,
    w.CreateWebhook: webhooks.create,
    w.DescribeWebhook: webhooks.describe,
    w.ChangeWebhookTarget: webhooks.change_target,
    w.ChangeWebhookFilter: webhooks.change_filter,
    w.ChangeWebhookTemplate: webhooks.change_template,
    w.RotateWebhookSecret: webhooks.rotate,
    w.EnableWebhook: webhooks.enable,
    w.DisableWebhook: webhooks.disable,
    w.ReplayWebhook: webhooks.replay,
    w.DeleteWebhook: webhooks.delete,
}
"""What decides each command that is about one entity, whenever it is asked for."""

TIMED: dict[type[Asked], TimedDecider] = {
    c.IssueSdkKey: keys.issue,
    c.SetSdkKeyOrigins: keys.set_origins,
    c.SetSdkKeyExpiry: keys.set_expiry,
}
"""The same, where it also depends on the instant: keys come to their end by themselves."""
