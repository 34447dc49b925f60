"""What administrators choose for the whole installation."""

from __future__ import annotations

import ipaddress
import re

from halyard_protocol.problems import Problem, Problems, count_problems, repeat_problems
from msgspec import UNSET
from msgspec.structs import asdict, replace

from domain import limits
from domain.errors import InvalidCommand
from domain.names import name_problems, place_key_problems, refuse
from domain.system import commands as c
from domain.system import events as e
from domain.system.deciding.roles import known_role
from domain.system.state import SystemState
from domain.system.vocabulary import InstallationSettings

_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_NOT_SETTINGS = ("comment", "expected_revision")


def change(state: SystemState, command: c.ChangeSettings) -> e.SettingsChanged | None:
    """Set what is given; the rest stays as it is."""
    given = {
        name: value
        for name, value in asdict(command).items()
        if name not in _NOT_SETTINGS and value is not UNSET
    }
    wanted = replace(state.settings, **given)
    refuse(_problems(wanted))
    try:
        known_role(state, wanted.registration_role, optional=True)
    except InvalidCommand as unknown:
        reason = unknown.problems[0].reason
        raise InvalidCommand(Problem("/registrationRole", reason)) from unknown
    if wanted == state.settings:
        return None
    return e.SettingsChanged(wanted, comment=command.comment)


def _problems(wanted: InstallationSettings) -> Problems:
    yield from name_problems("/name", wanted.name)
    domains = wanted.registration_domains
    yield from count_problems("/registrationDomains", domains, limits.DOMAINS, "domains")
    for index, domain in enumerate(domains):
        if not _DOMAIN.fullmatch(domain):
            reason = f"'{domain}' is no domain in lower case, such as example.com"
            yield Problem(f"/registrationDomains/{index}", reason)
    if wanted.session_idle_hours > wanted.session_days * 24:
        yield Problem("/sessionIdleHours", "is longer than sessionDays: make it shorter")
    yield from _environment_problems(wanted)
    networks = wanted.webhook_networks
    yield from count_problems("/webhookNetworks", networks, limits.NETWORKS, "networks")
    for index, network in enumerate(networks):
        yield from _network_problems(f"/webhookNetworks/{index}", network)


def _environment_problems(wanted: InstallationSettings) -> Problems:
    path, rows = "/projectEnvironments", wanted.project_environments
    if not rows:
        yield Problem(path, "name at least one environment")
    yield from count_problems(path, rows, limits.ENVIRONMENTS, "environments")
    yield from repeat_problems(path, tuple(row.environment for row in rows), "environment")
    for index, row in enumerate(rows):
        yield from place_key_problems(f"{path}/{index}/environment", row.environment)
        if row.name:
            yield from name_problems(f"{path}/{index}/name", row.name)


def _network_problems(path: str, network: str) -> Problems:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        yield Problem(path, f"'{network}' is no network, such as 10.1.0.0/16 or fd00::/8")
