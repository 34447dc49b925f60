"""Which permission each command needs: a verb on a kind of resource."""

from __future__ import annotations

from domain import change_request_commands as r
from domain import commands as c
from domain import webhook_commands as w
from domain.asked import Asked
from domain.system import commands as s

SELF = "self"
"""Of a route: any account may ask, because it asks about itself."""

_VERBS: dict[str, tuple[type[Asked], ...]] = {
    "project:create": (c.CreateProject,),
    "project:write": (c.RenameProject,),
    "project:delete": (c.DeleteProject,),
    "event:void": (c.VoidEvent,),
    "environment:write": (
        c.CreateEnvironment,
        c.RenameEnvironment,
        c.SetEnvironmentAttributes,
        c.ProtectEnvironment,
        c.UnprotectEnvironment,
        c.SetRequiredApprovals,
    ),
    "environment:delete": (c.DeleteEnvironment,),
    "key:write": (
        c.IssueSdkKey,
        c.RotateSdkKey,
        c.SetSdkKeyOrigins,
        c.SetSdkKeyExpiry,
        c.RevokeSdkKey,
    ),
    "flag:write": (
        c.CreateFlag,
        c.RenameFlag,
        c.DescribeFlag,
        c.TagFlag,
        c.AssignMaintainer,
        c.ExposeClientSide,
        c.HideClientSide,
        c.ArchiveFlag,
        c.RestoreFlag,
        c.ChangeVariations,
        c.EnableFlag,
        c.DisableFlag,
        c.ChangeOffVariation,
        c.ChangeFallthrough,
        c.ChangeTargets,
        c.AddRule,
        c.ChangeRule,
        c.RemoveRule,
        c.ReorderRules,
        c.ChangePrerequisites,
        c.SetExpiry,
        c.ClearExpiry,
        c.SetExposureTracking,
    ),
    "flag:delete": (c.DeleteFlag,),
    "segment:write": (
        c.CreateSegment,
        c.RenameSegment,
        c.DescribeSegment,
        c.AddSegmentMembers,
        c.RemoveSegmentMembers,
        c.ChangeSegmentRules,
    ),
    "segment:delete": (c.DeleteSegment,),
    "change-request:write": (
        r.OpenChangeRequest,
        r.EditChangeRequest,
        r.WithdrawChangeRequest,
        r.ApplyChangeRequest,
    ),
    "change-request:review": (r.ApproveChangeRequest, r.RejectChangeRequest),
    "webhook:write": (
        w.CreateWebhook,
        w.DescribeWebhook,
        w.ChangeWebhookTarget,
        w.ChangeWebhookFilter,
        w.ChangeWebhookTemplate,
        w.RotateWebhookSecret,
        w.EnableWebhook,
        w.DisableWebhook,
        w.ReplayWebhook,
        w.DeleteWebhook,
    ),
    "account:write": (
        s.CreateAccount,
        s.CreateServiceAccount,
        s.DisableAccount,
        s.EnableAccount,
        s.EraseAccount,
        s.EndAccountSessions,
        s.NotePasswordSet,
        s.NoteProfileChanged,
        s.NoteIdentityLinked,
        s.NoteIdentityUnlinked,
        s.AssignRole,
        s.UnassignRole,
        s.CreateGroup,
        s.RenameGroup,
        s.DeleteGroup,
        s.AddGroupMembers,
        s.RemoveGroupMembers,
    ),
    "role:write": (s.CreateRole, s.ChangeRole, s.DeleteRole),
    "token:write": (s.IssueToken, s.RevokeToken),
    "settings:write": (s.ChangeSettings,),
}

PERMISSIONS: dict[type[Asked], str] = {
    command: verb for verb, commands in _VERBS.items() for command in commands
}
"""By command; every command of a project and of the installation has one."""
