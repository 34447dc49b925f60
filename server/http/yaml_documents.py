"""YAML of strangers, bounded, and YAML that other programs read as it was meant.

What is read is the JSON of YAML: mappings with text for keys, lists, text, numbers, true, false,
null, as the core schema of YAML 1.2 has them; all else is text, a date too, and so are YAML 1.1's
``yes`` and ``on``. Aliases are refused, so that no document is larger than it looks; tags are, so
that nothing is made but data. It is built from the parser's events, which libyaml finds without
recursion, and bounded in depth and number of nodes while it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, cast

import yaml
from halyard_protocol.problems import Problem

from server.http.faults import MAX_SHOWN, Malformed, NotYaml

MAX_NODES: Final = 5_000_000
MAX_DEPTH: Final = 100
_PIECE = 20

_CONSTANTS = {
    **dict.fromkeys(("null", "Null", "NULL", "~", "")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_INTEGERS = range(-(2**63), 2**64)
"""Those that JSON is read with, too."""
_LONGEST = 21
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OCTAL = re.compile(r"0o[0-7]+")
"""A number to readers of YAML 1.2, and text here: what is written is quoted, so all read it so."""
_NO_DATA = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def read_yaml(body: bytes) -> Any:
    """What one document says. Raises :class:`NotYaml` and :class:`Malformed`."""
    try:
        text = body.decode("utf-8-sig")
        events = yaml.parse(text, Loader=yaml.CSafeLoader)
        return _Reading(events).document()
    except UnicodeDecodeError as error:
        raise NotYaml("it is not in UTF-8") from error
    except yaml.YAMLError as error:
        raise NotYaml(" ".join(str(error).split())[:MAX_SHOWN]) from error


class _Reading:
    """One pass over the events; what is open stands on a stack of our own."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._nodes = 0

    def document(self) -> Any:
        """All of it."""
        content: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
            elif isinstance(event, yaml.NodeEvent):
                content = self._node(event)
        if documents != 1:
            raise NotYaml(f"it holds {documents} documents: send one")
        return content

    def _node(self, first: yaml.NodeEvent) -> Any:
        """A node with all that is in it; no recursion, whatever it nests."""
        roots: list[Any] = []
        open_: list[_Open] = [_Open(roots)]
        self._begin(first, open_)
        while len(open_) > 1:
            event = next(self._events)
            if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                open_.pop()
            else:
                self._begin(event, open_)
        return roots[0]

    def _begin(self, event: yaml.Event, open_: list[_Open]) -> None:
        self._nodes += 1
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if self._nodes > MAX_NODES or len(open_) > MAX_DEPTH:
            raise NotYaml(f"it has over {MAX_NODES} nodes, or nests over {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise NotYaml(f"line {line}: anchors and aliases are not read: write it out")
        if getattr(event, "tag", None) not in (None, "!"):
            raise NotYaml(f"line {line}: tags are not read")
        if isinstance(event, yaml.ScalarEvent):
            open_[-1].take(_scalar(event, line), line)
            return
        content: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        open_[-1].take(content, line)
        open_.append(_Open(content))


class _Open:
    """A mapping or a list that more is put into."""

    __slots__ = ("_content", "_key")

    def __init__(self, content: Any) -> None:
        self._content = content
        self._key: str | None = None

    def take(self, value: Any, line: int) -> None:
        """The next item, key or value."""
        if isinstance(self._content, list):
            self._content.append(value)
        elif self._key is None:
            self._key = self._as_key(value, line)
        else:
            self._content[self._key] = value
            self._key = None

    def _as_key(self, value: Any, line: int) -> str:
        if not isinstance(value, str):
            raise NotYaml(f"line {line}: a key is text: put it in quotes")
        if value in self._content:
            shown = value[:MAX_SHOWN]
            reason = f"line {line}: '{shown}' stands twice in one mapping: keep one"
            raise Malformed(Problem("", reason))
        return value


def _scalar(event: yaml.ScalarEvent, line: int) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > _LONGEST or int(text) not in _INTEGERS:
            raise NotYaml(f"line {line}: the number is too large")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise NotYaml(f"line {line}: the number is too large")
        return number
    if _NO_DATA.fullmatch(text):
        raise NotYaml(f"line {line}: '{text}' is no number of JSON")
    return text


class _Dumper(yaml.CSafeDumper):
    """Quotes what either version of YAML would take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Everything is written out."""
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    plain_is_text = not (text in _CONSTANTS or _FLOAT.fullmatch(text) or _OCTAL.fullmatch(text))
    style = None if plain_is_text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def write_yaml(content: object) -> bytes:
    """Builtins as YAML, in the order that they have; the same bytes for the same content."""
    if not isinstance(content, dict) or not content:
        return _dumped(content)
    return b"".join(
        part for name, value in content.items() for part in _member(cast("str", name), value)
    )


def _member(name: str, value: object) -> Iterator[bytes]:
    """A long list is written in pieces, between which other threads get their turn."""
    if not isinstance(value, list) or len(value) <= _PIECE:
        yield _dumped({name: value})
        return
    yield _dumped({name: []}).removesuffix(b" []\n") + b"\n"
    for begin in range(0, len(value), _PIECE):
        yield _dumped(value[begin : begin + _PIECE])


def _dumped(content: object) -> bytes:
    written: bytes = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, encoding="utf-8"
    )
    return written
