"""Flags and their history as tables for people, from what HTTP answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from server.cli.output import print_table, screen, time_of

Json = dict[str, Any]


def print_flags(flags: Iterable[Json]) -> None:
    """Many flags, one on each line."""
    columns = ("key", "name", "type", "enabled in", "tags", "staleness", "changed")
    print_table(
        columns,
        (
            (
                flag["key"],
                flag["name"],
                flag["type"],
                _joined(key for key, each in flag["environments"].items() if each["enabled"]),
                _joined(flag["tags"]),
                flag["staleness"],
                time_of(flag["changedAt"]),
            )
            for flag in flags
        ),
    )


def print_flag(flag: Json) -> None:
    """One flag, and how it stands in each environment."""
    rows = (
        ("key", flag["key"]),
        ("name", flag["name"]),
        ("type", flag["type"]),
        ("description", flag["description"] or None),
        ("tags", _joined(flag["tags"])),
        ("maintainer", flag["maintainer"] or None),
        ("variations", _joined(f"{each['key']} = {_json(each)}" for each in flag["variations"])),
        ("client side", _yes(flag["clientSide"])),
        ("archived", time_of(flag["archivedAt"])),
        ("staleness", flag["staleness"]),
        ("created", time_of(flag["createdAt"])),
        ("changed", time_of(flag["changedAt"])),
        ("revision", flag["revision"]),
    )
    print_table(("", ""), rows)
    columns = ("environment", "enabled", "serves", "while off", "rules", "targets", "expires")
    screen.print()
    print_table(
        columns,
        (
            (
                environment,
                _yes(each["enabled"]),
                serve_text(each["fallthrough"]),
                each["offVariation"],
                each["rules"],
                each["targets"],
                time_of(each["expiresAt"]),
            )
            for environment, each in flag["environments"].items()
        ),
    )


def print_settings(settings: Json) -> None:
    """A flag as it is set in one environment, with its rules in their order."""
    rows = (
        ("flag", settings["flag"]),
        ("environment", settings["environment"]),
        ("enabled", _yes(settings["enabled"])),
        ("prerequisites", _joined(map(_prerequisite, settings["prerequisites"]))),
        ("targets", _joined(map(_target, settings["targets"]))),
        ("serves", serve_text(settings["fallthrough"])),
        ("while off", settings["offVariation"]),
        ("expires", time_of(settings["expiresAt"])),
        ("tracks exposures", _yes(settings["trackExposures"])),
        ("changed", time_of(settings["updatedAt"])),
        ("revision", settings["revision"]),
    )
    print_table(("", ""), rows)
    if settings["rules"]:
        screen.print()
        print_table(
            ("rule", "name", "serves", "when"),
            (
                (each["id"], each.get("name") or None, serve_text(each["serve"]), _when(each))
                for each in settings["rules"]
            ),
        )


def print_history(events: Iterable[Json]) -> None:
    """Events, one on each line."""
    print_table(
        ("seq", "time", "event", "environment", "by", "comment"),
        (
            (
                event["seq"],
                time_of(event["recordedAt"]),
                event["type"],
                event["entity"]["environment"],
                event["actor"]["name"] or event["actor"]["id"],
                event["body"].get("comment") or None,
            )
            for event in events
        ),
    )


def serve_text(serve: Json) -> str | None:
    """``on``; ``on 25%, off 75%``; or from where to where a share rises."""
    rollout = serve.get("rollout")
    if rollout is None:
        variation: str | None = serve.get("variation")
        return variation
    ramp = rollout.get("ramp")
    if ramp is not None:
        start, end = _share(ramp["start"]), _share(ramp["end"])
        return f"{ramp['variation']} {start} to {end}, else {ramp['otherwise']}"
    return _joined(f"{each['variation']} {_share(each['weight'])}" for each in rollout["buckets"])


def _share(weight: int) -> str:
    return f"{weight / 1000:g}%"


def _prerequisite(prerequisite: Json) -> str:
    return f"{prerequisite['flag']} is {_either(prerequisite['variations'])}"


def _target(target: Json) -> str:
    return f"{len(target.get('keys', ()))} {target.get('kind', 'user')} to {target['variation']}"


def _when(rule: Json) -> str:
    disabled = "disabled: " if rule.get("enabled") is False else ""
    return disabled + msgspec.json.encode(rule["when"]).decode()


def _json(variation: Json) -> str:
    return msgspec.json.encode(variation["value"]).decode()


def _either(words: Sequence[str]) -> str:
    return " or ".join(words)


def _joined(words: Iterable[str]) -> str | None:
    return ", ".join(words) or None


def _yes(is_so: bool) -> str | None:
    return "yes" if is_so else None
