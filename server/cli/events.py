"""`halyard events`: the logs themselves, straight from the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.exits import Exit, fail
from server.cli.options import DataDirOption, JsonOption

app = typer.Typer(help="The events of a log.", no_args_is_help=True)

LogArgument = Annotated[
    str | None,
    typer.Argument(help="A project's key, or $system. [default: the only project]"),
]


@app.command("tail")
def tail_events(
    log: LogArgument = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones.")] = False,
    kind: Annotated[str | None, typer.Option(help="Only of this kind of entity.")] = None,
    key: Annotated[str | None, typer.Option(help="Only of the entity with this key.")] = None,
    environment: Annotated[str | None, typer.Option(help="Only of this environment.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only by this account's id.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the newest events, oldest first; as JSON, one to a line."""
    from eventstore.searching import Search
    from server.cli.installations import with_store
    from server.cli.tailing import line_printer, tail

    wanted = Search(
        entity_kind=kind,
        entity_key=key,
        environment=environment,
        actor_id=actor,
        type=event_type,
        limit=last,
    )
    with_store(data_dir, lambda store: tail(store, log, wanted, follow, line_printer(as_json)))


@app.command("show")
def show_event(
    log: Annotated[str, typer.Argument(help="A project's key, or $system.")],
    seq: Annotated[int, typer.Argument(min=1, help="Position in the log.")],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print everything that is stored of one event."""
    from server.cli.event_records import event_record, record_rows
    from server.cli.installations import with_store
    from server.cli.output import print_json, print_table

    found = with_store(data_dir, lambda store: store.read(log, seq - 1, 1, seq))
    if not found:
        fail(f"log '{log}' has no event {seq}")
    record = event_record(found[0])
    if as_json:
        print_json(record)
    else:
        print_table(("field", "value"), record_rows(record))


@app.command("export")
def export_events(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file; one that is there is gone on with.")
    ],
    log: LogArgument = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a whole log into a file, one event to a line, or what the file lacks of it."""
    from server.cli.exporting import export
    from server.cli.installations import with_store
    from server.cli.output import print_json

    log_id, before, end = with_store(data_dir, lambda store: export(store, log, out))
    if as_json:
        print_json({"log": log_id, "after": before, "seq": end})
    else:
        typer.echo(f"{end - before} events of {log_id} written; the file ends at seq {end}")


@app.command("verify")
def verify_events(
    log: Annotated[
        str | None, typer.Argument(help="A project's key, or $system. [default: all logs]")
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="SEQ:HASH that was kept elsewhere; needs a log; may be repeated."),
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the hash chain of a log, or of all of them; exit code 4 where one is broken."""
    from server.cli.installations import with_store
    from server.cli.verifying import print_findings, read_checkpoints, verify_logs

    checkpoints = read_checkpoints(checkpoint or [])
    if checkpoints and log is None:
        fail("a checkpoint belongs to one log: name it", Exit.USAGE)
    findings = with_store(data_dir, lambda store: verify_logs(store, log, checkpoints))
    print_findings(findings, as_json=as_json)
    if any(finding.problems for finding in findings):
        raise typer.Exit(Exit.DIFFERENT)


@app.command("void")
def void_event(
    seq: Annotated[int, typer.Argument(min=1, help="Position in the log.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the log for ever.")],
    project: Annotated[
        str | None, typer.Option("--log", help="A project's key. [default: the only project]")
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have readers pass over an event that none can apply: the way out for a poisoned log."""
    from server.cli.installations import with_store
    from server.cli.output import print_json
    from server.cli.voiding import void_in

    log, at = with_store(data_dir, lambda store: void_in(store, project, seq, reason))
    if as_json:
        print_json({"log": log, "voided": seq, "seq": at})
    else:
        typer.echo(f"event {seq} of {log} is voided, by event {at}; readers go on by themselves")
