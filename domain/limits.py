"""Every bound of a project. They keep a ruleset small enough to hold in an SDK's memory."""

from __future__ import annotations

PROJECT_KEY_LENGTH = 64
ENVIRONMENT_KEY_LENGTH = 64
FLAG_KEY_LENGTH = 128
SEGMENT_KEY_LENGTH = 128
NAME_LENGTH = 200
DESCRIPTION_LENGTH = 4_000
COMMENT_LENGTH = 2_000
REASON_LENGTH = 2_000
TAG_LENGTH = 64
ID_LENGTH = 64
"""Of salts, SDK key ids, account ids and the like; an environment's id has exactly 12."""

ENVIRONMENTS = 50
FLAGS = 10_000
SEGMENTS = 2_000
SDK_KEYS = 100
"""Unrevoked ones of one environment."""
TAGS = 50
RULES = 200
TARGETS = 200
PREREQUISITES = 50
SEGMENT_MEMBERS = 10_000
"""Keys of one segment, over both lists and all kinds."""
ATTRIBUTES = 100
ATTRIBUTES_BYTES = 16_384
"""Of an environment's attributes, written as JSON."""
