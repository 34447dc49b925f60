"""A world in which client keys are served without sockets and clocks, in any order of events.

A history of rulesets, gateways that follow it at their own pace, and browsers that come, go, move,
and say that they are somebody else. Every session, audience and client is the real one; what moves
bytes between them are lists here, which may be cut at any point and say a thing twice.

What must hold is told by the reference alone: the interpreter, asked for every flag that pages may
see, of the ruleset at the position that a client names.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, assert_never

import msgspec
from halyard_protocol.canonical import canonical
from halyard_protocol.codec import decode_flag, decode_segment
from halyard_protocol.context import Context
from halyard_protocol.evaluation import evaluate
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.messages import (
    Hello,
    Identify,
    SdkInfo,
    decode_client_message,
    decode_server_message,
)
from halyard_protocol.next_instant import is_timeless
from halyard_protocol.ruleset import Environment, Ruleset
from halyard_protocol.session.audience import Audience, Steps
from halyard_protocol.session.client_actions import (
    Actions,
    Close,
    Connect,
    Redial,
    Report,
    Send,
    Stop,
    Updated,
)
from halyard_protocol.session.feed import Feed, Stored, epoch_order
from halyard_protocol.session.outcomes import outcome_of
from halyard_protocol.session.questions import RAMP_PACE_MS
from halyard_protocol.session.server import LOOK
from halyard_protocol.session.values_client import ValuesClient
from halyard_protocol.session.values_server import ValuesSession

from tests.support.rulesets import NOW_MS

FLAGS = ("a", "b", "c", "d", "e")
SEGMENTS = ("s", "t")
CONTEXTS: tuple[Any, ...] = (
    "alice",
    "bob",
    {"key": "carol", "country": "DE"},
    {"key": "dave", "country": "US", "groups": ["beta"]},
    {"kind": "multi", "user": {"key": "erin", "country": "DE"}, "organization": {"key": "acme"}},
    {"kind": "multi", "user": {"key": "erin"}, "environment": {"region": "us"}},
)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def flag_source(rnd: random.Random, key: str, now_ms: int) -> dict[str, Any]:
    """Some flag: of any kind that goes by something else."""
    soon = _iso(now_ms + rnd.randint(-20_000, 60_000))
    later = _iso(now_ms + rnd.randint(60_000, 120_000))
    rollout = {
        "buckets": [{"variation": "on", "weight": 50_000}, {"variation": "off", "weight": 50_000}]
    }
    serves = [
        {"variation": "on"},
        {"variation": "off"},
        {"rollout": rollout},
        {"rollout": {"by": "region", "kind": "environment", **rollout}},
        {"rollout": {"ramp": {"variation": "on", "otherwise": "off", "from": soon, "to": later}}},
        {"rollout": {"experiment": "x", **rollout}},
        {"variation": "gone"},
    ]
    whens = [
        {"attribute": "country", "op": "in", "values": ["DE"]},
        {"op": "segment", "values": [rnd.choice(SEGMENTS)]},
        {"not": {"op": "segment", "values": [rnd.choice(SEGMENTS)]}},
        {"kind": "environment", "attribute": "region", "op": "equals", "values": ["eu"]},
        {"kind": "time", "attribute": "now", "op": "before", "values": [soon]},
        {"kind": "time", "attribute": "minute", "op": "lessThan", "values": [rnd.randint(0, 59)]},
        {"op": "telepathy"},
    ]
    return {
        "key": key,
        "type": "string",
        "enabled": rnd.random() < 0.9,
        "clientSide": rnd.random() < 0.7,
        "variations": [{"key": "on", "value": rnd.choice(["yes", 1.5, {"b": 1, "a": [True]}])},
                       {"key": "off", "value": "no"}],
        "offVariation": rnd.choice(["off", None]),
        "prerequisites": [{"flag": rnd.choice(FLAGS), "variations": ["on"]}]
        if rnd.random() < 0.3 else [],
        "targets": [{"kind": "group", "variation": "on", "keys": ["beta"], "expiresAt": soon}]
        if rnd.random() < 0.2 else [],
        "rules": [{"id": "r", "when": rnd.choice(whens), "serve": rnd.choice(serves)}]
        if rnd.random() < 0.7 else [],
        "fallthrough": rnd.choice(serves),
        "salt": rnd.choice(["s", "t"]),
        "expiresAt": soon if rnd.random() < 0.1 else None,
        **({"rules": "malformed"} if rnd.random() < 0.05 else {}),
    }  # fmt: skip


def segment_source(rnd: random.Random, key: str) -> dict[str, Any]:
    when = rnd.choice(
        [
            {"attribute": "country", "op": "exists"},
            {"op": "segment", "values": [rnd.choice(SEGMENTS)]},
        ]
    )
    return {
        "key": key,
        "included": [{"keys": rnd.sample(["alice", "bob", "carol"], 1)}],
        "rules": [{"id": "r", "when": when, "weight": rnd.choice([None, 50_000])}],
        "salt": "s",
    }


def oracle(
    ruleset: Ruleset, context: Any, now_ms: int, *, timeless: bool = False
) -> dict[str, Any]:
    """What every flag for pages gives a context, by the reference; ``timeless``: of those only.

    Without versions: whoever gets the same from a new one is not told so.
    """
    return {
        key: outcome_of(
            key, flag.version, evaluate(ruleset, key, Context.of(context), None, now_ms)
        ).said
        for key, flag in ruleset.flags.items()
        if flag.client_side and not (timeless and not is_timeless(ruleset, key))
    }


def said(values: Mapping[str, bytes]) -> dict[str, bytes]:
    """Values without their versions, as the reference has them."""
    read = {key: msgspec.json.decode(value) for key, value in values.items()}
    return {
        key: canonical({name: member for name, member in value.items() if name != "version"})
        for key, value in read.items()
    }


class History:
    """The rulesets of one wire epoch, by the seq that made them."""

    def __init__(self, epoch: str, ruleset: Ruleset) -> None:
        self.epoch = epoch
        self.rulesets = {1: ruleset}

    @property
    def head(self) -> int:
        return max(self.rulesets)


class Link:
    """One connection: two lists."""

    def __init__(self, number: int, gateway: Gateway) -> None:
        self.number = number
        self.gateway = gateway
        self.session = ValuesSession()
        self.to_client: deque[bytes] = deque()
        self.to_server: deque[bytes] = deque()


class Gateway:
    """The least that a shell must do around a feed, an audience and its sessions."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.feed = Feed()
        self.audience = Audience(self.feed, Steps(documents=2, flags=2, cohorts=1, members=1))
        self.evaluator = Evaluator(
            Ruleset(Environment(""), {}, {}), interpreted_calls=world.rnd.choice((0, 3))
        )
        self.links: dict[ValuesSession, Link] = {}
        self.frames = 0
        self.follow()

    def accept(self, link: Link) -> None:
        self.links[link.session] = link
        link.session.audience = self.audience

    def closed(self, link: Link) -> None:
        link.session.end()
        link.session.leave()
        del self.links[link.session]

    def follow(self, *, all_of_it: bool = True) -> None:
        """Read the ruleset at the head, or some way there."""
        rnd, history = self.world.rnd, self.world.history
        after = self.feed.changed if self.feed.epoch == history.epoch else 0
        seqs = [seq for seq in history.rulesets if seq > after]
        if not seqs:
            return
        seq = max(seqs) if all_of_it else rnd.choice(seqs)
        body = msgspec.json.encode({"key": "dev", "version": seq})
        self.feed.install(Stored(history.epoch, seq, seq, 0, {"environment": body}))
        self.evaluator = self.evaluator.following(history.rulesets[seq])
        self.audience.follow(self.evaluator, history.epoch, seq, None)
        for link in self.links.values():
            self.write(link, link.session.advance(self.feed))

    def step(self) -> None:
        for session, frame in self.audience.step(self.world.now_ms):
            self.write(self.links[session], frame)
            self.frames += 1

    def tick(self) -> None:
        self.audience.tick(self.world.now_ms)

    def received(self, link: Link, payload: bytes) -> None:
        message = decode_client_message(payload)
        if isinstance(message, Hello):
            link.session.introduce(message)
            self.answer(link)
        elif isinstance(message, Identify):
            link.session.identify(message)
            if self.world.rnd.random() < 0.7:
                link.session.move()

    def answer(self, link: Link) -> None:
        answer = link.session.answer(self.feed)
        if answer is LOOK:
            self.follow(all_of_it=self.world.rnd.random() < 0.5)
            answer = link.session.answer(self.feed, looked=True)
            assert answer is not LOOK
        self.write(link, *answer)

    def writable(self, link: Link, *, writable: bool) -> None:
        link.session.writable = writable
        if writable:
            self.answer(link)
            self.write(link, link.session.advance(self.feed))

    def beat(self) -> None:
        for link in self.links.values():
            self.write(link, link.session.heartbeat(self.feed))

    def settle(self) -> None:
        self.follow()
        self.tick()
        for link in self.links.values():
            link.session.move()
        while self.audience.busy:
            self.step()
        self.beat()

    def write(self, link: Link, *frames: bytes | None) -> None:
        for frame in frames:
            if frame is not None:
                assert link.session.writable
                # What answers a question comes once, as it does over any connection.
                twice = b'"full":true' not in frame and self.world.rnd.random() < 0.02
                link.to_client += [frame] * (2 if twice else 1)


