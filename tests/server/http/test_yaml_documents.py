"""YAML in, bounded and without surprises; YAML out, for any other program."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from server.http import yaml_documents
from server.http.faults import Malformed, NotYaml
from server.http.yaml_documents import MAX_DEPTH, read_yaml, write_yaml

WORDS = st.sampled_from(
    ["on", "yes", "no", "null", "~", "", "1", "1e3", "0x1", "010", "1:30", "1_000", ".5", "NaN",
     ".inf", "2026-05-01", "true", "#", "- a", "a: b", "&a", "*a", "!x", "=", "<<", "a\nb", " a "]
)  # fmt: skip
TEXTS = WORDS | st.text()
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=50)
def test_what_was_written_is_read_again(content: Any) -> None:
    assert read_yaml(write_yaml(content)) == content


@given(JSON)
def test_others_read_the_same(content: Any) -> None:
    assert yaml.safe_load(write_yaml(content)) == content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("2026-05-01", "2026-05-01"),
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00Z"),
        ("010", 10),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("'1'", "1"),
        ("1.5e3", 1500.0),
        ("null", None),
        ("", None),
        ("a: {b: [1, two, true]}", {"a": {"b": [1, "two", True]}}),
        ("on: 1", {"on": 1}),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_plain_word_is_what_it_looks_like(text: str, content: Any) -> None:
    document = text if text.startswith(("a:", "on:", "|")) else f"x: {text}"
    found = read_yaml(document.encode())
    assert (found if document == text else found["x"]) == content


LAUGHS = "a: &a [x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "line 1: anchors and aliases"),
        ("a: *b", "anchors and aliases"),
        ("a: !!python/object/apply:os.system [id]", "line 1: tags"),
        ("a: !!str 1", "tags"),
        ("a: 1\n? [x]\n: 2\n", "line 2: a key is text"),
        ("1: 2", "a key is text"),
        ("null: 2", "a key is text"),
        ("a: .inf", "is no number of JSON"),
        ("a: 1e999", "too large"),
        (f"a: {2**64}", "too large"),
        ("a: " + "1" * 10_000, "too large"),
        ("--- a\n--- b\n", "2 documents"),
        ("", "0 documents"),
        ("a: [", "expected"),
        ("a: \t- b", "YAML"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nests over"),
        ("a: \0", "YAML"),
    ],
)
def test_what_is_not_data_is_refused_and_it_is_said_where(text: str, reason: str) -> None:
    with pytest.raises(NotYaml, match=reason):
        read_yaml(text.encode())


def test_what_is_no_utf_8_is_refused() -> None:
    with pytest.raises(NotYaml, match="UTF-8"):
        read_yaml(b"a: \xff")


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "{a: 1, a: 2}", "x: {a: {a: 1}, 'a': 2}"])
def test_a_key_that_stands_twice_is_named(text: str) -> None:
    with pytest.raises(Malformed, match=r"line \d: 'a' stands twice"):
        read_yaml(text.encode())


def test_what_nests_without_end_is_given_up_at_once() -> None:
    began_s = time.perf_counter()
    for text in (b"[" * 200_000, b"a:\n" + b" " * 10 + b"- " * 200_000, b"? " * 100_000):
        with pytest.raises((NotYaml, Malformed)):
            read_yaml(text)
    assert time.perf_counter() - began_s < 5


def test_there_is_a_bound_on_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_documents, "MAX_NODES", 10)
    with pytest.raises(NotYaml, match="nodes"):
        read_yaml(b"[1,2,3,4,5,6,7,8,9,10]")


@given(
    st.dictionaries(
        TEXTS, st.lists(st.one_of(TEXTS, st.dictionaries(TEXTS, TEXTS)), max_size=3), max_size=5
    )
)
@settings(max_examples=20)
def test_in_pieces_it_is_the_same(content: dict[str, Any]) -> None:
    long = {name: items * 30 for name, items in content.items()}
    assert read_yaml(write_yaml(long)) == long == yaml.safe_load(write_yaml(long))


@pytest.mark.parametrize("text", ["0o17", "1e5", "true", "~", "0x1F", "0b1", "1:30", "yes"])
def test_text_that_any_reader_takes_for_something_else_is_quoted(text: str) -> None:
    assert write_yaml([text]) == f"- '{text}'\n".encode()


def test_a_list_in_pieces_is_written_as_one_in_one_piece() -> None:
    rows = [{"key": f"k{n}", "of": [n]} for n in range(50)]
    assert write_yaml({"rows": rows}) == b"rows:\n" + b"".join(write_yaml([row]) for row in rows)


def test_the_order_is_kept_and_nothing_is_abbreviated() -> None:
    shared = {"z": 1, "a": "é"}
    assert write_yaml([shared, shared]).decode() == "- z: 1\n  a: é\n- z: 1\n  a: é\n"
