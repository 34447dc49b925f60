"""From details to the bytes of answers, made once for each outcome of a flag.

A flag without rollouts has a handful of outcomes, and an evaluator answers each with the same
:class:`~halyard_protocol.evaluation.Detail` every time, which no other flag and no other version of
this one shares. So the bytes of an outcome are found by the identity of its detail, and a bulk
answer is a join of bytes that exist already. Where the caller's default is served, it is the reason
that is the same. Of a rollout all but the context's bucket is kept. Nothing here knows who asked.

Flags that stay as they are keep their bytes when the ruleset changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import msgspec
from halyard_protocol.context import Context
from halyard_protocol.disclosure import without_rules
from halyard_protocol.evaluation import Detail, Reason
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.openfeature import error_code, flag_metadata, resolution_reason
from halyard_protocol.ruleset import Flag, MalformedFlag, Ruleset

if TYPE_CHECKING:
    from streaming.serving import ServedEnvironment

KEPT_OUTCOMES = 64
"""Of one flag: more than flags have, but for evaluators that make every detail anew."""
KEPT_IN_ALL, KEPT_OF_EACH = 1_000, 4
"""Of all flags together; beyond, only what is asked for again is kept again."""

NO_VARIANT = ""
"""What is served is the caller's own default; providers exist that fail without a variant."""

_END = b"}}"
"""Of a flag's answer and of the metadata in it, which is the last member."""

AnyFlag: TypeAlias = Flag | MalformedFlag
Kept: TypeAlias = tuple[Detail, bytes]
"""The detail is kept alive beside its bytes, so that no other can have its ``id()``."""

_encode = msgspec.json.Encoder().encode


class FlagAnswers:
    """The bytes of one flag's outcomes.

    Args:
        flag: whose they are.
        client_side: for pages, which are told no rules: neither ids of them, nor other flags.
    """

    __slots__ = ("_client_side", "_kept", "_splits", "flag")

    def __init__(self, flag: AnyFlag, *, client_side: bool) -> None:
        self.flag = flag
        self._client_side = client_side
        self._kept: dict[int, tuple[Detail | Reason, bytes]] = {}
        """Those without a bucket, by the ``id()`` of what is the same each time."""
        self._splits: dict[tuple[str | None, int | None, bool], bytes] = {}
        """Answers of rollouts up to the bucket, by what else of them can differ."""

    def of(self, detail: Detail) -> bytes:
        """The JSON object of one outcome: a success or a failure."""
        bucket = detail.reason.bucket
        if bucket is not None:
            return self._split_head(detail) + _encode(bucket) + _END
        same = detail.reason if detail.variation is None else detail
        known = self._kept.get(id(same))
        if known is not None:
            return known[1]
        if len(self._kept) >= KEPT_OUTCOMES:
            self._kept.clear()
        answer = _encode(self._written(detail))
        self._kept[id(same)] = (same, answer)
        return answer

    def _split_head(self, detail: Detail) -> bytes:
        reason = detail.reason
        outcome = (detail.variation, reason.rule_index, reason.in_experiment)
        head = self._splits.get(outcome)
        if head is None:
            success = self._written(detail)
            del success["metadata"]["bucket"]
            head = _encode(success).removesuffix(_END) + b',"bucket":'
            self._splits[outcome] = head
        return head

    def _written(self, detail: Detail) -> dict[str, Any]:
        reason = without_rules(detail.reason) if self._client_side else detail.reason
        if reason.kind == "ERROR":
            return _failure(self.flag.key, reason)
        return _success(self.flag, detail, reason)


def _success(flag: AnyFlag, detail: Detail, reason: Reason) -> dict[str, Any]:
    """A success; without ``value`` where the caller's default is served, as OFREP has it.

    A JSON flag's null is left out as well: providers take it for an object, or for a fault.
    """
    served = {} if detail.value is None else {"value": _typed(flag, detail.value)}
    return {
        "key": flag.key,
        **served,
        "reason": resolution_reason(reason),
        "variant": detail.variation if detail.variation is not None else NO_VARIANT,
        "metadata": flag_metadata(reason, flag.version),
    }


def _failure(key: str, reason: Reason) -> dict[str, Any]:
    return {"key": key, "errorCode": error_code(reason), "errorDetails": reason.message}


def _typed(flag: AnyFlag, value: Any) -> Any:
    """The value as its type is written: a number with a fraction, an integer without."""
    kind = flag.type if isinstance(flag, Flag) else None
    if kind == "number" and value.__class__ is int:
        return float(value)
    if kind == "integer" and value.__class__ is float and value.is_integer():
        return int(value)
    return value


