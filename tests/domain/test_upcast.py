from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest
from halyard_protocol.codec import decoder

from domain import events as e
from domain import upcast
from domain.stored import Stored
from domain.system import events as system_events
from domain.upcast import (
    MalformedEvent,
    UnknownEvent,
    decode_event,
    encode_event,
    shown_event,
)


def test_an_event_is_stored_under_its_class_name() -> None:
    stored = encode_event(e.FlagRenamed("Apple", comment="why"))
    assert stored == ("FlagRenamed", 1, False, b'{"name":"Apple","comment":"why"}')
    assert decode_event("FlagRenamed", 1, stored[3]) == e.FlagRenamed("Apple", comment="why")


def test_events_of_the_installation_are_read_too() -> None:
    name, version, _, body = encode_event(system_events.TokenIssued("t", "ann", "0" * 64))
    assert decode_event(name, version, body) == system_events.TokenIssued("t", "ann", "0" * 64)


@pytest.mark.parametrize(("name", "version"), [("FlagPainted", 1), ("FlagEnabled", 2)])
def test_what_a_newer_program_wrote_is_unknown(name: str, version: int) -> None:
    with pytest.raises(UnknownEvent) as caught:
        decode_event(name, version, b"{}")
    assert (caught.value.type, caught.value.schema_version) == (name, version)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"{}", b'{"name":1}', b'{"name":"a","colour":"red"}']
)
def test_a_body_of_another_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        decode_event("FlagRenamed", 1, body)


class FlagPainted(Stored, frozen=True):
    schema_version: ClassVar[int] = 3

    colour: str
    shade: str


def _colour_was_called_paint(body: dict[str, Any]) -> dict[str, Any]:
    return {"colour": body["paint"]}


def _there_was_one_shade(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "shade": "plain"}


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (1, b'{"paint":"red"}'),
        (2, b'{"colour":"red"}'),
        (3, b'{"colour":"red","shade":"plain"}'),
    ],
)
def test_an_older_version_is_raised_step_by_step(
    monkeypatch: pytest.MonkeyPatch, version: int, body: bytes
) -> None:
    monkeypatch.setitem(upcast.TYPES, "FlagPainted", FlagPainted)
    monkeypatch.setitem(upcast._decoders, "FlagPainted", decoder(FlagPainted))
    monkeypatch.setitem(upcast.UPCASTS, ("FlagPainted", 1), _colour_was_called_paint)
    monkeypatch.setitem(upcast.UPCASTS, ("FlagPainted", 2), _there_was_one_shade)
    assert decode_event("FlagPainted", version, body) == FlagPainted("red", "plain")


def test_a_key_of_before_there_were_origins_is_for_pages_of_any() -> None:
    body = b'{"kind":"client","clientKey":"c"}'
    assert decode_event("SdkKeyIssued", 1, body) == e.SdkKeyIssued("client", client_key="c")
    with pytest.raises(MalformedEvent):
        decode_event("SdkKeyIssued", 1, b'{"kind":"client","origin":"https://a.example"}')


def test_every_older_version_has_its_upcast() -> None:
    needed = {
        (name, version)
        for name, event in upcast.TYPES.items()
        for version in range(1, event.schema_version)
    }
    assert needed == set(upcast.UPCASTS)


@pytest.mark.parametrize(
    ("name", "version", "body", "shown"),
    [
        ("SdkKeyIssued", 2, b'{"kind":"server","sha256":"5f"}', {"kind": "server"}),
        ("SdkKeyIssued", 99, b'{"kind":"server","sha256":"5f"}', {"kind": "server"}),
        ("Unheard", 1, b'{"sha256":"5f","more":[1]}', {"more": [1]}),
    ],
)
def test_what_is_shown_of_an_event_has_no_hash_of_a_secret(
    name: str, version: int, body: bytes, shown: dict[str, Any]
) -> None:
    assert shown_event(name, version, body) == shown


def test_an_event_without_a_secret_is_shown_as_it_is() -> None:
    assert shown_event("ProjectRenamed", 1, b'{"name":"Shop"}') == e.ProjectRenamed(name="Shop")
    assert shown_event("Unheard", 1, b'{"b":1}') == msgspec.Raw(b'{"b":1}')


def test_types_of_projects_and_of_the_installation_have_different_names() -> None:
    assert not set(e.EVENT_TYPES) & set(system_events.SYSTEM_EVENT_TYPES)
