"""Rulesets and contexts of the vectors, broken at random places: what no server should ever send.

Documents are broken as JSON values (a part replaced, dropped, doubled, moved, buried deep) and as
text (cut off, members twice, numbers without end), and are read as an SDK reads a snapshot.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.messages import Snapshot
from halyard_protocol.ruleset import Ruleset
from halyard_protocol.session.replica import from_snapshot

from tests.support import vectors
from tests.support.vectors import ConditionFile, EvaluationFile, OperatorFile

LONG = "x" * 1_000_000
DEEP, HUGE = "@deep@", "@huge@"
"""Stand for what ``json`` cannot write: they are put in as text."""

SOUND: dict[str, Any] = {
    "key": "sound",
    "type": "string",
    "enabled": True,
    "variations": [{"key": "a", "value": "A"}, {"key": "b", "value": "B"}],
    "rules": [
        {
            "id": "r",
            "when": {"op": "segment", "values": ["sound-segment"]},
            "serve": {"variation": "a"},
        }
    ],
    "fallthrough": {"variation": "b"},
}
"""A flag that nothing breaks: it serves A to all that have no key, B to others."""

SOUND_SEGMENT: dict[str, Any] = {
    "key": "sound-segment",
    "rules": [{"id": "r", "when": {"attribute": "key", "op": "notExists"}}],
}

PATTERNS = (
    "(a+)+$", "(x+x+)+y", "(a?){500}a{500}b", "([ab]?){1000}" * 5, r"(\pL?){90}", "(((((", "a**",
    "((a{100}){100}){100}", "(?P<n>a)(?P=n)", "[", "\\", "(?i)" * 100, "x*" * 400, "(?:x|x)*" * 100,
)  # fmt: skip

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, -1e308, 5e-324, 2**53, 2**63, 2**64, -(2**64),
    10**30, 10**400, math.nan, math.inf, -math.inf, HUGE, DEEP, "", " ", "\x00", "\ud800", "\ufeff",
    "e\u0301", "\U0001f6a9", "/", "/a/b", "/~", "~1", "/" * 5_000, "user", "time", "environment",
    "multi", "group", "role", "key", "all", "any", "not", "op", "segment", "notSegment",
    "soundsLike", "before", "olderThan", "matches", "in", "semverLessThan", "ipInRange", "P1D",
    "P999999999Y", "PT0.0000000000000000001S", "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+23:59", "0000-00-00", "2026-02-30", "1.0.0-" + "0." * 100, "9" * 250,
    "::ffff:1.2.3.4/0", "0.0.0.0/-1",
    "Europe/Berlin", "../../etc/passwd", "Europe", "\x00/zone", "on", "off", "self",
    [], {}, [[]], [None], [[[]]], {"": None}, {"all": []}, {"any": []}, {"not": None}, {"not": {}},
    {"all": [{"not": {"any": [{"op": "exists", "attribute": ""}]}}]}, {"kind": "multi"},
    {"variation": None}, {"rollout": {"buckets": []}}, {"rollout": {"ramp": None, "by": None}},
    {"rollout": {"buckets": [{"variation": "on", "weight": -(10**40)}], "seed": 10**400}},
    {"op": "segment", "values": [None]}, [{"op": "segment"}], ["x"] * 300, list(range(300)),
    *PATTERNS,
)  # fmt: skip
"""What takes the place of a part."""

BY_HAND: tuple[Any, ...] = (math.nan, math.inf, 10**5000, "\ud800", b"bytes", object(), (1, "a"))
"""What a careless caller puts into a context, beyond JSON."""


class Broken:
    """Makes one broken ruleset and contexts for it after the other, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._flags: list[Any] = []
        self._segments: list[Any] = []
        self._contexts: list[Any] = ["someone"]
        for file in vectors.read_all().values():
            if isinstance(file, EvaluationFile | ConditionFile):
                self._flags += file.flags
                self._segments += file.segments
                self._contexts += [case.context for case in file.cases]
            if isinstance(file, ConditionFile):
                self._flags += [_flag_of(case.when) for case in file.cases]
            if isinstance(file, OperatorFile):
                self._flags += [_flag_of(_leaf(case.op, case.values)) for case in file.cases]
                self._contexts += [{"subject": c.attribute} for c in file.cases if c.attribute]

    def ruleset(self) -> Ruleset:
        """A ruleset of a handful of flags and segments, which name each other at random."""
        random = self._random
        flags = [copy.deepcopy(random.choice(self._flags)) for _ in range(random.randint(1, 6))]
        segments = [copy.deepcopy(random.choice(self._segments)) for _ in range(3)]
        self._tie(flags, segments)
        environment = {"key": "test", "attributes": {"region": "eu", "deep": {"er": [1]}}}
        return read(
            [*(self._broken(flag) for flag in flags), _written(SOUND)],
            [*(self._broken(segment) for segment in segments), _written(SOUND_SEGMENT)],
            self._broken(environment),
        )

    def context(self) -> Context:
        """A context that could be read, with parts that should not be there."""
        while True:
            source = copy.deepcopy(self._random.choice(self._contexts))
            for _ in range(self._random.randint(0, 3)):
                source = self._mutated(source)
            if isinstance(source, dict) and self._random.random() < 0.3:
                source["subject"] = self._random.choice(BY_HAND)
            try:
                return Context.of(source)
            except InvalidContext:
                continue

    def instant(self) -> int:
        """An instant, mostly of our days."""
        random = self._random
        if random.random() < 0.9:
            return 1_781_524_800_000 + random.randint(-(10**10), 10**10)
        return random.choice((0, -1, -(10**14), 10**15, 10**18, -(10**18), 253_402_300_799_999))

    def _tie(self, flags: list[Any], segments: list[Any]) -> None:
        random = self._random
        keys = [str(flag.get("key")) for flag in flags]
        for flag in flags:
            if random.random() < 0.4:
                required = random.choices(keys, k=random.randint(1, 3))
                flag["prerequisites"] = [{"flag": k, "variations": ["on", "a"]} for k in required]
        for segment in segments:
            if random.random() < 0.4:
                named = random.choices([each["key"] for each in segments], k=2)
                when = {"op": random.choice(("segment", "notSegment")), "values": named}
                segment.setdefault("rules", []).append({"id": "tie", "when": when})

    def _broken(self, document: dict[str, Any]) -> bytes:
        random, key = self._random, document["key"]
        for _ in range(random.choice((0, 1, 1, 1, 2, 2, 5))):
            self._mutated(document)
        if random.random() < 0.9:
            document["key"] = key  # or there is nobody to ask about the rest
        return self._torn(_written(document))

    def _torn(self, source: bytes) -> bytes:
        random = self._random
        chance = random.random()
        if chance < 0.02:
            return source[: random.randrange(len(source) + 1)]
        if chance < 0.04:
            return source.replace(b"{", b'{"enabled":true,"rules":[],"key":"sound",', 1)
        return source

    def _mutated(self, source: Any) -> Any:
        """The value with one part changed: often in a condition, where nothing is malformed."""
        places: list[tuple[Any, Any]] = []
        _places(source, places)
        conditions = [found for found in places if found[1] == "when"]
        if conditions and self._random.random() < 0.6:
            holder, at = self._random.choice(conditions)
            places = [(holder, at)]
            _places(holder[at], places)
        if not places:
            return self._instead(source)
        holder, at = self._random.choice(places)
        kind = self._random.random()
        if kind < 0.6:
            holder[at] = self._instead(holder[at])
        elif kind < 0.7:
            del holder[at]
        elif kind < 0.8 and isinstance(holder, list):
            holder.extend([holder[at]] * self._random.choice((1, 2, 50)))
        elif kind < 0.9:
            other, elsewhere = self._random.choice(places)
            holder[at] = copy.deepcopy(other.get(elsewhere) if isinstance(other, dict) else other)
        else:
            holder[at] = self._buried(holder[at])
        return source

    def _instead(self, part: Any) -> Any:
        """Something else; now and then only slightly so."""
        random = self._random
        if random.random() < 0.003:
            return LONG
        if isinstance(part, str) and random.random() < 0.2:
            return part[: random.randint(0, len(part))] + random.choice(("", "\n", "\u0663", "0"))
        return copy.deepcopy(random.choice(HOSTILE))

    def _buried(self, part: Any) -> Any:
        wrap: Callable[[Any], Any] = self._random.choice(
            (lambda it: [it], lambda it: {"not": it}, lambda it: {"all": [it]}, lambda it: {"": it})
        )
        for _ in range(self._random.choice((1, 2, 31, 33, 100))):
            part = wrap(part)
        return part


