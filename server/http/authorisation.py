"""What a request may have: checked at the border, and by handlers for what no path says.

An account sees the projects in which it may do anything. To it, all others are as if they did not
exist: the same words, the same status. Of a project that it sees, it sees the environments in
which it may read what is asked for; a state that is read for it has no others. What is told of
changes goes by :class:`Sight`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.errors import BeyondOwn, NotPermitted
from domain.state import ProjectState
from domain.system.access import Access, regions_of_account
from domain.system.permissions import OF_ENVIRONMENT
from domain.system.vocabulary import EVERYWHERE
from server.http.faults import Unauthenticated
from server.http.permissions import SELF
from server.http.warrants import Warrant
from server.writing.errors import LogUnknown

if TYPE_CHECKING:
    from server.http.call import Call
    from server.http.routes import Route

MAX_VIEWS = 8
"""One costs as much as the rows that it lacks."""

_READABLE = frozenset(each for each in OF_ENVIRONMENT if each.endswith(":read"))


class Hidden(LogUnknown):
    """There may be such a project; whoever asks is told that there is none."""

    def __init__(self, project: str, permission: str) -> None:
        super().__init__(project)
        self.project = project
        self.permission = permission
        """What it was asked for."""


def access_to(call: Call) -> Access:
    """What whoever asks may do, as of now. Raises :class:`Unauthenticated`."""
    if call.account is None or call.credential is None:
        raise Unauthenticated("this needs an account")
    installation = call.dependencies.writers.system_at_hand
    if installation is None:
        raise Unauthenticated("this needs an account")
    accesses = call.dependencies.accesses
    return accesses.of(installation, call.account.id, call.credential.scope)


def warrant_of(call: Call, cause: str = "") -> Warrant:
    """What goes along with everything that a request submits, for a ``cause`` perhaps."""
    if call.account is None or call.credential is None:
        raise Unauthenticated("this needs an account")
    dependencies = call.dependencies
    writers, accesses = dependencies.writers, dependencies.accesses
    return Warrant(writers, accesses, call.account.id, call.credential, cause)


async def permit(call: Call, route: Route) -> None:
    """Check a route's permission where its path says. Raises :class:`NotPermitted`, `Hidden`."""
    permission = route.permission
    if permission is None or permission == SELF:
        return
    call.permission = permission
    access = access_to(call)
    project, environment = call.parameters.get("project"), call.parameters.get("environment")
    if project is None or environment is None:
        _check(access, permission, project, None)
        return
    is_open = access.allows(permission, project, environment, protected=False)
    if is_open and not access.allows(permission, project, environment):
        state = (await call.dependencies.writers.state(project)).state
        is_open = not _is_protected(state, environment, otherwise=not route.writes)
    if not is_open:
        _refuse(access, permission, project, environment)


def require(
    call: Call, permission: str, project: str | None = None, environment: str | None = None
) -> None:
    """For what the path does not name: raises :class:`NotPermitted` where the caller may not.

    ``project`` and ``environment`` are keys; None for what is not of one. Raises :class:`Hidden`
    where the caller is not to know that there is such a project.
    """
    access, protected = access_to(call), True
    if project is not None and environment is not None:
        at_hand = call.dependencies.writers.at_hand(project)
        if at_hand is not None:
            protected = _is_protected(at_hand.state, environment, otherwise=True)
    _check(access, permission, project, environment, protected=protected)


def require_over(call: Call, account_id: str) -> None:
    """For what is done to an account beside the log, also where a write is only repeated.

    Raises :class:`BeyondOwn` where the account may do, as of now, what who asks may not.
    """
    access, installation = access_to(call), call.dependencies.writers.system_at_hand
    if installation is not None:
        lacking = access.lacks(regions_of_account(installation.state, account_id))
        if lacking is not None:
            raise BeyondOwn(lacking)


