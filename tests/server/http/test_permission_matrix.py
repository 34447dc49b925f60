"""Every route and every command, asked by every kind of caller, against a table written here.

The table is the design's and owes nothing to the code that is tested: a route or a command with a
verb that it does not know fails, as does a command without an example.

Writes carry an expected revision that nothing has. What is permitted is so refused afterwards, with
412, or finds something wrong with its body: nothing ever changes, and the order of the questions
does not matter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from domain import commands as c
from domain.errors import NotPermitted, Refusal
from domain.system import commands as s
from domain.system.vocabulary import SYSTEM_LOG, Grant
from server.credentials import fingerprint
from server.http.app import create_app
from server.http.credential import Credential
from server.http.permissions import PERMISSIONS, SELF
from server.http.routes import Route
from server.http.table import ROUTES
from server.http.warrants import Warrant
from server.writing.submission import Submission
from tests.support.api import FLAG, PROJECT, created
from tests.support.serving import Installation

EVERYWHERE = frozenset({"development", "staging", "production"})
UNPROTECTED = frozenset({"development", "staging"})
STAGING = frozenset({"staging"})
NOWHERE: frozenset[str] = frozenset()

READS_OF_PROJECT = ["project:read", "event:read", "projection:read", "change-request:read"]
READS_IN_PLACES = ["environment:read", "flag:read", "segment:read", "analytics:read"]
READING = [*READS_OF_PROJECT, *READS_IN_PLACES]
OF_DEVELOPERS = ["key:read", "webhook:read", "command:submit", "change-request:write"]
CHANGING = ["flag:write", "segment:write", "key:write", "environment:write", "context:erase"]
OF_ADMINS = [
    *("project:write", "project:delete", "event:void", "projection:write", "webhook:write"),
    *("environment:delete", "flag:delete", "segment:delete", "change-request:review"),
]
ON_INSTALLATION = [
    *("account:read", "account:write", "role:read", "role:write", "project:create"),
    *("settings:read", "settings:write", "token:read", "token:write"),
]
EVERY_VERB = {*READING, *OF_DEVELOPERS, *CHANGING, *OF_ADMINS, *ON_INSTALLATION}

Rights = Mapping[str, frozenset[str]]
"""Where in the project demo a caller has each verb; of the installation, anywhere will do."""


def rights(*of: tuple[list[str], frozenset[str]]) -> Rights:
    return {verb: where for verbs, where in of for verb in verbs}


DEVELOPER = rights((READING + OF_DEVELOPERS, EVERYWHERE), (CHANGING, UNPROTECTED))
CALLERS: dict[str, Rights] = {
    "none": {},
    "viewer": rights((READING, EVERYWHERE)),
    "developer": DEVELOPER,
    "admin": dict.fromkeys(EVERY_VERB, EVERYWHERE),
    "developer-here": DEVELOPER,
    "admin-here": dict.fromkeys(EVERY_VERB - {*ON_INSTALLATION}, EVERYWHERE),
    "admin-elsewhere": {},
    "in-a-group": DEVELOPER,
    "of-staging": rights(
        (["flag:read", "flag:write", "flag:delete"], STAGING),
        (["project:read", "command:submit"], EVERYWHERE),
    ),
    "limited-token": rights((["flag:read"], STAGING)),
}
"""By the account's id; each has a token of its own. The last is an admin's with a scope."""

NEEDS_EVERY_ENVIRONMENT = {
    f"{method} {path}"
    for method, path in (
        ("PATCH", PROJECT),
        ("DELETE", PROJECT),
        ("POST", f"{PROJECT}/environments/{{environment}}/protect"),
        ("POST", f"{PROJECT}/environments/{{environment}}/unprotect"),
        ("DELETE", f"{PROJECT}/flags/{{flag}}"),
        ("POST", f"{PROJECT}/flags/{{flag}}/archive"),
        ("POST", f"{PROJECT}/flags/{{flag}}/restore"),
        ("DELETE", f"{PROJECT}/segments/{{segment}}"),
    )
}
"""Routes that need no body and whose command reaches further than their path."""

NEEDS_ALSO = {f"GET {PROJECT}/export": ("flag:read", "segment:read")}
"""Routes whose answer holds what other verbs are asked for."""

NAMES = {"flag": "checkout", "segment": "beta", "key:path": "checkout"}
NO_REVISION = 99_999


async def found(halyard: Installation) -> None:
    """All callers, and a flag in production that rests on a segment."""
    api, writers = halyard.api, halyard.dependencies.writers
    await created(api, "/api/v1/projects", {"key": "other"})
    await created(api, f"{PROJECT}/segments", {"key": "beta"})
    await created(api, f"{PROJECT}/segments", {"key": "unused"})
    rule = {"when": {"op": "segment", "values": ["beta"]}, "serve": {"variation": "on"}}
    there = f"{FLAG}/environments/production"
    await created(api, f"{there}/rules", rule)
    assert (await api.post(f"{there}/enable")).status_code == 200
    of_staging = (
        Grant(("flag:read", "flag:write", "flag:delete"), environments=("staging",)),
        Grant(("project:read", "command:submit")),
    )
    ids = (*CALLERS, "disabled")
    await writers.submit(
        SYSTEM_LOG,
        Submission.of(
            "setup",
            *(s.CreateAccount(account=each) for each in ids),
            s.CreateRole(role="of-staging", grants=of_staging),
            s.CreateGroup(group="team"),
            s.AddGroupMembers(group="team", accounts=("in-a-group",)),
            *(_assign(each, each) for each in ("viewer", "developer", "admin", "of-staging")),
            _assign("developer-here", "developer", "demo"),
            _assign("admin-here", "admin", "demo"),
            _assign("admin-elsewhere", "admin", "other"),
            _assign("limited-token", "admin"),
            _assign("disabled", "admin"),
            s.AssignRole(subject="group", id="team", role="developer", project="demo"),
            *(_token(each) for each in ids),
            s.DisableAccount(account="disabled"),
        ),
    )


def _assign(account: str, role: str, project: str = "*") -> s.AssignRole:
    return s.AssignRole(subject="account", id=account, role=role, project=project)


SCOPE = Grant(("flag:read",), environments=("staging",))


def _token(account: str) -> s.IssueToken:
    scope = SCOPE if account == "limited-token" else None
    sha256 = fingerprint(f"token-of-{account}")
    return s.IssueToken(token=f"of-{account}", account=account, sha256=sha256, scope=scope)


class _Enough(Exception):
    """What matters of an answer has been said; a stream would go on for ever."""


class Answer(msgspec.Struct):
    """A status, and of a problem its members."""

    status: int = 0
    problem: dict[str, Any] = {}

    @property
    def hidden(self) -> bool:
        return self.problem.get("detail") == "there is no project 'demo'"

    def __str__(self) -> str:
        return f"{self.status} {self.problem.get('detail', '')}"


async def ask(app: Any, method: str, path: str, token: str | None, body: bytes = b"") -> Answer:
    answer = Answer()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            if answer.status < 400:
                raise _Enough
        elif message.get("body"):
            answer.problem = msgspec.json.decode(message["body"])

    headers = [(b"if-match", b'"%d"' % NO_REVISION)]
    if token is not None:
        headers.append((b"authorization", b"Bearer " + token.encode()))
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http",
        "server": ("halyard", 80), "root_path": "", "http_version": "1.1",
    }  # fmt: skip
    with suppress(_Enough):
        await app(scope, receive, send)
    return answer


def paths_of(route: Route) -> Iterator[tuple[str, frozenset[str]]]:
    """Its path, once for each environment that it may name, and what it then needs."""
    path = route.path.replace("{project}", "demo")
    for name, value in NAMES.items():
        path = path.replace("{" + name + "}", value)
    if f"{route.method} {route.path.replace('{project}', 'demo')}" in NEEDS_EVERY_ENVIRONMENT:
        yield _filled(path, "staging"), EVERYWHERE
    elif "{environment}" in path:
        yield _filled(path, "staging"), STAGING
        yield _filled(path, "production"), frozenset({"production"})
    else:
        yield _filled(path, ""), NOWHERE


def _filled(path: str, environment: str) -> str:
    path = path.replace("{environment}", environment)
    return "/".join("x" if part.startswith("{") else part for part in path.split("/"))


def is_allowed(held: Rights, verb: str, needed: frozenset[str]) -> bool:
    return verb in held and needed <= held[verb]


def sees_demo(held: Rights) -> bool:
    return any(verb not in ON_INSTALLATION for verb in held)


NOT_BY_A_LIMITED_TOKEN = frozenset(
    ("DELETE /api/v1/auth/sessions/{session}", "POST /api/v1/auth/logout-everywhere")
)
"""What a token of a part of the account's rights may not do about the account itself."""


