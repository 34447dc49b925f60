"""What events, commands and the state of the installation share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from domain.facts import Entity

SYSTEM_LOG = "$system"
"""The id of the log; no project's key can begin with a dollar sign."""
SETTINGS = Entity("settings", "installation")
EVERYWHERE = "*"
"""Every project, or every environment, in place of keys."""
UNPROTECTED = "$unprotected"
"""In place of an environment's key: every one that is not protected."""

Registration: TypeAlias = Literal["closed", "open"]


class Grant(
    msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True
):
    """Permissions, and where they hold.

    A permission is a verb such as ``flag:write``, all of a resource's as ``flag:*``, or ``*``.
    """

    permissions: tuple[str, ...]
    projects: tuple[str, ...] = (EVERYWHERE,)
    """Keys of projects, or ``*``."""
    environments: tuple[str, ...] = (EVERYWHERE,)
    """Keys of environments, ``*``, or ``$unprotected``. What is not of one asks for no more than
    the project."""


class Assignment(msgspec.Struct, frozen=True, order=True):
    """A role that an account or a group has in a project, or in every one (``*``)."""

    project: str
    role: str


class EnvironmentDefault(
    msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True
):
    """An environment that new projects get."""

    environment: str
    name: str = ""
    protected: bool = False


class InstallationSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename="camel",
    forbid_unknown_fields=True,
):
    """What administrators choose for the whole installation."""

    name: str = "Halyard"
    """What people see."""
    registration: Registration = "closed"
    """Whether anybody may make an account, or only who was invited."""
    registration_role: str = ""
    """The role that a registered account has everywhere; empty for none."""
    registration_domains: tuple[str, ...] = ()
    """Behind the ``@`` of addresses that may register; empty for any."""
    access_token_minutes: int = 5
    session_idle_hours: int = 7 * 24
    """A login that was not used for so long is over."""
    session_days: int = 30
    """A login is over after so long, however much it is used."""
    password_min_length: int = 12
    address_days: int = 90
    """How long it is kept from which address a change was made."""
    project_environments: tuple[EnvironmentDefault, ...] = (
        EnvironmentDefault("development", "Development"),
        EnvironmentDefault("staging", "Staging"),
        EnvironmentDefault("production", "Production", protected=True),
    )
    """What a new project begins with, unless told otherwise."""
    webhook_networks: tuple[str, ...] = ()
    """Private networks (CIDR) that webhooks may reach."""
