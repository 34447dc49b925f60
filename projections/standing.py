"""What to do about one ruleset in Redis, given what it says of itself. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from eventstore.contents import Content
from projections.fold import FOLD_VERSION, RulesetFold
from projections.rulesets import Meta
from projections.touches import EnvironmentVersions
from projections.writing import Update, Verdict

Step: TypeAlias = Literal["go on", "build", "idle", "ahead"]
"""Bring it up to date; replace it; leave it to a newer program; or ask the log again, because Redis
has seen a later epoch, or more events, than the log had when it was asked."""

Judgement: TypeAlias = Literal["sound", "forked", "too early", "unknown"]
"""Of this history; not of it; the fold has not come so far yet; or the log must be asked for the
hash at the seq where the ruleset stands."""


class Standing(msgspec.Struct, frozen=True):
    """Where the active ruleset of an environment stands, as far as this process knows."""

    generation: str
    changed: int
    hash: str
    seq: int
    sound: bool = False
    """It was found to be of this history."""


def standing_of(meta: Meta) -> Standing:
    """Where a ruleset stands, by its own word."""
    return Standing(meta.generation, meta.changed, meta.hash, meta.seq)


def next_step(meta: Meta | None, epoch: int, last_seq: int) -> Step:
    """What to do about a ruleset, the log being of ``epoch`` and reaching to ``last_seq``."""
    if meta is None or meta.epoch < epoch:
        return "build"
    if meta.epoch > epoch:
        return "ahead"
    if meta.fold != FOLD_VERSION:
        return "build" if meta.fold < FOLD_VERSION else "idle"
    return "ahead" if meta.seq > last_seq else "go on"


def is_superseded(meta: Meta, settled: Content | None) -> bool:
    """Whether a ruleset of this fold has another content than the one that was settled.

    It came back with an old dump of Redis, or PostgreSQL has lost the number.
    """
    return settled is None or meta.content != settled.number


def judge(standing: Standing, fold: RulesetFold, versions: EnvironmentVersions) -> Judgement:
    """Whether a ruleset is of the history that was folded."""
    if standing.sound:
        return "sound"
    if fold.seq < standing.seq:
        return "too early"
    if standing.changed < versions.changed:
        return "unknown"
    own = (versions.changed, versions.hash.hex())
    return "sound" if (standing.changed, standing.hash) == own else "forked"


def update_from(
    standing: Standing, epoch: int, fold: RulesetFold, versions: EnvironmentVersions
) -> Update | None:
    """What brings a ruleset from where it stands to where the fold is; None for nothing to do.

    Of an environment that ended nobody asks how far its log was checked.
    """
    if fold.seq < standing.seq:
        return None
    if versions.changed == standing.changed and (versions.ended or fold.seq == standing.seq):
        return None
    return Update(
        generation=standing.generation,
        epoch=epoch,
        since=standing.changed,
        since_hash=standing.hash,
        to=versions.changed,
        to_hash=versions.hash.hex(),
        seq=fold.seq,
        documents=fold.documents(versions.id, standing.changed),
    )


def standing_after(update: Update, verdict: Verdict) -> Standing | None:
    """Where the ruleset stands after an update; None where that must be read anew."""
    match verdict.answer:
        case "APPLIED":
            return Standing(update.generation, update.to, update.to_hash, update.seq, sound=True)
        case "DUPLICATE":
            same = verdict.changed == update.to
            seq = max(verdict.seq, update.seq) if same else verdict.seq
            return Standing(update.generation, verdict.changed, verdict.hash, seq, sound=same)
        case "GAP" | "MOVED" | "FORK":
            return None
