"""Decisions on a flag's definition, which is the same in every environment."""

from __future__ import annotations

from halyard_protocol.limits import MAX_DESCRIPTION_LENGTH
from halyard_protocol.problems import Problems, key_problems, text_problems
from halyard_protocol.ruleset import Serve, Variation
from halyard_protocol.validation import off_variation_problems, serve_problems, variation_problems
from msgspec import UNSET

from domain import limits
from domain.commands import (
    ArchiveFlag,
    AssignMaintainer,
    ChangeVariations,
    CreateFlag,
    DeleteFlag,
    DescribeFlag,
    ExposeClientSide,
    HideClientSide,
    RenameFlag,
    RestoreFlag,
    TagFlag,
)
from domain.decide.standing import require_room, same
from domain.errors import Archived, KeyTaken, StillInUse
from domain.events import (
    FlagArchived,
    FlagClientSideExposed,
    FlagClientSideHidden,
    FlagCreated,
    FlagDeleted,
    FlagDescribed,
    FlagMaintainerAssigned,
    FlagRenamed,
    FlagRestored,
    FlagTagged,
    VariationsChanged,
)
from domain.facts import Entity
from domain.names import id_problems, name_problems, refuse, tag_problems
from domain.references import prerequisite_uses, variation_uses
from domain.state import ProjectState

ON_OFF = (Variation("on", True), Variation("off", False))
"""What a boolean flag has unless told otherwise."""


def create(state: ProjectState, command: CreateFlag) -> FlagCreated:
    """One more flag, disabled everywhere."""
    refuse(_description_problems(command))
    variations = command.variations or (ON_OFF if command.flag_type == "boolean" else ())
    refuse(variation_problems("/variations", command.flag_type, variations))
    off = variations[-1].key if command.off_variation is UNSET else command.off_variation
    fallthrough = command.fallthrough or Serve(variations[0].key)
    refuse(_default_problems(variations, off, fallthrough))
    if command.flag in state.flags:
        raise KeyTaken(Entity("flag", command.flag))
    require_room(state.flags, limits.FLAGS, "flags")
    return FlagCreated(
        command.name or command.flag,
        command.flag_type,
        variations,
        off,
        fallthrough,
        command.salt,
        command.description,
        command.tags,
        command.maintainer or "",
        command.client_side,
        comment=command.comment,
    )


def _description_problems(command: CreateFlag) -> Problems:
    yield from key_problems("/flag", command.flag)
    yield from name_problems("/name", command.name or command.flag)
    yield from text_problems("/description", command.description, MAX_DESCRIPTION_LENGTH)
    yield from tag_problems("/tags", command.tags)
    yield from text_problems("/maintainer", command.maintainer or "", limits.ID_LENGTH)
    yield from id_problems("/salt", command.salt)


def _default_problems(
    variations: tuple[Variation, ...], off: str | None, fallthrough: Serve
) -> Problems:
    keys = tuple(variation.key for variation in variations)
    yield from off_variation_problems("/offVariation", off, keys)
    yield from serve_problems("/fallthrough", fallthrough, keys)


def rename(state: ProjectState, command: RenameFlag) -> FlagRenamed | None:
    """Another name."""
    refuse(name_problems("/name", command.name))
    if state.flags[command.flag].name == command.name:
        return None
    return FlagRenamed(command.name, comment=command.comment)


def describe(state: ProjectState, command: DescribeFlag) -> FlagDescribed | None:
    """Another description."""
    refuse(text_problems("/description", command.description, MAX_DESCRIPTION_LENGTH))
    if state.flags[command.flag].description == command.description:
        return None
    return FlagDescribed(command.description, comment=command.comment)


def tag(state: ProjectState, command: TagFlag) -> FlagTagged | None:
    """Other tags."""
    refuse(tag_problems("/tags", command.tags))
    if state.flags[command.flag].tags == command.tags:
        return None
    return FlagTagged(command.tags, comment=command.comment)


def assign(state: ProjectState, command: AssignMaintainer) -> FlagMaintainerAssigned | None:
    """Another maintainer, or none."""
    refuse(text_problems("/maintainer", command.maintainer, limits.ID_LENGTH))
    if state.flags[command.flag].maintainer == command.maintainer:
        return None
    return FlagMaintainerAssigned(command.maintainer, comment=command.comment)


def expose(state: ProjectState, command: ExposeClientSide) -> FlagClientSideExposed | None:
    """Seen by client keys."""
    if state.flags[command.flag].client_side:
        return None
    return FlagClientSideExposed(comment=command.comment)


def hide(state: ProjectState, command: HideClientSide) -> FlagClientSideHidden | None:
    """Not seen by client keys."""
    if not state.flags[command.flag].client_side:
        return None
    return FlagClientSideHidden(comment=command.comment)


def archive(state: ProjectState, command: ArchiveFlag) -> FlagArchived | None:
    """Out of every ruleset; no flag that stays in them may rest on it."""
    if state.flags[command.flag].archived:
        return None
    uses = tuple(
        use
        for use in prerequisite_uses(state, command.flag)
        if not state.flags[use.by.key].archived
    )
    if uses:
        raise StillInUse(f"flag '{command.flag}'", uses)
    return FlagArchived(comment=command.comment)


def restore(state: ProjectState, command: RestoreFlag) -> FlagRestored | None:
    """Back in every ruleset; the flags that it rests on must be there."""
    if not state.flags[command.flag].archived:
        return None
    for environment in sorted(state.environments):
        for prerequisite in state.settings[command.flag, environment].prerequisites:
            if state.flags[prerequisite.flag].archived:
                raise Archived(prerequisite.flag)
    return FlagRestored(comment=command.comment)


def delete(state: ProjectState, command: DeleteFlag) -> FlagDeleted:
    """The end of it; no flag may rest on it, not even an archived one."""
    uses = prerequisite_uses(state, command.flag)
    if uses:
        raise StillInUse(f"flag '{command.flag}'", uses)
    return FlagDeleted(comment=command.comment)


def change_variations(state: ProjectState, command: ChangeVariations) -> VariationsChanged | None:
    """Other variations; one that is used anywhere cannot go."""
    flag = state.flags[command.flag]
    variations = command.variations
    refuse(variation_problems("/variations", flag.type, variations))
    off = flag.off_variation if command.off_variation is UNSET else command.off_variation
    fallthrough = command.fallthrough or flag.fallthrough
    _refuse_removal(state, command)
    refuse(_default_problems(variations, off, fallthrough))
    event = VariationsChanged(variations, off, fallthrough, comment=command.comment)
    old = VariationsChanged(
        flag.variations, flag.off_variation, flag.fallthrough, comment=command.comment
    )
    return None if same(event, old) else event


def _refuse_removal(state: ProjectState, command: ChangeVariations) -> None:
    before = {variation.key for variation in state.flags[command.flag].variations}
    removed = before - {variation.key for variation in command.variations}
    if not removed:
        return
    uses = variation_uses(state, command.flag, frozenset(removed))
    if uses:
        listed = ", ".join(f"'{variation}'" for variation in sorted(removed))
        raise StillInUse(f"variation {listed} of flag '{command.flag}'", uses)
