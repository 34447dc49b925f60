"""The strict reading of rulesets, for commands: every problem with its path and what to do.

One function for each part that a command can carry, and one for a whole flag and a whole segment.
All are pure, answer with every problem they see, in the order of the document, and never raise.
``path`` is the JSON pointer of the part in the caller's document. What spans several documents
(cycles, depth of chains) is for whoever holds them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Container
from typing import Any, assert_never

from halyard_protocol.codec import encode
from halyard_protocol.condition_validation import check_condition
from halyard_protocol.conditions import Condition
from halyard_protocol.limits import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    MAX_PREREQUISITES,
    MAX_RULES,
    MAX_SAFE_INTEGER,
    MAX_TARGET_KEYS,
    MAX_TARGETS,
    MAX_VALUE_BYTES,
    MAX_VALUE_DEPTH,
    MAX_VARIATIONS,
)
from halyard_protocol.problems import (
    Problem,
    Problems,
    context_keys_problems,
    count_problems,
    instant_problems,
    key_problems,
    kind_problems,
    repeat_problems,
    text_problems,
    variation_key_problems,
)
from halyard_protocol.rollout_validation import check_serve
from halyard_protocol.ruleset import Flag, FlagType, Prerequisite, Rule, Serve, Target, Variation

__all__ = [
    "Problem",
    "condition_problems",
    "flag_problems",
    "off_variation_problems",
    "prerequisite_problems",
    "rule_problems",
    "rules_problems",
    "serve_problems",
    "target_problems",
    "value_problem",
    "variation_problems",
]


def flag_problems(
    flag: Flag,
    segments: Container[str],
    variations_of: Callable[[str], Collection[str] | None],
) -> tuple[Problem, ...]:
    """A whole flag.

    ``segments`` are the keys of the project's segments; ``variations_of`` answers with the
    variation keys of another flag, None where there is no such flag.
    """
    keys = tuple(variation.key for variation in flag.variations)
    return (
        *key_problems("/key", flag.key),
        *variation_problems("/variations", flag.type, flag.variations),
        *off_variation_problems("/offVariation", flag.off_variation, keys),
        *prerequisite_problems("/prerequisites", flag.prerequisites, flag.key, variations_of),
        *target_problems("/targets", flag.targets, keys),
        *rules_problems("/rules", flag.rules, keys, segments),
        *serve_problems("/fallthrough", flag.fallthrough, keys),
        *instant_problems("/expiresAt", flag.expires_at),
    )


def variation_problems(
    path: str, of: FlagType, variations: tuple[Variation, ...]
) -> tuple[Problem, ...]:
    """All variations of a flag of one type: at least one, different keys, sound values."""
    if not variations:
        return (Problem(path, "a flag has at least one variation"),)
    keys = [variation.key for variation in variations]
    return (
        *count_problems(path, variations, MAX_VARIATIONS, "variations"),
        *repeat_problems(path, keys, "variation", "/key"),
        *(
            problem
            for index, variation in enumerate(variations)
            for problem in _check_variation(f"{path}/{index}", of, variation)
        ),
    )


def _check_variation(path: str, of: FlagType, variation: Variation) -> Problems:
    yield from key_problems(f"{path}/key", variation.key)
    yield from text_problems(f"{path}/name", variation.name, MAX_NAME_LENGTH)
    yield from text_problems(f"{path}/description", variation.description, MAX_DESCRIPTION_LENGTH)
    problem = value_problem(of, variation.value)
    if problem is not None:
        yield Problem(f"{path}/value", problem)


def value_problem(of: FlagType, value: Any) -> str | None:
    """Why a value is not one of a flag's type; None where it is. It must be JSON as builtins."""
    match of:
        case "boolean":
            return None if isinstance(value, bool) else "a boolean flag's value is true or false"
        case "string":
            return _string_problem(value)
        case "integer":
            return _integer_problem(value)
        case "number":
            return _number_problem(value)
        case "json":
            return _json_problem(value)
    assert_never(of)


def _string_problem(value: Any) -> str | None:
    if not isinstance(value, str):
        return "a string flag's value is a string"
    return _size_problem(value)


def _integer_problem(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return "an integer flag's value is a number without a fraction"
    if abs(value) > MAX_SAFE_INTEGER:
        return f"an integer lies within ±{MAX_SAFE_INTEGER}: use a string for a larger one"
    return None


def _number_problem(value: Any) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else "a number is finite"
    if isinstance(value, bool) or not isinstance(value, int):
        return "a number flag's value is a number"
    return _integer_problem(value)


def _json_problem(value: Any) -> str | None:
    if _is_deeper(value, MAX_VALUE_DEPTH):
        return f"lists and objects nest at most {MAX_VALUE_DEPTH} deep"
    return _size_problem(value)


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list | tuple):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)


