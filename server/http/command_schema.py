"""The types of ``commands`` bodies, for the API's own description."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from domain.commands import COMMAND_TYPES, VoidEvent

MAX_BATCH = 1000

ANY_COMMAND: Any = reduce(or_, (of for of in COMMAND_TYPES.values() if of is not VoidEvent))
"""Any command, told apart by its ``type``; all but the one that only operators give."""

COMMAND_BATCH: Any = msgspec.defstruct(
    "CommandBatch",
    [("commands", Annotated[tuple[ANY_COMMAND, ...], Meta(min_length=1, max_length=MAX_BATCH)])],
    forbid_unknown_fields=True,
)
"""Commands that take effect together or not at all, in this order."""
