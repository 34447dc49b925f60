"""Regular expressions: RE2, one dialect in every language, in time linear in the text.

Patterns and texts go to the engine as UTF-8 bytes, which spares the wrapper a second conversion
of each text and lets a text with half a surrogate pair simply not match.

Linear is not enough. Where a pattern has too many states to remember, RE2 tries all of them at
each byte: ``(a?){500}a{500}b`` takes 19 seconds for a text of 1 MB. So pattern, program and text
are bounded; with all three at their bounds a search takes less than a second.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from halyard_protocol.limits import MAX_SEARCHED_LENGTH, MAX_VALUE_LENGTH

_MAX_PROGRAM_SIZE = 25_000
"""Instructions of a compiled pattern."""
_MAX_PROGRAM_BYTES = 1024 * 1024
"""What one pattern may keep in memory, with the states that it has met: a thousand are cached."""


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PROGRAM_BYTES
    return options


_OPTIONS = _options()


class BadPattern(Exception):
    """The text is not a pattern of RE2, or too large a one; ``str()`` is the reason."""


_TOO_LONG = BadPattern(f"is longer than {MAX_VALUE_LENGTH} characters")
_TOO_LARGE = BadPattern("repeats too much: its program would be too large")


def search(pattern: str, text: str) -> bool:
    """Tell whether the pattern occurs anywhere in the text.

    A bad pattern occurs nowhere, and nothing occurs in a text that is longer than
    :data:`~halyard_protocol.limits.MAX_SEARCHED_LENGTH`.
    """
    if len(text) > MAX_SEARCHED_LENGTH:
        return False
    compiled = _compiled(pattern)
    if isinstance(compiled, BadPattern):
        return False
    return compiled.search(text.encode("utf-8", "surrogatepass")) is not None


def pattern_problem(pattern: str) -> str | None:
    """Why the text is not a pattern; None where it is one."""
    compiled = _compiled(pattern)
    return str(compiled) if isinstance(compiled, BadPattern) else None


def _compiled(pattern: str) -> Any:
    return _known(pattern) if len(pattern) <= MAX_VALUE_LENGTH else _TOO_LONG


@lru_cache(maxsize=1024)
def _known(pattern: str) -> Any:
    try:
        compiled = re2.compile(pattern.encode(), _OPTIONS)
    except UnicodeEncodeError:
        return BadPattern("holds half a surrogate pair")
    except re2.error as error:
        reason = error.args[0] if error.args else "cannot be compiled"
        return BadPattern(reason.decode(errors="replace") if isinstance(reason, bytes) else reason)
    return compiled if compiled.programsize <= _MAX_PROGRAM_SIZE else _TOO_LARGE
