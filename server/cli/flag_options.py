"""Options of `halyard flags` that say which flags, or what a new one is."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer

FlagType: TypeAlias = Literal["boolean", "string", "integer", "number", "json"]

FlagArgument = Annotated[str, typer.Argument(help="Key of the flag.")]
InEnvironmentOption = Annotated[
    str, typer.Option("--environment", "-e", help="Key of the environment.")
]
BypassOption = Annotated[
    bool,
    typer.Option(
        "--bypass-approval",
        help="In an emergency: go without the approvals that the environment asks for.",
    ),
]

TagFilter = Annotated[
    list[str] | None, typer.Option(help="That it carries; several times for all of several.")
]
StateFilter = Annotated[
    Literal["enabled", "disabled"] | None,
    typer.Option(help="In --environment; without that: enabled anywhere, or disabled everywhere."),
]
LookedForIn = Annotated[
    str | None,
    typer.Option("--environment", "-e", help="Where state, segment and rules are looked for."),
]
ArchivedFilter = Annotated[
    Literal["true", "false", "any"], typer.Option(help="Whether it is archived.")
]
TypeFilter = Annotated[FlagType | None, typer.Option("--type", help="Of this type.")]
MaintainerFilter = Annotated[
    str | None, typer.Option(help="Id of an account; empty for flags without one.")
]
SegmentFilter = Annotated[str | None, typer.Option(help="That a rule of it names.")]
RulesFilter = Annotated[
    str, typer.Option(help="Part of a text in a rule, a target or a prerequisite.")
]
StalenessFilter = Annotated[
    list[str] | None,
    typer.Option(help="What has become of it, such as stale; several times for any of several."),
]
ClientSideFilter = Annotated[
    bool | None,
    typer.Option("--client-side/--no-client-side", help="Whether client keys see it."),
]

NameOption = Annotated[str, typer.Option(help="For people. [default: its key]")]
DescriptionOption = Annotated[str, typer.Option(help="What it is for.")]
TypeOption = Annotated[FlagType, typer.Option("--type", help="Of its values.")]
VariationOption = Annotated[
    list[str] | None,
    typer.Option(help="KEY=VALUE, the value in JSON, or as it is for strings; in order."),
]
FallthroughOption = Annotated[
    str | None, typer.Option(help="Key of a variation. [default: the first]")
]
OffVariationOption = Annotated[
    str | None, typer.Option(help="Key of a variation. [default: the last]")
]
TagOption = Annotated[
    list[str] | None, typer.Option(help="To find it by; several times for several.")
]
MaintainerOption = Annotated[
    str | None, typer.Option(help="Id of an account. [default: whoever asks]")
]
ClientSideOption = Annotated[bool, typer.Option("--client-side", help="Let client keys see it.")]
