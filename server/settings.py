"""Every setting, read once: from ``HALYARD_*`` variables, overridden by the command line.

A knob exists where an operator has asked for one; everything else is a constant beside its use.
Reading reports all that is wrong at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import msgspec

from server.oidc.providers import BadProviders, Provider, read_providers
from server.redis_url import read_redis_url

Role = Literal["api", "gateway", "projector"]
ROLES: tuple[Role, ...] = ("api", "gateway", "projector")
Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]
LEVELS = ("debug", "info", "warning", "error")
PREFIX = "HALYARD_"
OF_COMMANDS = frozenset({"HALYARD_URL", "HALYARD_TOKEN"})
"""Read by commands that ask a server; a server that is started beside them passes them over."""
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?/?", re.IGNORECASE)
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


class SettingsError(Exception):
    """One sentence for each setting that cannot be used."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one process was told. :data:`SETTINGS` says what each field means."""

    database_url: str
    redis_url: str
    host: str = "127.0.0.1"
    port: int = 8080
    roles: tuple[Role, ...] = ROLES
    admin_email: str = ""
    admin_password: str = ""
    admin_token: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    drain_seconds: float = 10.0
    heartbeat_seconds: float = 15.0
    database_pool_size: int = 10
    tombstone_days: float = 30.0
    analytics_days: int = 90
    context_samples: Literal["on", "hashed", "off"] = "on"
    reuse_port: bool = False
    max_connections: int = 0
    max_connections_per_key: int = 0
    handshakes_per_second: float = 2_000.0
    metrics_token: str = ""
    trusted_proxies: Networks = ()
    public_url: str = ""
    webhook_networks: tuple[str, ...] = PRIVATE_NETWORKS
    webhook_days: float = 3.0
    oidc_file: str = ""
    identity_providers: tuple[Provider, ...] = ()
    """What stands in ``oidc_file``."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for reading and for the reference."""

    name: str
    """The field; the variable is this in capitals behind ``HALYARD_``."""
    meaning: str
    read: Callable[[str], Any]
    """Raises ``ValueError`` that says what is allowed."""
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()

    @property
    def takes(self) -> str:
        """What is allowed, in words: what reading says to nothing at all."""
        try:
            self.read("")
        except ValueError as allowed:
            return str(allowed)
        raise AssertionError(f"{self.name} accepts an empty text")

    @property
    def default(self) -> str | None:
        """As it would be written, "required" for what must be given, None for nothing."""
        value = next(
            field.default for field in msgspec.structs.fields(Settings) if field.name == self.name
        )
        match value:
            case msgspec.NODEFAULT:
                return "required"
            case bool():
                return str(value).lower()
            case tuple():
                return ",".join(map(str, value)) or None
            case float():
                return f"{value:g}"
            case _:
                return str(value) or None


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"a URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
        return text

    return read


def _origin(text: str) -> str:
    """As browsers write it: in lower case, without the port that goes without saying."""
    allowed = "an address such as https://flags.example.org, with neither path nor query"
    if not _ORIGIN.fullmatch(text):
        raise ValueError(allowed)
    try:
        parts = urlsplit(text.lower())
        port = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.rstrip(":")
    return (
        f"{parts.scheme}://{host}" if port in (None, usual) else f"{parts.scheme}://{host}:{port}"
    )


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        allowed = f"a number from {low:g} to {high:g}"
        try:
            value = float(text)
        except ValueError:
            raise ValueError(allowed) from None
        if not low <= value <= high:
            raise ValueError(allowed)
        return value

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return read


def _roles(text: str) -> tuple[Role, ...]:
    named = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not named or set(named) - set(ROLES):
        raise ValueError(f"some of {', '.join(ROLES)}, separated by commas")
    return cast("tuple[Role, ...]", named)


def _networks(text: str) -> Networks:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError("networks such as 10.0.0.0/8 or ::1, separated by commas") from None


def _networks_or_none(text: str) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if text.strip() == "none":
        return ()
    try:
        if not named:
            raise ValueError
        return tuple(str(ip_network(each)) for each in named)
    except ValueError:
        raise ValueError("networks such as 10.0.0.0/8, separated by commas, or none") from None


def _yes_or_no(text: str) -> bool:
    if text not in ("0", "1", "true", "false"):
        raise ValueError("true or false")
    return text in ("1", "true")


def _email(text: str) -> str:
    if text.count("@") != 1 or text.startswith("@") or text.endswith("@"):
        raise ValueError("an e-mail address")
    return text


