"""What can be wrong with a request before it means anything to the domain.

Fault
├── NoSuchRoute          the path is nobody's
├── MethodNotAllowed     the path is somebody's, by other methods
├── NotFound             the path is right, what it names does not exist
├── Unauthenticated      no token, or not a valid one
├── Forbidden            the account lacks a permission
├── WrongKindOfKey       a client key, where one for servers is needed
├── ForeignOrigin        a client key, on a page that it is not for
├── RulesetUnavailable   an SDK key cannot be judged at present
├── TooManyStreams       no further stream of events can be opened
├── Malformed            a field, parameter or header is not as it must be
├── NotJson              the body cannot be read at all
├── BodyTooLarge         more bytes than the route takes
├── BodyTooSlow          the rest of the body did not come in time
├── Overtaken            a stale revision, with what came between
└── NotServedHere        this process does not have what is asked for
"""

from __future__ import annotations

from typing import Any

from halyard_protocol.problems import Problem

from domain.errors import StaleRevision

_CLOSING = ((b"connection", b"close"),)
"""What is left of the body is not read."""

MAX_SHOWN = 200
"""Characters of what a caller sent that are repeated to it."""


class Fault(Exception):
    """Its text is a sentence for whoever sent the request."""

    errors: tuple[Problem, ...] = ()
    """What is wrong where.

    A path is a JSON pointer into the body (``/variations/0/key``; empty for all of it), ``?name``
    for a query parameter, or the name of a header.
    """
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Of the answer."""


class NoSuchRoute(Fault):
    """Nothing is at this path."""

    def __init__(self, path: str) -> None:
        super().__init__(f"nothing is at {path}; /openapi.json lists every path")


class MethodNotAllowed(Fault):
    """The path takes other methods."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        words = ", ".join(allowed)
        self.headers = ((b"allow", words.encode()),)
        super().__init__(f"this path takes {words}, not {method}")


class NotFound(Fault):
    """``what`` is the kind of thing, ``key`` its name."""

    def __init__(self, what: str, key: str) -> None:
        super().__init__(f"{what} '{key}' does not exist")


class Unauthenticated(Fault):
    """Says why, without telling a wrong token from a revoked one."""

    def __init__(self, reason: str, error: str = "") -> None:
        challenge = 'Bearer realm="halyard"' + (f', error="{error}"' if error else "")
        self.headers = ((b"www-authenticate", challenge.encode()),)
        super().__init__(reason)


class Forbidden(Fault):
    """``permission`` is the verb that is missing, such as ``flag:write``."""

    def __init__(self, permission: str) -> None:
        self.permission = permission
        super().__init__(f"this needs the permission {permission}")


class WrongKindOfKey(Fault):
    """``kind`` is that of the SDK key that was sent."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"a {kind} key does not open this: rules are for server keys alone")


class ForeignOrigin(Fault):
    """``origin`` is the page's; ``key_id`` the client key's, which names others."""

    def __init__(self, origin: str, key_id: str) -> None:
        reason = f"'{origin[:MAX_SHOWN]}' is not among the allowed origins of client key '{key_id}'"
        self.errors = (Problem("Origin", reason),)
        super().__init__(f"{reason}: add it there, or use a key of this site's own")


class RulesetUnavailable(Fault):
    """The ruleset of an SDK key's environment is not there, or may be behind."""

    def __init__(self, reason: str) -> None:
        self.headers = ((b"retry-after", b"1"),)
        super().__init__(f"{reason}; try again shortly")


class TooManyStreams(Fault):
    """This process has as many streams of events as it takes, of this key or of all, or drains."""

    headers = ((b"retry-after", b"5"),)

    def __init__(self) -> None:
        super().__init__("no further stream of events can be opened here at present")


class Malformed(Fault):
    """At least one field, parameter or header is refused; ``errors`` names each."""

    def __init__(self, *errors: Problem) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{error.path or 'body'}: {error.reason}" for error in errors))


class NotJson(Fault):
    """The body is not JSON in UTF-8."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the body is not JSON: {reason}")


class BodyTooLarge(Fault):
    """``limit_bytes`` is what this route takes."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.headers = _CLOSING
        super().__init__(f"the body is larger than {limit_bytes} bytes")


class BodyTooSlow(Fault):
    """The body did not arrive within ``timeout_s`` seconds."""

    def __init__(self, timeout_s: float) -> None:
        self.headers = _CLOSING
        super().__init__(f"the body did not arrive within {timeout_s:g} seconds")


class Overtaken(Fault):
    """Somebody was faster: ``refusal`` says at which revision the entity is."""

    def __init__(self, refusal: StaleRevision, between: tuple[Any, ...]) -> None:
        self.refusal = refusal
        self.between = between
        """The entity's events since the expected revision, as the API writes events."""
        super().__init__(str(refusal))
        if refusal.command_number is not None:
            self.errors = (Problem(f"/commands/{refusal.command_number}", str(refusal)),)


class NotServedHere(Fault):
    """Another process of the installation has it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"this process does not serve {what}; ask one that has the role for it")
