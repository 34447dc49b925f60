"""A state as bytes of which only what is asked for is read: how snapshots are kept.

The rows of a flag, of its settings in all environments and of all their marks are one page,
written as JSON by itself; so are those of a segment, and the marks of any other entity. Pages lie
in blocks, each compressed by itself, and a head tells where each page is. Loading reads the head. A
page is read when one of its rows is asked for, and then its rows are as if they had always been
there. So a look at one flag of ten thousand, as it was, costs a ten-thousandth of the reading.

What happened to a page's entities after the snapshot can wait until then, too: :meth:`Pages.defer`.

As with :func:`domain.state.dump`, equal states have equal bytes.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, TypeVar

import msgspec
from halyard_protocol.codec import decoder

from domain.facts import Entity, EntityKind
from domain.state import (
    ChangeRequest,
    Environment,
    FlagDefinition,
    FlagSettings,
    Mark,
    Project,
    ProjectState,
    SdkKey,
    SegmentDefinition,
    Webhook,
    encode_row,
)
from domain.tables import Table

K = TypeVar("K")
V = TypeVar("V")

BLOCK_BYTES = 48 * 1024
"""Of pages in a block, before it is compressed, about."""
_LEVEL = 1
_BREAK = b"\n"
"""Between the head, which is JSON on one line, and the blocks."""


class _Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """All rows of one key and kind."""

    flag: FlagDefinition | None = None
    settings: list[tuple[str, FlagSettings]] = []
    segment: SegmentDefinition | None = None
    marks: list[tuple[str | None, Mark]] = []


class _Head(msgspec.Struct, frozen=True):
    project: Project | None
    environments: list[Environment]
    keys: list[SdkKey]
    webhooks: list[Webhook]
    change_requests: list[ChangeRequest]
    voided: list[tuple[int, str]]
    names: list[str]
    """Of the pages, in order."""
    sizes: list[int]
    """Of each page, in bytes."""
    blocks: list[tuple[int, int]]
    """Of each block: how many pages, and how many bytes they are when compressed."""


_page_decoder = decoder(_Page)
_head_decoder = decoder(_Head)


def name_of(entity: Entity) -> str:
    """The page on which everything about an entity stands."""
    return f"{entity.kind}/{entity.key}"


class Pages:
    """The pages of one state that have not been read yet, and what has still to happen to them.

    They are read into ``rows``, whose tables stand by themselves and know of no pages. The state
    that people read has the same rows, and asks for pages first. So nothing goes in a circle, and
    a state that nobody needs any more is gone at once, without a look for cycles.

    Who asks for a row of a page to which something happened that cannot be, is told so each time.
    """

    def __init__(self, head: _Head, blocks: bytes, rows: ProjectState) -> None:
        # Numbers in lists, and no tuples: making thousands of those would have the collector of
        # cycles look through every state that this process holds.
        self._numbers = dict(zip(head.names, range(len(head.names)), strict=True))
        """Of the pages that are left, by name."""
        self._ends = list(accumulate(head.sizes, initial=0))
        """Page n lies from n to n + 1, counted over all blocks."""
        self._firsts = list(accumulate((count for count, _ in head.blocks), initial=0))
        """The number of each block's first page."""
        self._blocks = _split(head.blocks, blocks)
        self._inflated: dict[int, bytes] = {}
        self._later: dict[str, list[Any]] = {}
        """What has still to happen to each page, by name."""
        self._happen: Callable[[ProjectState, Any], None] = _nothing
        self._failed: dict[str, Exception] = {}
        """By name, why something could not happen to a page."""
        self._rows = rows
        self.rest = bool(head.names)
        """Whether anything is left to be read, or to happen."""

    def wait(self, happen: Callable[[ProjectState, Any], None]) -> None:
        """Say how it happens to the rows, what is deferred."""
        self._happen = happen

    def defer(self, entity: Entity, event: object) -> None:
        """Have something happen to an entity's page when that page is read.

        It may look at nothing that changes meanwhile: only at the page's own rows.
        """
        # What is called for it is said once, by wait(): see __init__ on thousands of objects.
        self._later.setdefault(name_of(entity), []).append(event)
        self.rest = True

    def unread(self, kind: EntityKind) -> list[str]:
        """The keys of a kind whose pages are left, nearly in order; there may be no row on them."""
        before = f"{kind}/"
        begin = len(before)
        return [name[begin:] for name in (*self._numbers, *self._later) if name.startswith(before)]

    def read(self, name: str) -> None:
        """Read a page, if nobody has, and let happen to it what has waited."""
        if name in self._failed:
            raise self._failed[name]
        number = self._numbers.pop(name, None)
        later = self._later.pop(name, ())
        if number is not None:
            kind, _, key = name.partition("/")
            _put(self._rows, kind, key, _page_decoder.decode(self._bytes(number)))
        try:
            for event in later:
                self._happen(self._rows, event)
        except Exception as error:
            self._failed[name] = error  # nobody is to see it half changed
            raise

    def left(self) -> tuple[str, ...]:
        """The names of all pages to read, where somebody wants all of them, one by one."""
        return (*self._failed, *self._numbers, *self._later)

    def read_all(self) -> None:
        """Read all that is left."""
        for name in self.left():
            self.read(name)
        self.rest = False
        self._blocks.clear()
        self._inflated.clear()

    def _bytes(self, number: int) -> memoryview:
        of = bisect_right(self._firsts, number) - 1
        block = self._inflated.get(of)
        if block is None:
            block = self._inflated[of] = zlib.decompress(self._blocks[of])
        begin = self._ends[self._firsts[of]]
        return memoryview(block)[self._ends[number] - begin : self._ends[number + 1] - begin]