def fault_of(route: Route, caller: str, needed: frozenset[str], answer: Answer) -> str:
    """What is wrong with an answer; empty for nothing."""
    verb, held = route.permission or "", CALLERS[caller]
    if verb != SELF and "{project}" in route.path and not sees_demo(held):
        return "" if answer.status == 404 and answer.hidden else "404 as if there were no project"
    if caller == "limited-token" and f"{route.method} {route.path}" in NOT_BY_A_LIMITED_TOKEN:
        return "" if answer.problem.get("permission") == "account:write" else "403"
    place = f"{route.method} {route.path.replace('{project}', 'demo')}"
    lacking = {
        each
        for each in (verb, *NEEDS_ALSO.get(place, ()))
        if each != SELF and not is_allowed(held, each, needed)
    }
    if not lacking or _has_elsewhere(route, caller):
        is_open = answer.status not in (401, 403) and not answer.hidden
        return "" if is_open else "allowed"
    is_named = answer.problem.get("permission") in lacking
    return "" if answer.status == 403 and is_named else f"403 naming {lacking}"


def _has_elsewhere(route: Route, caller: str) -> bool:
    """A path that names no project asks only whether there is one for which the caller may."""
    is_of_any = "{project}" not in route.path and route.permission not in ON_INSTALLATION
    return is_of_any and caller == "admin-elsewhere"


