"""One provider, as its relying party: sending people there, and taking them back.

OpenID Connect Core 1.0, section 3.1 (the authorization code flow), with PKCE (RFC 7636, S256), and
the issuer in the answer where the provider says so (RFC 9207). Addresses and keys come from the
provider's own documents, and are kept for a while; a key that is not among those that are kept is
asked for at once, but not more often than once in :data:`KEYS_AGAIN_S`, because anybody can make
one up.

No redirect is followed and nothing of the environment's proxies is used.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from server.oidc.errors import NotRecognised, ProviderUnavailable
from server.oidc.linking import Person
from server.oidc.providers import Provider, is_safe_address

TIMEOUT_S: Final = 10.0
DOCUMENTS_KEPT_S: Final = 3_600.0
KEYS_AGAIN_S: Final = 10.0
MAX_BYTES: Final = 512 * 1024
LEEWAY_S: Final = 60
"""Between the provider's clock and this one's."""
MAX_GROUPS: Final = 1_000
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Of id tokens: with a key of the provider's that is public. Never ``none``, nor with a secret."""

T = TypeVar("T")

Clock: TypeAlias = Callable[[], float]


class Flow(msgspec.Struct, frozen=True):
    """One login under way: kept here, for the browser that it was drawn for."""

    provider: str
    state: str
    nonce: str
    verifier: str