def read(flags: list[bytes], segments: list[bytes], environment: bytes) -> Ruleset:
    """A ruleset as an SDK has it after a snapshot of these documents."""
    raws = [tuple(map(msgspec.Raw, documents)) for documents in (flags, segments)]
    return from_snapshot(Snapshot("epoch", 1, msgspec.Raw(environment), *raws)).ruleset


def _leaf(op: str, values: list[Any]) -> dict[str, Any]:
    return {"attribute": "subject", "op": op, "values": values}


def _flag_of(when: Any) -> dict[str, Any]:
    return {**SOUND, "key": "conditional", "rules": [{**SOUND["rules"][0], "when": when}]}


def _places(source: Any, found: list[tuple[Any, Any]]) -> None:
    """Every part of a value, as what holds it and where; as deep as anybody looks."""
    level = [source] if isinstance(source, dict | list) else []
    for _ in range(12):
        deeper: list[Any] = []
        for holder in level:
            steps = holder if isinstance(holder, dict) else range(len(holder))
            for at in steps:
                found.append((holder, at))
                if isinstance(holder[at], dict | list):
                    deeper.append(holder[at])
        level = deeper


def _written(document: Any) -> bytes:
    text = json.dumps(document)
    text = text.replace(f'"{DEEP}"', "[" * 3_000 + "]" * 3_000)
    return text.replace(f'"{HUGE}"', "1" * 6_000).encode()
