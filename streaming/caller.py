"""The key of an HTTP request, while it is being judged.

An environment takes it for a visitor, as it does a connection whose key has not been found yet.

NotServed
├── KeyRefused     the key is wrong, was revoked, or has ended: for good
└── NotAvailable   it cannot be told at present; try again shortly
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from halyard_protocol.close_codes import CloseCode

if TYPE_CHECKING:
    from streaming.environment import Environment


class NotServed(Exception):
    """A key opens nothing here; ``str()`` says why."""


class KeyRefused(NotServed):
    """The key has not the form of one, is unknown, was revoked, or has come to its end."""


class NotAvailable(NotServed):
    """Whether the key is live cannot be told at present, or its ruleset is not there yet."""


class Caller:
    """One request that waits for its key to be found.

    Attributes:
        document_key: under which the ruleset has its key.
        found: the environment, once the key was found live there, or a :class:`NotServed`.
            Cancelled where the request has gone.
    """

    __slots__ = ("document_key", "found")

    def __init__(self, document_key: str) -> None:
        self.document_key = document_key
        self.found: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        """Whether it still waits."""
        return not self.found.done()

    def admit(self, environment: Environment) -> None:
        """Its key is live."""
        if self.is_open:
            self.found.set_result(environment)

    def close(self, code: CloseCode, reason: str) -> None:
        """Its key opens nothing: what a connection would be closed with."""
        if self.is_open:
            refused = KeyRefused if code is CloseCode.KEY_REFUSED else NotAvailable
            self.found.set_exception(refused(reason))
