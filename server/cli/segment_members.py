"""`halyard segments members`: the keys that are always in a segment, and those that never are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from server.cli.exits import Exit, fail
from server.cli.options import (
    CommentOption,
    DataDirOption,
    JsonOption,
    ProjectArgument,
    TokenOption,
    UrlOption,
)

app = typer.Typer(help="Members of a segment.", no_args_is_help=True)

SegmentArgument = Annotated[str, typer.Argument(help="Key of the segment.")]
KeysArgument = Annotated[list[str], typer.Argument(help="Keys of contexts, a thousand at most.")]
KindOption = Annotated[str, typer.Option(help="Kind of the contexts.")]
ListOption = Annotated[
    Literal["included", "excluded"],
    typer.Option("--members", help="Which list: always in the segment, or never."),
]


@app.command("add")
def add_members(
    project: ProjectArgument,
    segment: SegmentArgument,
    keys: KeysArgument,
    kind: KindOption = "user",
    members: ListOption = "included",
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put keys of one kind into a list of a segment."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "segments", segment, "members")
    body = {"keys": keys, "kind": kind, "members": members}
    with remote(url, token, data_dir) as server:
        answer = server.write("POST", path, "Adding", comment, json=body)
    print_change(answer, f"Added to '{segment}'", as_json)


@app.command("remove")
def remove_members(
    project: ProjectArgument,
    segment: SegmentArgument,
    keys: KeysArgument,
    kind: KindOption = "user",
    members: ListOption = "included",
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take keys of one kind out of a list of a segment."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "segments", segment, "members", "remove")
    body = {"keys": keys, "kind": kind, "members": members}
    with remote(url, token, data_dir) as server:
        answer = server.write("POST", path, "Removing", comment, json=body)
    print_change(answer, f"Removed from '{segment}'", as_json)


@app.command("import")
def import_members(
    project: ProjectArgument,
    segment: SegmentArgument,
    file: Annotated[Path, typer.Argument(help="CSV of the columns key, kind, members.")],
    mode: Annotated[
        Literal["add", "remove", "replace"],
        typer.Option(help="What becomes of the keys; replace leaves no others."),
    ] = "add",
    kind: Annotated[str, typer.Option(help="Of lines that name none.")] = "user",
    members: Annotated[
        Literal["included", "excluded"], typer.Option(help="List of lines that name none.")
    ] = "included",
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add, remove or replace members by the lines of a file, all or nothing."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "segments", segment, "members")
    try:
        content = file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", Exit.USAGE)
    more = {
        "params": {"mode": mode, "kind": kind, "members": members},
        "headers": {"content-type": "text/csv"},
        "content": content,
    }
    with remote(url, token, data_dir) as server:
        answer = server.write("POST", path, "Importing", comment, **more)
    print_change(answer, f"Imported into '{segment}'", as_json)
