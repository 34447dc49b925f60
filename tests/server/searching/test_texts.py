"""What can be found by words."""

from __future__ import annotations

from halyard_protocol.conditions import condition_from_json
from halyard_protocol.ruleset import Rule, Serve

from domain.state import FlagSettings
from server.searching.texts import NO_TARGETING, targeting

PLAIN = FlagSettings(True, "off", Serve("on"))


def test_settings_without_targeting_have_no_words() -> None:
    assert targeting(PLAIN) is NO_TARGETING


def test_what_is_not_understood_is_found_as_it_was_written() -> None:
    unknown = condition_from_json({"op": "soundsLike", "attribute": "name", "values": ["Ada"]})
    found = targeting(FlagSettings(True, "off", Serve("on"), rules=(Rule("r", unknown, Serve()),)))
    assert '"soundslike"' in found.text


def test_no_words_are_found_across_two_parts() -> None:
    leaf = condition_from_json({"op": "in", "attribute": "country", "values": ["de", "fr"]})
    found = targeting(FlagSettings(True, "off", Serve("on"), rules=(Rule("r", leaf, Serve()),)))
    assert "de" in found.text
    assert "defr" not in found.text
    assert found.segments == frozenset()
