"""What `halyard dev` prints once it is ready."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
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


def print_welcome(record: DevRecord, file: Path, console: Console, standing: str) -> None:
    """Greet whoever started it; ``standing`` says what has become of the demo."""
    facts = {
        "Address": record.url,
        "Login": f"{record.admin.email}  /  {record.admin.password}",
        "API token": record.admin.token,
        "Project": f"{record.project} ({standing})",
        "All of it": str(file),
    }
    console.print(Text("\nHalyard is ready\n", style="bold green"))
    for name, value in facts.items():
        _print_line(console, Text.assemble((f"  {name:<11}", "bold"), value))
    if "development" in record.keys:
        _print_example(record, console)
    console.print(Text("Ctrl-C stops it. Your data stay.", style="dim"))


def _print_example(record: DevRecord, console: Console) -> None:
    heading = "Evaluate a flag (in .venv/bin/python, or wherever halyard-sdk is installed):"
    _print_line(console, Text(f"\n{heading}\n"))
    for line in sdk_example(record).splitlines():
        _print_line(console, Text(line, style="cyan"))
    console.print()


def _print_line(console: Console, line: Text) -> None:
    """Print a line that survives being copied out of a terminal: no frame, no wrapping."""
    console.print(line, soft_wrap=True, highlight=False)