def fault_of_key(route: Route, kind: str, answer: Answer) -> str:
    if route.public or kind in route.sdk_keys:
        return "allowed" if answer.status in (401, 403) else ""
    wanted = 403 if route.sdk_keys else 401
    return "" if answer.status == wanted else str(wanted)


def say(size: str) -> None:
    """Into the run's output, so that everybody sees how much was asked."""
    sys.stdout.write(f"\n{size}, all as declared\n")


async def test_every_route_answers_every_caller_as_declared(
    halyard: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    await found(halyard)
    app = create_app(halyard.dependencies)
    strangers: dict[str, str | None] = {"disabled": "token-of-disabled", "nobody": None}
    keys = {"server": halyard.server_key, "client": halyard.client_key}
    faults: list[str] = []
    cells = 0
    for route in ROUTES:
        verb = route.permission
        assert verb is None or verb == SELF or verb in EVERY_VERB, f"{route.path}: {verb}"
        for path, needed in paths_of(route):
            body = b"{}" if route.reads_body else b""
            place = f"{route.method} {path}"
            for caller in CALLERS:
                answer = await ask(app, route.method, path, f"token-of-{caller}", body)
                cells += 1
                if verb is not None and (wanted := fault_of(route, caller, needed, answer)):
                    faults.append(f"{caller}: {place}: {wanted}, not {answer}")
            for stranger, token in strangers.items():
                answer = await ask(app, route.method, path, token, body)
                cells += 1
                if (answer.status == 401) is route.public:
                    faults.append(f"{stranger}: {place}: {answer}")
            for kind, key in keys.items():
                answer = await ask(app, route.method, path, key, body)
                cells += 1
                if wanted := fault_of_key(route, kind, answer):
                    faults.append(f"{kind} key: {place}: {wanted}, not {answer}")
    assert not faults, "\n".join(faults)
    roles = len(CALLERS) + len(strangers) + len(keys)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(ROUTES)} routes x {roles} callers = {cells} cells, all as declared\n"
        )


# -- commands ------------------------------------------------------------------------------------

