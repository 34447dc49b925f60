"""How the ruleset of each environment in Redis stands to its project's log."""

from __future__ import annotations

import msgspec

from domain.state import Environment
from projections.rulesets import Meta
from server.http.call import Call
from server.http.faults import NotServedHere
from server.http.paging import Page
from server.http.queries import MinSeqQuery
from server.http.reads import seen
from server.http.replies import Reply
from server.http.routes import PROJECT, Route, reading


class ProjectionStatus(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One environment's ruleset. All but the first three are null where Redis has none."""

    environment: str
    environment_id: str
    behind: int
    """Events of the log that the ruleset was not checked against yet."""
    seq: int | None = None
    """The log was checked through here."""
    changed: int | None = None
    """The last seq that altered a document."""
    wire_epoch: str | None = None
    generation: str | None = None
    fold: int | None = None
    horizon: int | None = None


async def list_projections(call: Call) -> Reply:
    """The rulesets of all environments, as they are in Redis now."""
    rulesets = call.dependencies.rulesets
    if rulesets is None:
        raise NotServedHere("projections")
    now = await seen(call)
    statuses = [
        _status(environment, await rulesets.meta(environment.id), now.seq)
        for _, environment in sorted(now.state.environments.items())
    ]
    return now.reply(Page(statuses))


def _status(environment: Environment, meta: Meta | None, head: int) -> ProjectionStatus:
    if meta is None:
        return ProjectionStatus(
            environment=environment.key, environment_id=environment.id, behind=head
        )
    return ProjectionStatus(
        environment=environment.key,
        environment_id=environment.id,
        behind=max(0, head - meta.seq),
        seq=meta.seq,
        changed=meta.changed,
        wire_epoch=meta.wire_epoch,
        generation=meta.generation,
        fold=meta.fold,
        horizon=meta.horizon,
    )


ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/projections",
        list_projections,
        "Read how projections stand to the log",
        refuses=(NotServedHere,),
        permission="projection:read",
        tag="operations",
        query=MinSeqQuery,
        response=Page[ProjectionStatus],
    ),
)
