"""Microseconds for one evaluation with its full detail: Halyard, its floor, and its peers.

All are asked for the same flag by the same contexts. They take turns, round by round, and what is
shown is the median of the rounds, with the quickest round beside it: the machine's noise is in the
difference. Before, every engine has to give the expected answers, and those that share Halyard's
formula have to put everybody into the same buckets.

Does not measure several threads, nor a first evaluation, nor the making of contexts, except for
"from dicts", where Halyard reads the attributes each time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import msgspec

from benchmarks.evaluate.question import CASES, Case, disagreement

FLOOR, HALYARD, FROM_DICTS = "handwritten", "halyard", "halyard_dicts"
PEERS = ("launchdarkly", "growthbook", "unleash", "flagsmith", "flagd")
FIRST = "launchdarkly"
ONE_FORMULA = (HALYARD, FROM_DICTS, FIRST)
"""These put everybody into the same buckets as the hand-written function."""

TITLES = {
    FLOOR: "hand-written (floor)",
    HALYARD: "Halyard",
    FROM_DICTS: "Halyard, from dicts",
}
ROUNDS = 41
ROUND_S = 0.02
"""How long one engine's turn with one case takes."""

GOAL_US: dict[Case, float] = {"plain": 0.8, "semver+bucket": 1.5}
GOAL_FIRST, GOAL_QUICKEST = 10, 4


@dataclass
class Contestant:
    """An engine's process, and its times so far in us for one evaluation."""

    module: str
    process: subprocess.Popen[bytes]
    title: str = ""
    passes: dict[Case, int] = field(default_factory=dict)
    times: dict[Case, list[float]] = field(default_factory=dict)

    def tell(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Have something done, and wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(msgspec.json.encode(wish) + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.module} has ended; what it said stands above")
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def introduce(self) -> list[str]:
        """Learn who it is and what it answers; raises SystemExit where that is wrong."""
        told = self.tell({"introduce": True})
        answers: list[str] = told["answers"]
        wrong = disagreement(answers)
        if wrong is not None:
            raise SystemExit(f"{self.module} answers {wrong}")
        self.title = TITLES.get(self.module) or f"{told['name']} {told['version']}"
        return answers

    def warm(self, case: Case) -> None:
        """Evaluate for a while, and find out how many passes make a turn."""
        self.time(case, passes=2)
        each_us = self.time(case, passes=2)
        evaluations = self.tell({"case": case, "passes": 1})["evaluations"]
        self.passes[case] = max(1, round(ROUND_S * 1e6 / each_us / evaluations))
        self.time(case, self.passes[case])
        self.times[case] = []

    def time(self, case: Case, passes: int) -> float:
        """Us for one evaluation."""
        answer = self.tell({"case": case, "passes": passes})
        each_us: float = answer["seconds"] / answer["evaluations"] * 1e6
        return each_us

    def take_turn(self, case: Case) -> None:
        self.times[case].append(self.time(case, self.passes[case]))

    def median(self, case: Case) -> float:
        return median(self.times[case])


@contextmanager
def contestant(module: str) -> Iterator[Contestant]:
    """An engine in a process of its own, for as long as the block."""
    command = [sys.executable, "-m", "benchmarks.evaluate.worker", module]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        yield Contestant(module, process)


def race(contestants: list[Contestant], rounds: int) -> None:
    """Every case, round by round; another engine begins each round."""
    for case in CASES:
        for each in contestants:
            each.warm(case)
        for number in range(rounds):
            begin = number % len(contestants)
            for each in contestants[begin:] + contestants[:begin]:
                each.take_turn(case)


def report(contestants: list[Contestant], rounds: int) -> None:
    """The times, then how they compare."""
    print(f"us for one evaluation with detail: median of {rounds} rounds (quickest round)")
    _row("", CASES)
    for each in contestants:
        _row(each.title, [f"{each.median(c):.2f} ({min(each.times[c]):.2f})" for c in CASES])
    _row("goal for Halyard", [f"<= {GOAL_US[c]}" if c in GOAL_US else "" for c in CASES])
    by_module = {each.module: each for each in contestants}
    halyard, first, floor = by_module[HALYARD], by_module[FIRST], by_module[FLOOR]
    peers = [by_module[module] for module in PEERS]
    quickest = {c: min(peers, key=lambda each: each.median(c)) for c in CASES}
    print("\nratios of the medians (of the quickest rounds)")
    _row(
        f"{first.title} / Halyard, goal >= {GOAL_FIRST}", [_ratio(first, halyard, c) for c in CASES]
    )
    _row(
        f"quickest peer / Halyard, goal >= {GOAL_QUICKEST}",
        [_ratio(quickest[c], halyard, c) for c in CASES],
    )
    _row("which is", [quickest[c].title for c in CASES])
    _row("Halyard / floor", [_ratio(halyard, floor, c) for c in CASES])


def _ratio(of: Contestant, to: Contestant, case: Case) -> str:
    quickest = min(of.times[case]) / min(to.times[case])
    return f"{of.median(case) / to.median(case):.1f} ({quickest:.1f})"


def _row(title: str, cells: Sequence[str]) -> None:
    print(f"{title:54}" + "".join(f"{cell:>18}" for cell in cells))


def main(rounds: int = ROUNDS) -> None:
    """Start all, verify, race, report."""
    with ExitStack() as stack:
        contestants = [
            stack.enter_context(contestant(module))
            for module in (FLOOR, HALYARD, FROM_DICTS, *PEERS)
        ]
        answers = {each.module: each.introduce() for each in contestants}
        for module in ONE_FORMULA:
            if answers[module] != answers[FLOOR]:
                raise SystemExit(f"{module} has other buckets than the formula")
        race(contestants, rounds)
        report(contestants, rounds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
