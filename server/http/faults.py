"""What can be wrong with a request before it means anything to the domain.

Fault
├── NoSuchRoute          the path is nobody's
├── MethodNotAllowed     the path is somebody's, by other methods
├── NotFound             the path is right, what it names does not exist
├── Unauthenticated      no token, or not a valid one
├── ForgedRequest        a cookie, and not all that a page of this server sends with it
├── WrongKindOfKey       a client key, where one for servers is needed
├── ForeignOrigin        a client key, on a page that it is not for
├── RulesetUnavailable   an SDK key cannot be judged at present
├── ProviderAway         an identity provider does not answer
├── LoginUnproven        what came back from one proves nothing
├── LastWayIn            without this identity nobody could log in any more
├── TooManyStreams       no further stream of events can be opened
├── TooManyImports       as many documents are being taken in as may be at a time
├── TooManyAttempts      too many deliveries are being made by hand
├── Malformed            a field, parameter or header is not as it must be
├── NotJson              the body cannot be read at all
├── NotYaml              the same of a body that says it is YAML
├── EncodedBody          the body is compressed
├── BodyTooLarge         more bytes than the route takes
├── BodyTooSlow          the rest of the body did not come in time
├── ImportRefused        the project's state stands against a document
├── Overtaken            a stale revision, with what came between
├── PlanOutdated         what a plan rests on has moved since it was made
├── RevertClash          what is to be undone was edited since
├── OtherCount           a filter finds more or fewer than was expected
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


class ForgedRequest(Fault):
    """``header`` is what is missing or wrong: a page of another site may have asked."""

    def __init__(self, header: str, reason: str) -> None:
        self.errors = (Problem(header, reason),)
        super().__init__(f"{header} {reason}")


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


class ProviderAway(Fault):
    """``name`` is what people call the identity provider; what is wrong is in the log."""

    headers = ((b"retry-after", b"5"),)

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not answer as it must: try again shortly")


class LoginUnproven(Fault):
    """It is not told what is missing: who forges an answer would like to know."""

    def __init__(self) -> None:
        super().__init__(
            "this is no answer to a login that this browser began lately: begin the login anew"
        )


class LastWayIn(Fault):
    """The account has neither a password nor another identity."""

    def __init__(self) -> None:
        super().__init__("this is the only way into the account: link another identity first")


class TooManyStreams(Fault):
    """This process has as many streams of events as it takes, of this key or of all, or drains."""

    headers = ((b"retry-after", b"5"),)

    def __init__(self) -> None:
        super().__init__("no further stream of events can be opened here at present")


class TooManyAttempts(Fault):
    """As many deliveries are being made by hand in this process as may be at a time."""

    headers = ((b"retry-after", b"5"),)

    def __init__(self) -> None:
        super().__init__("other deliveries are being tried by hand here; try again shortly")


class TooManyImports(Fault):
    """As many imports are being made in this process as may be at a time, and others wait."""

    headers = ((b"retry-after", b"5"),)

    def __init__(self) -> None:
        super().__init__("other imports are being made here; try again shortly")


class Malformed(Fault):
    """At least one field, parameter or header is refused; ``errors`` names each."""

    def __init__(self, *errors: Problem) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{error.path or 'body'}: {error.reason}" for error in errors))


class NotJson(Fault):
    """The body is not JSON in UTF-8."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the body is not JSON: {reason}")


class NotYaml(Fault):
    """The body is not YAML that holds what JSON can hold."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the body is not YAML as it is read here: {reason}")


class EncodedBody(Fault):
    """``encoding`` is what ``Content-Encoding`` says; how much comes out of it is not known."""

    headers = (*_CLOSING, (b"accept-encoding", b"identity"))

    def __init__(self, encoding: str) -> None:
        self.errors = (Problem("Content-Encoding", "send the body as it is"),)
        super().__init__(f"a body is not taken as '{encoding[:MAX_SHOWN]}': send it as it is")


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


class ImportRefused(Fault):
    """Nothing of an import happened; ``errors`` point into the document."""

    def __init__(self, errors: tuple[Problem, ...]) -> None:
        self.errors = errors
        first = f"{errors[0].path or 'document'}: {errors[0].reason}"
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"nothing was imported: {first}{more}")


class Overtaken(Fault):
    """Somebody was faster: ``refusal`` says at which revision the entity is."""

    def __init__(self, refusal: StaleRevision, between: tuple[Any, ...]) -> None:
        self.refusal = refusal
        self.between = between
        """The entity's events since the expected revision, as the API writes events."""
        super().__init__(str(refusal))
        if refusal.command_number is not None:
            self.errors = (Problem(f"/commands/{refusal.command_number}", str(refusal)),)


class PlanOutdated(Fault):
    """``between`` is what happened since the plan was made, with who and when."""

    def __init__(self, between: tuple[Any, ...]) -> None:
        self.between = between
        super().__init__("what the plan rests on has moved since: make another plan")


class RevertClash(Fault):
    """``clashes`` are the parts that were edited after the change that is to be undone."""

    def __init__(self, clashes: tuple[Any, ...]) -> None:
        self.clashes = clashes
        super().__init__(
            f"{len(clashes)} of its parts were edited since: plan with overwrite to undo them too"
        )


class OtherCount(Fault):
    """``found`` is how many there are, where ``expected`` were expected."""

    def __init__(self, path: str, expected: int, found: int) -> None:
        reason = f"{found} meet this by now, not {expected}: look again, and send {found}"
        self.errors = (Problem(path, reason),)
        super().__init__(reason)


class NotServedHere(Fault):
    """Another process of the installation has it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"this process does not serve {what}; ask one that has the role for it")
