"""One request to a receiver, and whatever may come of it.

A name is resolved once for each attempt, every address that it has is judged, and the connection is
made to one of exactly those: between the judgement and the connection nobody is asked again, so a
name that changes its mind in between (DNS rebinding) gains nothing. TLS still proves the name.

Nothing of the environment's proxies is used, no redirect is followed, and of the answer a first
piece is read, as it came: what it inflates to is never seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Final, TypeAlias

import httpx
import msgspec

from server.webhooks.destinations import Destination
from server.webhooks.networks import Address, NetworkRefused, Networks, read_address

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 10.0
"""Between two pieces of what is sent or received."""
TOTAL_TIMEOUT_S: Final = 15.0
"""For all of an attempt, the resolution of the name included."""
EXCERPT_BYTES: Final = 1_024
EXCERPT_TIMEOUT_S: Final = 2.0
"""The status is known by then; a body that trickles in does not undo it."""
MAX_ADDRESSES: Final = 3
"""Of one name, that are tried one after the other."""
USER_AGENT: Final = "Halyard-Webhook/1"

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name and a port to addresses; raises ``OSError``."""


class Answer(msgspec.Struct, frozen=True):
    """What came of it: a status, or the reason why there is none."""

    status: int | None
    duration_ms: int
    error: str = ""
    excerpt: str = ""
    retry_after: str | None = None


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this machine knows them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


class Poster:
    """Sends requests. Holds no connection from one to the next.

    Args:
        resolve: how names become addresses.
        total_timeout_s: for all of an attempt.
    """

    def __init__(
        self,
        resolve: Resolve = resolved,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
        verify: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._resolve = resolve
        self._verify = verify or _trusted
        self.total_timeout_s = total_timeout_s

    async def post(
        self, to: Destination, headers: dict[str, str], body: bytes, networks: Networks
    ) -> Answer:
        """Send a body; never raises but when cancelled."""
        began_s = time.perf_counter()
        status, error, excerpt, retry_after = None, "", "", None
        try:
            async with asyncio.timeout(self.total_timeout_s):
                addresses = await self._addresses(to, networks)
                status, excerpt, retry_after = await self._first(addresses, to, headers, body)
            if not 200 <= status < 300:
                error = _what_is_wrong(status)
        except TimeoutError:
            error = f"nothing came of it within {self.total_timeout_s:g} seconds"
        except NetworkRefused as refused:
            error = str(refused)
        except OSError:
            error = "the name could not be resolved"
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            error = _why(failure)
        duration_ms = round(1000 * (time.perf_counter() - began_s))
        return Answer(status, duration_ms, error, excerpt, retry_after)

    async def _addresses(self, to: Destination, networks: Networks) -> tuple[Address, ...]:
        """All of them, each judged: one that is refused tells what the others may become."""
        literal = to.literal
        if literal is not None:
            addresses: tuple[Address, ...] = (literal,)
        else:
            addresses = tuple(map(read_address, await self._resolve(to.host, to.port)))
        if not addresses:
            raise OSError("no address")
        for address in addresses:
            networks.check(address)
        return addresses[:MAX_ADDRESSES]

    async def _first(
        self,
        addresses: tuple[Address, ...],
        to: Destination,
        headers: dict[str, str],
        body: bytes,
    ) -> tuple[int, str, str | None]:
        """The answer of the first that can be connected to."""
        for address in addresses[:-1]:
            try:
                return await self._ask(address, to, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._ask(addresses[-1], to, headers, body)

    async def _ask(
        self, address: Address, to: Destination, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, str | None]:
        url = httpx.URL(
            scheme=to.scheme, host=str(address), port=to.port, raw_path=to.path.encode()
        )
        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        async with httpx.AsyncClient(
            # Always the one: each client would make a context of its own, which takes milliseconds.
            verify=self._verify(),
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
        ) as client:
            request = httpx.Request(
                "POST",
                url,
                headers={**headers, "Host": to.authority, "User-Agent": USER_AGENT},
                content=body,
                # The name is what the certificate must be of, and what a server chooses it by.
                extensions={"timeout": timeout.as_dict(), **_server_name(to)},
            )
            response = await client.send(request, stream=True)
            try:
                excerpt = await _beginning(response)
            finally:
                await response.aclose()
        return response.status_code, excerpt, response.headers.get("retry-after")


def _server_name(to: Destination) -> dict[str, str]:
    return {"sni_hostname": to.host} if to.literal is None else {}


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()


async def _beginning(response: httpx.Response) -> str:
    """The first piece, as text; a connection lost within it is an answer all the same."""
    held = b""
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(EXCERPT_TIMEOUT_S):
            async for piece in response.aiter_raw():
                held += piece
                if len(held) >= EXCERPT_BYTES:
                    break
    text = held[:EXCERPT_BYTES].decode("utf-8", "replace")
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)


def _what_is_wrong(status: int) -> str:
    if 300 <= status < 400:
        return f"it answered {status}: redirects are not followed, give the address that is meant"
    return f"it answered {status}"


def _why(failure: Exception) -> str:
    """A sentence that repeats nothing of the address."""
    match failure:
        case httpx.ConnectTimeout():
            return f"no connection within {CONNECT_TIMEOUT_S:g} seconds"
        case httpx.ConnectError():
            certificate = "certificate" in str(failure).lower()
            return "its certificate is not trusted" if certificate else "nothing listens there"
        case httpx.TimeoutException():
            return f"no answer within {ANSWER_TIMEOUT_S:g} seconds"
        case httpx.RemoteProtocolError():
            return "it closed the connection, or what it answered is not HTTP"
        case _:
            return "the connection was lost before there was an answer"
