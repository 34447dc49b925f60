"""What is kept of each flag, so that a list need not look at its rows again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from domain.facts import Entity
from domain.state import FlagDefinition, FlagSettings, Mark, ProjectState
from server.searching.staleness import (
    PERMANENT,
    STALE_AFTER,
    Certainty,
    Staleness,
    certainty,
    everywhere,
)
from server.searching.texts import NO_TARGETING, flag_text, targeting


class SettingsEntry(msgspec.Struct, frozen=True, gc=False):
    """A flag in one environment."""

    row: FlagSettings
    text: str
    """Of its targeting."""
    segments: frozenset[str]
    """Those that its rules name."""
    certainty: Certainty | None


class FlagEntry(msgspec.Struct, frozen=True, gc=False):
    """A flag, with its settings by environment."""

    flag: FlagDefinition
    text: str
    settings: dict[str, SettingsEntry]
    texts: tuple[str, ...]
    """Of its targeting in all environments; what is the same in several is there once."""
    segments: frozenset[str]
    """Those that its rules name in any environment."""
    changed: Mark
    """The newest change of its definition or of its settings anywhere."""
    is_enabled: bool
    """In any environment."""
    is_set: bool
    """Whether its settings were ever changed in any environment."""
    expires_at: datetime | None
    """The first time that it expires anywhere while it is enabled."""
    certainty: Certainty | None
    """What everybody gets everywhere."""

    @property
    def changed_at(self) -> datetime:
        """When it was last changed."""
        return self.changed.at or self.flag.created_at

    def staleness(self, now: datetime) -> Staleness:
        """What has become of the flag by an instant; see ``docs/reference/http.md``."""
        if self.flag.archived_at is not None:
            return "archived"
        if PERMANENT in self.flag.tags:
            return "permanent"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        if not self.settings or now - self.changed_at < STALE_AFTER:
            return "active"
        if not self.is_set:
            return "unused"
        is_certain = self.certainty is not None and self.certainty.holds(now)
        return "stale" if is_certain else "active"


def settings_entry(row: FlagSettings) -> SettingsEntry:
    """An entry of its own; most settings have no rules, and cost little."""
    text, segments = targeting(row)
    return SettingsEntry(row, text, segments, certainty(row))


def flag_entry(state: ProjectState, key: str, known: FlagEntry | None = None) -> FlagEntry:
    """The entry of a flag that the state has; what of ``known`` is the same still is taken over."""
    flag = state.flags[key]
    before = {} if known is None else known.settings
    settings = {
        environment: _kept(before.get(environment), state.settings[key, environment])
        for environment in state.environments
    }
    marks = [state.marks.get(Entity("flag", key, environment)) for environment in settings]
    newest = state.mark(Entity("flag", key))
    for mark in marks:
        if mark is not None and mark.seq > newest.seq:
            newest = mark
    entries = settings.values()
    return FlagEntry(
        flag=flag,
        text=known.text if known is not None and known.flag is flag else flag_text(flag),
        settings=settings,
        texts=tuple({entry.text for entry in entries if entry.text}),
        segments=_union(entries),
        changed=newest,
        is_enabled=any(entry.row.enabled for entry in entries),
        is_set=any(mark is not None for mark in marks),
        expires_at=min((at for entry in entries if (at := _expiry(entry))), default=None),
        certainty=everywhere(entry.certainty for entry in entries),
    )


def _kept(known: SettingsEntry | None, row: FlagSettings) -> SettingsEntry:
    return known if known is not None and known.row is row else settings_entry(row)


def _union(entries: Collection[SettingsEntry]) -> frozenset[str]:
    return NO_TARGETING.segments.union(*(entry.segments for entry in entries))


def _expiry(entry: SettingsEntry) -> datetime | None:
    return entry.row.expires_at if entry.row.enabled else None
