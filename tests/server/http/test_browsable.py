"""The page of /docs stands on what this server has, and the browser is told so."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from hatchling.builders.wheel import WheelBuilder

from server.http.browsable.routes import assets

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "server/http/browsable/assets"


async def named(api: httpx.AsyncClient) -> list[str]:
    """What the page refers to, its icon aside."""
    page = (await api.get("/docs")).text
    found = re.findall(r'(?:src|href)="([^"]+)"', page)
    return [name for name in found if not name.startswith(("data:", "openapi.json"))]


async def test_the_page_refers_to_nothing_that_is_not_here(api: httpx.AsyncClient) -> None:
    names = await named(api)
    assert len(names) == 4
    for name in names:
        response = await api.get(f"/{name}")
        assert response.status_code == 200
        assert response.headers["content-type"] == (
            "text/javascript; charset=utf-8" if name.endswith(".js") else "text/css; charset=utf-8"
        )


async def test_nothing_inline_and_no_other_host_is_allowed_for(api: httpx.AsyncClient) -> None:
    for path in ("/docs", *(f"/{name}" for name in await named(api))):
        headers = (await api.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert not re.search(r"unsafe|\*|https?:", policy)
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


async def test_an_asset_is_kept_for_ever_and_the_page_is_asked_for_again(
    api: httpx.AsyncClient,
) -> None:
    assert (await api.get("/docs")).headers["cache-control"] == "no-cache"
    for name in await named(api):
        kept = (await api.get(f"/{name}")).headers["cache-control"]
        assert kept == "public, max-age=31536000, immutable"


def test_a_name_says_what_it_holds() -> None:
    for name, asset in assets().by_name.items():
        stem, digest, suffix = name.rsplit(".", 2)
        assert (FOLDER / f"{stem}.{suffix}").read_bytes() == asset.content
        assert re.fullmatch("[0-9a-f]{12}", digest)
        assert gzip.decompress(asset.deflated) == asset.content


async def test_it_is_deflated_for_those_who_can_read_that(api: httpx.AsyncClient) -> None:
    (script,) = (name for name in await named(api) if "bundle" in name)
    plain = await api.get(f"/{script}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    deflated = await api.get(f"/{script}", headers={"accept-encoding": "gzip"})
    assert deflated.headers["content-encoding"] == "gzip"
    assert int(deflated.headers["content-length"]) < len(plain.content) / 3
    assert deflated.content == plain.content


@pytest.mark.parametrize("name", ["swagger-ui.css", "..%2Froutes.py", "page.html", "routes.py"])
async def test_a_name_that_was_not_given_out_leads_nowhere(
    api: httpx.AsyncClient, name: str
) -> None:
    assert (await api.get(f"/docs/{name}")).status_code == 404


def test_what_it_is_made_of_names_no_script_of_others_and_says_its_licences() -> None:
    for path in FOLDER.glob("page.*"):
        assert not re.search("https?://", path.read_text())
    licences = {path.name for path in FOLDER.iterdir()}
    assert {"swagger-ui.LICENSE", "swagger-ui.NOTICE"} < licences
    assert "swagger-ui-bundle.js.LICENSE.txt" in licences


def test_a_wheel_of_the_server_has_all_of_it() -> None:
    packed = {each.distribution_path for each in WheelBuilder(str(ROOT)).recurse_included_files()}
    wanted = {str(path.relative_to(ROOT)) for path in FOLDER.iterdir()}
    assert len(wanted) >= 8
    assert wanted <= packed
