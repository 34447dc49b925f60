from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server.redis_url import addresses, one_server
from server.settings import OF_COMMANDS, SETTINGS, Setting, SettingsError, read_settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
REQUIRED = {
    "HALYARD_DATABASE_URL": "postgresql://db/halyard",
    "HALYARD_REDIS_URL": "redis://cache",
}


def test_what_is_required_is_enough() -> None:
    settings = read_settings(REQUIRED, {})
    assert settings.database_url == "postgresql://db/halyard"
    assert settings.port == 8080
    assert settings.host == "127.0.0.1"
    assert settings.roles == ("api", "gateway", "projector")


def test_options_go_before_variables_and_variables_before_defaults() -> None:
    environ = {**REQUIRED, "HALYARD_PORT": "9000", "HALYARD_HOST": "0.0.0.0"}
    settings = read_settings(environ, {"port": 9001, "host": None})
    assert (settings.port, settings.host) == (9001, "0.0.0.0")


def test_everything_wrong_is_said_at_once() -> None:
    environ = {"HALYARD_PORT": "many", "HALYARD_ROLES": "api,cook", "HALYARD_PROT": "1"}
    with pytest.raises(SettingsError) as refused:
        read_settings(environ, {})
    assert refused.value.problems == (
        "HALYARD_PROT is not a setting; `halyard settings` lists them all",
        "HALYARD_PORT 'many' cannot be used; it takes a whole number from 0 to 65535",
        f"HALYARD_ROLES 'api,cook' cannot be used; it takes {SETTINGS[4].takes}",
        "HALYARD_DATABASE_URL is required",
        "HALYARD_REDIS_URL is required",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("database_url", "mysql://db/halyard"),
        ("redis_url", "cache:6379"),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "1e3"),
        ("roles", ","),
        ("drain_seconds", "nan"),
        ("drain_seconds", "-1"),
        ("heartbeat_seconds", "0"),
        ("database_pool_size", "1"),
        ("log_level", "INFO"),
        ("log_format", "xml"),
        ("reuse_port", "yes"),
        ("admin_email", "admin@"),
        ("public_url", "flags.example.org"),
        ("public_url", "ftp://flags.example.org"),
        ("public_url", "https://"),
        ("public_url", "https://flags.example.org/halyard"),
        ("public_url", "https://flags.example.org?"),
        ("public_url", "https://ann@flags.example.org"),
        ("public_url", "https://flags.example.org:70000"),
        ("public_url", "https://[::1"),
        ("public_url", "https://flags.example.org\n"),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, text: str) -> None:
    setting = next(setting for setting in SETTINGS if setting.name == name)
    with pytest.raises(SettingsError) as refused:
        read_settings({**REQUIRED, setting.variable: text}, {})
    assert any(
        problem.startswith(setting.variable) and setting.takes in problem
        for problem in refused.value.problems
    )


def test_a_secret_that_cannot_be_is_not_shown() -> None:
    environ = {**REQUIRED, "HALYARD_ADMIN_EMAIL": "a@b", "HALYARD_ADMIN_PASSWORD": "hunter2"}
    with pytest.raises(SettingsError) as refused:
        read_settings(environ, {})
    assert "hunter2" not in str(refused.value)


def test_an_account_needs_both_its_address_and_its_password() -> None:
    with pytest.raises(SettingsError, match="go together"):
        read_settings({**REQUIRED, "HALYARD_ADMIN_EMAIL": "a@b"}, {})
    with pytest.raises(SettingsError, match="needs HALYARD_ADMIN_EMAIL"):
        read_settings({**REQUIRED, "HALYARD_ADMIN_TOKEN": "hly_0123456789abcdefgh"}, {})


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://flags.example.org", "https://flags.example.org"),
        ("https://Flags.Example.org/", "https://flags.example.org"),
        ("https://flags.example.org:443", "https://flags.example.org"),
        ("http://localhost:80/", "http://localhost"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://[::1]", "https://[::1]"),
    ],
)
def test_the_public_address_is_read_as_browsers_write_it(text: str, origin: str) -> None:
    assert read_settings({**REQUIRED, "HALYARD_PUBLIC_URL": text}, {}).public_url == origin


