"""The one table from exceptions to problems."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from halyard_protocol.problems import Problem

from domain.errors import InvalidCommand, LimitReached, Refusal, StaleRevision
from domain.facts import Entity
from eventstore.errors import StoreError, StoreUnavailable
from server.http.faults import Fault, Malformed, Overtaken
from server.http.problems import INTERNAL, KINDS, kind_of, problem_reply
from server.writing.errors import Overloaded, WritingError


def leaves(of: type[Exception]) -> Iterator[type[Exception]]:
    """Every class below, and the class itself."""
    yield of
    for below in of.__subclasses__():
        yield from leaves(below)


ROOTS = (Refusal, WritingError, Fault, StoreError)
RAISED = sorted(
    {
        leaf
        for root in ROOTS
        for leaf in leaves(root)
        if leaf is not root and leaf.__module__ != "eventstore.migrate"
    },
    key=lambda of: of.__name__,
)
FAULTS_OF_THE_PROGRAM = {"HistoryIsImmutable", "StoreConflict", "StoreRefused"}


@pytest.mark.parametrize("of", RAISED, ids=lambda of: of.__name__)
def test_every_refusal_and_fault_has_a_kind(of: type[Exception]) -> None:
    kind = kind_of(of.__new__(of))
    assert (kind is INTERNAL) == (of.__name__ in FAULTS_OF_THE_PROGRAM)
    assert 400 <= kind.status < 600


def test_a_slug_always_means_the_same() -> None:
    by_slug: dict[str, object] = {}
    for kind in KINDS.values():
        assert by_slug.setdefault(kind.slug, kind) == kind


def body_of(error: Exception) -> dict[str, object]:
    reply = problem_reply(error, "r1")
    body: dict[str, object] = msgspec.json.decode(reply.body)
    assert reply.status == body["status"]
    return body


def test_a_problem_says_what_where_and_which_request() -> None:
    assert body_of(Malformed(Problem("/name", "is empty"))) == {
        "type": "urn:halyard:problem:malformed",
        "title": "Something in the request is not as it must be",
        "status": 422,
        "detail": "/name: is empty",
        "instance": "urn:halyard:request:r1",
        "errors": [{"path": "/name", "reason": "is empty"}],
    }


def test_every_field_at_fault_is_listed() -> None:
    error = InvalidCommand(Problem("/a", "one"), Problem("/b/0", "two"))
    assert [found["path"] for found in body_of(error)["errors"]] == ["/a", "/b/0"]  # type: ignore[attr-defined]


def test_kinds_with_more_to_say_say_it() -> None:
    assert body_of(LimitReached("flags", 10))["limit"] == 10
    overtaken = Overtaken(StaleRevision(Entity("flag", "checkout"), 1, 3), ({"seq": 7},))
    body = body_of(overtaken)
    assert (body["expected"], body["actual"], body["between"]) == (1, 3, [{"seq": 7}])


def test_a_full_queue_says_when_to_try_again() -> None:
    reply = problem_reply(Overloaded("demo", 1.2), "r1")
    assert (b"retry-after", b"2") in reply.headers


def test_what_failed_inside_is_not_told() -> None:
    for error in (RuntimeError("secret"), StoreUnavailable("secret", outcome_unknown=True)):
        assert "secret" not in str(body_of(error))
