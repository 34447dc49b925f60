"""What is true of every request: routing, tokens, permissions, request ids, log lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import structlog

from domain.system.commands import RevokeToken
from eventstore.errors import StoreUnavailable
from eventstore.log import SYSTEM_LOG
from eventstore.pool import create_pool
from server.http.dependencies import Dependencies, HttpSettings
from server.http.permissions import SELF
from server.http.routes import as_problem
from server.http.table import ROUTES
from server.oidc.desk import oidc_desk
from server.writing.submission import Submission
from server.writing.writers import Writers
from tests.support.api import PROJECT, SETTINGS, TOKEN, client_of, problem
from tests.support.oidc import corporate


def path_of(template: str) -> str:
    return template.replace("{", "").replace("}", "")


async def test_without_a_token_every_route_but_the_public_ones_is_closed(
    dependencies: Dependencies, database_url: str
) -> None:
    quiet = replace(dependencies, settings=HttpSettings(access_log=False))
    async with create_pool(database_url, max_size=1) as pool:
        whole = replace(quiet, oidc=oidc_desk(pool, [corporate("https://id.example")]))
        await _require_closed(whole)


async def _require_closed(dependencies: Dependencies) -> None:
    async with client_of(dependencies, token=None) as stranger:
        for route in ROUTES:
            response = await stranger.request(route.method, path_of(route.path))
            if route.public:
                expected = {422} if route.reads_body else {route.status}
                assert response.status_code in expected | ({404} if "{" in route.path else set())
                continue
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Bearer ")
            if route.refused is as_problem:
                problem(response, 401, "unauthenticated")


async def test_what_is_not_a_valid_token_opens_nothing(dependencies: Dependencies) -> None:
    async with client_of(dependencies, token=None) as stranger:
        for header in ("", "Basic YTpi", "Bearer", "Bearer wrong", f"Token {TOKEN}", "Bearer é"):
            headers = {b"authorization": header.encode()}
            refused = await stranger.get("/api/v1/projects", headers=headers)
            problem(refused, 401, "unauthenticated")


async def test_without_a_role_no_project_is_there_and_the_rest_names_what_is_missing(
    dependencies: Dependencies, demo: httpx.AsyncClient
) -> None:
    assert demo is not None
    async with client_of(dependencies, token="viewer") as viewer:
        for route in ROUTES:
            if route.permission in (None, SELF):
                continue
            path = path_of(route.path.replace("{project}", "demo"))
            refused = await viewer.request(route.method, path)
            if "{project}" in route.path:
                assert "'demo'" in problem(refused, 404, "not-found")["detail"]
            else:
                assert problem(refused, 403, "forbidden")["permission"] == route.permission


async def test_a_revoked_token_opens_nothing(
    dependencies: Dependencies, api: httpx.AsyncClient
) -> None:
    assert (await api.get("/api/v1/projects")).status_code == 200
    revoke = RevokeToken(token="token-1")
    await dependencies.writers.submit(SYSTEM_LOG, Submission.of("setup", revoke))
    problem(await api.get("/api/v1/projects"), 401, "unauthenticated")


async def test_unknown_paths_and_methods_are_problems(api: httpx.AsyncClient) -> None:
    for path in ("/nothing", "/api/v1/projects/", "/api/v1//projects", "/api/v1/projects/a/flags/"):
        problem(await api.get(path), 404, "no-such-path")
    refused = await api.put(PROJECT)
    problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "DELETE, GET, PATCH"


async def test_a_null_character_in_a_path_reaches_no_database(demo: httpx.AsyncClient) -> None:
    problem(await demo.get("/api/v1/projects/de%00mo"), 404, "no-such-path")
    refused = await demo.get(f"{PROJECT}/events?actor=%00")
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?actor"


async def test_head_is_get_without_its_body(demo: httpx.AsyncClient) -> None:
    got, head = await demo.get(PROJECT), await demo.head(PROJECT)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_answers_are_not_cached(demo: httpx.AsyncClient) -> None:
    assert (await demo.get(PROJECT)).headers["cache-control"] == "no-store"


async def test_an_unknown_query_parameter_is_named_with_the_known_ones(
    demo: httpx.AsyncClient,
) -> None:
    refused = await demo.get(f"{PROJECT}/flags?tags=web")
    (error,) = problem(refused, 422, "malformed")["errors"]
    assert error["path"] == "?tags"
    assert "tag" in error["reason"]
    refused = await demo.post(f"{SETTINGS}/enable?force=1")
    assert problem(refused, 422, "malformed")["errors"][0]["path"] == "?force"


async def test_a_request_id_is_kept_where_it_is_fit_and_made_where_not(
    demo: httpx.AsyncClient,
) -> None:
    kept = await demo.post(f"{SETTINGS}/enable", headers={"x-request-id": "trace-1"})
    assert kept.headers["x-request-id"] == "trace-1"
    newest = (await demo.get(f"{PROJECT}/events?limit=1")).json()["items"][0]
    assert newest["correlationId"] == "trace-1"
    for unfit in ("", "a b", "x" * 129, "new\u00adline"):
        headers = {b"x-request-id": unfit.encode()}
        response = await demo.get("/healthz", headers=headers)
        assert len(response.headers["x-request-id"]) == 32
    refused = await demo.get("/nothing", headers={"x-request-id": "trace-2"})
    assert refused.json()["instance"] == "urn:halyard:request:trace-2"


async def test_each_request_is_a_log_line_without_body_query_or_token(
    demo: httpx.AsyncClient,
) -> None:
    with structlog.testing.capture_logs() as lines:
        await demo.post(f"{SETTINGS}/enable?comment=secret", json={"comment": "hidden"})
        await demo.get("/nothing/secret")
    first, second = [line for line in lines if line["event"] == "request"]
    assert (first["method"], first["status"], first["actor"]) == ("POST", 422, "account-1") or (
        first["status"] == 200
    )
    assert first["path"] == (
        "/api/v1/projects/{project}/flags/{flag}/environments/{environment}/enable"
    )
    assert first["ms"] > 0
    assert (second["status"], second["path"]) == (404, "(no such path)")
    told = str([first, second])
    assert not [word for word in ("secret", "hidden", TOKEN) if word in told]


async def test_the_log_line_can_be_left_out(dependencies: Dependencies) -> None:
    quiet = replace(dependencies, settings=HttpSettings(access_log=False))
    async with client_of(quiet) as client:
        with structlog.testing.capture_logs() as lines:
            await client.get("/healthz")
    assert lines == []


class Broken:
    """Logs of projects that fail as told."""

    def __init__(self, error: Exception, writers: Writers) -> None:
        self._error = error
        self.system_at_hand = writers.system_at_hand

    async def state(self, *_: object) -> Any:
        raise self._error


async def test_an_unforeseen_fault_is_logged_and_not_told(dependencies: Dependencies) -> None:
    fault = RuntimeError("the secret is 42")
    writers: Any = Broken(fault, dependencies.writers)
    broken = replace(dependencies, writers=writers)
    async with client_of(broken) as client:
        with structlog.testing.capture_logs() as lines:
            response = await client.get(PROJECT, headers={"x-request-id": "trace-3"})
    assert "42" not in response.text
    assert "trace-3" in problem(response, 500, "internal")["detail"]
    (failed,) = [line for line in lines if line["event"] == "request failed"]
    assert failed["request_id"] == "trace-3"


async def test_a_lost_database_is_unavailable_and_says_when_to_try_again(
    dependencies: Dependencies,
) -> None:
    lost = StoreUnavailable("host db-7 refused", outcome_unknown=False)
    writers: Any = Broken(lost, dependencies.writers)
    broken = replace(dependencies, writers=writers)
    async with client_of(broken) as client:
        response = await client.get(PROJECT)
    problem(response, 503, "store-unavailable")
    assert response.headers["retry-after"] == "1"
    assert "db-7" not in response.text


async def test_a_body_that_never_comes_is_not_waited_for_for_ever(
    dependencies: Dependencies,
) -> None:
    from server.http.app import create_app

    app = create_app(replace(dependencies, settings=HttpSettings(body_timeout_s=0.02)))
    sent: list[Any] = []
    arrived = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        import asyncio

        return next(arrived, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{PROJECT}/commands",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {TOKEN}".encode())],
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 408
