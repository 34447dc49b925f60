"""Exit codes, and how an error becomes one line and a code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """What a program that calls `halyard` can rely on."""

    OK = 0
    FAILED = 1
    """It could not be done; standard error says why."""
    USAGE = 2
    """The arguments or the settings cannot be used."""
    UNAVAILABLE = 3
    """PostgreSQL, Redis or the server cannot be reached."""
    DIFFERENT = 4
    """A check found a difference: a broken chain, a ruleset that is not the log's fold."""
    IN_USE = 5
    """Another Halyard runs on the same data or port."""
    INTERRUPTED = 130
    """Ctrl-C ended a command."""


def fail(message: str, code: Exit = Exit.FAILED) -> NoReturn:
    """End with one line on standard error."""
    errors.print(f"[bold red]halyard:[/] {escape(message)}")
    raise typer.Exit(code)


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors that users cause or can mend into a line and an exit code."""
    from redis.exceptions import RedisError

    from eventstore.errors import StoreError, StoreUnavailable
    from server.embedded.faults import DataDirInUse, EmbeddedServersError
    from server.listening import CannotListen
    from server.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        fail(str(error), Exit.USAGE)
    except DataDirInUse as error:
        fail(str(error), Exit.IN_USE)
    except (StoreUnavailable, RedisError) as error:
        fail(str(error), Exit.UNAVAILABLE)
    except (EmbeddedServersError, StoreError) as error:
        fail(str(error))
    except CannotListen as error:
        fail(str(error), Exit.IN_USE if error.in_use else Exit.USAGE)
