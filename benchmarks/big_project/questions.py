"""What the big project is asked over HTTP: lists, histories, the past, and what it takes to undo.

Each question is asked some hundred times on one connection, nobody else asking, after three
answers that are not counted. What is drawn (flags, seqs) is drawn anew for each request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, urlencode

import httpx

from benchmarks.big_project import changes
from benchmarks.big_project.stage import ask
from benchmarks.database_stage import PROJECT
from benchmarks.server_stage import API

WARM = 3

Path: TypeAlias = Callable[[random.Random], str]


class Question(NamedTuple):
    """What to get, drawn anew for each request."""

    path: Path
    goal_ms: float
    """Of the slowest in a hundred."""
    times: int = 100


def _flag(chance: random.Random, flags: int) -> str:
    return changes.flag_key(chance.randrange(flags))


def lists(flags: int) -> dict[str, Question]:
    """Flags as they are."""
    word = changes.WORDS
    found: dict[str, Path] = {
        "flags, first page": lambda _: f"{API}/flags",
        "flags by last change": lambda _: f"{API}/flags?sort=-changed",
        "flags that say a word": lambda chance: f"{API}/flags?search={chance.choice(word)}",
        "flags that say what none does": lambda _: f"{API}/flags?search=xyzzy",
        "flags with a tag": lambda chance: f"{API}/flags?tag={chance.choice(word)}",
        "flags whose rules say a word": lambda _: f"{API}/flags?rules=germany",
        "flags enabled in production": (
            lambda _: f"{API}/flags?environment=production&state=enabled"
        ),
        "one flag": lambda chance: f"{API}/flags/{_flag(chance, flags)}",
        "segments, first page": lambda _: f"{API}/segments",
    }
    return {name: Question(path, 50) for name, path in found.items()}


def histories(flags: int, events: int) -> dict[str, Question]:
    """Pages of the log, by each filter."""
    log, rare, said = f"{API}/events", changes.RARE_PERSON, quote(changes.RARE_WORDS)

    def before(chance: random.Random) -> str:
        return f"before={chance.randrange(2, events)}"

    found: dict[str, Path] = {
        "history, newest": lambda _: log,
        "history, any page": lambda chance: f"{log}?{before(chance)}",
        "history of a flag": lambda chance: f"{API}/flags/{_flag(chance, flags)}/history",
        "history by a busy actor": lambda chance: f"{log}?actor=account-01&{before(chance)}",
        "history by a rare actor": lambda _: f"{log}?actor={rare}",
        "history by actor and type": lambda _: f"{log}?actor={rare}&type=FlagDescribed",
        "history by a rare type": lambda _: f"{log}?type=PrerequisitesChanged",
        "history by several types": (
            lambda chance: f"{log}?type=FlagEnabled&type=PrerequisitesChanged&{before(chance)}"
        ),
        "history by environment": lambda chance: f"{log}?environment=staging&{before(chance)}",
        "history by a common text": (
            lambda chance: f"{log}?text={changes.COMMON_WORD}&{before(chance)}"
        ),
        "history by a rare text": lambda chance: f"{log}?text={said}&{before(chance)}",
        "history by a text of nobody": lambda chance: f"{log}?text=xyzzy&{before(chance)}",
        "history by a rare actor's text": lambda _: f"{log}?actor={rare}&text={said}",
    }
    return {name: Question(path, 50) for name, path in found.items()}


def past(flags: int, events: int) -> dict[str, Question]:
    """The project as it was at a seq that is drawn from all that there were."""

    def at(chance: random.Random) -> str:
        return f"at={_seq(chance, flags, events)}"

    def evaluation(chance: random.Random) -> str:
        return urlencode({**_whom(chance), "at": _seq(chance, flags, events)})

    return {
        "one flag, at a past seq": Question(
            lambda chance: f"{API}/flags/{_flag(chance, flags)}?{at(chance)}", 100
        ),
        "flags, at a past seq": Question(lambda chance: f"{API}/flags?{at(chance)}", 100),
        "search, at a past seq": Question(
            lambda chance: f"{API}/flags?search={chance.choice(changes.WORDS)}&{at(chance)}", 100
        ),
        "one evaluated, at a past seq": Question(
            lambda chance: f"/api/v1/evaluate/{_flag(chance, flags)}?{evaluation(chance)}", 100
        ),
        "by name, at a past seq (all read)": Question(
            lambda chance: f"{API}/flags?sort=name&{at(chance)}", 2_000, ALL_TIMES
        ),
        "all evaluated, at a past seq": Question(
            lambda chance: f"/api/v1/feature-flags?{evaluation(chance)}", 3_000, ALL_TIMES
        ),
    }


ALL_TIMES = 12
"""Of what reads a whole past state."""


def undoing(flags: int, events: int) -> dict[str, Question]:
    """What differs between two moments, and the plans that would put things back."""

    def seq(chance: random.Random) -> int:
        return _seq(chance, flags, events)

    return {
        "what differs of a flag": Question(
            lambda chance: (
                f"{API}/flags/{_flag(chance, flags)}/diff?from={seq(chance)}&to={seq(chance)}"
            ),
            200,
        ),
        "plan to put a flag back": Question(
            lambda chance: f"{API}/flags/{_flag(chance, flags)}/revert?to={seq(chance)}", 200
        ),
        "plan to undo a change": Question(lambda chance: f"{API}/events/{seq(chance)}/revert", 200),
        "what differs of the project (all read)": Question(
            lambda chance: f"{API}/diff?from={seq(chance)}&to={seq(chance)}", 4_000, ALL_TIMES
        ),
    }


def _seq(chance: random.Random, flags: int, events: int) -> int:
    """One at which all flags were there."""
    return chance.randrange(flags * 2 + 1_000, events)


def _whom(chance: random.Random) -> dict[str, str]:
    user = f"user-{chance.randrange(10**6)}"
    return {"project": PROJECT, "environment": "production", "user": user}


async def answer(http: httpx.AsyncClient, about: dict[str, Question]) -> None:
    """Ask each question, and print its line."""
    for name, question in about.items():
        chance = random.Random(name)
        paths: Iterator[str] = (question.path(chance) for _ in repeat(None))
        await ask(http, islice(paths, WARM))
        found = await ask(http, islice(paths, question.times))
        verdict = "" if found.p99 <= question.goal_ms else "MISSED"
        print(f"{name:40} {found}  (goal {question.goal_ms:g}) {verdict}", flush=True)
