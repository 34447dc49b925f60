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

APPROVALS: Final = 10
"""That an environment may ask for."""
CHANGE_REQUESTS: Final = 200
"""Open ones of one project."""
CLOSED_CHANGE_REQUESTS: Final = 200
"""Whose rows are kept; the log has them all."""
CHANGE_REQUEST_COMMANDS: Final = 100
CHANGE_REQUEST_BYTES: Final = 128 * 1024
"""Of all commands of one request, as JSON."""

ENVIRONMENTS: Final = 50
FLAGS: Final = 10_000
SEGMENTS: Final = 2_000
SDK_KEYS: Final = 100
"""Live ones of one environment."""
OVERLAP_HOURS: Final = 24 * 90
"""Longest that a key lives beside its successor."""
ORIGINS: Final = 50
"""Of one client key."""
MEMBERS_AT_ONCE: Final = 1_000
"""Keys of a segment that one event of a long list adds or removes."""
TAGS: Final = 50

ROLES: Final = 100
"""Custom ones of the installation."""
GRANTS: Final = 50
"""Of one role."""
GRANT_ENTRIES: Final = 200
"""Permissions, projects or environments of one grant."""
GROUPS: Final = 500
GROUP_MEMBERS: Final = 5_000
ASSIGNMENTS: Final = 500
"""Roles of one account or group."""
TOKENS: Final = 100
"""Open ones of one account."""
DOMAINS: Final = 100
NETWORKS: Final = 100
WEBHOOKS: Final = 50
WEBHOOK_HEADERS: Final = 20
"""Of its own, of one webhook."""
WEBHOOK_ADDRESS_LENGTH: Final = 300
"""Characters of scheme, host and port."""
WEBHOOK_FILTER: Final = 100
"""Values of each field."""
WEBHOOK_TEXT_LENGTH: Final = 4_000
WEBHOOK_BODY_BYTES: Final = 16_384
WEBHOOK_BODY_DEPTH: Final = 20
WEBHOOK_OVERLAP_S: Final = 30 * 86_400
LAST_SEQ: Final = 2**62
IMPORT_COMMANDS: Final = 200_000
"""What one import may be made of: 10,000 flags in ten environments, and more."""
IMPORT_ENDINGS: Final = 1_000
"""Of them, those that must look through the whole project for what rests on something."""
