"""Client keys over real sockets: values, and never rules."""

from __future__ import annotations

import pytest
from halyard_protocol.messages import Values

from tests.streaming.browser import browser, plain, with_client_key
from tests.streaming.stage import Stage
from tests.streaming.writing import Ruleset


@pytest.fixture
async def ruleset(ruleset: Ruleset) -> Ruleset:
    await with_client_key(ruleset)
    await ruleset.change(plain("a"), plain("b", "off"), plain("hidden", clientSide=False))
    return ruleset


async def test_a_page_is_told_the_values_of_the_flags_for_pages(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page:
        values = await page.start()
    assert values.full
    assert page.variations() == {"a": "on", "b": "off"}


async def test_a_change_is_told_where_it_matters(on_stage: Stage, ruleset: Ruleset) -> None:
    async with browser(on_stage) as page:
        await page.start()
        await ruleset.change(plain("a", "off"))
        values = await page.next_of(Values)
        assert not values.full
        assert set(values.values) == {"a"}