def _long(least: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not least <= len(text) <= 512:
            raise ValueError(f"text of {least} to 512 characters")
        return text

    return read


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "database_url",
        "PostgreSQL that holds the logs.",
        _url("postgresql", "postgres"),
        secret=True,
    ),
    Setting(
        "redis_url",
        "Redis or Valkey that holds the rulesets.",
        read_redis_url,
        secret=True,
    ),
    Setting("host", "Address to listen on; 0.0.0.0 for all.", _long(1)),
    Setting("port", "Port to listen on; 0 takes a free one.", _whole(0, 65_535)),
    Setting("roles", "What this process does: api, gateway, projector.", _roles),
    Setting("admin_email", "Address of the first account, made at the first start.", _email),
    Setting("admin_password", "Password of the first account.", _long(12), secret=True),
    Setting("admin_token", "An API token that opens the first account.", _long(20), secret=True),
    Setting("log_level", "The least severe lines that are logged.", _one_of(*LEVELS)),
    Setting("log_format", "console for people, json for programs.", _one_of("console", "json")),
    Setting("drain_seconds", "Over how long SDKs are asked to leave at the end.", _number(0, 600)),
    Setting("heartbeat_seconds", "How often each stream hears from the server.", _number(1, 300)),
    Setting("database_pool_size", "Connections to PostgreSQL at most.", _whole(2, 200)),
    Setting("tombstone_days", "Days after which deletions are forgotten.", _number(1, 3650)),
    Setting("analytics_days", "Days after which counts of SDKs are forgotten.", _whole(1, 3650)),
    Setting(
        "context_samples",
        "Whether attributes of contexts are sampled; hashed: without their keys.",
        _one_of("on", "hashed", "off"),
    ),
    Setting("reuse_port", "Let several processes listen on one port.", _yes_or_no),
    Setting(
        "max_connections",
        "Streams of this process at most; 0: three quarters of its descriptors.",
        _whole(0, 1_000_000),
    ),
    Setting(
        "max_connections_per_key",
        "Streams with one SDK key at most; 0: all, or half of all with a client key.",
        _whole(0, 1_000_000),
    ),
    Setting(
        "handshakes_per_second",
        "Streams opened per second at most; others are told when to come back.",
        _number(1, 100_000),
    ),
    Setting(
        "metrics_token", "What /metrics asks for; all may read it without.", _long(20), secret=True
    ),
    Setting(
        "trusted_proxies",
        "Networks of proxies whose X-Forwarded-For is believed; empty: nobody's is.",
        _networks,
    ),
    Setting(
        "public_url",
        "Where browsers reach this installation; empty: wherever they say that they do.",
        _origin,
    ),
    Setting(
        "webhook_networks",
        "Networks beyond the public ones that administrators may open to webhooks at most.",
        _networks_or_none,
    ),
    Setting("oidc_file", "File of identity providers, JSON or TOML, read at the start.", _long(1)),
    Setting("webhook_days", "Days of failing after which a webhook is dead.", _number(0.001, 365)),
)


def read_settings(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """The settings of a process; ``overrides`` (by field) go before variables.

    Overrides that are None were not given. Raises :class:`SettingsError`.
    """
    values: dict[str, Any] = {}
    problems: list[str] = list(_unknown(environ))
    refused: set[str] = set()
    for setting in SETTINGS:
        given = overrides.get(setting.name)
        text = environ.get(setting.variable, "") if given is None else str(given)
        if not text:
            continue
        try:
            values[setting.name] = setting.read(text)
        except ValueError as allowed:
            refused.add(setting.name)
            shown = "" if setting.secret else f" '{text}'"
            problems.append(f"{setting.variable}{shown} cannot be used; it takes {allowed}")
    problems += _missing(values, refused)
    if "oidc_file" in values:
        try:
            providers = read_providers(Path(values["oidc_file"]), environ)
            values["identity_providers"] = providers
        except BadProviders as bad:
            problems += [
                f"{PREFIX}OIDC_FILE '{values['oidc_file']}' cannot be used: "
                f"{found.path or 'it'} {found.reason}"
                for found in bad.problems
            ]
    if problems:
        raise SettingsError(tuple(problems))
    return Settings(**values)


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {setting.variable for setting in SETTINGS} | OF_COMMANDS
    return [
        f"{name} is not a setting; `halyard settings` lists them all"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    ]


def _missing(values: Mapping[str, Any], refused: Set[str]) -> list[str]:
    """What was left out; what was given and refused is spoken of already."""
    given = values.keys() | refused
    problems = [
        f"{PREFIX}{name.upper()} is required"
        for name in ("database_url", "redis_url")
        if name not in given
    ]
    if ("admin_email" in given) != ("admin_password" in given):
        problems.append("HALYARD_ADMIN_EMAIL and HALYARD_ADMIN_PASSWORD go together")
    if "admin_token" in given and "admin_email" not in given:
        problems.append("HALYARD_ADMIN_TOKEN needs HALYARD_ADMIN_EMAIL, whose account it opens")
    return problems
