"""The bounds of a project. Those of the ruleset's vocabulary are the protocol's own limits."""

from __future__ import annotations

from typing import Final

PLACE_KEY_LENGTH: Final = 64
"""Characters of a project's or an environment's key."""
COMMENT_LENGTH: Final = 2_000
TAG_LENGTH: Final = 64
ID_LENGTH: Final = 128
"""Characters of salts, SDK key ids, account ids and the like."""
ORIGIN_LENGTH: Final = 300

ENVIRONMENTS: Final = 50
FLAGS: Final = 10_000
SEGMENTS: Final = 2_000
SDK_KEYS: Final = 100
"""Unrevoked ones of one environment."""
ORIGINS: Final = 50
"""Of one client key."""
TAGS: Final = 50
