"""What is wrong with a value is told in words."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from domain.decoding import in_words, problem_of

BOUNDED = Annotated[str, Meta(max_length=3)]


@pytest.mark.parametrize(
    ("value", "of", "words"),
    [
        ("x", int, "is a whole number, not text"),
        ("x", int | None, "is a whole number or null, not text"),
        (1, bool, "is true or false, not a whole number"),
        ({}, tuple[int, ...], "is a list, not an object"),
        ([], dict[str, int], "is an object, not a list"),
        (None, str, "is text, not null"),
        (1.5, str, "is text, not a number"),
        ("xxxx", BOUNDED, "is text of at most 3 characters"),
        ([], Annotated[list[int], Meta(min_length=1)], "is a list of at least 1 items"),
        (1, Annotated[int, Meta(ge=2)], "is a whole number of at least 2"),
        ("x", Literal["a", "b"], "'x' is not among the values that are known here"),
        ("x", datetime, "is an RFC 3339 time, such as 2026-05-01T12:00:00Z"),
        (
            "2026-05-01T12:00:00",
            Annotated[datetime, Meta(tz=True)],
            "is a time with its zone, such as 2026-05-01T12:00:00Z",
        ),
    ],
)
def test_a_value_is_told_by_what_it_should_be(value: Any, of: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, of)
    assert in_words(str(caught.value)) == words


def test_what_is_said_in_other_ways_is_left_without_marks() -> None:
    assert in_words("Expected `str` matching regex '^a$'") == "Expected str matching regex '^a$'"


def test_a_problem_points_to_the_place() -> None:
    problem = problem_of("Expected `int`, got `str` - at `$.rules[0].weight`")
    assert (problem.path, problem.reason) == ("/rules/0/weight", "is a whole number, not text")