SETTINGS_EXAMPLES: dict[str, dict[str, Any]] = {
    "EnableFlag": {},
    "DisableFlag": {},
    "ChangeOffVariation": {"offVariation": "off"},
    "ChangeFallthrough": {"fallthrough": {"variation": "on"}},
    "ChangeTargets": {"targets": []},
    "AddRule": {"rule": {"when": {"all": []}, "serve": {"variation": "on"}}},
    "ChangeRule": {"rule": {"id": "r", "when": {"all": []}, "serve": {"variation": "on"}}},
    "RemoveRule": {"rule": "r"},
    "ReorderRules": {"order": []},
    "ChangePrerequisites": {"prerequisites": []},
    "SetExpiry": {"expiresAt": "2030-01-01T00:00:00Z"},
    "ClearExpiry": {},
    "SetExposureTracking": {"enabled": True},
}
PRODUCTION = frozenset({"production"})
ON_OTHERS = [{"key": "on", "value": False}, {"key": "off", "value": False}]
EXAMPLES: dict[str, tuple[str, frozenset[str], dict[str, Any]]] = {
    "CreateProject": ("project:create", NOWHERE, {"project": "demo"}),
    "RenameProject": ("project:write", EVERYWHERE, {"name": "Demo"}),
    "DeleteProject": ("project:delete", EVERYWHERE, {}),
    "CreateEnvironment": ("environment:write", EVERYWHERE, {"environment": "qa"}),
    "ProtectEnvironment": ("environment:write", EVERYWHERE, {"environment": "staging"}),
    "UnprotectEnvironment": ("environment:write", EVERYWHERE, {"environment": "production"}),
    "OpenChangeRequest": (
        "change-request:write",
        NOWHERE,
        {"title": "T", "commands": [{"type": "DeleteFlag", "flag": "checkout"}]},
    ),
    "EditChangeRequest": ("change-request:write", NOWHERE, {"changeRequest": "q"}),
    "WithdrawChangeRequest": ("change-request:write", NOWHERE, {"changeRequest": "q"}),
    "ApplyChangeRequest": ("change-request:write", NOWHERE, {"changeRequest": "q"}),
    "ApproveChangeRequest": ("change-request:review", NOWHERE, {"changeRequest": "q"}),
    "RejectChangeRequest": ("change-request:review", NOWHERE, {"changeRequest": "q"}),
    "CreateFlag": ("flag:write", NOWHERE, {"flag": "new"}),
    "RenameFlag": ("flag:write", NOWHERE, {"flag": "checkout", "name": "C"}),
    "DescribeFlag": ("flag:write", NOWHERE, {"flag": "checkout", "description": "C"}),
    "TagFlag": ("flag:write", NOWHERE, {"flag": "checkout", "tags": []}),
    "AssignMaintainer": ("flag:write", NOWHERE, {"flag": "checkout", "maintainer": ""}),
    "ExposeClientSide": ("flag:write", PRODUCTION, {"flag": "checkout"}),
    "HideClientSide": ("flag:write", PRODUCTION, {"flag": "checkout"}),
    "ArchiveFlag": ("flag:write", EVERYWHERE, {"flag": "checkout"}),
    "RestoreFlag": ("flag:write", EVERYWHERE, {"flag": "checkout"}),
    "DeleteFlag": ("flag:delete", EVERYWHERE, {"flag": "checkout"}),
    "ChangeVariations": ("flag:write", PRODUCTION, {"flag": "checkout", "variations": ON_OTHERS}),
    "CreateSegment": ("segment:write", NOWHERE, {"segment": "new"}),
    "RenameSegment": ("segment:write", NOWHERE, {"segment": "beta", "name": "B"}),
    "DescribeSegment": ("segment:write", NOWHERE, {"segment": "beta", "description": "B"}),
    "AddSegmentMembers": ("segment:write", PRODUCTION, {"segment": "beta", "keys": ["a"]}),
    "RemoveSegmentMembers": ("segment:write", PRODUCTION, {"segment": "beta", "keys": ["a"]}),
    "ChangeSegmentRules": ("segment:write", PRODUCTION, {"segment": "beta", "rules": []}),
    "DeleteSegment": ("segment:delete", EVERYWHERE, {"segment": "unused"}),
}
"""By command: its verb, where it is needed, and its fields."""
IN_ONE: dict[str, tuple[str, dict[str, Any]]] = {
    "RenameEnvironment": ("environment:write", {"name": "E"}),
    "SetEnvironmentAttributes": ("environment:write", {"attributes": {}}),
    "SetRequiredApprovals": ("environment:write", {"requiredApprovals": 0}),
    "DeleteEnvironment": ("environment:delete", {}),
    "IssueSdkKey": ("key:write", {"sha256": "0" * 64}),
    "SetSdkKeyExpiry": ("key:write", {"key": "x", "expiresAt": "2030-01-01T00:00:00Z"}),
    "RotateSdkKey": (
        "key:write",
        {"key": "x", "successor": "y", "sha256": "0" * 64},
    ),
    "SetSdkKeyOrigins": ("key:write", {"key": "x", "origins": []}),
    "RevokeSdkKey": ("key:write", {"key": "x"}),
    **{
        name: ("flag:write", {"flag": "checkout", **fields})
        for name, fields in SETTINGS_EXAMPLES.items()
    },
}
"""Those that name the environment in which they need their verb."""
NOT_TAKEN = {name for name in c.COMMAND_TYPES if "Webhook" in name} | {"VoidEvent"}
"""Refused with 422 as commands, whoever asks."""


def command_cells() -> Iterator[tuple[str, frozenset[str], dict[str, Any]]]:
    for name, (verb, needed, fields) in EXAMPLES.items():
        yield verb, needed, {"type": name, **fields}
    for name, (verb, fields) in IN_ONE.items():
        for environment in ("staging", "production"):
            place = {"type": name, "environment": environment}
            yield verb, frozenset({environment}), {**place, **fields}


