"""What commands share: the fields of each, and which entity a command addresses."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from domain.facts import Entity, environment_entity


class Asked(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag=True,
    tag_field="type",
):
    """What all commands share."""

    rule_ids_may_be_left_out: ClassVar[bool] = False

    expected_revision: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """The revision of the addressed entity that the caller has seen; None to not ask."""
    comment: str = ""
    """Why; stored with every event that follows."""


class OnProject(Asked, frozen=True):
    """A command whose expected revision is the project's."""

    def addressed(self, project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("project", project)


class OnEnvironment(Asked, frozen=True):
    """A command on an environment itself."""

    environment: str

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return environment_entity(self.environment)


class OnKey(Asked, frozen=True):
    """A command on an SDK key: ``key`` is its id, not its secret."""

    environment: str
    key: str

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("key", self.key, self.environment)


class OnFlag(Asked, frozen=True):
    """A command on a flag's definition."""

    flag: str

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("flag", self.flag)


class OnSettings(Asked, frozen=True):
    """A command on a flag as it is set in one environment."""

    flag: str
    environment: str

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("flag", self.flag, self.environment)


class OnSegment(Asked, frozen=True):
    """A command on a segment."""

    segment: str

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("segment", self.segment)


class OnChangeRequest(Asked, frozen=True):
    """A command on a change request, by its id."""

    change_request: str

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("change-request", self.change_request)


class OnWebhook(Asked, frozen=True):
    """A command on a webhook, by its id."""

    webhook: str

    def addressed(self, _project: str) -> Entity:
        """The entity that ``expected_revision`` speaks of."""
        return Entity("webhook", self.webhook)
