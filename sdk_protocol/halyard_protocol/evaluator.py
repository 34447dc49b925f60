"""What one ruleset answers: what an SDK, the gateway and the HTTP endpoints all evaluate with.

It must give the answers of :func:`halyard_protocol.evaluation.evaluate`, the reference, and like
that it is pure and total: the caller passes the instant.
"""

from __future__ import annotations

from typing import Any

from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, evaluate
from halyard_protocol.ruleset import Ruleset


class Evaluator:
    """Evaluates the flags of one ruleset; safe to use from many threads.

    Attributes:
        ruleset: what it answers from; never changed.
    """

    __slots__ = ("ruleset",)

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset

    def following(self, ruleset: Ruleset) -> Evaluator:
        """The evaluator of the ruleset that replaces this one's; keeps what is still right."""
        return Evaluator(ruleset)

    def detail(self, flag_key: str, context: Context, default: Any, now_ms: int) -> Detail:
        """Decide one flag for one context at one instant (``now_ms``, since the epoch)."""
        return evaluate(self.ruleset, flag_key, context, default, now_ms)
