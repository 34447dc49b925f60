"""JSON bytes to types and back: the one place that knows how a condition is read and written.

msgspec does the work; a :class:`~halyard_protocol.conditions.Condition` is not a shape that it
can describe, so it passes through a hook. Decoders are made once per type, when the module that
needs them is imported.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from halyard_protocol.conditions import Condition, condition_from_json, condition_to_json
from halyard_protocol.ruleset import Flag, MalformedFlag, Segment

T = TypeVar("T")

MalformedDocument = msgspec.ValidationError
"""Raised by decoders: the bytes are JSON, but not of the type. Its text names the path."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that a decoder raises on bytes of a stranger: no JSON, another type, no UTF-8, too deep."""


def _read_hook(expected: type, source: Any) -> Any:
    if expected is Condition:
        return condition_from_json(source)
    raise NotImplementedError(f"no reading of {expected}")


def _write_hook(value: Any) -> Any:
    if isinstance(value, Condition):
        return condition_to_json(value)
    raise NotImplementedError(f"no writing of {type(value)}")


_MAX_DEPTH = 200
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_TOO_DEEP = b"1e999"


def without_depths(source: bytes) -> bytes:
    """The same JSON with a number that nobody can read in place of what nests too deep.

    What a decoder gives up with :class:`RecursionError` becomes what it only finds malformed: one
    document of a message, not the message. Raises :class:`RecursionError` where nothing nests so
    deep: the stack was used up by others.
    """
    kept: list[bytes] = []
    begun = depth = 0
    for token in _TOKEN.finditer(source):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == _MAX_DEPTH:
                kept += source[begun : token.start()], _TOO_DEEP
        elif token[0] in (b"]", b"}"):
            if depth == _MAX_DEPTH:
                begun = token.end()
            depth -= 1
    if not kept:
        raise RecursionError("no stack is left to read with")
    return b"".join(kept) + source[begun:]


_encoder = msgspec.json.Encoder(enc_hook=_write_hook)
_sorting_encoder = msgspec.json.Encoder(enc_hook=_write_hook, order="sorted")


def encode(value: object) -> bytes:
    """Write any type of this package, or one that holds such types, as JSON."""
    return _encoder.encode(value)


def encode_sorted(value: object) -> bytes:
    """The same, with the members of every object in the order of their names."""
    return _sorting_encoder.encode(value)


def to_builtins(value: object) -> Any:
    """The same as :func:`encode`, but to dictionaries, lists and scalars."""
    return msgspec.to_builtins(value, enc_hook=_write_hook, builtin_types=())


def decoder(of: type[T]) -> msgspec.json.Decoder[T]:
    """A reusable decoder. It raises :data:`MalformedDocument` or ``msgspec.DecodeError``."""
    return msgspec.json.Decoder(of, dec_hook=_read_hook)


def convert(source: object, to: type[T]) -> T:
    """Read builtins into a type. Raises :data:`MalformedDocument`."""
    return msgspec.convert(source, to, dec_hook=_read_hook)


_flag_decoder = decoder(Flag)
_segment_decoder = decoder(Segment)


class _Keyed(msgspec.Struct, rename="camel"):
    key: str
    version: Any = 0
    client_side: Any = False

    def sound_version(self) -> int:
        """The version, or 0 where that is what could not be read."""
        return self.version if isinstance(self.version, int) else 0


_keyed_decoder = decoder(_Keyed)


def decode_flag(source: bytes | msgspec.Raw) -> Flag | MalformedFlag:
    """Read one flag of a snapshot or a delta.

    A flag that is not well-formed is kept under its key, so that evaluating it says why. Raises
    :data:`MalformedDocument` only where not even a key can be read.
    """
    try:
        return _read_flag(source)
    except RecursionError:
        return _read_flag(without_depths(bytes(source)))


def _read_flag(source: bytes | msgspec.Raw) -> Flag | MalformedFlag:
    try:
        return _flag_decoder.decode(source)
    except msgspec.ValidationError as error:
        keyed = _keyed_decoder.decode(source)
        shown = keyed.client_side is True
        return MalformedFlag(keyed.key, keyed.sound_version(), str(error), shown)


def decode_segment(source: bytes | msgspec.Raw) -> Segment:
    """Read one segment; a malformed one is empty, so that nobody is in it.

    Raises :data:`MalformedDocument` only where not even a key can be read.
    """
    try:
        return _read_segment(source)
    except RecursionError:
        return _read_segment(without_depths(bytes(source)))


def _read_segment(source: bytes | msgspec.Raw) -> Segment:
    try:
        return _segment_decoder.decode(source)
    except msgspec.ValidationError:
        keyed = _keyed_decoder.decode(source)
        return Segment(key=keyed.key, version=keyed.sound_version())
