"""The types of bodies, made from the commands that they become: for the API's own description."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo, fields

from server.http.bodies import SHARED_FIELDS, Shape


def body_type(shape: Shape) -> type[msgspec.Struct]:
    """A struct with exactly the fields that a shape reads."""
    own = _fields_by_shown_name(shape)
    return msgspec.defstruct(
        f"{shape.command.__name__}Body",
        [_field(shape, field) for field in own.values()],
        rename={field.name: shown for shown, field in own.items()},
        kw_only=True,
        forbid_unknown_fields=True,
    )


def is_optional(body: type[msgspec.Struct]) -> bool:
    """Whether a request may come without a body."""
    return not any(field.required for field in fields(body))


def _fields_by_shown_name(shape: Shape) -> dict[str, FieldInfo]:
    own = {field.encode_name: field for field in fields(shape.command)}
    if shape.nested_type is not None:
        beside = (*SHARED_FIELDS, *shape.beside)
        nested = {field.encode_name: field for field in fields(shape.nested_type)}
        own = nested | {name: field for name, field in own.items() if name in beside}
    hidden = {*shape.path, *shape.withheld}
    shown = {of_command: of_body for of_body, of_command in shape.renamed.items()}
    return {shown.get(name, name): field for name, field in own.items() if name not in hidden}


def _field(shape: Shape, field: FieldInfo) -> tuple[str, Any, Any]:
    """Name, type and default; the items of some lists call themselves by ``key``, in both."""
    if field.encode_name not in shape.listed:
        return field.name, field.type, _default(field)
    (item, _) = get_args(field.type)
    listed = _listed(item, {shape.listed[field.encode_name]: "key"})
    default = _default(field)
    if isinstance(default, tuple):
        default = tuple(listed(**msgspec.structs.asdict(each)) for each in default)
    return field.name, tuple[listed, ...], default  # type: ignore[valid-type]


def _listed(item: type[msgspec.Struct], renamed: dict[str, str]) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        f"{item.__name__}Body",
        [(own.name, own.type, _default(own)) for own in fields(item)],
        rename={own.name: renamed.get(own.encode_name, own.encode_name) for own in fields(item)},
    )


def _default(field: FieldInfo) -> Any:
    """Ids are drawn by the server where they are left out, whatever the stored type says."""
    if field.default_factory is not NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return "" if field.required and field.name == "id" else field.default
