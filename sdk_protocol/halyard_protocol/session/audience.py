"""What the browsers of one environment see: contexts, what each of them gets, and what changes it.

Connections that name the same context are one *cohort*. A cohort has a board, which is replaced
where one of its outcomes is another; a connection remembers the board that it was sent last, by
reference. So a connection that is behind costs nothing, and what it is sent in the end is the
difference between two boards, however many there were in between.

Work is done in small steps, of which the caller does as many as it likes before somebody else gets
a turn; between any two of them everything is consistent:

    follow(...)    the ruleset has changed: what leans on what is brought up to date, then the flags
                   that are affected are asked again, of one cohort after the other
    tick(now)      time has passed: the same for the flags whose instant has come
    ask(session)   a client said who it is: its cohort is answered for, and it is sent all of that
    step(now)      do a little of it; answers the frames to write

Invariants:
    - a cohort of a generation has the outcomes that its flags give in that generation's ruleset;
      ``generation`` grows with each change of a flag that anybody here can see;
    - the position (``epoch``, ``changed``) is that of the ruleset that is asked, and never an older
      one than what was sent before;
    - a change that concerns no flag for pages makes no generation, no work and no frame.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from halyard_protocol.context import Attributes
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.messages import Heartbeat, encode_message
from halyard_protocol.ruleset import Environment, Ruleset
from halyard_protocol.session.frames import KeptFrames
from halyard_protocol.session.leaning import THE_ENVIRONMENT, Leanings, Place, document_at
from halyard_protocol.session.outcomes import (
    Board,
    Boards,
    Slots,
    difference,
    values_payload,
)
from halyard_protocol.session.questions import Question

if TYPE_CHECKING:
    from halyard_protocol.session.feed import Feed
    from halyard_protocol.session.frames import SharedFrame
    from halyard_protocol.session.values_server import ValuesSession

Sent: TypeAlias = "tuple[ValuesSession, bytes]"
"""A frame to write, and to whom."""

KEPT_MOVES: Final = 512
KEPT_FULLS: Final = 32
KEPT_DIFFERENCES: Final = 512
KEPT_BYTES: Final = 16 * 1024 * 1024
"""Of the payloads of either: where every context gets something else, they are wanted once."""
SHORT_CONTEXT_BYTES: Final = 1_024
"""Longer contexts are kept as bytes only: read, they take many times as much."""
BACKWARDS_MS: Final = 1_000
"""How far the wall clock may go back without its having been set."""

_read_kinds = msgspec.json.Decoder(dict[str, dict[str, object]]).decode


class Steps(NamedTuple):
    """How much is done in one step: a fraction of a millisecond of each."""

    documents: int = 32
    """Read for what they lean on."""
    flags: int = 32
    """Decided for one cohort."""
    cohorts: int = 16
    members: int = 64
    """Of one cohort, told."""


class Cohort:
    """The connections of one context.

    Attributes:
        members: those that were told who they are, or are about to be sent its values.
        board: what it gets; empty until it was answered for.
        generation: as of which that is so.
    """

    __slots__ = ("_kinds", "board", "generation", "left", "members", "source")

    def __init__(self, source: bytes, board: Board) -> None:
        self.source = source
        self.members: dict[ValuesSession, None] = {}
        self.board = board
        self.generation = 0
        self.left: tuple[int, ...] = ()
        """Slots that are still to be asked, where that takes several steps."""
        self._kinds = _read_kinds(source) if len(source) <= SHORT_CONTEXT_BYTES else None

    @property
    def kinds(self) -> dict[str, Attributes]:
        """The context's attributes, by kind."""
        kinds: dict[str, Attributes] = self._kinds or _read_kinds(self.source)  # type: ignore[assignment]
        return kinds


