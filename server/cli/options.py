"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder of a `halyard dev` installation, running or not. [default: ./.halyard, "
        "unless HALYARD_DATABASE_URL is set]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ProjectArgument = Annotated[str, typer.Argument(help="Key of the project.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="HALYARD_URL", help="Address of the server.")
]
TokenOption = Annotated[
    str | None, typer.Option("--token", envvar="HALYARD_TOKEN", help="API token of an account.")
]
AtOption = Annotated[str | None, typer.Option(help="As it was at a seq or a time.")]
CommentOption = Annotated[str, typer.Option(help="Why; kept with the events.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="How many at most. [default: all]")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
SortOption = Annotated[
    Literal["key", "-key", "name", "-name", "created", "-created", "changed", "-changed"],
    typer.Option(help="What comes first; with a minus, what comes last."),
]