class Answers:
    """What one key may ask of one ruleset, in the order of flag keys.

    Args:
        ruleset: answers are of its flags.
        client_side: only of those that are marked so.
        previous: the answers of an earlier ruleset to the same kind of key; the bytes of flags
            that are the same objects are taken over.
    """

    __slots__ = ("_by_key", "_kept", "_keys", "ruleset")

    def __init__(
        self, ruleset: Ruleset, *, client_side: bool, previous: Answers | None = None
    ) -> None:
        self.ruleset = ruleset
        known: dict[str, FlagAnswers] = {} if previous is None else previous._by_key
        self._by_key: dict[str, FlagAnswers] = {
            key: same
            if (same := known.get(key)) is not None and same.flag is flag
            else FlagAnswers(flag, client_side=client_side)
            for key, flag in ruleset.flags.items()
            if not client_side or (isinstance(flag, Flag) and flag.client_side)
        }
        self._keys: tuple[str, ...]
        self._kept: dict[int, Kept]
        """Of all flags, those of earlier rulesets among them: to be found with one look-up."""
        if previous is not None and known.keys() == self._by_key.keys():
            self._keys, self._kept = previous._keys, previous._kept
        else:
            self._keys, self._kept = tuple(sorted(self._by_key)), {}

    def __len__(self) -> int:
        return len(self._keys)

    def one(self, evaluator: Evaluator, key: str, context: Context, now_ms: int) -> Detail | None:
        """The outcome of one flag; None where this key may not ask for it."""
        return evaluator.detail(key, context, None, now_ms) if key in self._by_key else None

    def written(self, key: str, detail: Detail) -> bytes:
        """The answer to :meth:`one`."""
        return self._by_key[key].of(detail)

    def some(
        self, evaluator: Evaluator, context: Context, now_ms: int, start: int, stop: int
    ) -> list[bytes]:
        """The answers of the flags at these places, by one evaluator of :attr:`ruleset`."""
        decisions, kinds = evaluator.decisions, context.kinds
        kept, make = self._kept.get, self._make
        return [
            (kept(id(detail := decisions[key](kinds, now_ms, None))) or make(key, detail))[1]
            for key in self._keys[start:stop]
        ]

    def _make(self, key: str, detail: Detail) -> Kept:
        answer = (detail, self._by_key[key].of(detail))
        if detail.reason.bucket is None and detail.variation is not None:
            if len(self._kept) >= KEPT_IN_ALL + len(self._keys) * KEPT_OF_EACH:
                self._kept.clear()
            self._kept[id(detail)] = answer
        return answer


class KeptAnswers:
    """The answers of each key that is in use, for as long as it is."""

    def __init__(self) -> None:
        self._answers: WeakKeyDictionary[ServedEnvironment, Answers] = WeakKeyDictionary()

    def of(self, served: ServedEnvironment) -> tuple[Evaluator, Answers]:
        """The present evaluator, and the bytes of its outcomes as this key may see them."""
        evaluator = served.evaluator
        answers = self._answers.get(served)
        if answers is None or answers.ruleset is not evaluator.ruleset:
            client_side = served.kind == "client"
            answers = Answers(evaluator.ruleset, client_side=client_side, previous=answers)
            self._answers[served] = answers
        return evaluator, answers


def bulk_body(written: Iterable[bytes], ending: bytes) -> bytes:
    """The body of a bulk answer. ``ending`` is all of it that stands behind the flags."""
    return b'{"flags":[' + b",".join(written) + b"]," + ending


def bulk_ending(environment: str, stream_uri: str | None, inactivity_delay_s: int) -> bytes:
    """What stands behind the flags: which set of flags it is, and where changes are told.

    ``stream_uri`` begins with a slash: providers resolve it against the server that they ask. None
    where no stream is to be opened at present.
    """
    rest: dict[str, Any] = {"metadata": {"flagSetId": environment}}
    if stream_uri is not None:
        stream = {
            "type": "sse",
            "endpoint": {"requestUri": stream_uri},
            "inactivityDelaySec": inactivity_delay_s,
        }
        rest["eventStreams"] = [stream]
    return _encode(rest).removeprefix(b"{")


def digest(body: bytes) -> str:
    """The strong ETag of a body, without its quotes."""
    # Most processors have instructions for SHA-256, which makes it quicker than BLAKE2.
    return hashlib.sha256(body).hexdigest()[:32]
