"""Decisions on a flag as it is set in one environment, all but its rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH
from halyard_protocol.problems import instant_problems
from halyard_protocol.ruleset import Prerequisite, Target
from halyard_protocol.validation import (
    off_variation_problems,
    prerequisite_problems,
    serve_problems,
    target_problems,
)
from msgspec.structs import replace

from domain.chains import refuse_circle, refuse_depth, reversed_links
from domain.commands import (
    ChangeFallthrough,
    ChangeOffVariation,
    ChangePrerequisites,
    ChangeTargets,
    ClearExpiry,
    DisableFlag,
    EnableFlag,
    SetExpiry,
    SetExposureTracking,
    SettingsCommand,
)
from domain.decide.standing import same
from domain.errors import Archived
from domain.events import (
    ExpiryCleared,
    ExpirySet,
    ExposureTrackingSet,
    FallthroughChanged,
    FlagDisabled,
    FlagEnabled,
    OffVariationChanged,
    PrerequisitesChanged,
    TargetsChanged,
)
from domain.names import refuse
from domain.state import FlagSettings, ProjectState


def settings_of(state: ProjectState, command: SettingsCommand) -> FlagSettings:
    """The row that a command is about."""
    return state.settings[command.flag, command.environment]


def variation_keys(state: ProjectState, flag: str) -> tuple[str, ...]:
    """The keys of a flag's variations."""
    return tuple(variation.key for variation in state.flags[flag].variations)


def enable(state: ProjectState, command: EnableFlag) -> FlagEnabled | None:
    """On."""
    if settings_of(state, command).enabled:
        return None
    return FlagEnabled(comment=command.comment)


def disable(state: ProjectState, command: DisableFlag) -> FlagDisabled | None:
    """Off."""
    if not settings_of(state, command).enabled:
        return None
    return FlagDisabled(comment=command.comment)


def change_off_variation(
    state: ProjectState, command: ChangeOffVariation
) -> OffVariationChanged | None:
    """Another variation while off, or none."""
    off = command.off_variation
    keys = variation_keys(state, command.flag)
    refuse(off_variation_problems("/offVariation", off, keys))
    if settings_of(state, command).off_variation == off:
        return None
    return OffVariationChanged(off, comment=command.comment)


def change_fallthrough(
    state: ProjectState, command: ChangeFallthrough
) -> FallthroughChanged | None:
    """Another serve where nothing matched."""
    keys = variation_keys(state, command.flag)
    refuse(serve_problems("/fallthrough", command.fallthrough, keys))
    if same(settings_of(state, command).fallthrough, command.fallthrough):
        return None
    return FallthroughChanged(command.fallthrough, comment=command.comment)


def change_targets(state: ProjectState, command: ChangeTargets) -> TargetsChanged | None:
    """Other targets."""
    keys = variation_keys(state, command.flag)
    refuse(target_problems("/targets", command.targets, keys))
    targets = tuple(_in_utc(target) for target in command.targets)
    if same(settings_of(state, command).targets, targets):
        return None
    return TargetsChanged(targets, comment=command.comment)


def _in_utc(target: Target) -> Target:
    """The same target; its expiry is written with the offset that all answers have."""
    if target.expires_at is None:
        return target
    return replace(target, expires_at=target.expires_at.astimezone(UTC))


def set_expiry(state: ProjectState, command: SetExpiry) -> ExpirySet | None:
    """Off from an instant on; one that has passed is allowed, and means now."""
    refuse(instant_problems("/expiresAt", command.expires_at))
    if settings_of(state, command).expires_at == command.expires_at:
        return None
    return ExpirySet(command.expires_at.astimezone(UTC), comment=command.comment)


def clear_expiry(state: ProjectState, command: ClearExpiry) -> ExpiryCleared | None:
    """No expiry."""
    if settings_of(state, command).expires_at is None:
        return None
    return ExpiryCleared(comment=command.comment)


def set_exposure_tracking(
    state: ProjectState, command: SetExposureTracking
) -> ExposureTrackingSet | None:
    """Reports of exposures, or none."""
    if settings_of(state, command).track_exposures == command.enabled:
        return None
    return ExposureTrackingSet(command.enabled, comment=command.comment)


def change_prerequisites(
    state: ProjectState, command: ChangePrerequisites
) -> PrerequisitesChanged | None:
    """Other prerequisites: flags that are there, and that do not rest on this one."""
    wanted = command.prerequisites

    def variations_of(flag: str) -> tuple[str, ...] | None:
        return variation_keys(state, flag) if flag in state.flags else None

    refuse(prerequisite_problems("/prerequisites", wanted, command.flag, variations_of))
    for prerequisite in wanted:
        if state.flags[prerequisite.flag].archived:
            raise Archived(prerequisite.flag)
    _refuse_chain(state, command)
    if settings_of(state, command).prerequisites == wanted:
        return None
    return PrerequisitesChanged(wanted, comment=command.comment)


def _refuse_chain(state: ProjectState, command: ChangePrerequisites) -> None:
    environment = command.environment

    def onward(flag: str) -> Iterable[str]:
        return _flags_of(state.settings[flag, environment].prerequisites)

    links = tuple(_flags_of(command.prerequisites))
    refuse_circle("flag", command.flag, links, onward)
    if links:
        here = (flag for (flag, place), _ in state.settings.noted() if place == environment)
        back = reversed_links(here, onward)
        what = "links in a chain of prerequisites"
        refuse_depth(
            what, MAX_PREREQUISITE_DEPTH, command.flag, links=links, onward=onward, back=back
        )


def _flags_of(prerequisites: tuple[Prerequisite, ...]) -> Iterable[str]:
    return (prerequisite.flag for prerequisite in prerequisites)
