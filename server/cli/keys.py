"""`halyard keys`: SDK keys, straight on the database."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from server.cli.options import DataDirOption, JsonOption

app = typer.Typer(help="SDK keys of a project.", no_args_is_help=True)

ProjectArgument = Annotated[str, typer.Argument(help="Key of the project.")]
EnvironmentArgument = Annotated[str, typer.Argument(help="Key of the environment.")]
KeyArgument = Annotated[str, typer.Argument(help="Id of the key, as listed.")]


@app.command("issue")
def issue_key(
    project: ProjectArgument,
    environment: EnvironmentArgument,
    kind: Annotated[
        Literal["server", "client"], typer.Option(help="client keys are for browsers.")
    ] = "server",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Whose pages may use a client key; several times for several."),
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a new key; a server key is shown this once."""
    from server.cli.key_commands import issue, on_project
    from server.cli.output import print_json

    issued = on_project(data_dir, project, issue(environment, kind, name, tuple(origin or ())))
    if as_json:
        print_json(issued)
    else:
        typer.echo(f"A {kind} key of '{environment}', with the id {issued.id}:\n{issued.key}")


@app.command("list")
def list_keys(
    project: ProjectArgument,
    environment: Annotated[
        str | None, typer.Argument(help="Key of the environment. [default: all]")
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the keys, revoked ones included; server keys themselves are known to nobody."""
    from server.cli.key_commands import listing, on_project, view_row
    from server.cli.output import print_json, print_table

    views = on_project(data_dir, project, listing(environment))
    if as_json:
        print_json({"keys": views})
    else:
        columns = (
            "id",
            "environment",
            "kind",
            "name",
            "client key",
            "origins",
            "created",
            "ends",
            "revoked",
        )
        print_table(columns, (view_row(view) for view in views))


@app.command("rotate")
def rotate_key(
    project: ProjectArgument,
    environment: EnvironmentArgument,
    key: KeyArgument,
    overlap_hours: Annotated[
        int, typer.Option(min=0, help="How long the old key lives on; 0 ends it at once.")
    ] = 24,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a key's successor; the old key ends by itself after a while."""
    from server.cli.key_commands import on_project, rotate
    from server.cli.output import print_json

    rotated = on_project(data_dir, project, rotate(environment, key, overlap_hours))
    if as_json:
        print_json(rotated)
    else:
        typer.echo(
            f"A {rotated.kind} key of '{environment}', with the id {rotated.id}; "
            f"{key} ends at {rotated.replaced_expires_at}:\n{rotated.key}"
        )


@app.command("origins")
def set_key_origins(
    project: ProjectArgument,
    environment: EnvironmentArgument,
    key: KeyArgument,
    origins: Annotated[
        list[str] | None, typer.Argument(help="Such as https://shop.example; all there shall be.")
    ] = None,
    any_origin: Annotated[bool, typer.Option("--any", help="Pages of any origin may.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whose pages may use a client key."""
    from server.cli.key_commands import on_project, set_origins
    from server.cli.output import print_json

    if bool(origins) == any_origin:
        raise typer.BadParameter("name at least one origin, or give --any, and not both")
    seq = on_project(data_dir, project, set_origins(environment, key, tuple(origins or ())))
    if as_json:
        print_json({"seq": seq})
    else:
        typer.echo(f"Set, as of event {seq} of '{project}'.")


@app.command("revoke")
def revoke_key(
    project: ProjectArgument,
    environment: EnvironmentArgument,
    key: KeyArgument,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let nobody in with a key any more; its streams are closed."""
    from server.cli.key_commands import on_project, revoke
    from server.cli.output import print_json

    seq = on_project(data_dir, project, revoke(environment, key))
    if as_json:
        print_json({"seq": seq})
    else:
        typer.echo(f"Revoked, by event {seq} of '{project}'.")
