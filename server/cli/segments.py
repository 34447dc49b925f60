"""`halyard segments`: over HTTP, as the account whose token it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from server.cli import segment_members
from server.cli.options import (
    AtOption,
    CommentOption,
    DataDirOption,
    JsonOption,
    LimitOption,
    ProjectArgument,
    SortOption,
    TokenOption,
    UrlOption,
    YesOption,
)
from server.cli.segment_members import SegmentArgument

app = typer.Typer(help="Segments of a project, on a running server.", no_args_is_help=True)
app.add_typer(segment_members.app, name="members")


@app.command("list")
def list_segments(
    project: ProjectArgument,
    search: Annotated[str, typer.Option(help="Part of a key, a name or a description.")] = "",
    used: Annotated[
        bool | None, typer.Option("--used/--unused", help="Whether a rule names it.")
    ] = None,
    sort: SortOption = "key",
    limit: LimitOption = None,
    at: AtOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the segments, their members counted."""
    from server.cli.output import print_json, print_table
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "segments")
    query = {"search": search, "used": used, "sort": sort, "at": at}
    with remote(url, token, data_dir) as server:
        found = server.items(path, "Listing segments", query, limit)
    if as_json:
        print_json({"segments": found})
    else:
        columns = ("key", "name", "included", "excluded", "rules", "flags")
        print_table(columns, ([each[column] for column in columns] for each in found))


@app.command("show")
def show_segment(
    project: ProjectArgument,
    segment: SegmentArgument,
    at: AtOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a segment: its rules, and how many members it has; as JSON, all of them."""
    from server.cli.output import print_json
    from server.cli.remote import given, path_to, remote

    path = path_to("projects", project, "segments", segment)
    with remote(url, token, data_dir) as server:
        shown = server.read("GET", path, "Reading", params=given({"at": at}))
    if as_json:
        print_json(shown)
    else:
        _print_segment(shown)


@app.command("create")
def create_segment(
    project: ProjectArgument,
    segment: SegmentArgument,
    name: Annotated[str, typer.Option(help="For people. [default: its key]")] = "",
    description: Annotated[str, typer.Option(help="Who is in it.")] = "",
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a segment with nobody in it."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "segments")
    body = {"key": segment, "name": name, "description": description}
    with remote(url, token, data_dir) as server:
        answer = server.write("POST", path, "Creating", comment, json=body)
    print_change(answer, f"Created segment '{segment}'", as_json)


@app.command("delete")
def delete_segment(
    project: ProjectArgument,
    segment: SegmentArgument,
    yes: YesOption = False,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a segment that no rule names; its history stays."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "segments", segment)
    if not yes:
        typer.confirm(f"Delete segment '{segment}' of '{project}'?", abort=True, err=True)
    with remote(url, token, data_dir) as server:
        answer = server.write("DELETE", path, "Deleting", comment)
    print_change(answer, f"Deleted segment '{segment}'", as_json)


def _print_segment(segment: dict[str, Any]) -> None:
    import msgspec

    from server.cli.output import print_table, screen, time_of

    rows = (
        ("key", segment["key"]),
        ("name", segment["name"]),
        ("description", segment["description"] or None),
        ("included", _counted(segment["included"])),
        ("excluded", _counted(segment["excluded"])),
        ("created", time_of(segment["createdAt"])),
        ("changed", time_of(segment["updatedAt"])),
        ("revision", segment["revision"]),
    )
    print_table(("", ""), rows)
    if segment["rules"]:
        screen.print()
        print_table(
            ("rule", "when"),
            ((each["id"], msgspec.json.encode(each["when"]).decode()) for each in segment["rules"]),
        )


def _counted(members: Iterable[dict[str, Any]]) -> str | None:
    counts = (f"{len(each.get('keys', ()))} {each.get('kind', 'user')}" for each in members)
    return ", ".join(counts) or None
