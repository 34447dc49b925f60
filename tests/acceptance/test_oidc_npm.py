"""Our relying party with a real OpenID provider, npm's oidc-provider, in a process of its own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest
import pytest_asyncio

from server.oidc import relying
from server.oidc.errors import NotRecognised, ProviderUnavailable
from server.oidc.relying import Flow, RelyingParty
from tests.support.node import NodeScript, install_packages
from tests.support.oidc import ANN, SCRIPTS, browse_to, corporate

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(300),  # what npm may take is in it
    pytest.mark.asyncio(loop_scope="module"),
]

BACK = "http://127.0.0.1:1/api/v1/auth/oidc/corporate/callback"


@pytest.fixture(scope="session")
def packages() -> None:
    install_packages(SCRIPTS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(
    packages: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeScript]:
    log = tmp_path_factory.mktemp("oidc") / "provider.log"
    async with NodeScript(SCRIPTS / "provider.mjs", log) as script:
        yield script


@pytest_asyncio.fixture(loop_scope="module")
async def party(script: NodeScript) -> RelyingParty:
    """Of a provider that has just been started anew, with keys that nobody knows yet."""
    started = await script.ask("start", redirects=[BACK])
    await script.ask("person", id="ann", claims=ANN)
    return RelyingParty(corporate(started["issuer"]))


async def browse(url: str, login: str = "ann") -> dict[str, str]:
    """What a browser brings back, whose person logs in at the provider and consents."""
    async with httpx.AsyncClient(timeout=20, trust_env=False) as browser:
        back = await browse_to(browser, url, BACK, login)
        return dict(parse_qsl(urlsplit(back).query))


async def test_somebody_comes_back_as_who_they_are(party: RelyingParty) -> None:
    url, flow = await party.begin(BACK)
    asked = dict(parse_qsl(urlsplit(url).query))
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert flow.verifier not in url
    person = await party.finish(flow, await browse(url), BACK)
    assert (person.issuer, person.subject) == (party.provider.issuer, "ann")
    assert (person.email, person.email_verified, person.name) == ("ann@example.org", True, "Ann")
    assert person.groups == ("flag-admins",)


async def test_an_address_that_was_not_verified_is_none_to_vouch_for(
    party: RelyingParty, script: NodeScript
) -> None:
    claims = {**ANN, "email_verified": "true"}
    await script.ask("person", id="eve", claims=claims)
    url, flow = await party.begin(BACK)
    person = await party.finish(flow, await browse(url, "eve"), BACK)
    assert (person.subject, person.email_verified, person.vouched_email) == ("eve", False, "")


@pytest.mark.parametrize(
    ("field", "says"),
    [("verifier", "invalid_grant"), ("nonce", "nonce"), ("state", "state")],
)
async def test_what_was_drawn_for_another_login_proves_nothing(
    party: RelyingParty, field: str, says: str
) -> None:
    url, flow = await party.begin(BACK)
    _, other = await party.begin(BACK)
    mixed: Flow = msgspec.structs.replace(flow, **{field: getattr(other, field)})
    with pytest.raises(NotRecognised, match=says):
        await party.finish(mixed, await browse(url), BACK)


async def test_a_login_without_pkce_is_not_even_begun_there(party: RelyingParty) -> None:
    url, _ = await party.begin(BACK)
    bare = re.sub(r"&?code_challenge(_method)?=[^&]*", "", url)
    assert (await browse(bare))["error"] == "invalid_request"


async def test_an_answer_is_good_once(party: RelyingParty) -> None:
    url, flow = await party.begin(BACK)
    answer = await browse(url)
    await party.finish(flow, answer, BACK)
    with pytest.raises(NotRecognised, match="invalid_grant"):
        await party.finish(flow, answer, BACK)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"code": ""}, "nothing"),
        ({"error": "access_denied"}, "access_denied"),
        ({"state": ""}, "state"),
    ],
)
async def test_an_answer_that_was_altered_proves_nothing(
    party: RelyingParty, changed: dict[str, str], says: str
) -> None:
    url, flow = await party.begin(BACK)
    answer = await browse(url)
    with pytest.raises(NotRecognised, match=says):
        await party.finish(flow, answer | changed, BACK)


async def test_a_token_for_another_client_proves_nothing(party: RelyingParty) -> None:
    url, flow = await party.begin(BACK)
    answer = await browse(url)
    other = RelyingParty(corporate(party.provider.issuer, client_id="somebody-else"))
    with pytest.raises(NotRecognised):
        await other.finish(flow, answer, BACK)


async def test_keys_that_have_changed_are_asked_for_but_not_at_every_turn(
    party: RelyingParty, script: NodeScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, flow = await party.begin(BACK)
    await party.finish(flow, await browse(url), BACK)
    port = urlsplit(party.provider.issuer).port
    await script.ask("start", port=port, redirects=[BACK])
    url, flow = await party.begin(BACK)
    with pytest.raises(NotRecognised, match="id token"):
        await party.finish(flow, await browse(url), BACK)
    monkeypatch.setattr(relying, "KEYS_AGAIN_S", 0.0)
    url, flow = await party.begin(BACK)
    assert (await party.finish(flow, await browse(url), BACK)).subject == "ann"


async def test_a_provider_that_is_down_is_told_from_a_person_who_is_nobody(
    party: RelyingParty, script: NodeScript
) -> None:
    url, flow = await party.begin(BACK)
    answer = await browse(url)
    port = urlsplit(party.provider.issuer).port
    await script.ask("stop")
    with pytest.raises(ProviderUnavailable):
        await party.finish(flow, answer, BACK)
    with pytest.raises(ProviderUnavailable):
        await RelyingParty(party.provider).begin(BACK)
    await script.ask("start", port=port, redirects=[BACK])


async def test_a_provider_that_calls_itself_something_else_is_none(party: RelyingParty) -> None:
    renamed = corporate(party.provider.issuer.replace("127.0.0.1", "localhost"))
    with pytest.raises(ProviderUnavailable, match="calls itself"):
        await RelyingParty(renamed).begin(BACK)
