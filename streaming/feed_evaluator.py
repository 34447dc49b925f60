"""The evaluator of one feed: made of its documents when somebody asks, and following them.

Documents are read one by one, each once: those that stay as they are stay the same objects, so
that what an evaluator has compiled of them is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import TypeAlias

import msgspec
from halyard_protocol.codec import UNREADABLE, decode_flag, decode_segment, decoder
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.ruleset import Environment, Flag, MalformedFlag, Ruleset, Segment
from halyard_protocol.session.documents import Document
from halyard_protocol.session.feed import Feed

SLICE_S = 0.003
"""How long documents are read before the loop gets its turn."""

Value: TypeAlias = Flag | MalformedFlag | Segment | Environment

_environment_decoder = decoder(Environment)
_decoders: dict[str, Callable[[bytes], Value]] = {
    "flag": decode_flag,
    "segment": decode_segment,
    "environment": _environment_decoder.decode,
}


class FeedEvaluator:
    """Answers as of the feed's ``changed``, whenever it is asked."""

    __slots__ = ("_changed", "_epoch", "_evaluator", "_feed", "_read")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._evaluator = Evaluator(Ruleset(Environment(""), {}, {}))
        self._epoch = ""
        self._changed = 0
        self._read: dict[tuple[str, str], tuple[bytes, Value | None]] = {}
        """By kind and key: a document's bytes, and what was read of them."""

    @property
    def prepared(self) -> bool:
        """Whether the evaluator is there, but for a few documents that have just changed."""
        return self._epoch == self._feed.epoch and self._changed >= self._feed.horizon

    async def prepare(self) -> None:
        """Do what :meth:`current` would do, in slices: there may be ten thousand flags to read."""
        began_s = time.perf_counter()
        for _ in self.preparing():
            if time.perf_counter() - began_s > SLICE_S:
                await asyncio.sleep(0)
                began_s = time.perf_counter()

    def preparing(self) -> Iterator[None]:
        """The same in steps of one document, for whoever has other work in between."""
        for document in tuple(self._feed.documents.values()):
            self._value(document)
            yield
        self.current()

    def current(self) -> Evaluator:
        """The evaluator of what the feed has now."""
        feed = self._feed
        if self._changed != feed.changed or self._epoch != feed.epoch:
            self._follow()
        return self._evaluator

    def _follow(self) -> None:
        feed, old = self._feed, self._evaluator.ruleset
        if self.prepared:
            newer = takewhile(
                lambda d: d.version > self._changed, reversed(feed.documents.values())
            )
            flags, segments = old.flags.copy(), old.segments.copy()
            ruleset = self._with(Ruleset(old.environment, flags, segments), reversed(tuple(newer)))
        else:
            ruleset = self._with(Ruleset(old.environment, {}, {}), feed.documents.values())
            self._forget_the_gone()
        self._evaluator = self._evaluator.following(ruleset)
        self._epoch, self._changed = feed.epoch, feed.changed

    def _with(self, ruleset: Ruleset, documents: Iterable[Document]) -> Ruleset:
        """``ruleset``, whose dictionaries are nobody else's yet, with the documents put in."""
        environment = ruleset.environment
        for document in documents:
            match self._value(document):
                case Flag() | MalformedFlag() as flag:
                    ruleset.flags[flag.key] = flag
                case Segment() as segment:
                    ruleset.segments[segment.key] = segment
                case Environment() as environment:
                    pass
                case None if document.kind == "flag":
                    ruleset.flags.pop(document.key, None)
                case None if document.kind == "segment":
                    ruleset.segments.pop(document.key, None)
                case None:
                    pass  # an SDK key, an environment that has gone, or nothing known here
        return Ruleset(environment, ruleset.flags, ruleset.segments)

    def _value(self, document: Document) -> Value | None:
        """What a document says; None where it says nothing, or not even its key can be read."""
        place = (document.kind, document.key)
        if document.deleted or document.kind not in _decoders:
            self._read.pop(place, None)
            return None
        body, value = self._read.get(place, (b"", None))
        if body != document.body:
            value = _decoded(document)
            self._read[place] = (document.body, value)
        return value

    def _forget_the_gone(self) -> None:
        present = {(document.kind, document.key) for document in self._feed.documents.values()}
        self._read = {place: read for place, read in self._read.items() if place in present}


def _decoded(document: Document) -> Value | None:
    try:
        return _decoders[document.kind](document.body)
    except (msgspec.ValidationError, *UNREADABLE):
        return None
