"""The strict reading of what a rule or the fallthrough serves: variations, shares and ramps."""

from __future__ import annotations

from collections.abc import Collection

from halyard_protocol.limits import MAX_BUCKETS, MAX_SAFE_INTEGER
from halyard_protocol.problems import (
    Problem,
    Problems,
    attribute_problems,
    count_problems,
    instant_problems,
    key_problems,
    kind_problems,
    variation_key_problems,
    weight_problems,
)
from halyard_protocol.ruleset import TOTAL_WEIGHT, Bucket, Ramp, Rollout, Serve


def check_serve(path: str, serve: Serve, variations: Collection[str]) -> Problems:
    """One variation, or one rollout."""
    if (serve.variation is None) == (serve.rollout is None):
        yield Problem(path, "serve either one 'variation' or one 'rollout'")
    if serve.variation is not None:
        yield from variation_key_problems(f"{path}/variation", serve.variation, variations)
    if serve.rollout is not None:
        yield from _check_rollout(f"{path}/rollout", serve.rollout, variations)


def _check_rollout(path: str, rollout: Rollout, variations: Collection[str]) -> Problems:
    yield from kind_problems(f"{path}/kind", rollout.kind)
    yield from attribute_problems(f"{path}/by", rollout.by)
    yield from _check_seed(f"{path}/seed", rollout.seed)
    yield from _check_experiment(path, rollout)
    if bool(rollout.buckets) == (rollout.ramp is not None):
        yield Problem(path, "split by either 'buckets' or a 'ramp'")
    if rollout.buckets:
        yield from _check_buckets(f"{path}/buckets", rollout.buckets, variations)
    if rollout.ramp is not None:
        yield from _check_ramp(f"{path}/ramp", rollout.ramp, variations)


def _check_seed(path: str, seed: int | None) -> Problems:
    if seed is not None and abs(seed) > MAX_SAFE_INTEGER:
        yield Problem(path, f"a seed lies within ±{MAX_SAFE_INTEGER}")


def _check_experiment(path: str, rollout: Rollout) -> Problems:
    if rollout.experiment is not None:
        yield from key_problems(f"{path}/experiment", rollout.experiment)
        if rollout.by != "key":
            yield Problem(f"{path}/by", "an experiment always splits by 'key': remove it")
        return
    for index, bucket in enumerate(rollout.buckets):
        if bucket.untracked:
            reason = "only an experiment has untracked shares: remove it, or name the experiment"
            yield Problem(f"{path}/buckets/{index}/untracked", reason)


def _check_buckets(path: str, buckets: tuple[Bucket, ...], variations: Collection[str]) -> Problems:
    yield from count_problems(path, buckets, MAX_BUCKETS, "buckets")
    for index, bucket in enumerate(buckets):
        yield from variation_key_problems(f"{path}/{index}/variation", bucket.variation, variations)
        yield from weight_problems(f"{path}/{index}/weight", bucket.weight)
    total = sum(bucket.weight for bucket in buckets)
    if total != TOTAL_WEIGHT:
        yield Problem(path, f"weights add up to {TOTAL_WEIGHT} (100 %), not {total}")


def _check_ramp(path: str, ramp: Ramp, variations: Collection[str]) -> Problems:
    yield from variation_key_problems(f"{path}/variation", ramp.variation, variations)
    yield from variation_key_problems(f"{path}/otherwise", ramp.otherwise, variations)
    if ramp.variation == ramp.otherwise:
        yield Problem(f"{path}/otherwise", "name another variation than the one that rises")
    yield from _check_ramp_bounds(path, ramp)
    instants = (
        *instant_problems(f"{path}/from", ramp.from_),
        *instant_problems(f"{path}/to", ramp.to),
    )
    yield from instants
    if not instants and ramp.from_ >= ramp.to:
        yield Problem(f"{path}/to", "a ramp ends after it begins: 'to' lies after 'from'")


def _check_ramp_bounds(path: str, ramp: Ramp) -> Problems:
    yield from weight_problems(f"{path}/start", ramp.start)
    yield from weight_problems(f"{path}/end", ramp.end)
    if ramp.start > ramp.end:
        yield Problem(f"{path}/end", "a ramp rises: 'end' is not below 'start'")
