from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from server.webhooks.destinations import read_destination
from server.webhooks.networks import Networks
from server.webhooks.posting import EXCERPT_BYTES, Answer, Poster
from tests.support.program import free_port
from tests.support.receiver import RESET, SILENCE, Receiver, status

LOOPBACK = Networks(("127.0.0.0/8",), ("127.0.0.0/8",))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def names(*answers: Sequence[str]) -> tuple[Poster, list[str]]:
    """A poster for which a name has these addresses, one answer after the other."""
    asked: list[str] = []
    left = list(answers)

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    return Poster(resolve, total_timeout_s=0.5), asked


async def post(url: str, networks: Networks = LOOPBACK, poster: Poster | None = None) -> Answer:
    poster = poster or Poster(total_timeout_s=0.5)
    return await poster.post(read_destination(url), {"X-Team": "a"}, b"{}", networks)


async def test_what_is_sent_arrives_with_its_path_and_headers(receiver: Receiver) -> None:
    answer = await post(receiver.url + "&b=%2F%20x")
    assert (answer.status, answer.error, answer.excerpt) == (200, "", "ok")
    [sent] = receiver.received
    assert sent.path == "/hook?token=tell-nobody&b=%2F%20x"
    assert sent.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert sent.headers["x-team"] == "a"
    assert sent.headers["user-agent"].startswith("Halyard")


async def test_a_private_address_is_not_even_connected_to(receiver: Receiver) -> None:
    answer = await post(receiver.url, Networks((), ()))
    assert answer.status is None
    assert "127.0.0.1 is not a public address" in answer.error
    assert receiver.received == []


async def test_the_name_is_asked_for_once_and_what_was_checked_is_connected_to(
    receiver: Receiver,
) -> None:
    poster, asked = names(["127.0.0.1"], ["169.254.169.254"])
    url = f"http://hooks.example.com:{receiver.port}/x"
    assert (await post(url, poster=poster)).status == 200
    assert asked == ["hooks.example.com"]
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"
    # It points elsewhere by the next attempt: that is judged anew.
    answer = await post(url, poster=poster)
    assert "169.254.169.254 is not a public address" in answer.error


async def test_one_address_that_is_refused_refuses_the_name(receiver: Receiver) -> None:
    poster, _ = names(["127.0.0.1", "10.0.0.1"])
    answer = await post(f"http://hooks.example.com:{receiver.port}/", poster=poster)
    assert "10.0.0.1" in answer.error
    assert receiver.received == []


async def test_the_next_address_is_tried_where_nothing_listens() -> None:
    async with Receiver() as receiver:
        poster, _ = names(["127.0.0.9", "127.0.0.1"])
        answer = await post(f"http://hooks.example.com:{receiver.port}/", poster=poster)
        assert answer.status == 200


@pytest.mark.parametrize("to", ["http://169.254.169.254/latest", "http://127.0.0.1/x"])
async def test_a_redirect_is_not_followed(receiver: Receiver, to: str) -> None:
    receiver.answers.append(status(302, f"location: {to}"))
    answer = await post(receiver.url)
    assert answer.status == 302
    assert "redirects are not followed" in answer.error
    assert len(receiver.received) == 1


async def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert (await post(receiver.url)).status == 200


async def test_of_a_huge_answer_the_beginning_is_read(receiver: Receiver) -> None:
    receiver.answers.append(status(200, body="x" * 50_000_000))
    answer = await post(receiver.url)
    assert (answer.status, len(answer.excerpt)) == (200, EXCERPT_BYTES)


async def test_what_an_answer_inflates_to_is_never_seen(receiver: Receiver) -> None:
    receiver.answers.append(status(200, "content-encoding: gzip", body="not gzip\x00"))
    assert (await post(receiver.url)).excerpt == "not gzip\ufffd"


async def test_a_body_that_never_ends_does_not_undo_the_status(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.webhooks.posting.EXCERPT_TIMEOUT_S", 0.05)
    receiver.answers.append(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
    receiver.answers.append(SILENCE)
    answer = await post(receiver.url)
    assert (answer.status, answer.excerpt) == (200, "ok")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (RESET, "not HTTP"),
        (SILENCE, "within 0.5 seconds"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (status(500, body="no"), "answered 500"),
    ],
)
async def test_a_failure_is_told_in_a_sentence_without_the_address(
    receiver: Receiver, given: bytes, error: str
) -> None:
    receiver.answers.append(given)
    answer = await post(receiver.url)
    assert error in answer.error
    assert "tell-nobody" not in answer.error


async def test_where_nothing_listens_it_says_so() -> None:
    assert "nothing listens" in (await post(f"http://127.0.0.1:{free_port()}/")).error


async def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    answer = await post("http://hooks.example.com/", poster=Poster(resolve))
    assert answer.error == "the name could not be resolved"


async def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    poster = Poster(resolve, total_timeout_s=0.05)
    answer = await post("http://hooks.example.com/", poster=poster)
    assert "within 0.05 seconds" in answer.error
