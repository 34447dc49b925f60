from __future__ import annotations

import pytest
from msgspec.structs import replace

from domain import commands as c
from domain import events as e
from domain import limits
from domain.errors import InvalidCommand, KeyTaken, LimitReached, Revoked, UnknownEntity
from tests.support.decider import given

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