def _nothing(_rows: ProjectState, _event: object) -> None:
    """Happens to a state of which nobody said how anything does."""


def _split(blocks: list[tuple[int, int]], source: bytes) -> list[bytes]:
    parts: list[bytes] = []
    begin = 0
    for _, size in blocks:
        parts.append(source[begin : begin + size])
        begin += size
    return parts


def _put(rows: ProjectState, kind: str, key: str, page: _Page) -> None:
    if page.flag is not None:
        rows.flags.put(key, page.flag)
    for environment, settings in page.settings:
        rows.settings.put((key, environment), settings)
    if page.segment is not None:
        rows.segments.put(key, page.segment)
    for place, mark in page.marks:
        rows.marks.put(Entity(kind, key, place), mark)  # type: ignore[arg-type]


class PagedTable(Table[K, V]):
    """A table that has another's rows, and pages of which some have not been read into it yet."""

    __slots__ = ("_name_of", "pages")

    def __init__(self, rows: Table[K, V], pages: Pages, name_of_key: Callable[[K], str]) -> None:
        super().__init__()
        self.share(rows)
        self.pages = pages
        self._name_of = name_of_key

    def get(self, key: K) -> V | None:
        """The row, or None."""
        if self.pages.rest:
            self.pages.read(self._name_of(key))
        return super().get(key)

    def put(self, key: K, row: V) -> None:
        """Store a row in place of any of the same key."""
        if self.pages.rest:
            self.pages.read(self._name_of(key))
        super().put(key, row)

    def remove(self, key: K) -> None:
        """Drop a row. Raises ``KeyError``."""
        if self.pages.rest:
            self.pages.read(self._name_of(key))
        super().remove(key)

    def __iter__(self) -> Iterator[K]:
        if self.pages.rest:
            self.pages.read_all()
        return super().__iter__()

    def __len__(self) -> int:
        if self.pages.rest:
            self.pages.read_all()
        return super().__len__()

    def items(self) -> Iterator[tuple[K, V]]:
        """All rows, in no order that a decision may rest on."""
        if self.pages.rest:
            self.pages.read_all()
        return super().items()

    def values(self) -> Iterator[V]:
        """All rows without their keys."""
        if self.pages.rest:
            self.pages.read_all()
        return super().values()

    def noted(self) -> Iterator[tuple[K, V]]:
        """The rows that are noted: all must be read for it."""
        if self.pages.rest:
            self.pages.read_all()
        return super().noted()

    def copy(self) -> Table[K, V]:
        """The same rows in a table that stands by itself."""
        if self.pages.rest:
            self.pages.read_all()
        return super().copy()