class _Discovered(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class RelyingParty:
    """See the module.

    Args:
        provider: as the operator trusts it.
        now_s: a monotonic clock.
        timeout_s: for each request to the provider.
    """

    def __init__(
        self, provider: Provider, now_s: Clock = time.monotonic, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.provider = provider
        self._now_s = now_s
        self._timeout_s = timeout_s
        self._discovered: tuple[_Discovered, float] | None = None
        self._keys: tuple[KeySet, float] | None = None

    async def begin(self, redirect_uri: str) -> tuple[str, Flow]:
        """Where to send a browser, and what to keep. Raises :class:`ProviderUnavailable`."""
        found = await self._discover()
        flow = Flow(
            self.provider.key,
            secrets.token_urlsafe(32),
            secrets.token_urlsafe(32),
            secrets.token_urlsafe(48),
        )
        url = prepare_grant_uri(
            found.authorization_endpoint,
            client_id=self.provider.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=" ".join(self.provider.scopes),
            state=flow.state,
            nonce=flow.nonce,
            code_challenge=create_s256_code_challenge(flow.verifier),
            code_challenge_method="S256",
        )
        return url, flow

    async def finish(self, flow: Flow, answer: dict[str, str], redirect_uri: str) -> Person:
        """Who it is that came back.

        ``answer`` is the query that the browser brought. Raises :class:`NotRecognised` and
        :class:`ProviderUnavailable`.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise self._doubt("the state is not that of a login that this browser has begun")
        found = await self._discover()
        if answer.get("iss", found.issuer) != found.issuer:
            raise self._doubt("another issuer has answered")
        if found.authorization_response_iss_parameter_supported and "iss" not in answer:
            raise self._doubt("the answer does not name its issuer")
        if "error" in answer or not answer.get("code"):
            raise self._doubt(f"it says: {answer.get('error', 'nothing')[:100]}")
        tokens = await self._exchange(found, answer["code"], flow, redirect_uri)
        claims = await self._verified(found, tokens, flow)
        return self._person(claims, await self._user_info(found, tokens, claims))

    # --- the provider's documents

    async def _discover(self) -> _Discovered:
        kept = self._discovered
        if kept is not None and self._now_s() - kept[1] < DOCUMENTS_KEPT_S:
            return kept[0]
        path = "/.well-known/openid-configuration"
        found = await self._get(self.provider.issuer.removesuffix("/") + path, _Discovered)
        if found.issuer != self.provider.issuer:
            raise self._away(f"it calls itself {found.issuer[:200]}")
        addresses = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
        if not all(map(is_safe_address, (*addresses, found.userinfo_endpoint or found.issuer))):
            raise self._away("one of its addresses does not begin with https://")
        self._discovered = found, self._now_s()
        return found

    async def _key_set(self, found: _Discovered, *, anew: bool) -> KeySet:
        kept = self._keys
        if kept is not None:
            age_s = self._now_s() - kept[1]
            if age_s < (KEYS_AGAIN_S if anew else DOCUMENTS_KEPT_S):
                return kept[0]
        written = await self._get(found.jwks_uri, dict[str, Any])
        try:
            keys = KeySet.import_key_set(written)  # type: ignore[arg-type]
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise self._away("its keys cannot be read") from error
        self._keys = keys, self._now_s()
        return keys

    async def _get(self, url: str, of: type[T], token: str = "") -> T:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        status, body = await self._asked("GET", url, headers)
        if status != httpx.codes.OK:
            raise self._away(f"{url} answers {status}")
        return self._read(url, body, of)

    def _read(self, url: str, body: bytes, of: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=of)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._away(f"{url} answers what cannot be read: {error}") from error

    async def _asked(
        self, method: str, url: str, headers: dict[str, str], form: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body; the time-out is for all of it."""
        body = b""
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpx.AsyncClient(timeout=self._timeout_s, trust_env=False) as client,
                client.stream(
                    method, url, headers={"accept": "application/json", **headers}, data=form
                ) as response,
            ):
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > MAX_BYTES:
                        raise self._away(f"{url} answers too much")
                return response.status_code, body
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise self._away(f"{url}: {type(error).__name__}") from error

    # --- tokens

    async def _exchange(
        self, found: _Discovered, code: str, flow: Flow, redirect_uri: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": flow.verifier,
        }
        status, body = await self._asked(
            "POST", found.token_endpoint, self._credentials(found, form), form
        )
        answer = self._read(found.token_endpoint, body, dict[str, Any])
        if status != httpx.codes.OK:
            raise self._doubt(f"it does not take the code: {str(answer.get('error'))[:100]}")
        return answer

    def _credentials(self, found: _Discovered, form: dict[str, str]) -> dict[str, str]:
        """The headers that say who asks; or the form is made to say it, where nothing else will."""
        client_id, secret = self.provider.client_id, self.provider.client_secret
        supported = found.token_endpoint_auth_methods_supported
        if secret and ("client_secret_basic" in supported or "client_secret_post" not in supported):
            # RFC 6749, section 2.3.1: each is written as in a form first.
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form["client_id"] = client_id
        if secret:
            form["client_secret"] = secret
        return {}

    async def _verified(
        self, found: _Discovered, tokens: dict[str, Any], flow: Flow
    ) -> dict[str, Any]:
        written = tokens.get("id_token")
        if not isinstance(written, str):
            raise self._doubt("it gave no id token")
        try:
            token = await self._decoded(found, written)
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self.provider.issuer},
                    "aud": {"essential": True, "value": self.provider.client_id},
                },
                {
                    "nonce": flow.nonce,
                    "client_id": self.provider.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise self._doubt(f"its id token is not good: {error}") from error
        return dict(claims)

    async def _decoded(self, found: _Discovered, written: str) -> jwt.Token:
        keys = await self._key_set(found, anew=False)
        try:
            return jwt.decode(written, keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            # The provider may have other keys by now.
            again = await self._key_set(found, anew=True)
            if again is keys:
                raise
            return jwt.decode(written, again, algorithms=list(ALGORITHMS))

    async def _user_info(
        self, found: _Discovered, tokens: dict[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        """Claims that stand there only. The provider is asked where the id token lacks any."""
        wanted = {"email", "email_verified", "name", self.provider.group_claim} - {""}
        token = tokens.get("access_token")
        if wanted <= claims.keys() or not found.userinfo_endpoint or not isinstance(token, str):
            return {}
        more: dict[str, Any] = await self._get(found.userinfo_endpoint, dict[str, Any], token)
        # Section 5.3.2: else somebody else's claims could be taken for theirs.
        if more.get("sub") != claims.get("sub"):
            raise self._doubt("its user info is of somebody else")
        return more

    def _person(self, claims: dict[str, Any], more: dict[str, Any]) -> Person:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise self._doubt("its subject is none")
        # Both of one source: an address that one has verified is not another one's.
        of_email = claims if "email" in claims else more
        email = of_email.get("email")
        groups = claims.get(self.provider.group_claim, more.get(self.provider.group_claim))
        name = claims.get("name", more.get("name"))
        return Person(
            issuer=self.provider.issuer,
            subject=subject,
            email=email if isinstance(email, str) and "@" in email else "",
            email_verified=of_email.get("email_verified") is True,
            name=name if isinstance(name, str) else "",
            groups=_texts(groups) if self.provider.group_claim else (),
        )

    def _doubt(self, why: str) -> NotRecognised:
        return NotRecognised(self.provider.key, why)

    def _away(self, why: str) -> ProviderUnavailable:
        return ProviderUnavailable(self.provider.key, why)


def _texts(found: object) -> tuple[str, ...]:
    if not isinstance(found, list):
        return ()
    return tuple(each for each in found[:MAX_GROUPS] if isinstance(each, str))
