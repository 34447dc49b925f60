"""The types of ``commands`` bodies, for the API's own description."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from domain.commands import COMMAND_TYPES, VoidEvent
from domain.webhook_commands import ChangeWebhookTarget, CreateWebhook, RotateWebhookSecret

MAX_BATCH = 1000

OF_WEBHOOKS = (CreateWebhook, ChangeWebhookTarget, RotateWebhookSecret)
"""What names a credential: only the routes of webhooks, which keep those, may give it."""

ANY_COMMAND: Any = reduce(
    or_, (of for of in COMMAND_TYPES.values() if of not in (VoidEvent, *OF_WEBHOOKS))
)
"""Any command, told apart by its ``type``; but for those that are not taken here."""

COMMAND_BATCH: Any = msgspec.defstruct(
    "CommandBatch",
    [("commands", Annotated[tuple[ANY_COMMAND, ...], Meta(min_length=1, max_length=MAX_BATCH)])],
    forbid_unknown_fields=True,
)
"""Commands that take effect together or not at all, in this order."""