class Audience:
    """See the module.

    Args:
        feed: whose it is: it frames what is written, and says how far the log was checked.
        steps: how large they are.
    """

    def __init__(self, feed: Feed, steps: Steps = Steps()) -> None:  # noqa: B008 - a value
        self.epoch = ""
        """The wire epoch; empty until there is a ruleset to ask."""
        self.changed = 0
        self.generation = 1
        self.cohorts: dict[bytes, Cohort] = {}
        self._feed = feed
        self._steps = steps
        self._evaluator = Evaluator(Ruleset(Environment(""), {}, {}))
        self._now_ms: float = -math.inf
        """The latest instant for which anything was decided, since the clock was set."""

        self._leanings = Leanings()
        self._coming: tuple[Evaluator, str, int] | None = None
        """The ruleset that is asked as soon as it is known what leans on what in it."""
        self._unread: dict[Place, None] = {}
        """What was read already, and has changed since, is in it again."""
        self._changed: set[Place] = set()

        self._slots: dict[str, int] = {}
        """Flag key -> its place on every board."""
        self._free: list[int] = []
        self._questions: list[Question | None] = []
        self._news: list[tuple[int, tuple[int, ...]]] = []
        """The slots to be asked again, by the generation that began with it."""

        self._boards = Boards()
        self._empty = self._boards.of(())
        self._asking: deque[ValuesSession] = deque()
        self._round: list[Cohort] = []
        """Whom the present round has still to reach."""
        self._telling: list[ValuesSession] = []
        """Members of the last of them who are still to be told, where there are many."""
        self._round_generation = 1
        self._fulls: KeptFrames[tuple[Board, int]] = KeptFrames(KEPT_FULLS, KEPT_BYTES)
        self._differences: KeptFrames[tuple[Board, Board]] = KeptFrames(
            KEPT_DIFFERENCES, KEPT_BYTES
        )
        self._moves: dict[tuple[Board, tuple[int, ...], Slots], Board] = {}
        self._heartbeat: tuple[Heartbeat, bytes] | None = None

    # --- what happens

    def follow(
        self, evaluator: Evaluator, epoch: str, changed: int, places: Iterable[Place] | None
    ) -> None:
        """The environment has another ruleset.

        ``places``: where it has other documents than the one before; None where that is to be
        found out, at the cost of a look at each.
        """
        if places is None:
            before = self._evaluator if self._coming is None else self._coming[0]
            places = _differing(before.ruleset, evaluator.ruleset)
        self._coming = (evaluator, epoch, changed)
        for place in places:
            self._changed.add(place)
            self._unread[place] = None
        if not self._unread:
            self._turn()

    def tick(self, now_ms: int) -> None:
        """Time has passed; ``now_ms`` is the wall clock's, which may be set."""
        if now_ms < self._now_ms - BACKWARDS_MS:
            due = [slot for slot, each in self._asked() if each.forget(now_ms)]
        else:
            due = [slot for slot, each in self._asked() if each.due_ms <= now_ms]
            for slot in due:
                self._question(slot).expire(now_ms, len(self.cohorts))
        self._now_ms = now_ms
        if due:
            self._begin(due)

    @property
    def due_ms(self) -> float:
        """When :meth:`tick` will have something to do; infinite where time changes nothing."""
        # On this way after every piece of work: without a list, which `_asked` makes.
        due_ms = math.inf
        for question in self._questions:
            if question is not None and question.due_ms < due_ms:
                due_ms = question.due_ms
        return due_ms

    @property
    def timed(self) -> bool:
        """Whether time changes anything at all, be it that the clock is set."""
        return any(each.timed for _, each in self._asked())

    def ask(self, session: ValuesSession) -> None:
        """A session in WAITING is to be answered, once."""
        if not session.queued:
            session.queued = True
            self._asking.append(session)

    def enter(self, session: ValuesSession, source: bytes) -> Cohort:
        """Take a session into the cohort of a context, which is left with :meth:`leave`."""
        cohort = self.cohorts.get(source)
        if cohort is None:
            cohort = self.cohorts[source] = Cohort(source, self._empty)
        cohort.members[session] = None
        return cohort

    def leave(self, session: ValuesSession, cohort: Cohort) -> None:
        """A session has another context, or is gone."""
        cohort.members.pop(session, None)
        if not cohort.members:
            self.cohorts.pop(cohort.source, None)

    # --- work

    @property
    def busy(self) -> bool:
        """Whether there is anything to do at present."""
        return bool(self._unread or self._round or (self._asking and self._is_level))

    @property
    def _is_level(self) -> bool:
        """Whether the ruleset that is asked is the feed's: who comes may have seen that one."""
        return (self._feed.epoch, self._feed.changed) == (self.epoch, self.changed)

    def step(self, now_ms: int) -> list[Sent]:
        """Do a little of what there is to do; answers what is to be written."""
        if self._unread:
            self._read_some()
            return []
        self._now_ms = max(self._now_ms, now_ms)
        sent: list[Sent] = []
        if self._asking and self._is_level:
            self._answer(self._asking.popleft(), now_ms, sent)
        if self._round:
            self._go_round(now_ms, sent)
        return sent

    def is_current(self, cohort: Cohort) -> bool:
        """Whether a cohort's board is that of the position."""
        return cohort.generation == self.generation and not cohort.left

    @property
    def stale(self) -> bool:
        """Whether the feed has lost touch with its source."""
        return self._feed.stale

    # --- what leans on what

    def _read_some(self) -> None:
        assert self._coming is not None  # noqa: S101
        ruleset = self._coming[0].ruleset
        for _ in range(min(self._steps.documents, len(self._unread))):
            place, _ = self._unread.popitem()
            self._leanings.put(place, document_at(ruleset, place))
        if not self._unread:
            self._turn()

    def _turn(self) -> None:
        """All is known of the coming ruleset: from now on it is the one that is asked."""
        assert self._coming is not None  # noqa: S101
        (self._evaluator, self.epoch, self.changed), self._coming = self._coming, None
        affected = self._leanings.affected(self._changed)
        self._changed.clear()
        self._forget_frames()
        slots = [slot for key in affected if (slot := self._renewed(key)) is not None]
        if slots:
            self._begin(slots)

    def _renewed(self, key: str) -> int | None:
        """The slot of a flag that is to be asked again; None where it never was for pages."""
        flag = self._evaluator.ruleset.flags.get(key)
        slot = self._slots.get(key)
        if flag is not None and flag.client_side:
            if slot is None:
                slot = self._slots[key] = self._free_slot()
            self._questions[slot] = Question(flag, self._questions[slot])
        elif slot is not None:
            del self._slots[key]
            self._free.append(slot)
            self._questions[slot] = None
        return slot

    def _free_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._questions.append(None)
        return len(self._questions) - 1

    def _asked(self) -> list[tuple[int, Question]]:
        return [(slot, each) for slot, each in enumerate(self._questions) if each is not None]

    def _question(self, slot: int) -> Question:
        question = self._questions[slot]
        assert question is not None  # noqa: S101
        return question

    # --- generations and rounds

    def _begin(self, slots: Iterable[int]) -> None:
        """These flags are to be asked again, of everybody."""
        self.generation += 1
        self._news.append((self.generation, tuple(slots)))
        if not self._round:
            self._start()

    def _start(self) -> None:
        # Those of this generation as well: whoever came meanwhile brought them there, and told
        # nobody else.
        self._round_generation = self.generation
        self._round = list(self.cohorts.values())
        if not self._round:
            self._end()

    def _end(self) -> None:
        """Everybody was reached: what there was to be told is told."""
        self._news = [news for news in self._news if news[0] > self._round_generation]
        self._moves.clear()
        if self._news:
            self._start()

    def _since(self, generation: int) -> tuple[int, ...]:
        """The slots to be asked of a cohort of a generation; of a new one, all."""
        if generation == 0:
            return tuple([slot for slot, _ in self._asked()])
        news = [slots for number, slots in self._news if number > generation]
        return news[0] if len(news) == 1 else tuple({slot for slots in news for slot in slots})

    def _go_round(self, now_ms: int, sent: list[Sent]) -> None:
        for _ in range(min(self._steps.cohorts, len(self._round))):
            cohort = self._round[-1]
            # Also where some of its members were told already: the rest shall not wait for a
            # moment in which nothing changes.
            if cohort.members and not self._refresh(cohort, now_ms):
                return
            self._tell(self._telling or list(cohort.members), sent)
            if self._telling:
                return
            self._round.pop()
        if not self._round:
            self._end()

    def _tell(self, members: list[ValuesSession], sent: list[Sent]) -> None:
        most = self._steps.members
        told, self._telling = members[-most:], members[:-most]
        for session in told:
            frame = session.advance(self._feed)
            if frame is not None:
                sent.append((session, frame))

    # --- cohorts

    def _refresh(self, cohort: Cohort, now_ms: int) -> bool:
        """Bring a cohort to the present generation; False where that takes another step."""
        if not cohort.left:
            if cohort.generation == self.generation:
                return True
            cohort.left = self._since(cohort.generation)
            cohort.generation = self.generation
        most = self._steps.flags
        slots, cohort.left = cohort.left[:most], cohort.left[most:]
        kinds, evaluator = cohort.kinds, self._evaluator
        asked = [self._questions[slot] for slot in slots]
        outcomes = tuple(
            [None if each is None else each.outcome(evaluator, kinds, now_ms) for each in asked]
        )
        cohort.board = self._moved(cohort.board, slots, outcomes)
        # What changed while this was under way is asked next.
        return not cohort.left and cohort.generation == self.generation

    def _moved(self, board: Board, slots: tuple[int, ...], outcomes: Slots) -> Board:
        """The board with other outcomes; most that are asked for have been asked for before."""
        move = (board, slots, outcomes)
        moved = self._moves.get(move)
        if moved is None:
            moved = self._boards.of(board.with_outcomes(slots, outcomes))
            if len(self._moves) >= KEPT_MOVES:
                self._moves.clear()
            self._moves[move] = moved
        return moved

    # --- frames

    def _answer(self, session: ValuesSession, now_ms: int, sent: list[Sent]) -> None:
        cohort = session.cohort
        if cohort is not None and not self._refresh(cohort, now_ms):
            self._asking.appendleft(session)
            return
        session.queued = False
        sent += ((session, frame) for frame in session.reply())

    def full(self, board: Board) -> SharedFrame:
        """A frame with all of a board."""
        seq = self._seq
        frame = self._fulls.get((board, seq))
        if frame is None:
            payload = values_payload(self.epoch, seq, board.outcomes(), full=True)
            frame = self._fulls.keep((board, seq), self._feed.shared(payload))
        return frame

    def between(self, old: Board, new: Board) -> SharedFrame:
        """A frame that takes whoever has one board to another."""
        frame = self._differences.get((old, new))
        if frame is None:
            put, removed = difference(old, new)
            payload = values_payload(self.epoch, self.changed, put, removed, full=False)
            frame = self._differences.keep((old, new), self._feed.shared(payload))
        return frame

    def heartbeat(self) -> bytes:
        """A heartbeat frame of the position, for those whose cohort is there."""
        message = Heartbeat(self.epoch, self.changed, self._seq, self._feed.stale)
        if self._heartbeat is None or self._heartbeat[0] != message:
            self._heartbeat = (message, self._feed.framed(encode_message(message)))
        return self._heartbeat[1]

    @property
    def _seq(self) -> int:
        """How far the log was checked, as of the position."""
        return self._feed.seq if self._is_level else self.changed

    def _forget_frames(self) -> None:
        """The position is another, and stands in all of them."""
        self._fulls.clear()
        self._differences.clear()


def _differing(old: Ruleset, new: Ruleset) -> list[Place]:
    """Where two rulesets do not have the same object."""
    same = old.environment is new.environment
    return [
        *(() if same else (THE_ENVIRONMENT,)),
        *(("segment", key) for key in _others(old.segments, new.segments)),
        *(("flag", key) for key in _others(old.flags, new.flags)),
    ]


def _others(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [key for key in old.keys() | new.keys() if old.get(key) is not new.get(key)]
