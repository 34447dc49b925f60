"""`halyard accounts`: accounts of people, straight on the database."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from server.cli.options import DataDirOption, JsonOption

app = typer.Typer(help="Accounts of people.", no_args_is_help=True)

WhoArgument = Annotated[str, typer.Argument(help="E-mail address or id of the account.")]


def _read_password() -> str:
    """From a person twice, unseen; from a program as one line. Never from the arguments."""
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    return sys.stdin.readline().rstrip("\r\n")


@app.command("create")
def create_account(
    email: Annotated[str, typer.Argument(help="E-mail address, by which to log in.")],
    name: Annotated[str, typer.Option(help="What people see. [default: from the address]")] = "",
    role: Annotated[str, typer.Option(help="That it has everywhere, such as admin.")] = "",
    invite: Annotated[
        bool, typer.Option("--invite", help="Print a secret to hand over; ask for no password.")
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an account; its password is asked for, or read from standard input."""
    from server.cli.account_commands import create, on_accounts
    from server.cli.output import print_json

    if email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
        raise typer.BadParameter(f"'{email}' is no e-mail address")
    password = None if invite else _read_password()
    made = on_accounts(data_dir, create(email, name, role, password))
    if as_json:
        print_json(made)
        return
    typer.echo(f"An account for {made.email}, with the id {made.id}.")
    if made.secret:
        typer.echo(f"Its owner chooses a password with this secret, once:\n{made.secret}")


@app.command("password")
def set_account_password(
    who: WhoArgument, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Set a password, asked for or read from standard input; all logins of the account end."""
    from server.cli.account_commands import on_accounts, set_password
    from server.cli.output import print_json

    account = on_accounts(data_dir, set_password(who, _read_password()))
    if as_json:
        print_json({"id": account})
    else:
        typer.echo("The password is set; all logins of the account have ended.")


@app.command("role")
def set_account_role(
    who: WhoArgument,
    role: Annotated[str, typer.Argument(help="Such as admin; empty to take it away.")],
    project: Annotated[str, typer.Option(help="Where it holds. [default: everywhere]")] = "*",
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an account a role, in place of the one that it has there."""
    from server.cli.account_commands import on_accounts, set_role
    from server.cli.output import print_json

    seq = on_accounts(data_dir, set_role(who, role, project))
    if as_json:
        print_json({"seq": seq})
    else:
        typer.echo(f"Set, as of event {seq} of '$system'.")


@app.command("list")
def list_accounts(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the accounts of people."""
    from server.cli.account_commands import listing, on_accounts
    from server.cli.output import print_json, print_table

    rows = on_accounts(data_dir, listing())
    if as_json:
        print_json({"accounts": rows})
        return
    columns = ("id", "email", "name", "roles", "password", "created", "disabled")
    print_table(
        columns,
        (
            (
                row.id,
                row.email,
                row.name,
                ", ".join(row.roles) or None,
                "yes" if row.password else None,
                row.created_at,
                row.disabled_at,
            )
            for row in rows
        ),
    )


@app.command("disable")
def disable_account(
    who: WhoArgument, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Let an account do nothing any more; its logins and tokens open nothing."""
    from server.cli.account_commands import disable, on_accounts
    from server.cli.output import print_json

    seq = on_accounts(data_dir, disable(who))
    if as_json:
        print_json({"seq": seq})
    else:
        typer.echo(f"Disabled, as of event {seq} of '$system'.")


@app.command("erase")
def erase_account(
    who: WhoArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget a person for good; history goes on with a pseudonym."""
    from server.cli.account_commands import erase, on_accounts
    from server.cli.output import print_json

    if not yes:
        typer.confirm(f"Forget {who} for good? This cannot be undone", abort=True)
    name = on_accounts(data_dir, erase(who))
    if as_json:
        print_json({"name": name})
    else:
        typer.echo(f"Erased; history says '{name}'.")
