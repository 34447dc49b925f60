"""The command line's entry point."""

from __future__ import annotations

import typer

from server.cli import running

app = typer.Typer(
    name="halyard",
    help="Halyard: a self-hosted feature-flag server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("dev")(running.dev)
app.command("serve")(running.serve)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
