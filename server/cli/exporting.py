"""A whole log into a file, one event to a line, in order; a second run goes on where one ended."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eventstore.store import EventStore
from server.cli.event_records import event_record
from server.cli.exits import fail
from server.cli.tailing import only_project, require_log

_TAIL_BYTES = 4 * 1024 * 1024
"""No line of a log is longer: commands are bounded by less."""


class _Line(msgspec.Struct):
    """What a line of the file must say for another run to go on after it."""

    log: str
    seq: int


async def export(store: EventStore, log_id: str | None, out: Path) -> tuple[str, int, int]:
    """Write what the file lacks; answers the log, and the seqs before and after."""
    log_id = await require_log(store, log_id) if log_id else await only_project(store)
    end = (await store.head(log_id)).last_seq
    with out.open("ab+") as file:
        begin = _resumed(file.fileno(), log_id)
        if begin > end:
            fail(f"'{out}' ends at seq {begin}, but the log at {end}: it is of another history")
        with _progress() as progress:
            task = progress.add_task(log_id, total=end, completed=begin)
            async with aclosing(store.read_pages(log_id, begin, end)) as pages:
                async for page in pages:
                    lines = (msgspec.json.encode(event_record(event)) for event in page)
                    file.write(b"".join(line + b"\n" for line in lines))
                    progress.update(task, completed=page[-1].seq)
        file.flush()
        os.fsync(file.fileno())
    return log_id, begin, end


def _progress() -> Progress:
    from rich.console import Console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _resumed(file: int, log_id: str) -> int:
    """The seq of the last whole line; what a run that was cut off left behind it is dropped."""
    size = os.fstat(file).st_size
    begin = max(0, size - _TAIL_BYTES)
    tail = os.pread(file, size - begin, begin)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        os.ftruncate(file, begin + whole)
    if not whole:
        if begin:
            fail("the end of the file is no line of events")
        return 0
    last = tail[tail.rfind(b"\n", 0, whole - 1) + 1 : whole - 1]
    try:
        line = msgspec.json.decode(last, type=_Line)
    except msgspec.DecodeError:
        fail("the last line of the file is no event: choose another file")
    if line.log != log_id:
        fail(f"the file holds events of '{line.log}', not of '{log_id}'")
    return line.seq
