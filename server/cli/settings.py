"""`halyard settings`: what can be set, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from server.cli.options import JsonOption
from server.settings import SETTINGS, Setting


@dataclass(frozen=True, slots=True)
class DescribedSetting:
    """One setting as the reference shows it."""

    variable: str
    takes: str
    default: str | None
    meaning: str


def described(setting: Setting) -> DescribedSetting:
    """A setting in words."""
    return DescribedSetting(setting.variable, setting.takes, setting.default, setting.meaning)


def settings(as_json: JsonOption = False) -> None:
    """List every setting: its variable, what it takes, its default, what it means."""
    from server.cli.output import print_json, print_table

    rows = [asdict(described(setting)) for setting in SETTINGS]
    if as_json:
        print_json({"settings": rows})
    else:
        print_table(tuple(rows[0]), (tuple(row.values()) for row in rows))