class Browser:
    """One client: a real client session, and at most two links."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.session = ValuesClient(SdkInfo("test"), 0.0, world.rnd.choice(CONTEXTS))
        self.links: dict[int, Link] = {}
        self.wants = True
        self.highest: dict[str, int] = {}

    def dial(self) -> None:
        self.wants = False
        link = Link(self.world.number(), self.world.rnd.choice(self.world.gateways))
        self.links[link.number] = link
        link.gateway.accept(link)
        self.do(self.session.opened(link.number, 0.0))

    def lose(self, link: Link) -> None:
        """A connection breaks, with whatever is on its way."""
        if self.links.pop(link.number, None) is not None:
            link.gateway.closed(link)
            self.do(self.session.closed(link.number, None, "lost", 0.0))

    def identify(self) -> None:
        self.do(self.session.identify(self.world.rnd.choice(CONTEXTS)))

    def receive(self, link: Link) -> None:
        message = decode_server_message(link.to_client.popleft())
        self.do(self.session.received(link.number, message, 0.0))
        self.check()

    def do(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case Send(number, payload):
                    if number in self.links:
                        self.links[number].to_server.append(payload)
                case Close(number):
                    link = self.links.pop(number, None)
                    if link is not None:
                        link.gateway.closed(link)
                case Connect() | Redial():
                    self.wants = True
                case Updated() | Report():
                    pass
                case Stop(reason):
                    raise AssertionError(f"stopped: {reason}")
                case _:
                    assert_never(action)

    def check(self) -> None:
        """What it has is what it claims to have; of what goes by time, only that it is there."""
        session = self.session
        if not session.epoch:
            return
        ruleset = self.world.histories[session.epoch].rulesets[session.seq]
        expected = oracle(ruleset, session.values_of, self.world.now_ms, timeless=True)
        values = said(session.values)
        assert {key: values.get(key) for key in expected} == expected
        assert session.values.keys() == oracle(ruleset, session.values_of, 0).keys()
        assert session.seq >= self.highest.get(session.epoch, 0), "went back"
        self.highest[session.epoch] = session.seq


class World:
    """All of it, driven by one source of chance."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        self.now_ms = NOW_MS
        self._numbers = 0
        environment = Environment("dev", {"region": "eu"})
        self.history = History("1.1", Ruleset(environment, {}, {}))
        self.histories = {"1.1": self.history}
        for _ in range(4):
            self.append()
        self.gateways = [Gateway(self) for _ in range(2)]
        self.browsers = [Browser(self) for _ in range(4)]

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    # --- what changes

    def append(self) -> None:
        """One change of one or several documents."""
        old, seq = self.history.rulesets[self.history.head], self.history.head + 1
        new = Ruleset(old.environment, dict(old.flags), dict(old.segments))
        for _ in range(self.rnd.choice((1, 1, 3))):
            chance = self.rnd.random()
            if chance < 0.7:
                key = self.rnd.choice(FLAGS)
                source = flag_source(self.rnd, key, self.now_ms) | {"version": seq}
                new.flags[key] = decode_flag(msgspec.json.encode(source))
            elif chance < 0.8:
                new.flags.pop(self.rnd.choice(FLAGS), None)
            elif chance < 0.95:
                key = self.rnd.choice(SEGMENTS)
                source = segment_source(self.rnd, key) | {"version": seq}
                new.segments[key] = decode_segment(msgspec.json.encode(source))
            else:
                region = {"region": self.rnd.choice(["eu", "us"])}
                new = msgspec.structs.replace(new, environment=Environment("dev", region, seq))
        self.history.rulesets[seq] = new

    def fork(self) -> None:
        """History begins anew, from an earlier point."""
        old = self.history
        seq = self.rnd.choice(sorted(old.rulesets))
        new = History(f"{epoch_order(old.epoch)[0] + 1}.1", old.rulesets[1])
        new.rulesets = {each: rules for each, rules in old.rulesets.items() if each <= seq}
        self.history = self.histories[new.epoch] = new
        self.append()

    def pass_time(self) -> None:
        self.now_ms += self.rnd.choice((1, 500, 3_000, 10_000, 40_000))
        if self.rnd.random() < 0.1:
            self.now_ms -= 50_000  # the clock is set

    # --- what may happen next

    def step(self) -> None:
        chance = self.rnd.random()
        if chance < 0.08:
            self.append()
        elif chance < 0.085:
            self.fork()
        elif chance < 0.12:
            self.pass_time()
        else:
            self.rnd.choice(self.steps())()

    def steps(self) -> list[Callable[[], None]]:
        steps: list[Callable[[], None]] = []
        for gateway in self.gateways:
            steps += [gateway.step] * 4
            steps += [gateway.tick, gateway.beat, partial(gateway.follow, all_of_it=False)]
            steps += [link.session.move for link in gateway.links.values()]
        for browser in self.browsers:
            if browser.wants:
                steps.append(browser.dial)
            if self.rnd.random() < 0.1:
                steps += [browser.identify, partial(setattr, browser, "wants", True)]
            for link in browser.links.values():
                steps += self._of_link(browser, link)
        return steps

    def _of_link(self, browser: Browser, link: Link) -> list[Callable[[], None]]:
        steps: list[Callable[[], None]] = []
        if link.to_client:
            steps += [partial(browser.receive, link)] * 3
        if link.to_server:
            steps += [partial(self.pass_on, link)] * 2
        if self.rnd.random() < 0.05:
            steps.append(partial(browser.lose, link))
        if self.rnd.random() < 0.2:
            writable = not link.session.writable
            steps.append(partial(link.gateway.writable, link, writable=writable))
        return steps

    @staticmethod
    def pass_on(link: Link) -> None:
        link.gateway.received(link, link.to_server.popleft())

    # --- the end

    def calm(self) -> None:
        """Nothing breaks any more, and everybody does what is to be done."""
        self.now_ms += RAMP_PACE_MS
        for _ in range(8):
            for browser in self.browsers:
                if browser.wants:
                    browser.dial()
                for link in tuple(browser.links.values()):
                    link.gateway.writable(link, writable=True)
                    while link.to_server:
                        self.pass_on(link)
            for gateway in self.gateways:
                gateway.settle()
            for browser in self.browsers:
                for link in tuple(browser.links.values()):
                    while link.to_client and link.number in browser.links:
                        browser.receive(link)

    def check_arrival(self) -> None:
        """Everybody has what the reference gives it, and is told by a digest that it has."""
        head = self.history.head
        for browser in self.browsers:
            session = browser.session
            assert (session.epoch, session.seq) == (self.history.epoch, head)
            assert session.values_of == session.context
            expected = oracle(self.history.rulesets[head], session.context, self.now_ms)
            assert said(session.values) == expected
            assert session.stale_since_s is None
