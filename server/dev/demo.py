"""The project `demo`: a handful of flags and segments as a real team would have them."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec

from domain.commands import CreateProject, IssueSdkKey, complete, decode_command
from domain.state import ProjectState
from server.credentials import fingerprint, new_id, new_sdk_key
from server.writing.submission import Submission
from server.writing.writers import Writers

PROJECT = "demo"
ENVIRONMENTS = ("development", "staging", "production")


class KeyPair(msgspec.Struct, frozen=True):
    """One key of each kind, for one environment."""

    server: str
    client: str


async def seed(writers: Writers, actor_id: str) -> None:
    """Create the project with everything in it, unless it exists."""
    if await writers.exists(PROJECT):
        return
    project = complete(CreateProject(project=PROJECT, name="Demo"), new_id)
    await writers.submit(PROJECT, Submission.of(actor_id, project))
    commands = tuple(complete(decode_command(source), new_id) for source in _commands())
    await writers.submit(PROJECT, Submission.of(actor_id, *commands))


def _commands() -> list[dict[str, Any]]:
    source = files("server.dev").joinpath("demo.json").read_bytes()
    return msgspec.json.decode(source, type=list[dict[str, Any]])


async def issue_keys(writers: Writers, actor_id: str) -> dict[str, KeyPair]:
    """A new server key and a new client key for each environment of the demo that exists."""
    state = (await writers.state(PROJECT)).state
    pairs: dict[str, KeyPair] = {}
    commands: list[IssueSdkKey] = []
    for environment in (key for key in ENVIRONMENTS if key in state.environments):
        pairs[environment], issuing = _pair(state, environment)
        commands += issuing
    if commands:
        await writers.submit(PROJECT, Submission.of(actor_id, *commands))
    return pairs


def _pair(state: ProjectState, environment: str) -> tuple[KeyPair, list[IssueSdkKey]]:
    environment_id = state.environments[environment].id
    server = new_sdk_key(environment_id, "server")
    client = new_sdk_key(environment_id, "client")
    return KeyPair(server, client), [
        IssueSdkKey(
            environment=environment,
            key=new_id(),
            kind="server",
            name="dev",
            sha256=fingerprint(server),
        ),
        IssueSdkKey(
            environment=environment, key=new_id(), kind="client", name="dev", client_key=client
        ),
    ]
