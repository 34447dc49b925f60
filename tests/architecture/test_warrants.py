"""Nothing that a request asks for is carried out without the question whether it may be.

A submission carries a warrant, which the writer asks before each command. Those without one are
listed here, each with the reason why there is nobody to ask about.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import house

HTTP = Path("server/http")

WITHOUT_WARRANT = {
    "server/http/system_writes.py: by_secret": (
        "whoever comes in for the first time has no account to ask about: a secret or the "
        "installation's settings say what is done"
    ),
    "server/http/system_writes.py: confidentially": (
        "it is never submitted: only its new ids are taken, into one that has a warrant"
    ),
}
"""Where a submission is made without one."""

BY_SECRET = {
    "server/http/provider_logins.py: _entrance": (
        "whom an identity provider has vouched for, with what the operator's file gives them; and "
        "who takes an identity of their own away"
    ),
    "server/http/users.py: accept": "whoever has the secret of an invitation or of a reset",
    "server/http/users.py: register": "whoever the settings let register, with their role",
}
"""Who asks in that way."""

OUTSIDE_OF_REQUESTS = {"submitting", "ensure_admin", "ensure_token"}
"""What writes for the installation or for an operator on the server."""


def requests_modules() -> list[Path]:
    return [path for path in house.shipped() if path.is_relative_to(house.ROOT / HTTP)]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the modules that answer requests, with the outermost function around it."""
    for path in requests_modules():
        for scope in ast.walk(house.tree(path)):
            if isinstance(scope, ast.Module | ast.ClassDef):
                for inner in scope.body:
                    place = f"{house.name_of(path)}: {getattr(inner, 'name', '(module)')}"
                    yield from ((place, node) for node in _calls_in(inner))


def _calls_in(statement: ast.stmt) -> Iterator[ast.Call]:
    if not isinstance(statement, ast.ClassDef):
        yield from (node for node in ast.walk(statement) if isinstance(node, ast.Call))


def is_submission(node: ast.Call) -> bool:
    match node.func:
        case ast.Name(id="Submission") | ast.Attribute(attr="Submission"):
            return True
        case ast.Attribute(value=ast.Name(id="Submission") | ast.Attribute(attr="Submission")):
            return True
        case _:
            return False


def warrant_in(node: ast.Call) -> str:
    """What is given as the warrant, as it is written; empty for nothing."""
    given = [keyword.value for keyword in node.keywords if keyword.arg == "warrant"]
    return ast.unparse(given[0]) if given else ""


def called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def test_every_submission_of_a_request_has_the_caller_s_warrant() -> None:
    submissions = [(place, node) for place, node in calls() if is_submission(node)]
    assert {warrant_in(node) for _, node in submissions} == {"", "warrant_of(call, causation_id)"}
    without = {place for place, node in submissions if not warrant_in(node)}
    assert without == set(WITHOUT_WARRANT)


def test_no_warrant_is_taken_away_again() -> None:
    places = {
        place
        for place, node in calls()
        if called(node) == "replace" and any(each.arg == "warrant" for each in node.keywords)
    }
    assert places == set()


def test_who_shows_a_secret_is_named() -> None:
    assert {place for place, node in calls() if called(node) == "by_secret"} == set(BY_SECRET)


def test_a_request_writes_nothing_in_the_installation_s_name() -> None:
    assert {place for place, node in calls() if called(node) in OUTSIDE_OF_REQUESTS} == set()