def test_roles_are_read_in_any_order_and_once() -> None:
    settings = read_settings({**REQUIRED, "HALYARD_ROLES": "gateway, api,gateway"}, {})
    assert settings.roles == ("gateway", "api")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_stands_in_the_reference(setting: Setting) -> None:
    default = setting.default or "-"
    shown = default if default in ("-", "required") else f"`{default}`"
    row = f"| `{setting.variable}` | {setting.takes} | {shown} | {setting.meaning} |"
    assert row in REFERENCE.read_text().splitlines()


def test_the_reference_has_no_other_setting() -> None:
    rows = [line for line in REFERENCE.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(SETTINGS)


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache/1",
        "rediss://user:secret@cache:6380",
        "unix:///run/valkey.sock",
        "redis+cluster://a:7000,b:7001,c",
        "rediss+cluster://user:secret@[::1]:7000",
        "redis+sentinel://a:26379,b/mymaster?db=2",
    ],
)
def test_redis_may_be_a_server_a_cluster_or_watched_by_sentinels(url: str) -> None:
    assert read_settings({**REQUIRED, "HALYARD_REDIS_URL": url}, {}).redis_url == url


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("redis+cluster://a:7000,", "host:port,host:port"),
        ("redis+cluster://a:seven", "host:port,host:port"),
        ("redis+cluster://a:7000/1", "without the number of a database"),
        ("redis+sentinel://a:26379", "the name of the master"),
    ],
)
def test_a_redis_url_that_cannot_be_is_told_how_it_should_be(url: str, fix: str) -> None:
    with pytest.raises(SettingsError, match=fix):
        read_settings({**REQUIRED, "HALYARD_REDIS_URL": url}, {})


def test_one_of_several_servers_keeps_credentials_and_options() -> None:
    parts = urlsplit("rediss+cluster://ann:se%40cret@a,[::1]:7001?ssl_ca_certs=ca.pem")
    assert addresses(parts) == [("a", 6379), ("::1", 7001)]
    assert one_server(parts, "::1", 7001) == "rediss://ann:se%40cret@[::1]:7001?ssl_ca_certs=ca.pem"


def test_what_commands_read_is_passed_over() -> None:
    environ = {**REQUIRED, **dict.fromkeys(OF_COMMANDS, "x")}
    assert read_settings(environ, {}) == read_settings(REQUIRED, {})


def test_every_fault_of_the_providers_is_told_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "providers.json"
    provider = {"issuer": "http://id.example.org", "clientId": ""}
    file.write_text(json.dumps({"providers": {"corporate": provider}}))
    with pytest.raises(SettingsError) as caught:
        read_settings({**REQUIRED, "HALYARD_OIDC_FILE": str(file), "HALYARD_PORT": "x"}, {})
    _, issuer, client = caught.value.problems
    where = f"HALYARD_OIDC_FILE '{file}' cannot be used: /providers/corporate"
    assert issuer == f"{where}/issuer is an address that begins with https://"
    assert client == f"{where}/clientId is missing"


def test_providers_are_read_with_the_secrets_that_their_file_names(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(
        '[providers.corporate]\nissuer = "https://id.example.org"\nclientId = "halyard"\n'
        'clientSecretEnv = "CORPORATE_SECRET"\n'
    )
    environ = {**REQUIRED, "HALYARD_OIDC_FILE": str(file), "CORPORATE_SECRET": "s3cret"}
    settings = read_settings(environ, {})
    (provider,) = settings.identity_providers
    assert (provider.key, provider.client_secret) == ("corporate", "s3cret")
    assert "s3cret" not in repr(settings)
