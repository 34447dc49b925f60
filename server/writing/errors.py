"""Why a submission was not accepted, beyond what the domain refuses.

WritingError
 ├── IdempotencyMismatch   the key was used before, for something else
 ├── Overloaded            the queue is full; try again after ``retry_after_s``
 ├── LogUnknown            no such project
 ├── LogPoisoned           the log holds an event that this version cannot apply
 └── NotReached            the reader did not reach ``minSeq`` in time
"""

from __future__ import annotations

from datetime import datetime


class WritingError(Exception):
    """Why a log did not take, or could not answer, what it was asked."""


class IdempotencyMismatch(WritingError):
    """The same idempotency key came with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the idempotency key '{key}' was used before for another request; "
            "repeat that request unchanged, or choose a new key"
        )
        self.key = key


class Overloaded(WritingError):
    """The log's queue is full."""

    def __init__(self, log_id: str, retry_after_s: float) -> None:
        super().__init__(f"too many commands are waiting for '{log_id}'; try again shortly")
        self.log_id = log_id
        self.retry_after_s = retry_after_s


class LogUnknown(WritingError):
    """There is no such project, or was none ``at`` the seq or time that was asked for."""

    def __init__(self, log_id: str, at: int | datetime | None = None) -> None:
        if at is None:
            sentence = f"there is no project '{log_id}'"
        else:
            when = f"seq {at}" if isinstance(at, int) else at.isoformat()
            sentence = f"there was no project '{log_id}' at {when}"
        super().__init__(sentence)
        self.log_id = log_id


class LogPoisoned(WritingError):
    """An event of the log cannot be applied, so nothing can be decided after it."""

    def __init__(self, log_id: str, seq: int, problem: str) -> None:
        super().__init__(
            f"event {seq} of '{log_id}' cannot be applied ({problem}); "
            "upgrade this server, or have an operator void the event"
        )
        self.log_id = log_id
        self.seq = seq
        self.problem = problem


class FoldOutdated(Exception):
    """History was restored, or an event voided, after it had been folded: fold anew.

    Never leaves this package.
    """

    def __init__(self, log_id: str, reason: str) -> None:
        super().__init__(f"the state of '{log_id}' must be folded anew: {reason}")
        self.log_id = log_id


class NotReached(WritingError):
    """The log has no such seq yet, or this process did not read it in time."""

    def __init__(self, log_id: str, min_seq: int, seq: int) -> None:
        super().__init__(f"'{log_id}' is at seq {seq}; seq {min_seq} was not reached in time")
        self.log_id = log_id
        self.min_seq = min_seq
        self.seq = seq
