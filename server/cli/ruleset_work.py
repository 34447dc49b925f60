"""The work behind `halyard projections`: one project after the other, on the log and on Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.progress import Progress

from eventstore.log import SYSTEM_LOG
from eventstore.pool import create_pool
from eventstore.store import EventStore
from projections.reading import HistoryForked, Poisoned, open_log
from projections.rebuild import Rebuilt, rebuild
from projections.rulesets import Meta, Rulesets
from projections.script import RedisClient
from projections.touches import EnvironmentVersions
from projections.verify import Finding, verify
from server.cli.exits import Exit, errors, fail
from server.cli.installations import Installation, administer
from server.cli.output import print_json, print_table
from server.redis_client import connect_redis

T = TypeVar("T")
Work = Callable[[EventStore, RedisClient, str, Callable[[int], None]], Awaitable[Iterable[T]]]
"""What is done with one project; told how far it is by calling the last argument with a seq."""


def on_rulesets(data_dir: Path | None, project: str | None, work: Work[T]) -> list[T]:
    """Do ``work`` on one project, or on all; a log that cannot be folded ends the program."""

    async def connect_and_work(installation: Installation) -> list[T]:
        if installation.redis_url is None:
            fail("HALYARD_REDIS_URL is required for this command", Exit.USAGE)
        async with (
            create_pool(installation.database_url, max_size=4) as pool,
            connect_redis(installation.redis_url) as redis,
        ):
            return await _each_project(EventStore(pool), redis, project, work)

    try:
        return administer(data_dir, connect_and_work)
    except (Poisoned, HistoryForked) as trouble:
        fail(str(trouble))


async def _each_project(
    store: EventStore, redis: RedisClient, project: str | None, work: Work[T]
) -> list[T]:
    heads = {head.log_id: head for head in await store.heads() if head.log_id != SYSTEM_LOG}
    if project is not None and project not in heads:
        fail(f"there is no project '{project}'")
    done: list[T] = []
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        for log_id in [project] if project else sorted(heads):
            bar = progress.add_task(log_id, total=heads[log_id].last_seq)

            def show(seq: int, bar: int = bar) -> None:
                progress.update(bar, completed=seq)  # type: ignore[arg-type]

            done += await work(store, redis, log_id, show)
    return done


class Place(msgspec.Struct, frozen=True, rename="camel"):
    """Where one environment's ruleset stands; what Redis says is None where it has none."""

    project: str
    environment: str
    environment_id: str
    log_seq: int
    behind: int
    """Events that were not looked at yet."""
    seq: int | None = None
    """The log was checked through here."""
    changed: int | None = None
    wire_epoch: str | None = None


async def places(
    store: EventStore, redis: RedisClient, project: str, show: Callable[[int], None]
) -> list[Place]:
    """The rulesets of a project's environments. Raises Poisoned."""
    reader = await open_log(store, project)
    await reader.advance(None, show)
    rulesets, living = Rulesets(redis), reader.fold.environments.living
    return [
        _place(project, each, reader.fold.seq, await rulesets.meta(each.id))
        for _, each in sorted(living.items())
    ]


def _place(project: str, each: EnvironmentVersions, log_seq: int, meta: Meta | None) -> Place:
    if meta is None:
        return Place(project, each.key, each.id, log_seq, log_seq)
    behind = max(0, log_seq - meta.seq)
    return Place(
        project, each.key, each.id, log_seq, behind, meta.seq, meta.changed, meta.wire_epoch
    )


class ProjectFinding(msgspec.Struct, frozen=True):
    """What verifying found in one environment."""

    project: str
    finding: Finding


async def verify_project(
    store: EventStore, redis: RedisClient, project: str, show: Callable[[int], None]
) -> list[ProjectFinding]:
    """Compare the rulesets of a project."""
    return [ProjectFinding(project, each) for each in await verify(store, redis, project, show)]


def print_findings(findings: list[ProjectFinding], *, as_json: bool) -> None:
    """All environments, then every document that differs."""
    if as_json:
        print_json({"rulesets": findings})
        return
    columns = ("project", "environment", "at seq", "result")
    print_table(columns, (_finding_row(each.project, each.finding) for each in findings))
    _print_differences([(each.project, each.finding) for each in findings])


def _finding_row(project: str, finding: Finding) -> tuple[object, ...]:
    return (project, finding.key or finding.environment, finding.seq, finding.problem or "equal")


def _print_differences(findings: list[tuple[str, Finding]]) -> None:
    rows = [
        (
            project,
            finding.key,
            each.document,
            each.fault,
            each.stored_version,
            each.expected_version,
        )
        for project, finding in findings
        for each in finding.differences
    ]
    if rows:
        print_table(("project", "environment", "document", "fault", "stored", "expected"), rows)


class ProjectRebuilt(msgspec.Struct, frozen=True):
    """What became of one environment."""

    project: str
    rebuilt: Rebuilt


def rebuild_project(*, dry_run: bool) -> Work[ProjectRebuilt]:
    """Rebuild the rulesets of a project, or only see what that would change."""

    async def work(
        store: EventStore, redis: RedisClient, project: str, show: Callable[[int], None]
    ) -> list[ProjectRebuilt]:
        done = await rebuild(store, redis, project, dry_run=dry_run, progress=show)
        return [ProjectRebuilt(project, each) for each in done]

    return work


def print_rebuilt(rebuilt: list[ProjectRebuilt], *, as_json: bool) -> None:
    """All environments, then every document that differed."""
    if as_json:
        print_json({"rulesets": rebuilt})
        return
    rows = [
        (
            *_finding_row(each.project, each.rebuilt.finding),
            each.rebuilt.outcome,
            each.rebuilt.before,
            each.rebuilt.after,
        )
        for each in rebuilt
    ]
    columns = ("project", "environment", "at seq", "was", "outcome", "wire epoch was", "is")
    print_table(columns, rows)
    _print_differences([(each.project, each.rebuilt.finding) for each in rebuilt])