def test_every_command_of_a_project_has_an_example() -> None:
    assert {*EXAMPLES, *IN_ONE, *NOT_TAKEN} == set(c.COMMAND_TYPES)
    assert {verb for verb, _, _ in command_cells()} <= EVERY_VERB


async def test_every_command_answers_every_caller_as_declared(
    halyard: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    await found(halyard)
    app = create_app(halyard.dependencies)
    path = f"{PROJECT}/commands"
    faults: list[str] = []
    cells = 0
    for verb, needed, command in command_cells():
        body = msgspec.json.encode(command)
        for caller, held in CALLERS.items():
            answer = await ask(app, "POST", path, f"token-of-{caller}", body)
            cells += 1
            if not sees_demo(held):
                wanted = "" if answer.hidden else "404"
            elif is_allowed(held, "command:submit", NOWHERE) and is_allowed(held, verb, needed):
                wanted = "" if answer.status in (404, 409, 412, 422) else "allowed"
            else:
                wanted = "" if answer.status == 403 else f"403 naming {verb}"
            if wanted:
                faults.append(f"{caller}: {command}: {wanted}, not {answer}")
    assert not faults, "\n".join(faults)
    with capsys.disabled():
        number = len(EXAMPLES) + len(IN_ONE)
        sys.stdout.write(
            f"\n{number} commands x {len(CALLERS)} callers = {cells} cells, all as declared\n"
        )


NOBODY_ELSE = "none"
SYSTEM_EXAMPLES: dict[str, tuple[str, s.SystemCommand]] = {
    type(command).__name__: (verb, command)
    for verb, commands in {
        "account:write": (
            s.CreateAccount(account="new"),
            s.CreateServiceAccount(account="new", name="New"),
            s.DisableAccount(account=NOBODY_ELSE),
            s.EnableAccount(account=NOBODY_ELSE),
            s.EraseAccount(account=NOBODY_ELSE),
            s.EndAccountSessions(account="limited-token"),
            s.NotePasswordSet(account="limited-token"),
            s.NoteProfileChanged(account="limited-token"),
            s.NoteIdentityLinked(account="limited-token", provider="p"),
            s.NoteIdentityUnlinked(account="limited-token", provider="p"),
            s.AssignRole(subject="account", id=NOBODY_ELSE, role="viewer"),
            s.UnassignRole(subject="account", id=NOBODY_ELSE),
            s.CreateGroup(group="new"),
            s.RenameGroup(group="team", name="T"),
            s.DeleteGroup(group="team"),
            s.AddGroupMembers(group="team", accounts=(NOBODY_ELSE,)),
            s.RemoveGroupMembers(group="team", accounts=(NOBODY_ELSE,)),
        ),
        "role:write": (
            s.CreateRole(role="new", grants=(Grant(("flag:read",)),)),
            s.ChangeRole(role="of-staging", grants=(Grant(("flag:read",)),)),
            s.DeleteRole(role="of-staging"),
        ),
        "token:write": (
            s.IssueToken(token="new", account="disabled", sha256="0" * 64),
            s.RevokeToken(token="of-disabled"),
        ),
        "settings:write": (s.ChangeSettings(name="Ours"),),
    }.items()
    for command in commands
}


def test_every_command_of_the_installation_has_an_example() -> None:
    assert set(SYSTEM_EXAMPLES) == set(s.SYSTEM_COMMAND_TYPES)
    for verb, command in SYSTEM_EXAMPLES.values():
        assert PERMISSIONS[type(command)] == verb


async def test_every_command_of_the_installation_is_permitted_as_declared(
    halyard: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    await found(halyard)
    writers, accesses = halyard.dependencies.writers, halyard.dependencies.accesses
    cells = 0
    for verb, command in SYSTEM_EXAMPLES.values():
        asked = msgspec.structs.replace(command, expected_revision=NO_REVISION)
        for caller, held in (*CALLERS.items(), ("disabled", {})):
            scope = SCOPE if caller == "limited-token" else None
            credential = Credential("token", f"of-{caller}", scope)
            warrant = Warrant(writers, accesses, caller, credential)
            with pytest.raises(Refusal) as caught:
                await writers.submit(SYSTEM_LOG, Submission.of(caller, asked, warrant=warrant))
            refused = isinstance(caught.value, NotPermitted)
            assert refused is not is_allowed(held, verb, NOWHERE), f"{caller}: {command}"
            cells += 1
    with capsys.disabled():
        number = len(SYSTEM_EXAMPLES)
        sys.stdout.write(
            f"\n{number} commands x {len(CALLERS) + 1} callers = {cells} cells, all as declared\n"
        )
