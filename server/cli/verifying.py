"""Verifying hash chains: the progress, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from rich.progress import Progress

from eventstore.chain import Problem, Verification, verify
from eventstore.store import EventStore
from server.cli.exits import Exit, errors, fail
from server.cli.output import print_json, print_table
from server.cli.tailing import require_log


class LogFinding(msgspec.Struct, frozen=True, rename="camel"):
    """One log, as it was found; intact where there are no problems.

    ``seq`` and ``hash`` are its head: a checkpoint to keep elsewhere.
    """

    log: str
    events: int
    seq: int
    hash: str
    at: datetime
    problems: tuple[Problem, ...]


def read_checkpoints(texts: list[str]) -> dict[int, bytes]:
    """Hashes by seq from ``SEQ:HASH``; ends the program where one cannot be read."""
    checkpoints: dict[int, bytes] = {}
    for text in texts:
        seq, _, digest = text.partition(":")
        try:
            checkpoints[int(seq)] = bytes.fromhex(digest)
        except ValueError:
            fail(f"'{text}' is no checkpoint; it takes SEQ:HASH", Exit.USAGE)
    return checkpoints


async def verify_logs(
    store: EventStore, log_id: str | None, checkpoints: Mapping[int, bytes]
) -> list[LogFinding]:
    """Verify one log, or all that there are; shows how far it is."""
    if log_id is None:
        logs = [head.log_id for head in await store.heads()]
    else:
        logs = [await require_log(store, log_id)]
    findings: list[LogFinding] = []
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        for name in logs:
            bar = progress.add_task(name, total=None)

            def show(done: int, total: int, bar: int = bar) -> None:
                progress.update(bar, completed=done, total=total)  # type: ignore[arg-type]

            found = await verify(store, name, checkpoints, show)
            findings.append(_finding(found))
    return findings


def _finding(found: Verification) -> LogFinding:
    head = found.head
    return LogFinding(
        head.log_id, found.events, head.last_seq, head.last_hash.hex(), head.last_at, found.problems
    )


def print_findings(findings: list[LogFinding], *, as_json: bool) -> None:
    """All logs, then every problem."""
    if as_json:
        print_json({"logs": findings})
        return
    print_table(
        ("log", "events", "result", "head's hash"),
        ((each.log, each.events, _result(each), f"{each.hash[:16]}…") for each in findings),
    )
    problems = [(each.log, problem) for each in findings for problem in each.problems]
    if problems:
        print_table(("log", "seq", "problem"), ((log, p.seq, p.what) for log, p in problems))


def _result(finding: LogFinding) -> str:
    return f"{len(finding.problems)} problems" if finding.problems else "intact"
