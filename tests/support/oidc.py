"""Browsers and people at a real OpenID provider, for tests of logins by it."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from server.oidc.providers import Provider

SCRIPTS = Path(__file__).parents[1] / "acceptance" / "oidc"
ANN: dict[str, Any] = {
    "email": "ann@example.org",
    "email_verified": True,
    "name": "Ann",
    "groups": ["flag-admins"],
}


def corporate(issuer: str, **more: Any) -> Provider:
    """As an operator has the provider of `provider.mjs`."""
    trusted: dict[str, Any] = {
        "key": "corporate",
        "name": "Example Inc.",
        "issuer": issuer,
        "client_id": "halyard",
        "client_secret": "a secret that nobody knows",
        "scopes": ("openid", "email", "profile"),
        "group_claim": "groups",
        "groups": (),
        "email_domains": (),
        "creates_accounts": True,
        "links_by_email": False,
    }
    return Provider(**trusted | more)


async def browse_to(browser: httpx.AsyncClient, url: str, back: str, login: str) -> str:
    """Where the provider sends a browser back to, whose person logs in there and consents."""
    response = await browser.get(url)
    for _ in range(12):
        if response.is_redirect:
            target = urljoin(str(response.url), response.headers["location"])
            if target.startswith(back):
                return target
            response = await browser.get(target)
            continue
        assert response.status_code == 200, response.text
        form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', response.text))
        action = re.search(r'<form[^>]*action="([^"]+)"', response.text)
        assert action is not None, response.text
        if form.get("prompt") == "login":
            form |= {"login": login, "password": "any"}
        target = urljoin(str(response.url), html.unescape(action[1]))
        response = await browser.post(target, data=form)
    raise AssertionError("the provider has led nowhere")
