"""The checks of `halyard doctor` that are decided by a value alone. No I/O."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal

import msgspec

Verdict = Literal["well", "warning", "wrong"]

OLDEST_POSTGRESQL = 16
OLDEST_REDIS, OLDEST_VALKEY = 7, 8
FEW_DESCRIPTORS = 4_096
MOST_CLOCK_DIFFERENCE = timedelta(seconds=1)
MOST_BEHIND = 100
FEW_CONNECTIONS = 10

_MARKS = {"well": "ok", "warning": "!", "wrong": "WRONG"}


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""

    @property
    def mark(self) -> str:
        """For the table."""
        return _MARKS[self.verdict]


def _check(name: str, found: str, verdict: Verdict, advice: str) -> Check:
    return Check(name, verdict, found, "" if verdict == "well" else advice)


def _well_or(verdict: Verdict, *, well: bool) -> Verdict:
    return "well" if well else verdict


def postgresql_version(number: int, text: str) -> Check:
    """``number`` as in ``server_version_num``."""
    new_enough = number >= OLDEST_POSTGRESQL * 10_000
    advice = f"upgrade to PostgreSQL {OLDEST_POSTGRESQL} or newer"
    return _check("PostgreSQL version", text, _well_or("wrong", well=new_enough), advice)


def durability(fsync: str, synchronous_commit: str) -> Check:
    """Whether an acknowledged command survives a crash."""
    safe = fsync == "on" and synchronous_commit not in ("off", "false")
    return _check(
        "durable commits",
        f"fsync {fsync}, synchronous_commit {synchronous_commit}",
        _well_or("wrong", well=safe),
        "set fsync and synchronous_commit to on: acknowledged must mean durable",
    )


def encoding(name: str) -> Check:
    """Of the database."""
    advice = "create the database with ENCODING 'UTF8', and restore into it"
    return _check("encoding", name, _well_or("wrong", well=name == "UTF8"), advice)


def connections(used: int, most: int) -> Check:
    """Whether there is room for more."""
    return _check(
        "connections",
        f"{used} of {most} in use",
        _well_or("warning", well=most - used >= FEW_CONNECTIONS),
        "raise max_connections, or lower HALYARD_DATABASE_POOL_SIZE of the servers",
    )


def clock(difference: timedelta) -> Check:
    """Between this machine and the database."""
    near = abs(difference) <= MOST_CLOCK_DIFFERENCE
    return _check(
        "clocks",
        f"{difference.total_seconds():+.3f} s from the database's",
        _well_or("warning", well=near),
        "synchronise the clocks (NTP): expiries and ramps go by them",
    )


def migrations(pending: tuple[str, ...]) -> Check:
    """Those that were not applied."""
    found = f"pending: {', '.join(pending)}" if pending else "current"
    return _check("schema", found, _well_or("wrong", well=not pending), "run: halyard db migrate")


def redis_version(redis: str, valkey: str | None) -> Check:
    """As INFO tells them; Valkey also names the Redis that it is compatible with."""
    name, version, oldest = (
        ("Redis", redis, OLDEST_REDIS) if valkey is None else ("Valkey", valkey, OLDEST_VALKEY)
    )
    major = re.match(r"\d+", version)
    new_enough = major is not None and int(major[0]) >= oldest
    advice = f"upgrade to Redis {OLDEST_REDIS} or Valkey {OLDEST_VALKEY}, or newer"
    return _check("Redis version", f"{name} {version}", _well_or("wrong", well=new_enough), advice)


def eviction(policy: str, evicted: int) -> Check:
    """Whether Redis may throw away parts of rulesets, and has."""
    keeps = policy == "noeviction"
    return _check(
        "Redis keeps everything",
        f"maxmemory-policy {policy}, {evicted} keys evicted",
        _well_or("wrong", well=keeps),
        "set maxmemory-policy to noeviction: an evicted document is a hole in a ruleset",
    )


def ruleset_lag(project: str, environment: str, behind: int, *, there: bool) -> Check:
    """How far a ruleset is behind its log."""
    name = f"ruleset {project}/{environment}"
    if not there:
        return _check(name, "not in Redis", "wrong", "start a server with the role projector")
    return _check(
        name,
        f"{behind} events behind" if behind else "current",
        _well_or("warning", well=behind <= MOST_BEHIND),
        "see whether a projector runs, and what it logs",
    )


def poisoned(project: str, reason: str) -> Check:
    """A log that cannot be folded to its end."""
    advice = "upgrade the servers, or have the event voided"
    return Check(f"log {project}", "wrong", reason, advice)


def chain(log_id: str, checked: int, problems: tuple[str, ...]) -> Check:
    """The newest events of a log."""
    found = "; ".join(problems) or f"the newest {checked} events are intact"
    advice = f"the stored history was altered: halyard events verify '{log_id}'"
    return _check(f"chain {log_id}", found, _well_or("wrong", well=not problems), advice)


def descriptors(limit: int) -> Check:
    """How many files and sockets a process started here may have."""
    return _check(
        "file descriptors",
        f"{limit} for processes started like this one",
        _well_or("warning", well=limit >= FEW_DESCRIPTORS),
        "raise it (ulimit -n): every stream needs one",
    )


def unreachable(what: str, reason: str) -> Check:
    """Something that does not answer."""
    return Check(what, "wrong", reason, "start it, or correct its address")


def unreadable(what: str, reason: str) -> Check:
    """Something that answers with an error, which says itself what to do."""
    return Check(what, "wrong", reason)
