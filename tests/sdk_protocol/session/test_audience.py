"""What an audience works out, and what it does not."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, cast

import msgspec
from halyard_protocol.codec import decode_flag, decode_segment
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.messages import (
    Heartbeat,
    Hello,
    Identify,
    ServerMessage,
    UnknownMessage,
    Values,
    decode_server_message,
)
from halyard_protocol.ruleset import Environment, Ruleset
from halyard_protocol.session.audience import Audience, Steps
from halyard_protocol.session.feed import Feed, Stored
from halyard_protocol.session.leaning import Place
from halyard_protocol.session.outcomes import digest_of, read_values
from halyard_protocol.session.questions import KEPT_ANSWERS, KEPT_OUTCOMES, RAMP_PACE_MS
from halyard_protocol.session.values_server import ValuesSession

from tests.support.rulesets import NOW_MS

ON = {"variation": "on"}
SPLIT = {"rollout": {"buckets": [{"variation": "on", "weight": 50_000},
                                 {"variation": "off", "weight": 50_000}]}}  # fmt: skip
COUNTRY = {"attribute": "country", "op": "in", "values": ["DE"]}


def flag(key: str, serve: Any = ON, when: Any = None, **fields: Any) -> dict[str, Any]:
    rules = [] if when is None else [{"id": "r", "when": when, "serve": {"variation": "off"}}]
    return {
        "key": key,
        "type": "string",
        "enabled": True,
        "clientSide": True,
        "variations": [{"key": "on", "value": "yes"}, {"key": "off", "value": "no"}],
        "rules": rules,
        "fallthrough": serve,
        **fields,
    }


class House:
    """An audience, the ruleset that it is told of, and sessions that keep what they are sent."""

    def __init__(self, *flags: dict[str, Any], steps: Steps = Steps()) -> None:  # noqa: B008
        self.feed = Feed()
        self.audience = Audience(self.feed, steps)
        self.now_ms = NOW_MS
        self.seq = 0
        self.ruleset = Ruleset(Environment("dev"), {}, {})
        self.evaluator = Evaluator(self.ruleset)
        self.heard: dict[ValuesSession, list[ServerMessage | UnknownMessage]] = {}
        self.change(*flags)

    def change(
        self, *flags: dict[str, Any], gone: Iterable[str] = (), segments: Iterable[Any] = ()
    ) -> None:
        """One change; it is told, and not yet worked out."""
        self.seq += 1
        old = self.ruleset
        new = self.ruleset = Ruleset(old.environment, dict(old.flags), dict(old.segments))
        for source in flags:
            body = msgspec.json.encode({"version": self.seq, **source})
            new.flags[source["key"]] = decode_flag(body)
        for source in segments:
            new.segments[source["key"]] = decode_segment(msgspec.json.encode(source))
        for key in gone:
            del new.flags[key]
        places: list[Place] = [("flag", key) for key in (*(f["key"] for f in flags), *gone)]
        places += [("segment", each["key"]) for each in segments]
        body = msgspec.json.encode({"key": "dev", "version": self.seq})
        self.feed.install(Stored("1.1", self.seq, self.seq, 0, {"environment": body}))
        self.evaluator = self.evaluator.following(new)
        self.audience.follow(self.evaluator, "1.1", self.seq, places)

    def comes(self, context: Any, digest: str | None = None) -> ValuesSession:
        """A client; it is welcomed, and not yet answered."""
        session = ValuesSession()
        session.audience = self.audience
        self.heard[session] = []
        session.introduce(Hello(context=context, digest=digest))
        (welcome,) = cast("tuple[bytes, ...]", session.answer(self.feed))
        assert b"welcome" in welcome
        return session

    def work(self) -> int:
        """All that is to be done; answers in how many steps."""
        steps = 0
        while self.audience.busy:
            steps += 1
            for session, frame in self.audience.step(self.now_ms):
                self.hear(session, frame)
        return steps

    def hear(self, session: ValuesSession, frame: bytes | None) -> None:
        if frame is not None:
            self.heard[session].append(decode_server_message(frame))

    def passes(self, ms: int) -> None:
        self.now_ms += ms
        self.audience.tick(self.now_ms)
        self.work()

    def has(self, session: ValuesSession) -> dict[str, str | None]:
        """Flag key -> variation, as the session was told."""
        return {key: msgspec.json.decode(each)["variation"] for key, each in self._of(session)}

    def digest(self, session: ValuesSession) -> str:
        return digest_of(dict(self._of(session)))

    def _of(self, session: ValuesSession) -> list[tuple[str, bytes]]:
        values: dict[str, bytes] = {}
        for message in self.heard[session]:
            if isinstance(message, Values):
                values = {} if message.full else values
                values |= read_values(message.values)
                for key in message.removed:
                    del values[key]
        return list(values.items())


def test_contexts_that_cannot_differ_share_their_board_and_their_frames() -> None:
    house = House(flag("a", when=COUNTRY), flag("b"))
    pages = [house.comes({"key": f"u{n}", "country": "DE"}) for n in range(5)]
    other = house.comes({"key": "x", "country": "FR"})
    house.work()
    assert len({id(page.shown) for page in pages}) == 1
    assert other.shown is not pages[0].shown
    house.change(flag("a"))
    frames: dict[ValuesSession, bytes] = {}
    while house.audience.busy:
        frames.update(house.audience.step(NOW_MS))
    assert len({id(frames[page]) for page in pages}) == 1
    assert pages[0].shown is other.shown


def test_a_flag_is_decided_once_for_all_that_look_alike() -> None:
    house = House(flag("a", when=COUNTRY))
    for n in range(40):
        house.comes({"key": f"u{n}", "country": "DE" if n % 2 else "FR"})
    house.work()
    assert house.evaluator.decisions._calls == {"a": 2}


def test_where_most_look_different_every_one_of_them_is_decided() -> None:
    house = House(flag("a", SPLIT, salt="s"))
    pages = [house.comes(f"user-{n}") for n in range(KEPT_ANSWERS + 250)]
    house.work()
    told = [house.has(page)["a"] for page in pages]
    assert told.count("on") > 100
    assert told.count("off") > 100
    assert len({id(page.shown) for page in pages}) == 2


def test_what_concerns_no_page_makes_no_work() -> None:
    house = House(flag("a"), flag("b", clientSide=False))
    page = house.comes("alice")
    house.work()
    generation = house.audience.generation
    house.change(flag("b", when=COUNTRY, clientSide=False), segments=[{"key": "s"}])
    house.work()
    assert house.audience.generation == generation
    assert len(house.heard[page]) == 1
    beat = page.heartbeat(house.feed)
    assert beat is not None
    assert decode_server_message(beat) == Heartbeat("1.1", 2, 2)


def test_only_those_are_told_who_get_something_else() -> None:
    house = House(flag("a"), flag("b", when={"op": "segment", "values": ["s"]}))
    german = house.comes({"key": "u", "country": "DE"})
    french = house.comes({"key": "v", "country": "FR"})
    house.work()
    digest = house.digest(french)
    house.change(flag("a", when=COUNTRY))
    house.work()
    assert house.has(german)["a"] == "off"
    assert [len(house.heard[each]) for each in (german, french)] == [2, 1]
    assert french.heartbeat(house.feed) is not None
    house.change(segments=[{"key": "s", "included": [{"kind": "user", "keys": ["v"]}]}])
    house.change(segments=[{"key": "s", "included": [{"kind": "user", "keys": ["u"]}]}])
    house.work()
    assert house.has(german)["b"] == "off"
    assert [len(house.heard[each]) for each in (german, french)] == [3, 1]
    assert house.digest(french) == digest, "a version alone is no difference"
    comes_back = house.comes({"key": "v", "country": "FR"}, digest)
    house.work()
    assert [type(each) for each in house.heard[comes_back]] == [Heartbeat]


def test_what_a_flag_gave_in_earlier_versions_is_let_go() -> None:
    house = House(flag("a", when=COUNTRY))
    house.comes("u")
    german = house.comes({"key": "v", "country": "DE"})
    house.work()
    off = {"key": "off", "value": "no"}
    for turn in range(KEPT_OUTCOMES + 20):
        house.change(flag("a", when=COUNTRY, variations=[{"key": "on", "value": f"{turn}"}, off]))
        house.work()
    assert len(house.heard[german]) == 1, "what is still given is not let go"
    (question,) = [each for each in house.audience._questions if each is not None]
    assert len(question.known()) == KEPT_OUTCOMES


def test_several_changes_before_anybody_was_told_are_told_as_one() -> None:
    house = House(flag("a"), flag("b"))
    page = house.comes("alice")
    house.work()
    for variation in ("off", "on", "off"):
        house.change(flag("a", {"variation": variation}))
    house.change(flag("b", {"variation": "off"}))
    house.audience.step(NOW_MS)
    assert page.heartbeat(house.feed) is None
    house.work()
    assert len(house.heard[page]) == 2
    assert house.has(page) == {"a": "off", "b": "off"}


def test_changes_in_the_middle_of_a_round_reach_everybody() -> None:
    house = House(flag("a"), flag("b"), steps=Steps(members=8))
    pages = [house.comes({"key": f"u{n % 3}"}) for n in range(300)]
    house.work()
    for turn in range(40):
        variations = [{"key": "on", "value": f"yes-{turn}"}]
        house.change(flag("ab"[turn % 3 == 0], variations=variations))
        for _ in range(3):
            for session, frame in house.audience.step(NOW_MS):
                house.hear(session, frame)
    told = [sum(isinstance(each, Values) for each in house.heard[page]) for page in pages]
    assert min(told) > 1, "somebody waits for a moment in which nothing changes"
    house.work()
    assert len({tuple(sorted(house.has(page).items())) for page in pages}) == 1


def test_large_sets_of_flags_are_worked_out_in_several_steps() -> None:
    house = House(*(flag(f"f{n}") for n in range(160)))
    house.work()
    page = house.comes("alice")
    for _ in range(3):
        assert house.audience.step(NOW_MS) == []
    house.change(flag("f0", {"variation": "off"}), flag("f159", {"variation": "off"}))
    assert house.work() > 2
    (values,) = house.heard[page]
    assert isinstance(values, Values)
    assert len(values.values) == 160
    off = [key for key, variation in house.has(page).items() if variation == "off"]
    assert sorted(off) == ["f0", "f159"]


def test_a_flag_takes_the_place_of_one_that_is_gone() -> None:
    house = House(flag("a"), flag("b"))
    page = house.comes("alice")
    house.work()
    page.writable = False
    house.change(gone=["a"])
    house.work()
    house.change(flag("c"))
    house.work()
    house.change(flag("a", {"variation": "off"}))
    house.work()
    page.writable = True
    house.hear(page, page.advance(house.feed))
    assert house.has(page) == {"a": "off", "b": "on", "c": "on"}
    assert len(house.heard[page]) == 2


def test_nobody_is_answered_with_less_than_the_feed_has() -> None:
    house = House(flag("a"))
    house.work()
    house.feed.install(Stored("1.1", 9, 9, 0, {"environment": b'{"key":"dev","version":9}'}))
    page = house.comes("alice")
    assert not house.audience.busy
    house.audience.follow(house.evaluator, "1.1", 9, [])
    house.work()
    (values,) = house.heard[page]
    assert isinstance(values, Values)
    assert values.seq == 9


def test_who_leaves_takes_its_context_along() -> None:
    house = House(flag("a"))
    one, other = house.comes("alice"), house.comes("alice")
    house.work()
    assert len(house.audience.cohorts) == 1
    one.identify(Identify("bob"))
    one.move()
    other.end()
    other.leave()
    assert [cohort.source for cohort in house.audience.cohorts.values()] == [
        b'{"user":{"key":"bob"}}'
    ]
    house.work()
    assert len(house.heard[one]) == 2
    assert len(house.heard[other]) == 1


def test_a_client_that_leaves_while_it_waits_is_not_answered() -> None:
    house = House(flag("a"))
    page = house.comes("alice")
    page.end()
    page.leave()
    house.work()
    assert house.heard[page] == []
    assert house.audience.cohorts == {}


def test_an_answer_waits_for_the_transport() -> None:
    house = House(flag("a"))
    page = house.comes("alice")
    page.writable = False
    house.work()
    assert house.heard[page] == []
    page.writable = True
    assert page.advance(house.feed) is None
    house.work()
    assert house.has(page) == {"a": "on"}


def test_who_has_the_values_already_is_sent_none() -> None:
    house = House(flag("a", SPLIT), flag("b"))
    first = house.comes("alice")
    house.work()
    second = house.comes("alice", house.digest(first))
    house.work()
    assert house.heard[second] == [Heartbeat("1.1", 1, 1)]


def test_only_flags_that_time_touches_are_looked_at_again() -> None:
    soon = {"kind": "time", "attribute": "now", "op": "after", "values": [NOW_MS + 5_000]}
    house = House(flag("a"), flag("b", when=soon))
    page = house.comes("alice")
    house.work()
    assert house.audience.due_ms == NOW_MS + 5_001
    house.passes(5_000)
    assert house.has(page) == {"a": "on", "b": "on"}
    house.passes(1)
    assert house.has(page) == {"a": "on", "b": "off"}
    (_, change) = house.heard[page]
    assert isinstance(change, Values)
    assert (change.seq, set(change.values)) == (1, {"b"})


def test_a_ramp_is_looked_at_every_ten_seconds() -> None:
    ramp = {"variation": "on", "otherwise": "off",
            "from": "2026-06-15T12:00:00Z", "to": "2026-06-15T13:00:00Z"}  # fmt: skip
    house = House(flag("a", {"rollout": {"ramp": ramp}}))
    pages = [house.comes(f"user-{n}") for n in range(400)]
    house.work()
    looks = []
    while (due_ms := house.audience.due_ms) < NOW_MS + 1_800_000:
        looks.append(due_ms)
        house.passes(int(due_ms) - house.now_ms)
    assert min(b - a for a, b in pairwise(looks)) >= RAMP_PACE_MS
    assert 150 < sum(house.has(page)["a"] == "on" for page in pages) < 250


def test_an_expiry_is_kept_to_beside_a_ramp() -> None:
    ramp = {"variation": "on", "otherwise": "off", "start": 50_000,
            "from": "2026-06-15T12:00:00Z", "to": "2026-06-15T12:01:00Z"}  # fmt: skip
    house = House(
        flag("a", {"rollout": {"ramp": ramp}}, expiresAt="2026-06-15T12:00:33Z", offVariation="off")
    )
    page = house.comes("alice")
    house.work()
    while (due_ms := int(house.audience.due_ms)) < NOW_MS + 33_000:
        house.passes(due_ms - house.now_ms)
    assert due_ms == NOW_MS + 33_000
    house.passes(due_ms - house.now_ms)
    assert house.has(page) == {"a": "off"}


def test_a_clock_that_is_set_back_takes_its_answers_back() -> None:
    house = House(flag("a", expiresAt="2026-06-15T12:00:05Z", offVariation="off"))
    page = house.comes("alice")
    house.passes(6_000)
    assert house.has(page) == {"a": "off"}
    house.passes(-6_000)
    assert house.has(page) == {"a": "on"}
    assert house.audience.timed


def test_answers_of_contexts_that_have_gone_are_let_go() -> None:
    window = {"kind": "time", "attribute": "hour", "op": "lessThan", "values": [25]}
    house = House(flag("a", SPLIT, when={"all": [window, COUNTRY]}))
    for n in range(2 * KEPT_ANSWERS):
        page = house.comes(f"user-{n}")
        house.work()
        page.end()
        page.leave()
    house.comes("alice")
    question = house.audience._questions[0]
    assert question is not None
    house.passes(1_000)
    assert len(question._answers) < KEPT_ANSWERS
