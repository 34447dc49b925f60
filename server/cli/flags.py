"""`halyard flags`: over HTTP, as the account whose token it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from server.cli.exits import Exit, fail
from server.cli.flag_options import (
    ArchivedFilter,
    BypassOption,
    ClientSideFilter,
    ClientSideOption,
    DescriptionOption,
    FallthroughOption,
    FlagArgument,
    InEnvironmentOption,
    LookedForIn,
    MaintainerFilter,
    MaintainerOption,
    NameOption,
    OffVariationOption,
    RulesFilter,
    SegmentFilter,
    StalenessFilter,
    StateFilter,
    TagFilter,
    TagOption,
    TypeFilter,
    TypeOption,
    VariationOption,
)
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

app = typer.Typer(help="Flags of a project, on a running server.", no_args_is_help=True)


@app.command("list")
def list_flags(
    project: ProjectArgument,
    search: Annotated[str, typer.Option(help="Part of a key, a name or a description.")] = "",
    tag: TagFilter = None,
    state: StateFilter = None,
    environment: LookedForIn = None,
    archived: ArchivedFilter = "false",
    flag_type: TypeFilter = None,
    maintainer: MaintainerFilter = None,
    segment: SegmentFilter = None,
    rules: RulesFilter = "",
    staleness: StalenessFilter = None,
    client_side: ClientSideFilter = None,
    sort: SortOption = "key",
    limit: LimitOption = None,
    at: AtOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the flags that meet all that is asked for."""
    from server.cli.flag_tables import print_flags
    from server.cli.output import print_json
    from server.cli.remote import path_to, remote

    query = {
        "search": search,
        "tag": tag,
        "state": state,
        "environment": environment,
        "archived": archived,
        "type": flag_type,
        "maintainer": maintainer,
        "segment": segment,
        "rules": rules,
        "staleness": staleness,
        "clientSide": client_side,
        "sort": sort,
        "at": at,
    }
    with remote(url, token, data_dir) as server:
        found = server.items(path_to("projects", project, "flags"), "Listing flags", query, limit)
    if as_json:
        print_json({"flags": found})
    else:
        print_flags(found)


