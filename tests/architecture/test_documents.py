"""The documents: nothing missing, no link into nowhere, nothing said of what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from halyard_protocol.close_codes import CLOSE_RULES, CloseCode, Reconnect

from server.cli.settings import described
from server.settings import OF_COMMANDS, SETTINGS, Setting
from tests.architecture import house

DOCS = house.ROOT / "docs"
PAGES = house.files(".md")
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
DOES = {
    Reconnect.RESUME: "reconnects with backoff and resumes",
    Reconnect.AFRESH: "reconnects without resume",
    Reconnect.LATER: "reconnects after 15 to 45 s",
    Reconnect.STOP: "stops",
}

LEFT_OVER = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|TBD|WIP|lorem ipsum)\b"
    r"|(?<![\w.])/(home|Users|root|work|mnt)/\w"
    r"|[A-Z]:\\\\?Users"
    r"|\b[Ii]ssues? #?[0-9]"
    r"|https?://[^\s/]*(pypi|pythonhosted|artifactory|nexus|registry)"
)
"""Work left undone, a developer's machine, a ticket, a registry."""


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may say behind ``#``."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def links() -> Iterator[Any]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if not re.match(r"[a-z]+:", target):
                yield pytest.param(page, target, id=f"{house.name_of(page)}->{target}")


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_every_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    to = (page.parent / path).resolve() if path else page
    assert to.exists()
    assert not anchor or anchor in anchors(to)


def test_every_page_can_be_found_from_the_first() -> None:
    seen: set[Path] = set()
    todo = [house.ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([^)\s#]+)", prose(page))
        todo += [(page.parent / target).resolve() for target in targets if ":" not in target]
    assert {house.name_of(page) for page in set(PAGES) - seen} <= {"CHANGELOG.md"}


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_every_decision_is_in_the_index_by_its_title(decision: Path) -> None:
    title = decision.read_text().splitlines()[0].removeprefix("# ")
    number, _, name = title.partition(": ")
    assert decision.name.startswith(f"{number}-")
    assert f"| [{number}]({decision.name}) | {name} |" in (DOCS / "decisions/README.md").read_text()


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_every_decision_says_what_why_and_what_else_there_was(decision: Path) -> None:
    text = decision.read_text()
    if decision.stem != "0007-dependencies":
        for part in ("**Decided.**", "**Why.**", "**Rejected.**"):
            assert part in text


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(decision.name[:4]) for decision in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_close_codes_stand_in_the_reference_and_no_others() -> None:
    page = (DOCS / "reference" / "close-codes.md").read_text()
    assert {int(code) for code in re.findall(r"^\| ([0-9]{4}) \|", page, re.M)} == set(CloseCode)


@pytest.mark.parametrize("code", CloseCode)
def test_the_reference_says_of_a_close_code_what_the_code_does(code: CloseCode) -> None:
    page = (DOCS / "reference" / "close-codes.md").read_text()
    (row,) = re.findall(rf"^\| {code.value} \| (.+) \| (.+) \|$", page, re.M)
    rule = CLOSE_RULES[code]
    assert rule.meaning.startswith(row[0])
    assert row[1].startswith(DOES[rule.reconnect])


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_reference_says_of_a_setting_what_the_program_says(setting: Setting) -> None:
    of = described(setting)
    default = {None: "-", "required": "required"}.get(of.default, f"`{of.default}`")
    row = f"| `{of.variable}` | {of.takes} | {default} | {of.meaning} |"
    assert row in (DOCS / "reference" / "settings.md").read_text()


def test_the_reference_has_no_setting_that_is_not_there() -> None:
    known = {setting.variable for setting in SETTINGS}
    named = {
        name for page in PAGES for name in re.findall(r"HALYARD_[A-Z_]*[A-Z]", page.read_text())
    }
    assert named <= known | OF_COMMANDS


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (house.ROOT / "Makefile").read_text(), re.M))
    named = {
        f"{house.name_of(page)}: {target}"
        for page in PAGES
        for target in re.findall(
            r"^make ([a-z-]+)(?: +#.*)?$|`make ([a-z-]+)", page.read_text(), re.M
        )
        for target in target
        if target and target not in targets
    }
    assert named == set()


def test_what_the_map_of_the_architecture_names_is_there() -> None:
    text = (house.ROOT / "ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\| (`.+?`) +\|.*\| (.*?) +\|$", text, re.M)
    assert len(rows) > 10
    for where, starts in rows:
        folders = [house.ROOT / name for name in re.findall(r"`([^`]+)`", where)]
        assert folders[0].exists(), where
        beside = folders[0] if folders[0].is_dir() else folders[0].parent
        for start in re.findall(r"`([^`]*[./][^`]*)`", starts):
            assert (beside / start).exists() or (beside.parent / start).exists(), start


def test_every_folder_of_the_repository_is_on_the_map() -> None:
    text = (house.ROOT / "ARCHITECTURE.md").read_text()
    folders = {
        path.relative_to(house.ROOT).parts[0] for path in house.files() if path.parent != house.ROOT
    }
    assert {
        name for name in folders - {".ci", "docs", "requirements"} if f"`{name}/" not in text
    } == set()


VENDORED = {"swagger-ui-bundle.js"}
"""As others made it."""


def test_nothing_in_the_repository_is_left_over_from_writing_it() -> None:
    found = []
    for path in house.files():
        if path == Path(__file__) or path.suffix in {".png", ".ico"} or path.name in VENDORED:
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [
            f"{house.name_of(path)}:{n}"
            for n, line in enumerate(lines, 1)
            if LEFT_OVER.search(line)
        ]
    assert found == []


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    words = re.findall(r"^\| ([^|]+) \|", (DOCS / "glossary.md").read_text(), re.M)[1:]
    assert len(words) > 50
    assert words == sorted(set(words))
