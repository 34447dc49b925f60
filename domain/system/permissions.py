"""The verbs that there are, and the roles that are always there.

A permission is an action on a kind of resource. Those of :data:`OF_INSTALLATION` are not of a
project; all others hold in a project, and those of :data:`OF_ENVIRONMENT` in its environments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from halyard_protocol.problems import Problem, Problems, hint

from domain.system.vocabulary import EVERYWHERE, UNPROTECTED, Grant

OF_INSTALLATION = (
    "account:read",
    "account:write",
    "role:read",
    "role:write",
    "settings:read",
    "settings:write",
    "token:read",
    "token:write",
    "project:create",
)
OF_PROJECT = (
    "project:read",
    "project:write",
    "project:delete",
    "event:read",
    "event:void",
    "command:submit",
    "projection:read",
    "projection:write",
    "webhook:read",
    "webhook:write",
    "change-request:read",
    "change-request:write",
)
OF_ENVIRONMENT = (
    "environment:read",
    "environment:write",
    "environment:delete",
    "key:read",
    "key:write",
    "flag:read",
    "flag:write",
    "flag:delete",
    "segment:read",
    "segment:write",
    "segment:delete",
    "analytics:read",
    "context:erase",
    "change-request:review",
    "environment:bypass",
)

PERMISSIONS = frozenset((*OF_INSTALLATION, *OF_PROJECT, *OF_ENVIRONMENT))

_READING = (
    "project:read",
    "event:read",
    "projection:read",
    "change-request:read",
    "environment:read",
    "flag:read",
    "segment:read",
    "analytics:read",
)

ADMIN = "admin"
BUILT_IN: Mapping[str, tuple[Grant, ...]] = {
    "viewer": (Grant(_READING),),
    "developer": (
        Grant((*_READING, "key:read", "webhook:read", "command:submit", "change-request:write")),
        Grant(
            ("flag:write", "segment:write", "key:write", "environment:write", "context:erase"),
            environments=(UNPROTECTED,),
        ),
    ),
    ADMIN: (Grant((EVERYWHERE,)),),
}
"""By the role's key; no custom role may take one of these."""


def matches(pattern: str, permission: str) -> bool:
    """Whether a granted pattern (a verb, ``flag:*`` or ``*``) covers a permission."""
    if pattern in (EVERYWHERE, permission):
        return True
    return pattern.endswith(":*") and permission.startswith(pattern[:-1])


def permission_problems(path: str, patterns: Iterable[str]) -> Problems:
    """Patterns that cover nothing there is."""
    for index, pattern in enumerate(patterns):
        if not any(matches(pattern, permission) for permission in PERMISSIONS):
            yield Problem(f"{path}/{index}", _unknown(pattern))


def _unknown(pattern: str) -> str:
    return f"no permission is called '{pattern}'{hint(pattern, PERMISSIONS)}"


def covered(patterns: Iterable[str]) -> Iterator[str]:
    """Every permission that any of the patterns covers, without repeats, sorted."""
    wanted = tuple(patterns)
    return (p for p in sorted(PERMISSIONS) if any(matches(pattern, p) for pattern in wanted))
