from __future__ import annotations

import pytest

from eventstore.migrate import known_migrations
from tests.support.cli import Halyard, json_of

NAMES = [migration.name for migration in known_migrations()]


@pytest.fixture
def empty(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database without a schema, named by the variable."""
    monkeypatch.setenv("HALYARD_DATABASE_URL", empty_database_url)


def test_pending_migrations_are_listed_and_are_a_difference(halyard: Halyard, empty: None) -> None:
    found = json_of(halyard("db", "status", "--json"), exit_code=4)
    assert found == {"migrations": [{"name": name, "appliedAt": None} for name in NAMES]}
    assert "pending" in halyard("db", "status").stdout


def test_migrating_applies_what_is_pending_once(halyard: Halyard, empty: None) -> None:
    assert json_of(halyard("db", "migrate", "--json")) == {"applied": NAMES}
    assert json_of(halyard("db", "migrate", "--json")) == {"applied": []}
    assert "the schema is current" in halyard("db", "migrate").stdout
    assert halyard("db", "status").exit_code == 0


def test_a_database_that_is_away_is_one_line_and_a_code(
    halyard: Halyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALYARD_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = halyard("db", "status")
    assert result.exit_code == 3
    assert result.stderr.startswith("halyard: the database is not available")
    assert result.stderr.count("\n") == 1


def test_an_address_of_something_else_is_refused(
    halyard: Halyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALYARD_DATABASE_URL", "mysql://db/halyard")
    result = halyard("db", "status")
    assert result.exit_code == 2
    assert "HALYARD_DATABASE_URL cannot be used; it takes a URL" in result.stderr
