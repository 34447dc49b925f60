"""`halyard tokens`: API tokens, over HTTP, as the account whose token it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import typer

from server.cli.options import (
    CommentOption,
    DataDirOption,
    JsonOption,
    LimitOption,
    TokenOption,
    UrlOption,
)

app = typer.Typer(help="API tokens of a running server.", no_args_is_help=True)

EverybodyOption = Annotated[
    bool, typer.Option("--everybody", help="Of all accounts, not only of one's own.")
]


@app.command("list")
def list_tokens(
    search: Annotated[str, typer.Option(help="Part of a name.")] = "",
    state: Annotated[
        Literal["open", "expired", "revoked", "any"], typer.Option(help="What they are now.")
    ] = "open",
    everybody: EverybodyOption = False,
    account: Annotated[
        str | None, typer.Option(help="Of this account, by its id; asks as --everybody does.")
    ] = None,
    limit: LimitOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List tokens; what opens anything is known to nobody any more."""
    from server.cli.output import print_json
    from server.cli.remote import remote

    query = {"search": search, "state": state, "account": account}
    with remote(url, token, data_dir) as server:
        path = _path(everybody or account is not None)
        found = server.items(path, "Listing tokens", query, limit)
    if as_json:
        print_json({"tokens": found})
    else:
        _print_tokens(found)


@app.command("issue")
def issue_token(
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires_in_days: Annotated[int, typer.Option(help="How long it lives; 366 at most.")] = 90,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Let it read whatever its account may.")
    ] = False,
    permission: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as flag:write; several times for several. [default: all that the asking "
            "token opens]"
        ),
    ] = None,
    project: Annotated[
        list[str] | None,
        typer.Option(help="Where the permissions hold; several times for several. [default: all]"),
    ] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option(help="Where they hold, such as $unprotected. [default: all]"),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Id of a service account. [default: one's own]")
    ] = None,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a token; it is shown this once."""
    from server.cli.output import print_json
    from server.cli.remote import given, remote

    if (project or environment) and not permission:
        raise typer.BadParameter("--project and --environment are of --permission: give one")
    scope = {"permissions": permission, "projects": project, "environments": environment}
    body = {
        "name": name,
        "expiresInDays": expires_in_days,
        "readOnly": read_only,
        "scope": given(scope) if permission else None,
        "account": account,
    }
    with remote(url, token, data_dir) as server:
        path = _path(account is not None)
        answer = server.write("POST", path, "Issuing", comment, json=given(body))
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"A token with the id {answer['id']}, which ends at {answer['expiresAt']}:")
        typer.echo(answer["secret"])


@app.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="Id of the token, as listed.")],
    everybody: EverybodyOption = False,
    comment: CommentOption = "",
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a token open nothing any more; everywhere, at once."""
    from server.cli.output import print_change
    from server.cli.remote import path_to, remote

    path = _path(everybody) + path_to(token_id)
    with remote(url, token, data_dir) as server:
        answer = server.write("DELETE", path, "Revoking", comment)
    print_change(answer, f"Revoked token {token_id}", as_json)


def _path(of_all: bool) -> str:
    return "/tokens" if of_all else "/auth/tokens"


def _print_tokens(tokens: Iterable[dict[str, Any]]) -> None:
    from server.cli.output import print_table, time_of

    print_table(
        ("id", "account", "name", "state", "opens", "created", "ends", "last used"),
        (
            (
                each["id"],
                each["account"],
                each["name"] or None,
                each["state"],
                _opens(each["scope"]),
                time_of(each["createdAt"]),
                time_of(each["expiresAt"]),
                time_of(each["lastUsedAt"]),
            )
            for each in tokens
        ),
    )


def _opens(scope: dict[str, Any] | None) -> str:
    """What of its account's permissions, and where."""
    if scope is None:
        return "all"
    where = [*scope.get("projects", ()), *scope.get("environments", ())]
    return " ".join(scope["permissions"]) + (f" in {', '.join(where)}" if where else "")
