"""The synchronous client on real sockets: threads, forks, forgetting to close."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from halyard_sdk import Change, Client, State

from tests.support.stream_peer import KEY, TIMEOUT_S, StreamPeer, Talk, flag


async def connected(peer: StreamPeer, *flags: dict[str, object]) -> tuple[Client, Talk]:
    client = Client(peer.url, KEY)
    talk = await peer.talk()
    await talk.synchronises(3, *(flags or (flag("beta"),)))
    assert await asyncio.to_thread(client.wait_ready, TIMEOUT_S)
    return client, talk


async def closed(client: Client) -> None:
    await asyncio.to_thread(client.close)


def test_arguments_that_cannot_be_right_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="address"):
        Client("localhost", KEY)
    with pytest.raises(ValueError, match="key"):
        Client("http://localhost", "")


async def test_it_follows_in_the_background(peer: StreamPeer) -> None:
    client, talk = await connected(peer)
    heard = threading.Event()
    told: list[tuple[Change, str]] = []

    def callback(change: Change) -> None:
        told.append((change, threading.current_thread().name))
        heard.set()

    client.on_change("beta", callback)
    await talk.changes(3, 4, flag("beta", on=False, version=4))
    assert await asyncio.to_thread(heard.wait, TIMEOUT_S)
    assert client.boolean("beta", "alice", default=True) is False
    assert told == [(Change(frozenset({"beta"})), "halyard-sdk")]
    await closed(client)
    assert await talk.hears_close() == 1000
    assert client.status.state is State.OFFLINE
    assert client.boolean("beta", "alice", default=True) is False


async def test_it_can_be_closed_repeatedly_and_from_a_callback(peer: StreamPeer) -> None:
    client, talk = await connected(peer)
    done = threading.Event()

    def close(_: Change) -> None:
        client.close()
        done.set()

    client.on_change(close)
    await talk.changes(3, 4, flag("beta", version=4))
    assert await asyncio.to_thread(done.wait, TIMEOUT_S)
    assert await talk.hears_close() == 1000
    await closed(client)
    await closed(client)
    assert client.status.state is State.OFFLINE


async def test_waiting_gives_up_in_time_and_at_once_when_refused(peer: StreamPeer) -> None:
    with Client(peer.url, KEY) as client:
        assert not await asyncio.to_thread(client.wait_ready, 0.01)
        waiting = asyncio.create_task(asyncio.to_thread(client.wait_ready, 60))
        await (await peer.talk()).closes(4401, "no such key")
        assert await asyncio.wait_for(waiting, TIMEOUT_S) is False
        assert client.status.state is State.OFFLINE


async def test_threads_see_one_ruleset_or_the_next_never_a_mixture(peer: StreamPeer) -> None:
    client, talk = await connected(peer, flag("a", 0), flag("b", 0))
    last = 60
    done = threading.Event()

    def read() -> set[int]:
        seen = set()
        while not done.is_set():
            both = client.all_flags("alice")
            assert both["a"] == both["b"]
            seen.add(client.integer("a", "alice", -1))
            leave = client.on_change("a", lambda _: None)
            leave()
        return seen

    client.on_change(lambda _: done.set() if client.integer("a", "alice", 0) == last else None)
    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for value in range(1, last + 1):
            seq = 3 + value
            await talk.changes(
                seq - 1, seq, flag("a", value, version=seq), flag("b", value, version=seq)
            )
        seen = [await asyncio.wrap_future(reader) for reader in readers]
    assert all(values <= set(range(last + 1)) for values in seen)
    await closed(client)


async def test_a_client_that_nobody_closed_goes_when_it_is_forgotten(peer: StreamPeer) -> None:
    client, talk = await connected(peer)
    gone, only = weakref.ref(client), [client]
    del client

    def forget() -> None:
        only.clear()
        gc.collect()

    await asyncio.to_thread(forget)
    assert gone() is None
    assert await talk.hears_close() == 1000


async def test_the_file_is_there_before_the_first_question(
    peer: StreamPeer, tmp_path: Path
) -> None:
    path = tmp_path / "ruleset"
    client = Client(peer.url, KEY, cache_path=path)
    await (await peer.talk()).synchronises(3, flag("beta"))
    await asyncio.to_thread(client.wait_ready, TIMEOUT_S)
    await closed(client)
    with Client("http://127.0.0.1:1", KEY, cache_path=path) as offline:
        assert offline.boolean("beta", "alice", default=False)
        assert offline.wait_ready(0)
        assert offline.status.state is State.STALE


# --- in processes of their own

EXIT_WITHOUT_CLOSE = """
import sys
from halyard_sdk import Client
client = Client(sys.argv[1], sys.argv[2], cache_path=sys.argv[3])
assert client.wait_ready(10)
print(client.variation("beta", "alice", None))
"""

FORK = """
import os, sys, threading
from halyard_sdk import Client

