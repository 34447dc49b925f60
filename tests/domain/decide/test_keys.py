from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from domain import commands as c
from domain import events as e
from domain import limits
from domain.errors import InvalidCommand, KeyTaken, LimitReached, Revoked, UnknownEntity
from domain.facts import Issuer
from tests.support.decider import NOW, History, given

QA = c.CreateEnvironment("qa", id="qaqaqaqaqaqa")
HASH = "0123456789abcdef" * 4
SERVER = c.IssueSdkKey("qa", "k1", "server", "backend", HASH)
CLIENT = c.IssueSdkKey("qa", "k2", "client", "web", client_key="qaqaqaqaqaqa-c-secret")


def test_a_server_key_is_known_by_its_hash() -> None:
    history = given(QA)
    assert history.when(SERVER) == (e.SdkKeyIssued("server", "backend", HASH),)
    key = history.state.keys["k1", "qa"]
    assert (key.sha256, key.client_key, key.revoked_at) == (HASH, None, None)


def test_a_client_key_is_stored_in_clear() -> None:
    [event] = given(QA).when(CLIENT)
    assert event == e.SdkKeyIssued("client", "web", None, "qaqaqaqaqaqa-c-secret")


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (c.IssueSdkKey("qa", "k"), "/sha256"),
        (c.IssueSdkKey("qa", "k", sha256="ABC"), "/sha256"),
        (c.IssueSdkKey("qa", "k", "client"), "/clientKey"),
        (c.IssueSdkKey("qa", "k", "client", client_key="qaqaqaqaqaqa-s-x"), "/clientKey"),
        (c.IssueSdkKey("qa", "k", "client", client_key="qaqaqaqaqaqa-c-"), "/clientKey"),
        (c.IssueSdkKey("qa", "k", "client", client_key="qaqaqaqaqaqa-c- "), "/clientKey"),
        (
            c.IssueSdkKey("qa", "k", "client", sha256=HASH, client_key="qaqaqaqaqaqa-c-x"),
            "/sha256",
        ),
        (c.IssueSdkKey("qa", "k", "server", sha256=HASH, client_key="in clear"), "/clientKey"),
        (c.IssueSdkKey("qa", "a/b", sha256=HASH), "/key"),
    ],
)
def test_a_key_of_the_wrong_shape_is_refused(command: c.IssueSdkKey, path: str) -> None:
    [problem] = given(QA).refusal(command, InvalidCommand).problems
    assert problem.path == path


def test_an_id_or_a_secret_is_taken_once() -> None:
    history = given(QA, SERVER)
    history.refusal(c.IssueSdkKey("qa", "k1", sha256="f" * 64), KeyTaken)
    history.refusal(c.IssueSdkKey("qa", "k9", sha256=HASH), KeyTaken)


def test_a_key_is_revoked_once_and_stays_on_the_list() -> None:
    history = given(QA, SERVER)
    assert history.when(c.RevokeSdkKey("qa", "k1")) == (e.SdkKeyRevoked(),)
    assert history.state.keys["k1", "qa"].revoked_at is not None
    assert history.when(c.RevokeSdkKey("qa", "k1")) == ()
    assert history.revision("key", "k1", "qa") == 2


def test_a_key_of_another_environment_is_not_found() -> None:
    refusal = given(QA, SERVER).refusal(c.RevokeSdkKey("staging", "k1"), UnknownEntity)
    assert str(refusal) == "there is no key 'k1' in environment 'staging'"


def test_there_are_only_so_many_unrevoked_keys() -> None:
    issue = [c.IssueSdkKey("qa", f"k{n}", sha256=f"{n:064x}") for n in range(limits.SDK_KEYS + 1)]
    history = given(QA, *issue[:-1])
    history.refusal(issue[-1], LimitReached)
    history.do(c.RevokeSdkKey("qa", "k0"), issue[-1])


def test_a_client_key_keeps_its_origins_as_browsers_write_them() -> None:
    asked = ("HTTPS://Shop.Example:443", "http://localhost:3000", "https://*.shop.example:8443")
    kept = ("https://shop.example", "http://localhost:3000", "https://*.shop.example:8443")
    history = given(QA)
    [event] = history.when(replace(CLIENT, origins=asked))
    assert event == e.SdkKeyIssued("client", "web", None, CLIENT.client_key, kept)
    assert history.state.keys["k2", "qa"].origins == kept


def test_origins_are_set_and_taken_back() -> None:
    history = given(QA, CLIENT)
    app = ("capacitor://localhost",)
    assert history.when(c.SetSdkKeyOrigins("qa", "k2", app)) == (e.SdkKeyOriginsSet(app),)
    assert history.when(c.SetSdkKeyOrigins("qa", "k2", ("Capacitor://localhost",))) == ()
    assert history.when(c.SetSdkKeyOrigins("qa", "k2", ())) == (e.SdkKeyOriginsSet(()),)
    assert history.state.keys["k2", "qa"].origins == ()


