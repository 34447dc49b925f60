"""Which permission each command needs: a verb on a kind of resource."""

from __future__ import annotations

from domain import commands as c
from domain.asked import Asked

_VERBS: dict[str, tuple[type[Asked], ...]] = {
    "project:write": (c.CreateProject, c.RenameProject),
    "project:delete": (c.DeleteProject,),
    "event:void": (c.VoidEvent,),
    "environment:write": (
        c.CreateEnvironment,
        c.RenameEnvironment,
        c.SetEnvironmentAttributes,
        c.ProtectEnvironment,
        c.UnprotectEnvironment,
    ),
    "environment:delete": (c.DeleteEnvironment,),
    "key:write": (c.IssueSdkKey, c.SetSdkKeyOrigins, c.RevokeSdkKey),
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
}

PERMISSIONS: dict[type[Asked], str] = {
    command: verb for verb, commands in _VERBS.items() for command in commands
}
"""By command; every command of a project has one."""
