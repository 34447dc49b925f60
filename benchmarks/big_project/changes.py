"""What forty people do to a project over the years: commands, in the mix in which they come.

Few of the people do most of it; one did three things once, and is the rare actor whom a history is
asked for. So it is with words: most comments are of common words, and one says something that no
other says.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from halyard_protocol.conditions import All, Leaf
from halyard_protocol.ruleset import (
    Bucket,
    Prerequisite,
    Rollout,
    Rule,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
)

from benchmarks.stream import project
from domain import commands as c

WORDS = project.WORDS
ENVIRONMENTS = ("development", "staging", "production")
PEOPLE = tuple(f"account-{number:02}" for number in range(1, 41))
RARE_PERSON = "account-rare"
RARE_WORDS = "incident 4711"
COMMON_WORD = "checkout"
PREREQUISITE_EVERY = 100
"""One in so many flags has another flag as its prerequisite."""

_WEIGHTS = tuple(1 / place for place in range(1, len(PEOPLE) + 1))
"""Of the people: the first does forty times as much as the last."""


def flag_key(number: int) -> str:
    """Of the n-th flag."""
    return f"{WORDS[number % len(WORDS)]}-{WORDS[number // 40 % len(WORDS)]}-{number}"


def segment_key(number: int) -> str:
    """Of the n-th segment."""
    return f"{WORDS[number % len(WORDS)]}-users-{number}"


def words(chance: random.Random, count: int) -> str:
    """Some of the common words."""
    return " ".join(chance.choices(WORDS, k=count))


def _people(chance: random.Random, count: int) -> tuple[str, ...]:
    return tuple(f"user-{number}" for number in chance.sample(range(10**6), count))


def person(chance: random.Random) -> str:
    """Whoever does the next thing."""
    return chance.choices(PEOPLE, _WEIGHTS)[0]


def founding(chance: random.Random, flags: int, segments: int) -> Iterator[c.Command]:
    """What makes the segments, the flags, and a rule in each flag's production."""
    for number in range(segments):
        members = (SegmentKeys(keys=_people(chance, 20)),)
        german = SegmentRule(id="german", when=Leaf("in", ("DE", "AT"), "country"))
        yield c.CreateSegment(
            segment=segment_key(number),
            name=words(chance, 2),
            included=members,
            rules=(german,),
            salt=f"s{number}",
        )
    for number in range(flags):
        yield c.CreateFlag(
            flag=flag_key(number),
            name=words(chance, 3),
            description=words(chance, 12),
            tags=tuple(sorted(set(chance.choices(WORDS, k=2)))),
            maintainer=person(chance),
            salt=f"f{number}",
        )
    for number in range(flags):
        flag, environment = flag_key(number), "production"
        rule = _rule(chance, number, segments)
        yield c.AddRule(flag=flag, environment=environment, rule=rule)
        if number % PREREQUISITE_EVERY == 1:
            wanted = Prerequisite(flag_key(number - 1), ("on",))
            yield c.ChangePrerequisites(flag=flag, environment=environment, prerequisites=(wanted,))


def _rule(chance: random.Random, number: int, segments: int) -> Rule:
    country = Leaf("in", tuple(chance.sample(("AT", "BE", "CA", "DE", "ES", "FR"), 3)), "country")
    of_segment = Leaf("segment", (segment_key(chance.randrange(segments)),))
    when = All((country, of_segment)) if number % 4 == 0 and segments else country
    return Rule("first", when, Serve("on"), name=words(chance, 3))


def change(chance: random.Random, flags: int, segments: int) -> c.Command:
    """One change, as people make them once the project is there."""
    draw, flag = chance.random(), flag_key(chance.randrange(flags))
    comment = words(chance, 5) if chance.random() < 0.3 else ""
    if draw < 0.75:
        return _of_settings(chance, draw, flag, comment)
    if draw < 0.87:
        rule = _rule(chance, chance.randrange(flags), segments)
        return c.ChangeRule(flag=flag, environment="production", rule=rule, comment=comment)
    if draw < 0.93:
        tags = tuple(sorted(set(chance.choices(WORDS, k=3))))
        return c.TagFlag(flag=flag, tags=tags, comment=comment)
    if draw < 0.97:
        return c.DescribeFlag(flag=flag, description=words(chance, 15), comment=comment)
    segment = segment_key(chance.randrange(segments))
    return c.AddSegmentMembers(segment=segment, keys=_people(chance, 3), comment=comment)


def _of_settings(chance: random.Random, draw: float, flag: str, comment: str) -> c.Command:
    environment = chance.choice(ENVIRONMENTS)
    if draw < 0.25:
        return c.EnableFlag(flag=flag, environment=environment, comment=comment)
    if draw < 0.5:
        return c.DisableFlag(flag=flag, environment=environment, comment=comment)
    if draw < 0.65:
        share = chance.randrange(100_001)
        buckets = (Bucket("on", share), Bucket("off", 100_000 - share))
        served = Serve(rollout=Rollout(buckets=buckets))
        return c.ChangeFallthrough(
            flag=flag, environment=environment, fallthrough=served, comment=comment
        )
    targets = (Target("on", keys=_people(chance, 5)),)
    return c.ChangeTargets(flag=flag, environment=environment, targets=targets, comment=comment)
