"""The commands on change requests."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType

from domain.asked import OnChangeRequest


class OpenChangeRequest(OnChangeRequest, frozen=True, kw_only=True):
    """Ask for commands to be carried out once they are approved. The id may be left out."""

    change_request: str = ""
    title: str
    commands: tuple[dict[str, Any], ...]
    description: str = ""


class EditChangeRequest(OnChangeRequest, frozen=True):
    """Make the request another one; what is left out stays, its approvals do not."""

    title: str | UnsetType = UNSET
    commands: tuple[dict[str, Any], ...] | UnsetType = UNSET
    description: str | UnsetType = UNSET


class ApproveChangeRequest(OnChangeRequest, frozen=True):
    """Approve of the request as it stands at the expected revision."""


class RejectChangeRequest(OnChangeRequest, frozen=True):
    """Ask for another version of the request."""


class WithdrawChangeRequest(OnChangeRequest, frozen=True):
    """Let nothing come of the request."""


class ApplyChangeRequest(OnChangeRequest, frozen=True):
    """Say that the commands before this one, in the same batch, are those of the request."""


ChangeRequestCommand: TypeAlias = (
    OpenChangeRequest
    | EditChangeRequest
    | ApproveChangeRequest
    | RejectChangeRequest
    | WithdrawChangeRequest
    | ApplyChangeRequest
)
