"""Query parameters are read strictly."""

from __future__ import annotations

import pytest

from server.http.faults import Malformed
from server.http.queries import FlagListQuery, Query, ReadQuery, read_query


def test_without_a_query_string_everything_is_at_its_default() -> None:
    assert read_query(b"", FlagListQuery) == FlagListQuery()


def test_numbers_words_and_lists_are_read() -> None:
    raw = b"limit=5&tag=web&tag=ios&state=enabled&search=new%20one&minSeq=7&at=12"
    assert read_query(raw, FlagListQuery) == FlagListQuery(
        limit=5, tag=("web", "ios"), state="enabled", search="new one", min_seq=7, at="12"
    )


@pytest.mark.parametrize(
    ("raw", "parameter"),
    [
        (b"limit=0", "?limit"),
        (b"limit=501", "?limit"),
        (b"limit=many", "?limit"),
        (b"minSeq=-1", "?minSeq"),
        (b"state=on", "?state"),
        (b"search=a&search=b", "?search"),
        (b"min_seq=1", "?min_seq"),
        (b"tag=a&colour", "?colour"),
        (b"search=a%00b", "?search"),
    ],
)
def test_a_parameter_at_fault_is_named(raw: bytes, parameter: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_query(raw, FlagListQuery)
    assert [error.path for error in refused.value.errors] == [parameter]


def test_a_route_without_parameters_takes_none() -> None:
    with pytest.raises(Malformed, match="no parameters"):
        read_query(b"a=1", Query)
    assert read_query(b"minSeq=3", ReadQuery).min_seq == 3
