"""The operator's file of identity providers, JSON or TOML: read strictly, every fault at once.

[providers.corporate]
name = "Example Inc."
issuer = "https://id.example.org"
clientId = "halyard"
clientSecretEnv = "CORPORATE_SECRET"
groupClaim = "groups"
emailDomains = ["example.org"]
createsAccounts = true

[[providers.corporate.groups]]
group = "flag-admins"
role = "admin"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from halyard_protocol.problems import Problem

from domain.system.vocabulary import EVERYWHERE

MAX_PROVIDERS: Final = 20
MAX_FILE_BYTES: Final = 1024 * 1024
_KEY = re.compile(r"[a-z][a-z0-9-]{0,31}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class GroupRole(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Whoever is in the provider's ``group`` has a role, everywhere or in a project."""

    group: str
    role: str
    project: str = EVERYWHERE


class _Written(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    issuer: str
    client_id: str
    name: str = ""
    client_secret: str = ""
    client_secret_env: str = ""
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    group_claim: str = ""
    groups: tuple[GroupRole, ...] = ()
    email_domains: tuple[str, ...] = ()
    creates_accounts: bool = False
    links_by_email: bool = False


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider, as the operator trusts it."""

    key: str
    """In addresses, such as ``auth/oidc/{key}/login``; and what events name."""
    name: str
    """What people see on the button."""
    issuer: str
    """Without a slash at its end, unless the provider writes one."""
    client_id: str
    client_secret: str
    """Empty for a public client, which has PKCE alone."""
    scopes: tuple[str, ...]
    group_claim: str
    """Of the id token: a list of the groups that somebody is in; empty for none."""
    groups: tuple[GroupRole, ...]
    email_domains: tuple[str, ...]
    """Behind the ``@``, in lower case; empty for any."""
    creates_accounts: bool
    """Whether somebody whom nobody knows gets an account."""
    links_by_email: bool
    """Whether a verified address may find an account that has no password."""

    def __repr__(self) -> str:
        return f"Provider({self.key!r}, {self.issuer!r})"

    def admits(self, email: str) -> bool:
        """Whether addresses of this domain may come in."""
        return not self.email_domains or email.rpartition("@")[2].lower() in self.email_domains


class BadProviders(Exception):
    """The file cannot be used; each problem names the field."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(problems)

    def __str__(self) -> str:
        return "; ".join(f"{found.path}: {found.reason}" for found in self.problems)


def read_providers(path: Path, environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """The providers of a file, by their keys. Raises :class:`BadProviders`, all faults at once.

    Secrets that stand in the environment or in files of their own are read now.
    """
    written = _tables(_content(path))
    providers: list[Provider] = []
    problems: list[Problem] = []
    for key, table in sorted(written.items()):
        try:
            providers.append(_read(key, table, environ))
        except BadProviders as bad:
            problems += bad.problems
    if problems:
        raise BadProviders(*problems)
    return tuple(providers)


def _content(path: Path) -> Any:
    try:
        source = path.read_bytes()
        if len(source) > MAX_FILE_BYTES:
            raise BadProviders(Problem("", f"is larger than {MAX_FILE_BYTES} bytes"))
        if path.suffix == ".toml":
            return tomllib.loads(source.decode())
        return msgspec.json.decode(source)
    except OSError as error:
        raise BadProviders(Problem("", f"cannot be read: {error.strerror}")) from error
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadProviders(Problem("", f"cannot be read: {error}")) from error


def _tables(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or content.keys() != {"providers"}:
        raise BadProviders(Problem("", "holds 'providers', and nothing else"))
    providers = content["providers"]
    if not isinstance(providers, dict) or not 1 <= len(providers) <= MAX_PROVIDERS:
        reason = f"is 1 to {MAX_PROVIDERS} providers by their keys"
        raise BadProviders(Problem("/providers", reason))
    return providers


def _read(key: str, table: Any, environ: Mapping[str, str]) -> Provider:
    path = f"/providers/{key}"
    try:
        written = msgspec.convert(table, _Written)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        place = where.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        raise BadProviders(Problem(path + place, reason)) from error
    secret, faults = _secret(written, environ)
    problems = [*_faults(key, written), *faults]
    if problems:
        raise BadProviders(*(Problem(path + found.path, found.reason) for found in problems))
    return Provider(
        key=key,
        name=written.name or key,
        issuer=written.issuer,
        client_id=written.client_id,
        client_secret=secret,
        scopes=tuple(dict.fromkeys(("openid", *written.scopes))),
        group_claim=written.group_claim,
        groups=written.groups,
        email_domains=tuple(domain.lower() for domain in written.email_domains),
        creates_accounts=written.creates_accounts,
        links_by_email=written.links_by_email,
    )


def _faults(key: str, written: _Written) -> Iterator[Problem]:
    if not _KEY.fullmatch(key):
        yield Problem("", "its key is 1 to 32 of a-z, 0-9 and '-', beginning with a letter")
    if not is_safe_address(written.issuer) or "?" in written.issuer or "#" in written.issuer:
        yield Problem("/issuer", "is an address that begins with https://")
    if not written.client_id:
        yield Problem("/clientId", "is missing")
    if written.groups and not written.group_claim:
        yield Problem("/groupClaim", "is needed to know who is in a group")
    places = [(each.group, each.project) for each in written.groups]
    if len(set(places)) < len(places):
        yield Problem("/groups", "give a group one role in each project")
    for index, domain in enumerate(written.email_domains):
        if not domain or "@" in domain:
            yield Problem(f"/emailDomains/{index}", "is what stands behind the '@'")


def is_safe_address(url: str) -> bool:
    """Whether secrets may be sent there: over TLS, or within this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.username is not None or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _secret(written: _Written, environ: Mapping[str, str]) -> tuple[str, list[Problem]]:
    ways = [written.client_secret, written.client_secret_env, written.client_secret_file]
    if sum(map(bool, ways)) > 1:
        return "", [Problem("/clientSecret", "is given in one way: here, by env or by file")]
    if written.client_secret_env:
        value = environ.get(written.client_secret_env, "")
        reason = f"the variable {written.client_secret_env} is not set"
        return value, [] if value else [Problem("/clientSecretEnv", reason)]
    if written.client_secret_file:
        try:
            value = Path(written.client_secret_file).read_text().strip()
        except (OSError, UnicodeDecodeError):
            value = ""
        return value, [] if value else [Problem("/clientSecretFile", "cannot be read, or is empty")]
    return written.client_secret, []
