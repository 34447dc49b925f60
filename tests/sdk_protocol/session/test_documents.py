from __future__ import annotations

import msgspec
import pytest
from halyard_protocol.messages import Changes, Delete, Put, Snapshot, encode_message
from halyard_protocol.session.documents import (
    changes_parts,
    in_order,
    read_document,
    snapshot_parts,
)

ENVIRONMENT = read_document("environment", b'{"key":"production","version":1}')
FLAG = read_document("flag:a", b'{"key":"a","version":3}')
SEGMENT = read_document("segment:s", b'{"key":"s","version":4}')
GONE = read_document("flag:b", b'{"key":"b","version":5,"deleted":true}')
SERVER_KEY = read_document("key:0123", b'{"id":"k","kind":"server","version":2}')
NOVELTY = read_document("holiday:xmas", b'{"key":"xmas","version":6}')
ALL = (ENVIRONMENT, SERVER_KEY, FLAG, SEGMENT, GONE, NOVELTY)


def test_a_document_is_known_by_its_key_and_its_head() -> None:
    assert (FLAG.kind, FLAG.key, FLAG.version, FLAG.deleted) == ("flag", "a", 3, False)
    assert (GONE.key, GONE.deleted) == ("b", True)
    assert (ENVIRONMENT.kind, ENVIRONMENT.key) == ("environment", "production")
    assert (SERVER_KEY.kind, SERVER_KEY.key) == ("key", "0123")
    assert NOVELTY.kind == ""


def test_a_document_without_a_head_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        read_document("flag:a", b"[]")


def test_documents_come_in_the_order_of_their_versions() -> None:
    assert list(in_order({"b": GONE, "a": FLAG, "e": ENVIRONMENT})) == ["e", "a", "b"]


def test_a_snapshot_is_what_the_message_type_would_write() -> None:
    message = Snapshot(
        "7.1",
        9,
        msgspec.Raw(ENVIRONMENT.body),
        (msgspec.Raw(FLAG.body),),
        (msgspec.Raw(SEGMENT.body),),
    )
    assert b"".join(snapshot_parts("7.1", 9, ALL)) == encode_message(message)


def test_changes_are_what_the_message_type_would_write() -> None:
    put = Put(
        msgspec.Raw(ENVIRONMENT.body), (msgspec.Raw(FLAG.body),), (msgspec.Raw(SEGMENT.body),)
    )
    message = Changes("7.1", 2, 9, put, Delete(("b",)))
    assert b"".join(changes_parts("7.1", 2, 9, ALL)) == encode_message(message)


def test_changes_of_nothing_visible_only_move_the_seq() -> None:
    parts = changes_parts("7.1", 2, 9, (SERVER_KEY, NOVELTY))
    assert b"".join(parts) == encode_message(Changes("7.1", 2, 9))


def test_several_flags_are_separated() -> None:
    other = read_document("flag:z", b'{"key":"z","version":9}')
    message = msgspec.json.decode(b"".join(changes_parts("7.1", 2, 9, (FLAG, other))))
    assert [flag["key"] for flag in message["put"]["flags"]] == ["a", "z"]


def test_keys_in_deletions_are_quoted() -> None:
    odd = read_document('flag:say "hi"', b'{"key":"x","version":9,"deleted":true}')
    message = msgspec.json.decode(b"".join(changes_parts("7.1", 2, 9, (odd,))))
    assert message["delete"]["flags"] == ['say "hi"']


def test_a_ruleset_without_an_environment_has_an_empty_one() -> None:
    message = msgspec.json.decode(b"".join(snapshot_parts("7.1", 9, ())))
    assert message["environment"] == {"key": ""}