class VisibleStates:
    """States without environments that somebody may not see: those that were asked for last."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[tuple[ProjectState, int, frozenset[str], ProjectState]] = []

    def without(self, state: ProjectState, seq: int, environments: frozenset[str]) -> ProjectState:
        """The state at ``seq`` without some of its environments; valid until it changes."""
        for entry in self._kept:
            if entry[0] is state and entry[1:3] == (seq, environments):
                return entry[3]
        view = _without(state, environments)
        self._kept = [(state, seq, environments, view), *self._kept][:MAX_VIEWS]
        return view


def visible(call: Call, project: str, state: ProjectState, seq: int) -> ProjectState:
    """A state as whoever asks may see it; the same one where they may see all of it.

    What they may not see is as if it had never been. Raises :class:`Hidden`.
    """
    if call.account is None:
        return state
    access, reading = access_to(call), _reading(call.permission)
    if not access.sees(project):
        raise Hidden(project, call.permission)
    if access.allows_everywhere(reading, project):
        return state
    hidden = frozenset(
        row.key
        for row in state.environments.values()
        if not access.allows(reading, project, row.key, protected=row.protected)
    )
    return call.dependencies.visible_states.without(state, seq, hidden) if hidden else state


HISTORY = ("event:read", "flag:read")
"""What it takes to be told of changes in an environment."""
REQUESTS = ("change-request:read", "environment:read", "flag:read")
"""What it takes to be told of changes there that are asked for."""


class Sight:
    """Of which of a project's environments whoever asks may be told what changes there, as of now.

    Also of one that has ended: it counts as protected, as does one that is not known.
    """

    __slots__ = ("_access", "_needs", "_project", "_state", "everywhere")

    def __init__(self, call: Call, project: str, needs: tuple[str, ...] = HISTORY) -> None:
        at_hand = call.dependencies.writers.at_hand(project)
        self._access = access_to(call)
        self._needs = needs
        self._project = project
        self._state = ProjectState() if at_hand is None else at_hand.state
        self.everywhere = all(self._access.allows_everywhere(each, project) for each in needs)
        """Of all, whichever there are."""

    def reaches(self, environment: str | None) -> bool:
        """Whether of this one; of what is of none, always."""
        return environment is None or self.everywhere or self._lacking(environment) is None

    def require(self, environment: str | None) -> None:
        """Raises :class:`NotPermitted` unless of this one; for None, unless of all."""
        if self.everywhere:
            return
        if environment is not None:
            lacking = self._lacking(environment)
        else:
            everywhere, project = self._access.allows_everywhere, self._project
            lacking = next(each for each in self._needs if not everywhere(each, project))
        if lacking is not None:
            raise NotPermitted(lacking, self._project, environment or EVERYWHERE)

    def _lacking(self, environment: str) -> str | None:
        protected = _is_protected(self._state, environment, otherwise=True)
        project, allows = self._project, self._access.allows
        return next(
            (p for p in self._needs if not allows(p, project, environment, protected=protected)),
            None,
        )


def _reading(permission: str) -> str:
    """What is asked of those who read on the way to what the permission is for."""
    reading = permission.partition(":")[0] + ":read"
    return reading if reading in _READABLE else "environment:read"


def _without(state: ProjectState, environments: frozenset[str]) -> ProjectState:
    view = state.overlay()
    for environment in environments:
        view.environments.remove(environment)
        for flag in state.flags:
            view.settings.remove((flag, environment))
    for place in tuple(state.keys):
        if place[1] in environments:
            view.keys.remove(place)
    return view


def _is_protected(state: ProjectState, environment: str, *, otherwise: bool) -> bool:
    row = state.environments.get(environment)
    return otherwise if row is None else row.protected


def _check(
    access: Access,
    permission: str,
    project: str | None,
    environment: str | None,
    *,
    protected: bool = True,
) -> None:
    if not access.allows(permission, project, environment, protected=protected):
        _refuse(access, permission, project, environment)
    if project is not None and not access.sees(project):
        raise Hidden(project, permission)


def _refuse(access: Access, permission: str, project: str | None, environment: str | None) -> None:
    if project is not None and not access.sees(project):
        raise Hidden(project, permission)
    raise NotPermitted(permission, project, environment)