def test_a_server_key_has_no_origins() -> None:
    page = ("https://shop.example",)
    history = given(QA, SERVER)
    for command in (
        c.IssueSdkKey("qa", "k9", sha256="f" * 64, origins=page),
        c.SetSdkKeyOrigins("qa", "k1", page),
    ):
        [problem] = history.refusal(command, InvalidCommand).problems
        assert problem.path == "/origins"
    assert history.when(c.SetSdkKeyOrigins("qa", "k1", ())) == ()


def test_the_origins_of_a_revoked_key_are_not_set() -> None:
    history = given(QA, CLIENT, c.RevokeSdkKey("qa", "k2"))
    history.refusal(c.SetSdkKeyOrigins("qa", "k2", ("https://shop.example",)), Revoked)


DAY = timedelta(days=1)


def later(history: History, by: timedelta) -> History:
    """The same history, asked some time after it."""
    history.by = Issuer("ann", NOW + by)
    return history


def rotate(key: str, successor: str, overlap_hours: int = 24, **more: Any) -> c.RotateSdkKey:
    return c.RotateSdkKey("qa", key, successor, overlap_hours=overlap_hours, **more)


def test_a_rotation_issues_a_successor_and_sets_the_end_of_the_key() -> None:
    history = given(QA, SERVER)
    issued, ends = history.when(rotate("k1", "k2", 48, sha256="f" * 64, comment="yearly"))
    assert issued == e.SdkKeyIssued("server", "backend", "f" * 64, comment="yearly")
    assert ends == e.SdkKeyExpirySet(NOW + 2 * DAY, comment="yearly")
    assert history.state.keys["k1", "qa"].expires_at == NOW + 2 * DAY
    assert history.state.keys["k2", "qa"].expires_at is None
    assert (history.revision("key", "k1", "qa"), history.revision("key", "k2", "qa")) == (2, 1)


def test_the_successor_of_a_client_key_is_for_the_same_pages() -> None:
    history = given(QA, replace(CLIENT, origins=("https://shop.example",)))
    history.do(rotate("k2", "k3", client_key="qaqaqaqaqaqa-c-new", name="the shop"))
    successor = history.state.keys["k3", "qa"]
    assert (successor.kind, successor.name) == ("client", "the shop")
    assert successor.origins == ("https://shop.example",)


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (rotate("k1", "k2"), "/sha256"),
        (rotate("k1", "k2", client_key="qaqaqaqaqaqa-c-new"), "/clientKey"),
        (rotate("k1", "a/b", sha256="f" * 64), "/successor"),
        (rotate("k1", "k2", sha256="f" * 64, name="n" * 300), "/name"),
        (c.SetSdkKeyExpiry("qa", "k1", NOW), "/expiresAt"),
        (c.SetSdkKeyExpiry("qa", "k1", NOW.replace(tzinfo=None)), "/expiresAt"),
    ],
)
def test_a_rotation_or_an_end_that_cannot_be_is_refused(command: c.Command, path: str) -> None:
    assert given(QA, SERVER).refusal(command, InvalidCommand).problems[0].path == path


def test_a_successor_has_an_id_and_a_secret_of_its_own() -> None:
    history = given(QA, SERVER)
    history.refusal(rotate("k1", "k1", sha256="f" * 64), KeyTaken)
    history.refusal(rotate("k1", "k2", sha256=HASH), KeyTaken)


def test_an_end_is_put_off_brought_forward_and_taken_back_until_it_has_come() -> None:
    history = given(QA, SERVER)
    for end in (NOW + DAY, NOW + 9 * DAY, NOW + 2 * DAY, None, NOW + DAY):
        command = c.SetSdkKeyExpiry("qa", "k1", end)
        assert history.when(command) == (e.SdkKeyExpirySet(end),)
        assert history.when(command) == ()
    later(history, DAY)
    refusal = history.refusal(c.SetSdkKeyExpiry("qa", "k1", None), Revoked)
    assert str(refusal) == "key 'k1' ended at 2026-03-02T12:00:00+00:00: issue another one"


def test_a_key_that_has_ended_is_not_rotated_and_leaves_its_place_to_another() -> None:
    issue = [c.IssueSdkKey("qa", f"k{n}", sha256=f"{n:064x}") for n in range(limits.SDK_KEYS)]
    history = given(QA, *issue)
    history.refusal(rotate("k1", "new", sha256="f" * 64), LimitReached)
    history.do(c.SetSdkKeyExpiry("qa", "k1", NOW + DAY))
    later(history, DAY).refusal(rotate("k1", "new", sha256="f" * 64), Revoked)
    history.do(rotate("k2", "new", sha256="f" * 64))


def test_with_no_overlap_the_key_ends_at_once() -> None:
    history = given(QA, SERVER)
    history.do(rotate("k1", "k2", 0, sha256="f" * 64))
    assert not history.state.keys["k1", "qa"].is_live(NOW)
    assert history.when(c.RevokeSdkKey("qa", "k1")) == (e.SdkKeyRevoked(),)
