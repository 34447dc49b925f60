"""The bodies that providers send, and those that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.http.ofrep.requests import BadRequest, read_context


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (b"", {"user": {}}),
        (b" \r\n", {"user": {}}),
        (b"{}", {"user": {}}),
        (b'{"context":null}', {"user": {}}),
        (b'{"context":{}}', {"user": {}}),
        (b'{"context":{"targetingKey":"alice"},"more":1}', {"user": {"key": "alice"}}),
        (b'{"context":{"country":"DE","n":[1,2.5]}}', {"user": {"country": "DE", "n": [1, 2.5]}}),
        (
            b'{"context":{"kind":"multi","targetingKey":"a","device":{"key":"d"}}}',
            {"user": {"key": "a"}, "device": {"key": "d"}},
        ),
    ],
)
def test_what_providers_send_is_read(body: bytes, kinds: dict[str, Any]) -> None:
    assert read_context(body).kinds == kinds


@pytest.mark.parametrize(
    ("body", "code", "names"),
    [
        (b"{", "PARSE_ERROR", "JSON"),
        (b'{"context":{"a":NaN}}', "PARSE_ERROR", "JSON"),
        (b'{"context":{"a":"\xff"}}', "PARSE_ERROR", "JSON"),
        (b'{"context":{"a":' + b"[" * 100_000, "PARSE_ERROR", "JSON"),
        (b"[]", "INVALID_CONTEXT", "object"),
        (b"null", "INVALID_CONTEXT", "object"),
        (b'{"context":"alice"}', "INVALID_CONTEXT", "$.context"),
        (b'{"context":[]}', "INVALID_CONTEXT", "$.context"),
        (b'{"context":{"targetingKey":3}}', "INVALID_CONTEXT", "/context/targetingKey"),
        (b'{"context":{"kind":"time"}}', "INVALID_CONTEXT", "/context/kind"),
        (b'{"context":{"kind":"multi","user":3}}', "INVALID_CONTEXT", "/context/user"),
        (b'{"context":{"kind":"multi"}}', "INVALID_CONTEXT", "context"),
    ],
)
def test_what_cannot_be_read_says_so_in_the_words_of_the_protocol(
    body: bytes, code: str, names: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read_context(body)
    assert refused.value.error_code == code
    assert names in str(refused.value)


def test_a_large_context_is_read_whole() -> None:
    attributes = {f"a{number}": number for number in range(1_000)}
    read = read_context(json.dumps({"context": attributes}).encode())
    assert read.kinds == {"user": attributes}