def dump(state: ProjectState) -> bytes:
    """Write a state, which stands by itself: the same bytes for equal states."""
    pages = sorted(_written(state).items())
    blocks: list[tuple[int, int]] = []
    parts: list[bytes] = []
    for block in _in_blocks([page for _, page in pages]):
        parts.append(zlib.compress(b"".join(block), _LEVEL))
        blocks.append((len(block), len(parts[-1])))
    head = _Head(
        state.project,
        [row for _, row in sorted(state.environments.items())],
        [row for _, row in sorted(state.keys.items())],
        [row for _, row in sorted(state.webhooks.items())],
        [row for _, row in sorted(state.change_requests.items())],
        sorted(state.voided.items()),
        [name for name, _ in pages],
        [len(page) for _, page in pages],
        blocks,
    )
    return b"".join((encode_row(head), _BREAK, *parts))


def _written(state: ProjectState) -> dict[str, bytes]:
    settings: dict[str, list[tuple[str, FlagSettings]]] = {}
    for (flag, environment), row in state.settings.items():
        settings.setdefault(flag, []).append((environment, row))
    marks: dict[str, list[tuple[str | None, Mark]]] = {}
    for entity, mark in state.marks.items():
        marks.setdefault(name_of(entity), []).append((entity.environment, mark))
    return {name: encode_row(_page(state, name, settings, marks[name])) for name in marks}


def _page(
    state: ProjectState,
    name: str,
    settings: dict[str, list[tuple[str, FlagSettings]]],
    marks: list[tuple[str | None, Mark]],
) -> _Page:
    """A page; every entity that is, or was, has a mark."""
    kind, _, key = name.partition("/")
    marks.sort(key=lambda mark: mark[0] or "")
    if kind == "segment":
        return _Page(segment=state.segments.get(key), marks=marks)
    if kind != "flag":
        return _Page(marks=marks)
    placed = sorted(settings.get(key, ()), key=lambda row: row[0])
    return _Page(flag=state.flags.get(key), settings=placed, marks=marks)


def _in_blocks(pages: list[bytes]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for page in pages:
        block.append(page)
        size += len(page)
        if size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def load(source: bytes) -> ProjectState:
    """Read what :func:`dump` wrote, as far as must be. Raises ``msgspec.DecodeError`` otherwise.

    What is wrong within a page is raised where it is read.
    """
    end = source.find(_BREAK)
    head = _head_decoder.decode(source[:end])
    rows = ProjectState()
    for environment in head.environments:
        rows.environments.put(environment.key, environment)
    for key in head.keys:
        rows.keys.put((key.id, key.environment), key)
    for webhook in head.webhooks:
        rows.webhooks.put(webhook.id, webhook)
    for request in head.change_requests:
        rows.change_requests.put(request.id, request)
    for seq, reason in head.voided:
        rows.voided.put(seq, reason)
    return _paged(rows, Pages(head, source[end + 1 :], rows), head.project)


def _paged(rows: ProjectState, pages: Pages, project: Project | None) -> ProjectState:
    """The state that has these rows, once their pages have been read."""
    state = ProjectState()
    state.project = project
    state.environments, state.keys, state.voided = rows.environments, rows.keys, rows.voided
    state.webhooks, state.change_requests = rows.webhooks, rows.change_requests
    state.flags = PagedTable(rows.flags, pages, lambda key: f"flag/{key}")
    state.settings = PagedTable(rows.settings, pages, lambda key: f"flag/{key[0]}")
    state.segments = PagedTable(rows.segments, pages, lambda key: f"segment/{key}")
    state.marks = PagedTable(rows.marks, pages, name_of)
    return state


def pages_of(state: ProjectState) -> Pages | None:
    """The pages on which a state stands that was loaded; None for any other."""
    return state.marks.pages if isinstance(state.marks, PagedTable) else None


def flag_keys(state: ProjectState) -> list[str]:
    """The keys of a state's flags, sorted, and perhaps of some that are none: no page is read."""
    pages = pages_of(state)
    if pages is None or not pages.rest:
        return sorted(state.flags)
    # Of a table itself, past what would read all pages. What is nearly in order is quickly sorted.
    return sorted(dict.fromkeys([*pages.unread("flag"), *Table.__iter__(state.flags)]))
