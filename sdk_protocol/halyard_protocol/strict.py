"""Unknown fields: ignored on the wire, an error in commands. This names them.

It walks a document beside the type that it is meant to be of. Conditions are left out: their own
reading keeps whatever it does not know as :class:`~halyard_protocol.conditions.Unknown`, and
validation names that.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from msgspec import inspect

from halyard_protocol.conditions import Json


def unknown_fields(source: Json, of: type) -> tuple[str, ...]:
    """JSON pointers of the fields in ``source`` that the msgspec type ``of`` does not have.

    ``source`` is what a JSON decoder yields. Parts of the wrong type hold no unknown fields: that
    they are wrong is for the conversion to say. Where ``of`` is a union of tagged structs, the tag
    is a known field.
    """
    return tuple(_walk("", source, _type_info(of)))


@lru_cache(maxsize=512)
def _type_info(of: type) -> inspect.Type:
    return inspect.type_info(of)


def _walk(path: str, source: Json, expected: inspect.Type) -> Iterator[str]:
    match expected:
        case inspect.Metadata(type=inner):
            yield from _walk(path, source, inner)
        case inspect.UnionType():
            yield from _walk_union(path, source, expected)
        case inspect.StructType() if isinstance(source, dict):
            yield from _walk_struct(path, source, expected)
        case inspect.DictType(value_type=value) if isinstance(source, dict):
            for key, item in source.items():
                yield from _walk(f"{path}/{_escape(key)}", item, value)
        case inspect.VarTupleType(item_type=item_type) | inspect.ListType(item_type=item_type):
            yield from _walk_list(path, source, item_type)


def _walk_struct(path: str, source: dict[str, Json], expected: inspect.StructType) -> Iterator[str]:
    fields = {field.encode_name: field.type for field in expected.fields}
    for name, value in source.items():
        if name in fields:
            yield from _walk(f"{path}/{_escape(name)}", value, fields[name])
        elif name != expected.tag_field:
            yield f"{path}/{_escape(name)}"


def _walk_list(path: str, source: Json, item_type: inspect.Type) -> Iterator[str]:
    if isinstance(source, list):
        for index, item in enumerate(source):
            yield from _walk(f"{path}/{index}", item, item_type)


def _walk_union(path: str, source: Json, expected: inspect.UnionType) -> Iterator[str]:
    """At most one member of a union reads objects, unless they are told apart by their tag."""
    for member in expected.types:
        if not isinstance(member, inspect.StructType) or _has_tag(source, member):
            yield from _walk(path, source, member)


def _has_tag(source: Json, member: inspect.StructType) -> bool:
    if member.tag_field is None:
        return True
    return isinstance(source, dict) and source.get(member.tag_field) == member.tag


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
