"""Client keys that name the origins of their pages, over real sockets."""

from __future__ import annotations

from halyard_protocol.messages import Values
from websockets.typing import Origin

from tests.streaming.browser import CLIENT_DOCUMENT, browser, plain, with_client_key
from tests.streaming.stage import Stage
from tests.streaming.writing import Ruleset

SHOP, OTHER = Origin("https://www.shop.example"), Origin("https://www.shop.example.evil.test")
ELSEWHERE = (4403, "this key may not be used by pages of this origin")


async def test_a_page_from_elsewhere_is_closed_for_good(on_stage: Stage, ruleset: Ruleset) -> None:
    await with_client_key(ruleset, origins=["https://*.shop.example"])
    await ruleset.change(plain("a"))
    async with browser(on_stage, origin=SHOP) as page:
        await page.start()
        assert page.variations() == {"a": "on"}
    for origin in (OTHER, Origin("null")):
        async with browser(on_stage, origin=origin) as page:
            assert await page.closed() == ELSEWHERE
            assert page.values == {}


async def test_what_is_no_page_may_use_any_client_key(on_stage: Stage, ruleset: Ruleset) -> None:
    await with_client_key(ruleset, origins=["https://*.shop.example"])
    async with browser(on_stage) as program:
        assert (await program.start()).full


async def test_pages_that_are_not_allowed_any_more_are_closed_at_once(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    await with_client_key(ruleset)
    async with (
        browser(on_stage, origin=SHOP) as shop,
        browser(on_stage, origin=OTHER) as other,
        browser(on_stage) as program,
    ):
        for each in (shop, other, program):
            await each.start()
        key = {"id": "c1", "kind": "client", "name": "page", "origins": [SHOP]}
        await ruleset.change((CLIENT_DOCUMENT, key))
        assert await other.closed() == ELSEWHERE
        await ruleset.change(plain("a"))
        for each in (shop, program):
            assert set((await each.next_of(Values)).values) == {"a"}
