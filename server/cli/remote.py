"""A running server, asked over HTTP with an account's token.

Which one: ``--url`` and ``--token``, or ``HALYARD_URL`` and ``HALYARD_TOKEN``; without them the
installation of ``halyard dev`` in the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from server.cli.exits import Exit, errors, fail

API = "/api/v1"
TIMEOUT_S = 300.0
"""Ten thousand flags are imported in a small part of it."""
MAX_ERRORS_SHOWN = 20
PAGE = 500
"""The most items that a page may have."""


class _Admin(msgspec.Struct):
    token: str


class _Record(msgspec.Struct):
    """What ``dev.json`` says, of which this is all that is needed."""

    url: str
    admin: _Admin


class _Fault(msgspec.Struct):
    path: str = ""
    reason: str = ""


class _Problem(msgspec.Struct):
    detail: str = ""
    errors: tuple[_Fault, ...] = ()


class Remote:
    """Asks; whatever is not a success ends the program with the server's own sentence."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ask(self, method: str, path: str, doing: str, **more: Any) -> httpx.Response:
        """One request; ``doing`` is what is shown while it lasts, ``more`` as httpx has it."""
        try:
            with _shown(doing):
                response = self._client.request(method, f"{API}{path}", **more)
        except httpx.TransportError as error:
            fail(f"{self._client.base_url} cannot be reached: {error}", Exit.UNAVAILABLE)
        if not response.is_success:
            _refuse(response)
        return response

    def read(self, method: str, path: str, doing: str, **more: Any) -> dict[str, Any]:
        """The same, for what is answered in JSON."""
        try:
            answer: dict[str, Any] = self.ask(method, path, doing, **more).json()
        except ValueError:
            fail(f"{self._client.base_url} answers no JSON: is Halyard there?")
        return answer

    def items(
        self, path: str, doing: str, query: Mapping[str, Any], most: int | None = None
    ) -> list[dict[str, Any]]:
        """A list, page after page: to its end, or until there are ``most`` (1 at least)."""
        found: list[dict[str, Any]] = []
        asked = given(query)
        while True:
            limit = PAGE if most is None else min(PAGE, most - len(found))
            page = self.read("GET", path, doing, params={**asked, "limit": limit})
            found += page["items"]
            if page["nextCursor"] is None or len(found) == most:
                return found
            asked["cursor"] = page["nextCursor"]

    def write(
        self, method: str, path: str, doing: str, comment: str, **more: Any
    ) -> dict[str, Any]:
        """One change; answers what came of it."""
        params = {**more.pop("params", {}), "comment": comment}
        return self.read(method, path, doing, params=params, **more)


def path_to(*parts: str) -> str:
    """The path of these words and keys.

    What cannot be a key ends the program: ``..`` would lead to what is above, to be deleted.
    """
    for part in parts:
        if part in {"", ".", ".."} or "/" in part:
            fail(f"'{part}' cannot be a key", Exit.USAGE)
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that were given: neither None nor an empty list."""
    return {name: value for name, value in fields.items() if value not in (None, [])}


@contextmanager
def remote(url: str | None, token: str | None, data_dir: Path | None) -> Iterator[Remote]:
    """The server that the options name, or that of a folder."""
    if url is None or token is None:
        record = _record(data_dir or Path(".halyard"))
        url, token = url or record.url, token or record.admin.token
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S) as client:
        yield Remote(client)


def _record(folder: Path) -> _Record:
    try:
        return msgspec.json.decode((folder / "dev.json").read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError):
        reason = f"which server? '{folder}' is no `halyard dev` folder: give --url and --token"
        fail(f"{reason}, or set HALYARD_URL and HALYARD_TOKEN", Exit.USAGE)


def _refuse(response: httpx.Response) -> None:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    lines = [problem.detail or f"the server answered {response.status_code}"]
    if len(problem.errors) > 1:
        lines += [f"  {each.path}: {each.reason}" for each in problem.errors[:MAX_ERRORS_SHOWN]]
    code = Exit.UNAVAILABLE if response.status_code >= 500 else Exit.FAILED
    fail("\n".join(lines), code)


@contextmanager
def _shown(doing: str) -> Iterator[None]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    shown = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
    with shown as progress:
        progress.add_task(doing, total=None)
        yield