client = Client(sys.argv[1], sys.argv[2])
assert client.wait_ready(10)

def next_value(tell):
    changed = threading.Event()
    leave = client.on_change("beta", lambda _: changed.set())
    tell()
    assert changed.wait(10)
    leave()
    return client.variation("beta", "alice", None)

if os.fork() == 0:
    assert client.variation("beta", "alice", None) == 1, "answers at once from what was known"
    print("child", next_value(lambda: print("child is there", flush=True)), flush=True)
    client.close()
    sys.exit()
_, status = os.wait()
assert status == 0, status
print("parent", next_value(lambda: print("parent is there", flush=True)), flush=True)
client.close()
"""

FORK_AND_DIE = """
import os, sys
from halyard_sdk import Client

client = Client(sys.argv[1], sys.argv[2])
assert client.wait_ready(10)
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
os._exit(0)
"""


class Program:
    """A script in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, script: str, *arguments: str) -> Program:
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def prints(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            return (await self.process.stdout.readline()).decode().strip()

    async def ends(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(TIMEOUT_S):
            _, errors = await self.process.communicate()
        assert (self.process.returncode, errors.decode()) == (0, "")


async def test_a_program_that_forgets_to_close_ends_well_and_leaves_its_file(
    peer: StreamPeer, tmp_path: Path
) -> None:
    path = tmp_path / "ruleset"
    program = await Program.start(EXIT_WITHOUT_CLOSE, peer.url, KEY, str(path))
    talk = await peer.talk()
    await talk.synchronises(3, flag("beta", 7))
    assert await program.prints() == "7"
    assert await talk.hears_close() == 1000
    await program.ends()
    assert b'"seq":3' in path.read_bytes()


async def test_a_fork_goes_on_with_a_connection_of_its_own_and_leaves_the_parents_alone(
    peer: StreamPeer,
) -> None:
    program = await Program.start(FORK, peer.url, KEY)
    parent = await peer.talk()
    await parent.synchronises(3, flag("beta", 1))
    assert await program.prints() == "child is there"
    child = await peer.talk()
    assert (await child.hears())["resume"] == {"epoch": "1.0", "seq": 3}
    await child.welcomes("changes", 4)
    await child.changes(3, 4, flag("beta", 2, version=4))
    assert await program.prints() == "child 2"
    assert await child.hears_close() == 1000
    assert await program.prints() == "parent is there"
    await parent.changes(3, 4, flag("beta", 3, version=4))
    assert await program.prints() == "parent 3"
    assert await parent.hears_close() == 1000
    await program.ends()


async def test_a_child_does_not_keep_the_parents_connection_open(peer: StreamPeer) -> None:
    program = await Program.start(FORK_AND_DIE, peer.url, KEY)
    parent = await peer.talk()
    await parent.synchronises(3, flag("beta", 1))
    assert await parent.hears_close() is None
    await program.ends()
