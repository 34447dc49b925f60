"""What `halyard dev` prints once it is ready."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from server.dev.record import DevRecord

EXAMPLE_FLAG = "new-checkout"


def sdk_example(record: DevRecord) -> str:
    """Three lines that print a flag's value when pasted into Python."""
    key = record.keys["development"].server
    return (
        "from halyard_sdk import Client\n"
        f'flags = Client("{record.url}", "{key}"); flags.wait_ready(5)\n'
        f'print(flags.variation("{EXAMPLE_FLAG}", "alice", False))\n'
    )


def print_welcome(record: DevRecord, file: Path, console: Console, *, is_new: bool) -> None:
    """Greet whoever started it; ``is_new`` where the demo was made just now."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    facts.add_row("Address", record.url)
    facts.add_row("Login", f"{record.admin.email}  /  {record.admin.password}")
    facts.add_row("API token", record.admin.token)
    kept = "just seeded" if is_new else "as you left it"
    facts.add_row("Project", f"{record.project} ({kept})")
    facts.add_row("All of it", str(file))
    console.print()
    console.print(Panel(facts, title="Halyard is ready", title_align="left", expand=False))
    if "development" in record.keys:
        _print_example(record, console)
    console.print(Text("Ctrl-C stops it. Your data stay.", style="dim"))


def _print_example(record: DevRecord, console: Console) -> None:
    heading = Text("\nEvaluate a flag (in .venv/bin/python, or wherever halyard-sdk is installed):")
    console.print(Group(heading, Text()))
    # No frame and no wrapping: it must survive being copied out of a terminal.
    console.print(
        Syntax(sdk_example(record), "python", background_color="default"),
        soft_wrap=True,
        no_wrap=True,
    )
