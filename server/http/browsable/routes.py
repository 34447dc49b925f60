"""The page, and what it is made of."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from functools import cache
from pathlib import Path

import msgspec

from server.http.call import Call
from server.http.faults import NotFound
from server.http.negotiation import accepts_gzip
from server.http.replies import Header, Reply
from server.http.routes import Route

DOCS = "/docs"

_FOLDER = Path(__file__).parent / "assets"
_HTML = "text/html; charset=utf-8"
_CONTENT_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_GUARDS: tuple[Header, ...] = (
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_FOR_EVER = b"public, max-age=31536000, immutable"
_REVALIDATED = b"no-cache"
_VARIES: Header = (b"vary", b"accept-encoding")


class Asset(msgspec.Struct, frozen=True):
    """A file as it is served."""

    content_type: str
    content: bytes
    deflated: bytes
    """The same as gzip."""


class Assets(msgspec.Struct, frozen=True):
    """All that the page is made of."""

    page: Asset
    by_name: dict[str, Asset]
    """By the names that the page knows them by."""


async def read_page(call: Call) -> Reply:
    """The page itself."""
    return _reply(call, (await _assets()).page, _REVALIDATED)


async def read_asset(call: Call) -> Reply:
    """A script or a style of it."""
    name = call.parameters["asset"]
    asset = (await _assets()).by_name.get(name)
    if asset is None:
        raise NotFound("asset", name)
    return _reply(call, asset, _FOR_EVER)


def _reply(call: Call, asset: Asset, cache_control: bytes) -> Reply:
    headers, content = (*_GUARDS, _VARIES), asset.content
    if accepts_gzip(call.header(b"accept-encoding")):
        headers, content = (*headers, (b"content-encoding", b"gzip")), asset.deflated
    content_type = asset.content_type.encode()
    return Reply(200, content, content_type, headers, cache_control=cache_control)


async def _assets() -> Assets:
    """Read and deflated once, in a thread: a tenth of a second, when somebody first looks."""
    return await asyncio.to_thread(assets)


@cache
def assets() -> Assets:
    """What is in the folder, under the names that it is served by."""
    names: dict[str, str] = {}
    by_name: dict[str, Asset] = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _CONTENT_TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:12]
            names[path.name] = f"{path.stem}.{digest}{path.suffix}"
            by_name[names[path.name]] = _asset(_CONTENT_TYPES[path.suffix], content)
    page = re.sub(
        r"\{([\w.-]+)\}", lambda found: names[found[1]], (_FOLDER / "page.html").read_text()
    )
    return Assets(_asset(_HTML, page.encode()), by_name)


def _asset(content_type: str, content: bytes) -> Asset:
    return Asset(content_type, content, gzip.compress(content, 9, mtime=0))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=DOCS,
        summary="This description as a page",
        handler=read_page,
        permission=None,
        tag="operations",
        response=str,
        content_type=_HTML,
    ),
    Route(
        method="GET",
        path=f"{DOCS}/{{asset}}",
        summary="What the page is made of",
        handler=read_asset,
        permission=None,
        tag="operations",
        response=str,
        content_type=_CONTENT_TYPES[".js"],
        also_as=((_CONTENT_TYPES[".css"], str),),
    ),
)
