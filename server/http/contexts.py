"""The sample of an environment's contexts: for suggestions, and to be erased."""

from __future__ import annotations

from datetime import date

import msgspec
import structlog

from eventstore.contexts import ContextSamples, KnownAttribute, KnownValue
from server.http.call import Call
from server.http.faults import NotServedHere
from server.http.queries import MinSeqQuery
from server.http.reads import seen
from server.http.replies import NO_CONTENT, Reply
from server.http.routes import ENVIRONMENT, Route, reading

_PATH = f"{ENVIRONMENT}/contexts"
_TAG = "contexts"

log = structlog.get_logger(__name__)


class SampledValue(msgspec.Struct, frozen=True, rename="camel"):
    """A value that was seen; of lists, an element."""

    value: str | float | bool
    seen: int
    """In how many sampled contexts."""
    last_on: date


class SampledAttribute(msgspec.Struct, frozen=True, rename="camel"):
    """An attribute that was seen."""

    name: str
    types: tuple[str, ...]
    """Of string, number, boolean, list and object."""
    seen: int
    last_on: date
    values: tuple[SampledValue, ...]
    """The most frequent first."""


class SampledKind(msgspec.Struct, frozen=True):
    """The attributes of one kind of contexts, by name."""

    kind: str
    attributes: tuple[SampledAttribute, ...]


class SampledContexts(msgspec.Struct, frozen=True):
    """All of it, by kind."""

    kinds: tuple[SampledKind, ...]


async def read_contexts(call: Call) -> Reply:
    """What contexts look like."""
    samples, now = _samples(call), await seen(call)
    environment_id = now.environment(call).id
    attributes = await samples.attributes(environment_id)
    values = await samples.values(environment_id)
    return now.reply(_view(attributes, values))


async def erase_contexts(call: Call) -> Reply:
    """Forget it."""
    samples, now = _samples(call), await seen(call)
    environment = now.environment(call)
    await samples.erase(environment.id)
    log.info("sampled contexts erased", environment=environment.id, actor=call.actor_id)
    return Reply(NO_CONTENT)


def _samples(call: Call) -> ContextSamples:
    samples = call.dependencies.context_samples
    if samples is None:
        raise NotServedHere("sampled contexts")
    return samples


def _view(attributes: list[KnownAttribute], values: list[KnownValue]) -> SampledContexts:
    of: dict[tuple[str, str], list[SampledValue]] = {}
    for each in values:
        of.setdefault((each.kind, each.attribute), []).append(
            SampledValue(_value(each), each.seen, each.last_on)
        )
    types: dict[str, dict[str, list[KnownAttribute]]] = {}
    for known in attributes:
        types.setdefault(known.kind, {}).setdefault(known.attribute, []).append(known)
    return SampledContexts(
        tuple(
            SampledKind(
                kind,
                tuple(
                    SampledAttribute(
                        name=name,
                        types=tuple(known.type for known in seen_as),
                        seen=sum(known.seen for known in seen_as),
                        last_on=max(known.last_on for known in seen_as),
                        values=tuple(of.get((kind, name), ())),
                    )
                    for name, seen_as in of_kind.items()
                ),
            )
            for kind, of_kind in types.items()
        )
    )


def _value(known: KnownValue) -> str | float | bool:
    if known.type == "string":
        return known.value
    return msgspec.json.decode(known.value, type=float | bool)


ROUTES: tuple[Route, ...] = (
    reading(
        _PATH,
        read_contexts,
        "What contexts look like: kinds, attributes and values of a sample",
        refuses=(NotServedHere,),
        permission="analytics:read",
        tag=_TAG,
        query=MinSeqQuery,
        response=SampledContexts,
    ),
    Route(
        method="DELETE",
        path=_PATH,
        summary="Erase the sample of contexts",
        handler=erase_contexts,
        refuses=(NotServedHere,),
        permission="context:erase",
        tag=_TAG,
        query=MinSeqQuery,
        status=NO_CONTENT,
    ),
)
