"""What is told of refusals: how many are remembered, and how many are not."""

from __future__ import annotations

from eventstore.pool import create_pool
from eventstore.refusals import Refusals
from server.metrics.refusals import RefusalFigures
from server.refusals import RefusalKeeper
from tests.support.scraping import scrape_of


async def a_month() -> int:
    return 30


async def test_refusals_are_told_by_what_became_of_them(database_url: str) -> None:
    async with create_pool(database_url, max_size=1) as pool:
        keeper = RefusalKeeper(Refusals(pool), a_month)
        keeper.recorded, keeper.lost = 5, 2
        scrape = await scrape_of(RefusalFigures(keeper))
    assert scrape("halyard_refused_actions_total", outcome="recorded") == 5
    assert scrape("halyard_refused_actions_total", outcome="lost") == 2
