from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.oidc.providers import (
    BadProviders,
    GroupRole,
    Provider,
    is_safe_address,
    read_providers,
)

CORPORATE: dict[str, Any] = {
    "name": "Example Inc.",
    "issuer": "https://id.example.org",
    "clientId": "halyard",
    "clientSecret": "s3cret",
    "groupClaim": "groups",
    "groups": [{"group": "devs", "role": "developer", "project": "shop"}],
    "emailDomains": ["Example.org"],
    "createsAccounts": True,
}


def written(folder: Path, providers: object, **more: object) -> Path:
    path = folder / "oidc.json"
    path.write_text(json.dumps({"providers": providers, **more}))
    return path


def corporate(folder: Path, **more: object) -> Provider:
    (provider,) = read_providers(written(folder, {"corporate": CORPORATE | more}), {})
    return provider


def faults(folder: Path, providers: object, **environ: str) -> dict[str, str]:
    with pytest.raises(BadProviders) as caught:
        read_providers(written(folder, providers), environ)
    return {problem.path: problem.reason for problem in caught.value.problems}


def test_a_provider_is_read_with_cautious_defaults(tmp_path: Path) -> None:
    bare = {"issuer": "https://id.example.org", "clientId": "halyard"}
    (provider,) = read_providers(written(tmp_path, {"a": bare}), {})
    assert (provider.key, provider.name, provider.client_secret) == ("a", "a", "")
    assert provider.scopes == ("openid", "email", "profile")
    assert not provider.creates_accounts
    assert not provider.links_by_email


def test_toml_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "oidc.toml"
    path.write_text(
        '[providers.corporate]\nissuer = "https://id.example.org"\nclientId = "halyard"\n'
        'groupClaim = "groups"\n[[providers.corporate.groups]]\ngroup = "a"\nrole = "admin"\n'
    )
    (provider,) = read_providers(path, {})
    assert provider.groups == (GroupRole("a", "admin", "*"),)


def test_openid_is_always_asked_for(tmp_path: Path) -> None:
    assert corporate(tmp_path, scopes=["groups"]).scopes == ("openid", "groups")


def test_domains_count_in_any_case_and_only_behind_the_last_at(tmp_path: Path) -> None:
    provider = corporate(tmp_path)
    assert provider.admits("ann@EXAMPLE.org")
    assert not provider.admits("ann@example.org@elsewhere.test")
    assert not provider.admits("ann@sub.example.org")
    assert not provider.admits("")


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    bare = {name: value for name, value in CORPORATE.items() if name != "clientSecret"}
    path = written(tmp_path, {"a": bare | {"clientSecretEnv": "OIDC_SECRET"}})
    (provider,) = read_providers(path, {"OIDC_SECRET": "of env"})
    assert provider.client_secret == "of env"
    (tmp_path / "secret").write_text("of file\n")
    path = written(tmp_path, {"a": bare | {"clientSecretFile": str(tmp_path / "secret")}})
    (provider,) = read_providers(path, {})
    assert provider.client_secret == "of file"
    assert "of file" not in repr(provider)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    providers = {
        "BAD": CORPORATE,
        "a": CORPORATE | {"issuer": "http://id.example.org", "clientId": ""},
        "b": CORPORATE | {"groupClaim": "", "emailDomains": ["@example.org"]},
        "c": CORPORATE | {"clientSecretEnv": "ALSO"},
        "d": {"issuer": "https://id.example.org"},
        "e": CORPORATE | {"linksByEmail": "yes"},
        "f": CORPORATE | {"groups": [{"group": "g", "role": "a"}, {"group": "g", "role": "b"}]},
        "g": CORPORATE | {"clientSecret": "", "clientSecretEnv": "NOT_SET"},
        "h": CORPORATE | {"clientSecret": "", "clientSecretFile": str(tmp_path / "none")},
        "i": CORPORATE | {"surprise": 1},
    }
    assert set(faults(tmp_path, providers)) == {
        "/providers/BAD",
        "/providers/a/issuer",
        "/providers/a/clientId",
        "/providers/b/groupClaim",
        "/providers/b/emailDomains/0",
        "/providers/c/clientSecret",
        "/providers/d",
        "/providers/e/linksByEmail",
        "/providers/f/groups",
        "/providers/g/clientSecretEnv",
        "/providers/h/clientSecretFile",
        "/providers/i",
    }


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"providers": {}}', '{"providers": []}'])
def test_a_file_without_providers_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "oidc.json"
    path.write_text(content)
    with pytest.raises(BadProviders):
        read_providers(path, {})
    with pytest.raises(BadProviders, match="cannot be read"):
        read_providers(tmp_path / "nothing.json", {})


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://id.example.org", True),
        ("http://127.0.0.1:4000", True),
        ("http://[::1]:4000/a", True),
        ("http://id.example.org", False),
        ("https://user@id.example.org", False),
        ("https://", False),
        ("https://id.example.org:port", False),
        ("javascript:alert(1)", False),
        ("http://127.0.0.1.evil.test", False),
    ],
)
def test_secrets_go_over_tls_or_stay_on_the_machine(url: str, safe: bool) -> None:
    assert is_safe_address(url) is safe
