"""The log as it grows: every event once, whoever writes, for whoever may still listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from domain.system.commands import (
    AssignRole,
    ChangeRole,
    CreateAccount,
    CreateRole,
    DisableAccount,
    IssueToken,
    RevokeToken,
    UnassignRole,
)
from domain.system.vocabulary import Grant
from eventstore.log import SYSTEM_LOG
from server.credentials import fingerprint
from server.http.app import create_app
from server.http.dependencies import Dependencies
from server.http.event_feed import EventFeeds
from server.writing.submission import Submission
from tests.support.api import (
    FLAG,
    PROJECT,
    SETTINGS,
    TOKEN,
    client_of,
    problem,
    running_dependencies,
)

STREAM = f"{PROJECT}/events/stream"


class Listener:
    """One client of the stream, read in the background from the application itself."""

    def __init__(
        self,
        dependencies: Dependencies,
        query: str = "",
        *headers: tuple[bytes, bytes],
        token: str = TOKEN,
    ) -> None:
        self.status = 0
        self.body = b""
        self.news = asyncio.Event()
        self.gone = asyncio.Event()
        self.slow = asyncio.Event()
        self.slow.set()
        self._asked = False
        scope = {
            "type": "http",
            "method": "GET",
            "path": STREAM,
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Bearer " + token.encode()), *headers],
            "client": ("127.0.0.1", 1),
        }
        self.task = asyncio.create_task(create_app(dependencies)(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.slow.wait()
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        self.news.set()

    @property
    def blocks(self) -> list[dict[str, str]]:
        """What came, a dictionary of fields for each block."""
        texts = self.body.decode().split("\n\n")[:-1]
        return [dict(line.split(": ", 1) for line in text.splitlines()) for text in texts]

    @property
    def events(self) -> list[Any]:
        """The events among it."""
        return [
            json.loads(block["data"])
            for block in self.blocks
            if "data" in block and "event" not in block
        ]

    @property
    def seqs(self) -> list[int]:
        """Of the events."""
        return [event["seq"] for event in self.events]

    async def until(self, wanted: Any) -> None:
        """Wait until what came is as wanted."""
        async with asyncio.timeout(10):
            while not wanted():
                await self.news.wait()
                self.news.clear()

    async def over(self) -> list[dict[str, str]]:
        """Wait for the end."""
        async with asyncio.timeout(10):
            await self.task
        return self.blocks


@asynccontextmanager
async def listening(
    dependencies: Dependencies, query: str = "", *headers: tuple[bytes, bytes]
) -> AsyncIterator[Listener]:
    """A listener whose stream is open, and gone at the end."""
    listener = Listener(dependencies, query, *headers)
    await listener.until(lambda: listener.body)
    try:
        yield listener
    finally:
        listener.gone.set()
        await listener.over()


async def test_what_happens_is_told_as_it_happens(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    async with listening(dependencies) as listener:
        assert listener.seqs == []
        await demo.post(f"{SETTINGS}/enable")
        await listener.until(lambda: listener.seqs == [6])
        event = (await demo.get(f"{PROJECT}/events?limit=1")).json()["items"][0]
        assert listener.events == [event]
        assert [block["id"] for block in listener.blocks if "data" in block] == ["6"]
    assert len(dependencies.event_feeds) == 0


async def test_a_client_that_comes_back_goes_on_where_it_was(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    async with listening(dependencies, "after=3") as listener:
        await listener.until(lambda: listener.seqs == [4, 5])
    async with listening(dependencies, "after=3", (b"last-event-id", b"4")) as listener:
        await listener.until(lambda: listener.seqs == [5])
    for query, headers, path in (
        ("after=6", {}, "?after"),
        ("", {"last-event-id": "6"}, "Last-Event-ID"),
        ("", {"last-event-id": "x"}, "Last-Event-ID"),
        ("", {"last-event-id": "9" * 5000}, "Last-Event-ID"),
    ):
        refused = await demo.get(f"{STREAM}?{query}", headers=headers)
        assert problem(refused, 422, "malformed")["errors"][0]["path"] == path


async def test_filters_leave_out_the_rest_and_a_heartbeat_says_how_far_it_is(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    dependencies = replace(dependencies, event_feeds=EventFeeds(heartbeat_s=0.05))
    async with listening(dependencies, "after=0&type=FlagEnabled&text=launch") as listener:
        await demo.post(f"{SETTINGS}/enable?comment=Launch")
        await demo.post(f"{SETTINGS}/disable?comment=Launch")
        await listener.until(lambda: listener.blocks[-1] == {"id": "7"})
        assert listener.seqs == [6]


async def test_no_event_is_missing_or_told_twice_while_two_processes_write(
    demo: httpx.AsyncClient, dependencies: Dependencies, database_url: str
) -> None:
    writers = dependencies.writers
    async with running_dependencies(database_url, writers.hear_of) as other:
        async with client_of(other) as elsewhere, listening(dependencies, "after=0") as listener:

            async def write(api: httpx.AsyncClient, environment: str) -> None:
                for number in range(20):
                    what = "disable" if number % 2 else "enable"
                    answer = await api.post(f"{FLAG}/environments/{environment}/{what}")
                    assert answer.status_code == 200, answer.text

            environments = ("development", "staging", "production")
            await asyncio.gather(
                *(
                    write(api, each)
                    for api, each in zip((demo, elsewhere, demo), environments, strict=True)
                )
            )
            listener.slow.clear()
            await write(elsewhere, "development")
            listener.slow.set()
            await listener.until(lambda: listener.seqs and listener.seqs[-1] == 85)
            assert listener.seqs == list(range(1, 86))


async def test_a_stream_ends_when_its_token_is_revoked(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    async with listening(dependencies) as listener:
        revocation = Submission.of("account-1", RevokeToken(token="token-1"))
        await dependencies.writers.submit(SYSTEM_LOG, revocation)
        last = (await listener.over())[-1]
        assert last == {"event": "end", "data": '{"reason":"unauthenticated"}'}


@pytest.mark.parametrize(
    ("taken", "reason"),
    [
        (UnassignRole(subject="account", id="ann", project="demo"), "forbidden"),
        (ChangeRole(role="auditor", grants=(Grant(("flag:read",)),)), "forbidden"),
        (DisableAccount(account="ann"), "unauthenticated"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_stream_ends_when_its_account_may_not_read_the_log_any_more(
    demo: httpx.AsyncClient, dependencies: Dependencies, taken: Any, reason: str
) -> None:
    setup = (
        CreateAccount(account="ann"),
        IssueToken(token="of-ann", account="ann", sha256=fingerprint("token-of-ann")),
        CreateRole(role="auditor", grants=(Grant(("event:read", "flag:read")),)),
        AssignRole(subject="account", id="ann", role="auditor", project="demo"),
    )
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", *setup))
    listener = Listener(dependencies, token="token-of-ann")
    await listener.until(lambda: listener.body)
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", taken))
    await demo.post(f"{SETTINGS}/enable")
    assert (await listener.over())[-1] == {"event": "end", "data": f'{{"reason":"{reason}"}}'}
    assert listener.seqs == []


async def test_a_stream_ends_at_once_when_another_process_revokes_its_token(
    demo: httpx.AsyncClient, dependencies: Dependencies, database_url: str
) -> None:
    async with (
        listening(dependencies) as listener,
        running_dependencies(database_url, dependencies.writers.hear_of) as other,
    ):
        await dependencies.writers.system()
        revocation = Submission.of("account-1", RevokeToken(token="token-1"))
        await other.writers.submit(SYSTEM_LOG, revocation)
        assert (await listener.over())[-1]["event"] == "end"


async def test_streams_end_when_the_process_drains_and_none_is_opened_any_more(
    demo: httpx.AsyncClient, dependencies: Dependencies
) -> None:
    async with listening(dependencies) as one, listening(dependencies) as other:
        dependencies.event_feeds.end_all(0.01)
        for listener in (one, other):
            last = (await listener.over())[-1]
            assert last == {"event": "end", "data": '{"reason":"draining"}'}
        problem(await demo.get(STREAM), 503, "too-many-streams")


async def test_a_reader_who_takes_nothing_is_cut_off(
    demo: httpx.AsyncClient, dependencies: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.http.event_streaming.STALL_S", 0.05)
    async with listening(dependencies) as listener:
        listener.slow.clear()
        await demo.post(f"{SETTINGS}/enable")
        assert not any("event" in block for block in await listener.over())
        assert len(dependencies.event_feeds) == 0


@pytest.mark.parametrize("bound", [{"limit": 1}, {"limit_of_account": 1}])
async def test_streams_are_bounded(
    demo: httpx.AsyncClient, dependencies: Dependencies, bound: dict[str, int]
) -> None:
    dependencies = replace(dependencies, event_feeds=EventFeeds(**bound))
    async with client_of(dependencies) as api:
        async with listening(dependencies):
            problem(await api.get(STREAM), 503, "too-many-streams")
        async with listening(dependencies) as listener:
            assert listener.status == 200
