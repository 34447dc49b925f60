"""Every bound of the vocabulary, by name: what commands refuse, and how deep evaluation goes.

A bound that is refused at the command is never met by an SDK; the two depths of evaluation, and
what patterns may cost, hold all the same, so that a ruleset from elsewhere can neither exhaust the
stack nor keep an evaluation busy for seconds.
"""

from __future__ import annotations

from typing import Final

MAX_KEY_LENGTH: Final = 100
"""Characters of a flag's, segment's, variation's, environment's or rule's key."""

MAX_CONTEXT_KEY_LENGTH: Final = 1_000
"""Characters of one key of a context, as listed in targets and segments."""

MAX_NAME_LENGTH: Final = 200
MAX_DESCRIPTION_LENGTH: Final = 2_000
MAX_ATTRIBUTE_LENGTH: Final = 200
"""Characters of an attribute's name or path, and of a context kind."""

MAX_VARIATIONS: Final = 100
MAX_VALUE_BYTES: Final = 64 * 1024
"""One variation's value, encoded as JSON."""

MAX_VALUE_DEPTH: Final = 32
"""How deep lists and objects nest in one variation's value or one attribute."""

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""Integers beyond this, on either side of 0, do not survive in languages that only have doubles."""

MAX_PREREQUISITES: Final = 50
MAX_TARGETS: Final = 200
"""Target lists of one flag."""

MAX_TARGET_KEYS: Final = 10_000
"""Keys in all targets of one flag. More belong into a segment."""

MAX_RULES: Final = 200
MAX_CONDITIONS: Final = 500
"""Groups and leaves of one rule."""

MAX_VALUES: Final = 1_000
"""Values of one leaf."""

MAX_VALUE_LENGTH: Final = 1_000
"""Characters of one value of a leaf."""

MAX_SEARCHED_LENGTH: Final = 2_048
"""Characters of a text that patterns are looked for in; they occur in no longer one."""

MAX_BUCKETS: Final = 100
MAX_SEGMENT_KEYS: Final = 10_000
"""Included and excluded keys of one segment, together."""

MAX_SEGMENT_RULES: Final = 200
MAX_ENVIRONMENT_ATTRIBUTES: Final = 100

MAX_PREREQUISITE_DEPTH: Final = 32
"""Prerequisites of prerequisites: a longer chain is met as a cycle would be."""

MAX_SEGMENT_DEPTH: Final = 8
"""Segments named by rules of segments: nobody is in one that nests deeper."""

MAX_CONTEXT_BYTES: Final = 16 * 1024
"""Of a context that a server keeps for a client, as the JSON of its attributes by kind."""
