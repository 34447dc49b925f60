"""`halyard projects`: over HTTP, as the account whose token it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from server.cli.exits import Exit, fail
from server.cli.options import (
    AtOption,
    CommentOption,
    DataDirOption,
    JsonOption,
    ProjectArgument,
    TokenOption,
    UrlOption,
)

app = typer.Typer(help="Projects of a running server.", no_args_is_help=True)


@app.command("list")
def list_projects(
    search: Annotated[str, typer.Option(help="Part of a key or a name.")] = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the projects that the account sees."""
    from server.cli.output import print_json, print_table
    from server.cli.remote import remote

    with remote(url, token, data_dir) as server:
        found = server.items("/projects", "Listing projects", {"search": search})
    if as_json:
        print_json({"projects": found})
    else:
        print_table(
            ("key", "name", "problem"),
            ([each["key"], each["name"], each.get("problem") or None] for each in found),
        )


@app.command("show")
def show_project(
    project: ProjectArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a project: its environments, and how much is in it."""
    from server.cli.output import print_json, print_table
    from server.cli.remote import path_to, remote

    with remote(url, token, data_dir) as server:
        shown = server.read("GET", path_to("projects", project), "Reading")
    if as_json:
        print_json(shown)
    else:
        shown["environments"] = ", ".join(shown["environments"])
        print_table(("", ""), shown.items())


@app.command("create")
def create_project(
    project: ProjectArgument,
    name: Annotated[str, typer.Option(help="For people. [default: its key]")] = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a project, with development, staging and production."""
    from server.cli.output import print_json
    from server.cli.remote import remote

    body = {"key": project, "name": name}
    with remote(url, token, data_dir) as server:
        answer = server.read("POST", "/projects", "Creating", json=body)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"Created project '{project}'.")


@app.command("export")
def export_project(
    project: ProjectArgument,
    output: Annotated[
        Path | None, typer.Option(help="File to write. [default: standard output]")
    ] = None,
    form: Annotated[
        Literal["json", "yaml"] | None,
        typer.Option("--format", help="Of the file. [default: as its name ends; yaml]"),
    ] = None,
    at: AtOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write a project to one file, without keys and secrets."""
    from server.cli.remote import path_to, remote

    if form is None:
        form = "json" if output is not None and output.suffix == ".json" else "yaml"
    query = {"format": form, **({} if at is None else {"at": at})}
    with remote(url, token, data_dir) as server:
        path = path_to("projects", project, "export")
        content = server.ask("GET", path, "Exporting", params=query).content
    if output is None:
        sys.stdout.buffer.write(content)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")


@app.command("import")
def import_project(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="What was exported; YAML unless it ends in .json.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would change; then exit code 4.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="End what the file does not name.")
    ] = False,
    create: Annotated[
        bool, typer.Option("--create", help="Begin the project where it is not there.")
    ] = False,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a project to what a file says, all or nothing."""
    from server.cli.output import print_json
    from server.cli.remote import path_to, remote

    try:
        content = file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", Exit.USAGE)
    kind = "json" if file.suffix == ".json" else "yaml"
    flags = {"dryRun": dry_run, "prune": prune, "create": create}
    query = {name: "true" for name, given in flags.items() if given}
    with remote(url, token, data_dir) as server:
        answer = server.read(
            "POST",
            path_to("projects", project, "import"),
            "Importing",
            params={**query, **({"comment": comment} if comment else {})},
            content=content,
            headers={"content-type": f"application/{kind}"},
        )
    if as_json:
        print_json(answer)
    else:
        _print_import(answer)
    if answer["refusals"]:
        raise typer.Exit(Exit.FAILED)
    if dry_run and answer["entities"]:
        raise typer.Exit(Exit.DIFFERENT)


def _print_import(answer: dict[str, Any]) -> None:
    from server.cli.output import print_table

    rows = [
        (
            each["action"],
            each["entity"]["kind"],
            each["entity"]["key"],
            each["entity"]["environment"],
            ", ".join(each["events"]),
        )
        for each in answer["entities"]
    ]
    if rows:
        print_table(("", "kind", "key", "environment", "events"), rows)
    for refusal in answer["refusals"]:
        typer.echo(f"refused: {refusal['path']}: {refusal['reason']}")
    would = "would be " if answer["dryRun"] else ""
    counts = ", ".join(
        f"{answer[each]} {would}{each}" for each in ("created", "changed", "deleted")
    )
    typer.echo(f"{counts}; the log is at seq {answer['seq']}.")
