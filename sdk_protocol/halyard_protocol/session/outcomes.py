"""What flags give contexts, as values that are shared: outcomes, and boards of them.

An *outcome* is what one flag gives everybody for whom it comes out the same, from one version of it
to the next. A *board* is a set of outcomes, one for each flag: what one context gets. Both are the
same object wherever they are equal, so that ten thousand contexts hold few of them, "has anything
changed?" is a comparison of identities, and what is written of them is written once.

Outcomes stand on a board in slots, which the flags are given by whoever asks them; an outcome knows
whose it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakValueDictionary

import msgspec

from halyard_protocol.canonical import canonical, canonical_object
from halyard_protocol.codec import to_builtins
from halyard_protocol.disclosure import without_bucket
from halyard_protocol.evaluation import Detail

Slots: TypeAlias = tuple["Outcome | None", ...]
"""None where there is no flag, or no longer."""

_object_decoder = msgspec.json.Decoder(dict[str, Any])


class Outcome:
    """What a flag gives. Compared by identity.

    Attributes:
        key: the flag's.
        said: its :class:`~halyard_protocol.messages.Value` without the version, as canonical JSON.
        value: the whole of it, likewise.
        member: the same as the member of an object: the key, a colon, the value.
    """

    __slots__ = ("key", "member", "said", "value")

    def __init__(self, key: str, said: bytes, value: bytes) -> None:
        self.key = key
        self.said = said
        self.value = value
        self.member = canonical(key) + b":" + value


def outcome_of(key: str, version: int, detail: Detail) -> Outcome:
    """What a detail says to whoever holds a client key."""
    reason = to_builtins(without_bucket(detail.reason))
    said = {"value": detail.value, "variation": detail.variation, "reason": reason}
    return Outcome(key, canonical(said), canonical({**said, "version": version}))


def digest_of(values: Mapping[str, bytes]) -> str:
    """The digest of values, each of them JSON, by flag key: SHA-256 of their canonical object.

    Without their versions, which alone make no difference. Raises ``msgspec.DecodeError`` where one
    is no JSON object.
    """
    return _digest({key: canonical(_without_version(value)) for key, value in values.items()})


def _without_version(value: bytes) -> dict[str, Any]:
    members = _object_decoder.decode(value)
    members.pop("version", None)
    return members


def _digest(members: dict[str, bytes]) -> str:
    return hashlib.sha256(canonical_object(members)).hexdigest()


class Board:
    """The outcomes of one context. Compared by identity; made by :class:`Boards`."""

    __slots__ = ("__weakref__", "_digest", "slots")

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._digest = ""

    @property
    def digest(self) -> str:
        """See :func:`digest_of`; found once."""
        if not self._digest:
            self._digest = _digest({each.key: each.said for each in self.outcomes()})
        return self._digest

    def outcomes(self) -> list[Outcome]:
        """Those that there are."""
        return [outcome for outcome in self.slots if outcome is not None]

    def with_outcomes(self, places: Iterable[int], outcomes: Iterable[Outcome | None]) -> Slots:
        """The slots of a board with other outcomes at some places, which may lie behind the end."""
        slots = list(self.slots)
        for place, outcome in zip(places, outcomes, strict=True):
            if place >= len(slots):
                slots += [None] * (place + 1 - len(slots))
            slots[place] = outcome
        return tuple(slots)


class Boards:
    """The boards in use, each once."""

    def __init__(self) -> None:
        self._boards: WeakValueDictionary[Slots, Board] = WeakValueDictionary()

    def of(self, slots: Slots) -> Board:
        """The board with these outcomes. Slots that are empty at the end make no difference."""
        while slots and slots[-1] is None:
            slots = slots[:-1]
        board = self._boards.get(slots)
        if board is None:
            board = self._boards[slots] = Board(slots)
        return board

    def __len__(self) -> int:
        return len(self._boards)


class Difference(NamedTuple):
    """What takes whoever has one board to another."""

    put: list[Outcome]
    removed: list[str]

    def __bool__(self) -> bool:
        return bool(self.put or self.removed)


def difference(old: Board, new: Board) -> Difference:
    """See :class:`Difference`. A flag that has come into another slot is no other flag."""
    put: dict[str, Outcome] = {}
    gone: list[str] = []
    for before, after in zip_longest(old.slots, new.slots):
        if before is after:
            continue
        if after is not None:
            put[after.key] = after
        if before is not None and (after is None or after.key != before.key):
            gone.append(before.key)
    return Difference(list(put.values()), [key for key in gone if key not in put])


def values_payload(
    epoch: str, seq: int, put: Iterable[Outcome], removed: Iterable[str] = (), *, full: bool
) -> bytes:
    """The payload of a ``values`` message. ``epoch`` is a wire epoch, which needs no escapes."""
    return b'{"type":"values","epoch":"%b","seq":%d,"full":%b,"removed":%b,"values":{%b}}' % (
        epoch.encode(),
        seq,
        b"true" if full else b"false",
        canonical(list(removed)),
        b",".join([outcome.member for outcome in put]),
    )


def read_values(values: Mapping[str, msgspec.Raw]) -> dict[str, bytes]:
    """The values of a message, as they came."""
    return {key: bytes(value) for key, value in values.items()}


def decoded(value: bytes) -> Any:
    """What a client makes of one value: builtins."""
    return msgspec.json.decode(value)
