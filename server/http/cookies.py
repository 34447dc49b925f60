"""A browser's login: the cookie that holds it, and what keeps other sites from using it.

A browser sends the cookie with whatever any page makes it send. So what changes something needs
two things that only a page of this server has: the CSRF token, which is bound to the login by
HMAC, and an ``Origin`` that is this server's own. Over https the cookie has the prefix
``__Host-``: no other host of the domain can set or replace it (RFC 6265bis, section 4.1.3).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from server.http.faults import ForgedRequest

if TYPE_CHECKING:
    from server.http.call import Call
    from server.http.replies import Header

NAME = "halyard_session"
OF_FLOW = "halyard_login"
"""While somebody is at an identity provider: it binds what comes back to this browser."""
CSRF_HEADER = "X-CSRF-Token"
MAX_LENGTH = 256
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_CSRF = b"halyard csrf token"


def session_cookie(
    call: Call, secret: str, max_age_s: int, same_site: Literal["Strict", "Lax"] = "Strict"
) -> Header:
    """Sets the cookie. ``Lax`` where a page of another site leads here with the login begun."""
    return _set(call, NAME, secret, max_age_s, same_site)


def flow_cookie(call: Call, secret: str, max_age_s: int) -> Header:
    """Sets the cookie of a login under way; ``Lax``, as the provider's page leads back here."""
    return _set(call, OF_FLOW, secret, max_age_s, "Lax")


def _set(call: Call, name: str, secret: str, max_age_s: int, same_site: str) -> Header:
    secure = "; Secure" if call.secure else ""
    value = (
        f"{_named(call, name)}={secret}; Path=/; Max-Age={max_age_s}; HttpOnly; "
        f"SameSite={same_site}{secure}"
    )
    return (b"set-cookie", value.encode("ascii"))


def no_cookie(call: Call) -> Header:
    """Takes the cookie away."""
    return session_cookie(call, "", 0)


def no_flow_cookie(call: Call) -> Header:
    """The same of a login under way."""
    return flow_cookie(call, "", 0)


def presented_cookie(call: Call, name: str = NAME) -> str | None:
    """The secret in the cookie; None without one, or where there are two of the name."""
    header = call.header(b"cookie") or ""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    found = [value for each, _, value in pairs if each == _named(call, name)]
    return found[0] if len(found) == 1 and 0 < len(found[0]) <= MAX_LENGTH else None


def csrf_token(secret: str) -> str:
    """What a page has to send back beside the cookie, in ``X-CSRF-Token``."""
    return hmac.new(secret.encode("latin-1"), _CSRF, hashlib.sha256).hexdigest()


def refuse_forgery(call: Call, secret: str) -> None:
    """Raises :class:`ForgedRequest` where a change may have been asked for by another site."""
    if call.method in SAFE_METHODS:
        return
    refuse_foreign_page(call)
    if call.origin is None:
        raise ForgedRequest("Origin", "is needed with a cookie: browsers send it")
    sent = call.header(CSRF_HEADER.lower().encode()) or ""
    if not hmac.compare_digest(sent.encode("latin-1"), csrf_token(secret).encode()):
        raise ForgedRequest(CSRF_HEADER, "is needed with a cookie: the login and auth/me tell it")


def refuse_foreign_page(call: Call) -> None:
    """Raises :class:`ForgedRequest` where a page of another site asks."""
    public_url = call.dependencies.settings.public_url
    if public_url:
        if call.origin not in (None, public_url):
            raise ForgedRequest("Origin", f"is not {public_url}, where this server is reached")
        return
    # By host and port: of the scheme a proxy may have another idea, and whoever can serve a page
    # under this very host is not kept out by it.
    if call.origin is not None and urlsplit(call.origin).netloc != (call.header(b"host") or ""):
        raise ForgedRequest("Origin", "is another site's")


def _named(call: Call, name: str) -> str:
    return f"__Host-{name}" if call.secure else name
