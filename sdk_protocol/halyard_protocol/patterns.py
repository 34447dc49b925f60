"""Regular expressions: RE2, one dialect in every language, in time linear in the text.

Patterns and texts go to the engine as UTF-8 bytes, which spares the wrapper a second conversion
of each text and lets a text with half a surrogate pair simply not match.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2


def _quiet_options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


_OPTIONS = _quiet_options()


class BadPattern(Exception):
    """The text is not a pattern of RE2; ``str()`` is the engine's reason."""


def search(pattern: str, text: str) -> bool:
    """Tell whether the pattern occurs anywhere in the text; a bad pattern occurs nowhere."""
    compiled = _compiled(pattern)
    if isinstance(compiled, BadPattern):
        return False
    return compiled.search(text.encode("utf-8", "surrogatepass")) is not None


def pattern_problem(pattern: str) -> str | None:
    """Why the text is not a pattern; None where it is one."""
    compiled = _compiled(pattern)
    return str(compiled) if isinstance(compiled, BadPattern) else None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    try:
        return re2.compile(pattern.encode(), _OPTIONS)
    except UnicodeEncodeError:
        return BadPattern("holds half a surrogate pair")
    except re2.error as error:
        reason = error.args[0] if error.args else "cannot be compiled"
        return BadPattern(reason.decode(errors="replace") if isinstance(reason, bytes) else reason)
