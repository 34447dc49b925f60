"""What commands print: tables for people, JSON for programs, both on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNBOUNDED = 10_000
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"
}
"""What others wrote, such as a comment, is not to steer the terminal of who reads it."""
screen = Console(highlight=False, width=None if sys.stdout.isatty() else _UNBOUNDED)
"""Standard output; into a file or a pipe, lines are as long as they are."""


def print_json(value: Any) -> None:
    """One JSON document, indented."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    screen.out(text.decode(), highlight=False)


def print_json_line(value: Any) -> None:
    """One document of many, on a line of its own."""
    screen.out(msgspec.json.encode(value).decode(), highlight=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; None is shown as a dash, and nothing in a cell is markup or steers a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(_shown(cell)) for cell in row))
    screen.print(table)


def print_change(answer: Mapping[str, Any], done: str, as_json: bool) -> None:
    """What came of a write over HTTP; ``done`` says it to people."""
    if as_json:
        print_json(answer)
        return
    what = done if answer["events"] else "It was so already"
    screen.out(f"{what}; the log is at seq {answer['seq']}.", highlight=False)


def time_of(text: str | None) -> datetime | None:
    """A time as HTTP writes it."""
    return None if text is None else datetime.fromisoformat(text)


def _shown(cell: object) -> str:
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}Z"
    return "-" if cell is None else str(cell).translate(_CONTROLS)