@app.command("show")
def show_flag(
    project: ProjectArgument,
    flag: FlagArgument,
    environment: Annotated[
        str | None,
        typer.Option("--environment", "-e", help="How it is set there, with its rules."),
    ] = None,
    at: AtOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a flag: its definition, and how it stands in each environment."""
    from server.cli.flag_tables import print_flag, print_settings
    from server.cli.output import print_json
    from server.cli.remote import given, path_to, remote

    path = path_to("projects", project, "flags", flag)
    if environment is not None:
        path += path_to("environments", environment)
    with remote(url, token, data_dir) as server:
        shown = server.read("GET", path, "Reading", params=given({"at": at}))
    if as_json:
        print_json(shown)
    elif environment is None:
        print_flag(shown)
    else:
        print_settings(shown)


@app.command("create")
def create_flag(
    project: ProjectArgument,
    flag: FlagArgument,
    name: NameOption = "",
    flag_type: TypeOption = "boolean",
    variation: VariationOption = None,
    fallthrough: FallthroughOption = None,
    off_variation: OffVariationOption = None,
    description: DescriptionOption = "",
    tag: TagOption = None,
    maintainer: MaintainerOption = None,
    client_side: ClientSideOption = False,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a flag, disabled everywhere; a boolean one has the variations on and off."""
    from server.cli.output import print_change
    from server.cli.remote import given, path_to, remote

    body = {
        "key": flag,
        "name": name,
        "type": flag_type,
        "variations": [_variation(each, flag_type) for each in variation or ()],
        "fallthrough": None if fallthrough is None else {"variation": fallthrough},
        "offVariation": off_variation,
        "description": description,
        "tags": tag,
        "maintainer": maintainer,
        "clientSide": client_side,
    }
    path = path_to("projects", project, "flags")
    with remote(url, token, data_dir) as server:
        answer = server.write("POST", path, "Creating", comment, json=given(body))
    print_change(answer, f"Created flag '{flag}'", as_json)


@app.command("enable")
def enable_flag(
    project: ProjectArgument,
    flag: FlagArgument,
    environment: InEnvironmentOption,
    comment: CommentOption = "",
    bypass_approval: BypassOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let targets, rules and fallthrough decide, in one environment."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "flags", flag, "environments", environment, "enable")
    with remote(url, token, data_dir) as server:
        bypass = {"bypassApproval": bypass_approval}
        answer = server.write("POST", path, "Enabling", comment, params=bypass)
    print_change(answer, f"Enabled '{flag}' in '{environment}'", as_json)


@app.command("disable")
def disable_flag(
    project: ProjectArgument,
    flag: FlagArgument,
    environment: InEnvironmentOption,
    comment: CommentOption = "",
    bypass_approval: BypassOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give everybody the off variation, in one environment."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "flags", flag, "environments", environment, "disable")
    with remote(url, token, data_dir) as server:
        bypass = {"bypassApproval": bypass_approval}
        answer = server.write("POST", path, "Disabling", comment, params=bypass)
    print_change(answer, f"Disabled '{flag}' in '{environment}'", as_json)


@app.command("archive")
def archive_flag(
    project: ProjectArgument,
    flag: FlagArgument,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a flag out of every ruleset, keeping its settings."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "flags", flag, "archive")
    with remote(url, token, data_dir) as server:
        answer = server.write("POST", path, "Archiving", comment)
    print_change(answer, f"Archived '{flag}'", as_json)


@app.command("restore")
def restore_flag(
    project: ProjectArgument,
    flag: FlagArgument,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring an archived flag back as it was."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "flags", flag, "restore")
    with remote(url, token, data_dir) as server:
        answer = server.write("POST", path, "Restoring", comment)
    print_change(answer, f"Restored '{flag}'", as_json)


@app.command("delete")
def delete_flag(
    project: ProjectArgument,
    flag: FlagArgument,
    yes: YesOption = False,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a flag in every environment; its history stays."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = path_to("projects", project, "flags", flag)
    if not yes:
        typer.confirm(f"Delete flag '{flag}' of '{project}'?", abort=True, err=True)
    with remote(url, token, data_dir) as server:
        answer = server.write("DELETE", path, "Deleting", comment)
    print_change(answer, f"Deleted flag '{flag}'", as_json)


@app.command("history")
def flag_history(
    project: ProjectArgument,
    flag: FlagArgument,
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Only of this environment.")
    ] = None,
    event_type: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only of this type; several times for any of several."),
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only by this account's id.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of the comment or the body.")] = None,
    since: Annotated[str | None, typer.Option(help="A time with its zone; inclusive.")] = None,
    until: Annotated[str | None, typer.Option(help="A time with its zone; exclusive.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    at: AtOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what happened to a flag, newest first; also to one that was deleted."""
    from server.cli.flag_tables import print_history
    from server.cli.output import print_json
    from server.cli.remote import path_to, remote

    query = {
        "environment": environment,
        "type": event_type,
        "actor": actor,
        "text": text,
        "since": since,
        "until": until,
        "at": at,
    }
    path = path_to("projects", project, "flags", flag, "history")
    with remote(url, token, data_dir) as server:
        found = server.items(path, "Reading", query, limit)
    if as_json:
        print_json({"events": found})
    else:
        print_history(found)


def _variation(word: str, flag_type: str) -> dict[str, Any]:
    import msgspec

    key, equals, value = word.partition("=")
    if not equals:
        fail(f"--variation '{word}' is not KEY=VALUE", Exit.USAGE)
    if flag_type == "string":
        return {"key": key, "value": value}
    try:
        return {"key": key, "value": msgspec.json.decode(value)}
    except msgspec.DecodeError:
        fail(f"--variation '{word}': the value is not JSON, such as true, 2 or [1]", Exit.USAGE)
