"""`halyard doctor`: is everything as it should be, and what to do where it is not."""

from __future__ import annotations

import typer

from server.cli.exits import Exit
from server.cli.options import DataDirOption, JsonOption


def doctor(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Check the database, Redis, logs and rulesets; exit code 4 where something is wrong."""
    from server.cli.examining import examine
    from server.cli.installations import administer
    from server.cli.output import print_json, print_table

    checks = administer(data_dir, examine)
    if as_json:
        print_json({"checks": checks})
    else:
        print_table(
            ("", "check", "found", "what to do"),
            ((each.mark, each.name, each.found, each.advice or "") for each in checks),
        )
    if any(each.verdict == "wrong" for each in checks):
        raise typer.Exit(Exit.DIFFERENT)
