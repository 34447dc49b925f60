"""Deciding a batch: pure, on an overlay, each submission seeing the events of those before it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from domain.errors import Refusal
from domain.facts import Fact, Issuer
from server.writing.aggregate import Decider, FoldedState
from server.writing.folded_log import FoldedLog
from server.writing.submission import Answer, EventSummary, Result, Submission


class Accepted(msgspec.Struct, frozen=True):
    """A submission with what it makes happen, if the append succeeds."""

    submission: Submission
    facts: tuple[Fact[Any], ...]
    answer: Answer


class Refused(msgspec.Struct, frozen=True):
    """A submission that the state does not allow."""

    submission: Submission
    reason: Exception


class Plan(msgspec.Struct, frozen=True):
    """A batch, decided. Nothing of it has happened yet."""

    accepted: tuple[Accepted, ...]
    refused: tuple[Refused, ...]
    repeats: tuple[Submission, ...]
    """Same key as an earlier submission of the batch: to be decided once that one is settled."""


class Rehearsal(msgspec.Struct, frozen=True):
    """What a submission would come to."""

    answer: Answer
    state: Any
    """Of the log, as it would be; valid until the log's state changes."""


def rehearse(folded: FoldedLog[Any], submission: Submission, now: datetime) -> Rehearsal:
    """Decide a submission, and let nothing come of it. Raises a refusal as it would be raised."""
    draft = _Draft(folded, now)
    return Rehearsal(draft.take(submission).answer, draft.state)


def plan_batch(folded: FoldedLog[Any], batch: Iterable[Submission], now: datetime) -> Plan:
    """Decide submissions in order on a log's state, without changing it.

    ``now`` must not lie before the log's newest event: recorded times only rise.
    """
    accepted: list[Accepted] = []
    refused: list[Refused] = []
    repeats: list[Submission] = []
    seen: set[tuple[str, str]] = set()
    draft = _Draft(folded, now)
    for submission in batch:
        if submission.scoped_key in seen:
            repeats.append(submission)
            continue
        try:
            accepted.append(draft.take(submission))
            seen.add(submission.scoped_key)
        except Refusal as refusal:
            refused.append(Refused(submission, refusal))
        except Exception as fault:  # noqa: BLE001 - a request's border: one caller's, not the log's
            refused.append(Refused(submission, fault))
            draft = _Draft(folded, now)
            draft.repeat(accepted)
    return Plan(tuple(accepted), tuple(refused), tuple(repeats))


class _Draft:
    """The log as it would be with what was accepted so far; thrown away with the plan."""

    def __init__(self, folded: FoldedLog[Any], now: datetime) -> None:
        self._log_id = folded.log_id
        self._decider: Decider[Any] = folded.decider
        self._overlay: FoldedState = folded.state.overlay()
        self._seq = folded.seq
        self._now = now

    @property
    def state(self) -> FoldedState:
        """The log's state with everything that was taken."""
        return self._overlay

    def repeat(self, accepted: Iterable[Accepted]) -> None:
        """Fold once more what was accepted; its seqs are the same."""
        for each in accepted:
            for fact in each.facts:
                self._seq += 1
                self._decider.evolve(self._overlay, fact, self._seq, self._now)

    def take(self, submission: Submission) -> Accepted:
        """Decide and fold all commands of a submission, or raise and leave no trace."""
        # A single command decides before it evolves, so only several need a view to throw away.
        atomic = len(submission.commands) > 1
        view = self._overlay.overlay() if atomic else self._overlay
        by = Issuer(submission.actor_id, self._now, submission.causation_id)
        facts: list[Fact[Any]] = []
        results: list[Result] = []
        for number, command in enumerate(submission.commands):
            try:
                if submission.warrant is not None:
                    submission.warrant(view, command)
                news = self._decider.decide(view, command, by)
            except Refusal as refusal:
                refusal.command_number = number if atomic else None
                raise
            first = self._seq + len(facts) + 1
            for seq, fact in enumerate(news, first):
                self._decider.evolve(view, fact, seq, self._now)
            facts += news
            revision = view.revision(command.addressed(self._log_id))
            results.append(Result(revision, _summaries(news, first)))
        if atomic:
            self._overlay.absorb(view)
        self._seq += len(facts)
        return Accepted(submission, tuple(facts), Answer(self._seq, tuple(results)))


def _summaries(facts: tuple[Fact[Any], ...], first: int) -> tuple[EventSummary, ...]:
    return tuple(
        EventSummary(
            seq,
            type(fact.event).__name__,
            fact.entity.kind,
            fact.entity.key,
            fact.entity.environment,
            fact.revision,
        )
        for seq, fact in enumerate(facts, first)
    )
