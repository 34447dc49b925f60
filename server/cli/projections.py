"""`halyard projections`: the rulesets in Redis, held against the logs."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.exits import Exit
from server.cli.options import DataDirOption, JsonOption

app = typer.Typer(help="The rulesets in Redis.", no_args_is_help=True)

ProjectArgument = Annotated[str | None, typer.Argument(help="A project's key. [default: all]")]


@app.command("status")
def show_status(
    project: ProjectArgument = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Show how far each environment's ruleset is behind the log."""
    from server.cli.output import print_json, print_table
    from server.cli.ruleset_work import on_rulesets, places

    found = on_rulesets(data_dir, project, places)
    if as_json:
        print_json({"rulesets": found})
    else:
        columns = ("project", "environment", "log", "checked", "behind", "changed", "wire epoch")
        print_table(
            columns,
            (
                (
                    at.project,
                    at.environment,
                    at.log_seq,
                    at.seq,
                    at.behind,
                    at.changed,
                    at.wire_epoch,
                )
                for at in found
            ),
        )


@app.command("verify")
def verify_rulesets(
    project: ProjectArgument = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Fold the log afresh and compare; exit code 4 where a ruleset differs."""
    from server.cli.ruleset_work import on_rulesets, print_findings, verify_project

    findings = on_rulesets(data_dir, project, verify_project)
    print_findings(findings, as_json=as_json)
    if any(each.finding.problem for each in findings):
        raise typer.Exit(Exit.DIFFERENT)


@app.command("rebuild")
def rebuild_rulesets(
    project: ProjectArgument = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare only; exit code 4 where something differs.")
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the rulesets anew beside the live ones, and swap them in."""
    from server.cli.ruleset_work import on_rulesets, print_rebuilt, rebuild_project

    rebuilt = on_rulesets(data_dir, project, rebuild_project(dry_run=dry_run))
    print_rebuilt(rebuilt, as_json=as_json)
    if dry_run and any(each.rebuilt.finding.problem for each in rebuilt):
        raise typer.Exit(Exit.DIFFERENT)
    if any(each.rebuilt.outcome == "given up" for each in rebuilt):
        raise typer.Exit(Exit.FAILED)
