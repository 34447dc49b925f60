"""Who is at the other end: the address behind proxies, and what is recorded of it with a change.

``X-Forwarded-For`` is what anybody may send, so it is believed of no peer but those that the
operator has named. Each proxy appends the address that it was asked from; the one that counts is
the last that no trusted proxy has, since everything before it was written by strangers.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from starlette.types import Scope

from eventstore.log import Origin

if TYPE_CHECKING:
    from server.http.call import Call
    from server.settings import Networks

USER_AGENT_LENGTH = 120
MAX_HOPS = 32

_FORWARDED_FOR = b"x-forwarded-for"
_FORWARDED_PROTO = b"x-forwarded-proto"


def address_of(scope: Scope, trusted: Networks) -> str:
    """The peer's address; that of whom it speaks for, where it is a trusted proxy.

    Empty where there is none to speak of: the peer of a Unix socket.
    """
    peer = scope.get("client")
    address: str = "" if peer is None else peer[0]
    if not trusted or not _is_in(_read(address), trusted):
        return address
    for hop in reversed(_forwarded_for(scope)[-MAX_HOPS:]):
        read = _read(hop)
        if read is None:
            break  # whoever wrote this, it is no address: the last one that was will do
        address = str(read)
        if not _is_in(read, trusted):
            break
    return address


def is_secure(scope: Scope, trusted: Networks) -> bool:
    """Whether it came by https, as the last trusted proxy says where there is one."""
    if scope.get("scheme") == "https":
        return True
    peer = scope.get("client")
    if not trusted or peer is None or not _is_in(_read(peer[0]), trusted):
        return False
    said = [value for name, value in scope["headers"] if name == _FORWARDED_PROTO]
    return bool(said) and said[-1].rpartition(b",")[2].strip().lower() == b"https"


def _forwarded_for(scope: Scope) -> list[str]:
    values = [value for name, value in scope["headers"] if name == _FORWARDED_FOR]
    return b",".join(values).decode("latin-1").split(",") if values else []


def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: IPv4Address | IPv6Address | None, networks: Networks) -> bool:
    return address is not None and any(address in network for network in networks)


def origin_of(call: Call) -> Origin:
    """What is recorded of where a command came from."""
    agent = (call.header(b"user-agent") or "").replace("\0", "")[:USER_AGENT_LENGTH]
    credential = call.credential
    return Origin(
        credential_kind=None if credential is None else credential.kind,
        credential_id=None if credential is None else credential.id,
        address=call.address or None,
        user_agent=agent or None,
    )
