"""The command line's entry point."""

from __future__ import annotations

import typer

from server.cli import (
    accounts,
    db,
    doctor,
    events,
    flags,
    keys,
    projections,
    projects,
    running,
    segments,
    settings,
    tokens,
)

app = typer.Typer(
    name="halyard",
    help="Halyard: a self-hosted feature-flag server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("dev")(running.dev)
app.command("serve")(running.serve)
app.add_typer(db.app, name="db")
app.add_typer(projects.app, name="projects")
app.add_typer(flags.app, name="flags")
app.add_typer(segments.app, name="segments")
app.add_typer(tokens.app, name="tokens")
app.add_typer(events.app, name="events")
app.add_typer(projections.app, name="projections")
app.add_typer(keys.app, name="keys")
app.add_typer(accounts.app, name="accounts")
app.command("doctor")(doctor.doctor)
app.command("settings")(settings.settings)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
