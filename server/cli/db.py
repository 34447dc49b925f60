"""`halyard db`: the schema."""

from __future__ import annotations

import typer

from server.cli.exits import Exit
from server.cli.options import DataDirOption, JsonOption

app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@app.command("migrate")
def migrate_schema(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Apply the migrations that are pending; safe while servers run, and to run twice."""
    from eventstore.migrate import migrate
    from server.cli.installations import administer
    from server.cli.migrating import on_connection
    from server.cli.output import print_json, print_table

    applied = administer(data_dir, on_connection(migrate))
    if as_json:
        print_json({"applied": applied})
    elif applied:
        print_table(["applied"], ([name] for name in applied))
    else:
        typer.echo("Nothing to do: the schema is current.")


@app.command("status")
def show_status(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the migrations; exit code 4 where one is pending."""
    from eventstore.migrate import status
    from server.cli.installations import administer
    from server.cli.migrating import on_connection
    from server.cli.output import print_json, print_table

    migrations = administer(data_dir, on_connection(status))
    if as_json:
        print_json(
            {"migrations": [{"name": m.name, "appliedAt": m.applied_at} for m in migrations]}
        )
    else:
        print_table(
            ["migration", "applied"], ([m.name, m.applied_at or "pending"] for m in migrations)
        )
    if any(migration.applied_at is None for migration in migrations):
        raise typer.Exit(Exit.DIFFERENT)