def _size_problem(value: Any) -> str | None:
    size = len(encode(value))
    if size > MAX_VALUE_BYTES:
        return f"a value has at most {MAX_VALUE_BYTES} bytes of JSON, not {size}"
    return None


def off_variation_problems(
    path: str, key: str | None, variations: Collection[str]
) -> tuple[Problem, ...]:
    """The variation that a flag serves while it is off; None for the caller's default."""
    return () if key is None else tuple(variation_key_problems(path, key, variations))


def serve_problems(path: str, serve: Serve, variations: Collection[str]) -> tuple[Problem, ...]:
    """What a rule or the fallthrough serves, of a flag with these ``variations``."""
    return tuple(check_serve(path, serve, variations))


def condition_problems(
    path: str, condition: Condition, segments: Container[str]
) -> tuple[Problem, ...]:
    """A rule's ``when``."""
    return tuple(check_condition(path, condition, segments))


def rule_problems(
    path: str, rule: Rule, variations: Collection[str], segments: Container[str]
) -> tuple[Problem, ...]:
    """One rule of a flag."""
    return (
        *key_problems(f"{path}/id", rule.id),
        *text_problems(f"{path}/name", rule.name, MAX_NAME_LENGTH),
        *text_problems(f"{path}/description", rule.description, MAX_DESCRIPTION_LENGTH),
        *check_condition(f"{path}/when", rule.when, segments),
        *check_serve(f"{path}/serve", rule.serve, variations),
    )


def rules_problems(
    path: str, rules: tuple[Rule, ...], variations: Collection[str], segments: Container[str]
) -> tuple[Problem, ...]:
    """All rules of a flag: also, different ids."""
    return (
        *count_problems(path, rules, MAX_RULES, "rules"),
        *repeat_problems(path, [rule.id for rule in rules], "rule", "/id"),
        *(
            problem
            for index, rule in enumerate(rules)
            for problem in rule_problems(f"{path}/{index}", rule, variations, segments)
        ),
    )


def target_problems(
    path: str, targets: tuple[Target, ...], variations: Collection[str]
) -> tuple[Problem, ...]:
    """All targets of a flag. A key may be in several: the first that has not expired wins."""
    total = sum(len(target.keys) for target in targets)
    return (
        *count_problems(path, targets, MAX_TARGETS, "lists of targets"),
        *_check_total(path, total),
        *(
            problem
            for index, target in enumerate(targets)
            for problem in _check_target(f"{path}/{index}", target, variations)
        ),
    )


def _check_total(path: str, total: int) -> Problems:
    if total > MAX_TARGET_KEYS:
        yield Problem(path, f"at most {MAX_TARGET_KEYS} keys, not {total}: use a segment")


def _check_target(path: str, target: Target, variations: Collection[str]) -> Problems:
    yield from kind_problems(f"{path}/kind", target.kind)
    yield from variation_key_problems(f"{path}/variation", target.variation, variations)
    yield from context_keys_problems(f"{path}/keys", target.keys)
    yield from instant_problems(f"{path}/expiresAt", target.expires_at)


def prerequisite_problems(
    path: str,
    prerequisites: tuple[Prerequisite, ...],
    flag: str,
    variations_of: Callable[[str], Collection[str] | None],
) -> tuple[Problem, ...]:
    """All prerequisites of ``flag``. ``variations_of`` is as in :func:`flag_problems`."""
    return (
        *count_problems(path, prerequisites, MAX_PREREQUISITES, "prerequisites"),
        *repeat_problems(path, [each.flag for each in prerequisites], "flag", "/flag"),
        *(
            problem
            for index, each in enumerate(prerequisites)
            for problem in _check_prerequisite(f"{path}/{index}", each, flag, variations_of)
        ),
    )


def _check_prerequisite(
    path: str,
    prerequisite: Prerequisite,
    flag: str,
    variations_of: Callable[[str], Collection[str] | None],
) -> Problems:
    if prerequisite.flag == flag:
        yield Problem(f"{path}/flag", "a flag is no prerequisite of itself: remove it")
        return
    known = variations_of(prerequisite.flag)
    if known is None:
        yield Problem(f"{path}/flag", f"there is no flag '{prerequisite.flag}': create it first")
        return
    if not prerequisite.variations:
        yield Problem(f"{path}/variations", "name at least one variation that must be yielded")
    yield from repeat_problems(f"{path}/variations", prerequisite.variations, "variation")
    for index, key in enumerate(prerequisite.variations):
        yield from variation_key_problems(f"{path}/variations/{index}", key, known)
