"""Events as the body of a delivery, in the form that a webhook asks for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, assert_never

import msgspec
from halyard_protocol.codec import encode

from domain.blanks import filled
from domain.state import Webhook
from domain.upcast import shown_event
from domain.webhooks import BlocksTemplate, JsonTemplate, SlackTemplate, TextTemplate
from eventstore.log import StoredEvent

MAX_VALUE_LENGTH: Final = 500
"""Characters of what is filled in for one placeholder, but for ``lines``."""
MAX_LINES: Final = 20
"""Sentences in one message; of more it says how many."""
MAX_SLACK_TEXT: Final = 2_900
"""Characters of a section; Slack takes 3,000."""
PING: Final = "Ping"
"""In place of a type, where nothing happened."""

_JSON = "application/json"
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_IDS: Final = uuid.UUID("6f0d2d3e-3f7b-5a43-9d0a-51a1f1f7f0c5")


class Message(msgspec.Struct, frozen=True):
    """A delivery, ready to be signed and sent."""

    delivery_id: str
    events: str
    """The types in it, for a header: each once, separated by commas."""
    content_type: str
    body: bytes


class ToldActor(msgspec.Struct, frozen=True):
    """Who asked for it; ``name`` is null where nobody knows it any more."""

    id: str
    name: str | None


class ToldEntity(msgspec.Struct, frozen=True):
    """What it happened to."""

    kind: str
    key: str
    environment: str | None


class ToldEvent(msgspec.Struct, frozen=True, rename="camel"):
    """One event, as receivers are told of it: a contract of its own, beside the API's."""

    id: str
    seq: int
    type: str
    entity: ToldEntity
    revision: int
    actor: ToldActor
    recorded_at: datetime
    command_id: str
    causation_id: str | None
    body: Any
    """What was decided, in the newest shape of its type; ``comment`` where there was one."""


class ToldWebhook(msgspec.Struct, frozen=True):
    """Which webhook tells."""

    id: str
    name: str


class Told(msgspec.Struct, frozen=True):
    """The body of a delivery as JSON; without events where it is a ping."""

    delivery: str
    project: str
    webhook: ToldWebhook
    events: tuple[ToldEvent, ...]


def delivery_id(log_id: str, hook: Webhook, events: Sequence[StoredEvent]) -> str:
    """The same for the same events to the same webhook, whoever sends them, however often."""
    named = ":".join((log_id, hook.id, str(hook.created_at), *(each.event_id for each in events)))
    return str(uuid.uuid5(_IDS, named))


def message(
    log_id: str,
    hook: Webhook,
    events: Sequence[StoredEvent],
    names: Mapping[str, str],
    delivery: str,
) -> Message:
    """Events of one log to one webhook; none for a ping. ``names`` are those of actors, by id."""
    content_type, body = _rendered(log_id, hook, events, names, delivery)
    types = ",".join(dict.fromkeys(each.type for each in events)) or PING
    return Message(delivery, types, content_type, body)


def _rendered(
    log_id: str,
    hook: Webhook,
    events: Sequence[StoredEvent],
    names: Mapping[str, str],
    delivery: str,
) -> tuple[str, bytes]:
    def values(event: StoredEvent | None) -> dict[str, str]:
        about = {"project": log_id, "webhook": hook.name, "delivery": delivery}
        about |= {} if event is None else _values(event, names)
        return {name: _clipped(value) for name, value in about.items()}

    each = [values(event) for event in events]
    match hook.template:
        case JsonTemplate():
            told = tuple(_told(event, names.get(event.actor_id)) for event in events)
            return _JSON, encode(Told(delivery, log_id, ToldWebhook(hook.id, hook.name), told))
        case TextTemplate(text=text):
            lines = [filled(text, of) for of in each] or [f"{hook.name}: ping"]
            return "text/plain; charset=utf-8", "\n".join(lines).encode()
        case SlackTemplate():
            return _JSON, encode(_slack(each, values(None)))
        case BlocksTemplate(body=body, slack_escapes=escapes):
            first = each[0] if each else values(None)
            about = first | {"count": str(len(each)), "lines": "\n".join(_sentences(each))}
            if escapes:
                about = {name: _escaped(value) for name, value in about.items()}
            return _JSON, encode(_filled(body, about))
        case _:
            assert_never(hook.template)


def _told(event: StoredEvent, name: str | None) -> ToldEvent:
    return ToldEvent(
        event.event_id,
        event.seq,
        event.type,
        ToldEntity(event.entity_kind, event.entity_key, event.environment),
        event.revision,
        ToldActor(event.actor_id, name),
        event.recorded_at,
        event.command_id,
        event.causation_id,
        _body(event),
    )


def _body(event: StoredEvent) -> Any:
    """In its newest shape, without the hashes of secrets."""
    return shown_event(event.type, event.schema_version, event.body)


class _Comment(msgspec.Struct):
    comment: str = ""


def _values(event: StoredEvent, names: Mapping[str, str]) -> dict[str, str]:
    try:
        comment = msgspec.json.decode(event.body, type=_Comment).comment
    except msgspec.DecodeError:
        comment = ""
    return {
        "seq": str(event.seq),
        "type": event.type,
        "action": _WORDS.sub(" ", event.type).lower(),
        "kind": event.entity_kind,
        "key": event.entity_key,
        "flag": event.entity_key if event.entity_kind == "flag" else "",
        "environment": event.environment or "",
        "revision": str(event.revision),
        "actor": names.get(event.actor_id, event.actor_id),
        "actorId": event.actor_id,
        "comment": comment,
        "time": event.recorded_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _clipped(value: str) -> str:
    """One line, and not a long one."""
    plain = _UNPRINTABLE.sub(" ", value[: MAX_VALUE_LENGTH + 1])
    return plain if len(plain) <= MAX_VALUE_LENGTH else plain[: MAX_VALUE_LENGTH - 1] + "…"


def _sentences(each: Sequence[Mapping[str, str]]) -> list[str]:
    shown = [_sentence(of) for of in each[:MAX_LINES]]
    if len(each) > MAX_LINES:
        shown.append(f"and {len(each) - MAX_LINES} more")
    return shown or ["ping"]


def _sentence(of: Mapping[str, str]) -> str:
    place = f" in {of['environment']}" if of["environment"] and of["kind"] != "environment" else ""
    why = f": {of['comment']}" if of["comment"] else ""
    return f"{of['actor']}: {of['action']} {of['key']}{place}{why}"


def _slack(each: Sequence[Mapping[str, str]], about: Mapping[str, str]) -> dict[str, Any]:
    heading = f"*{_escaped(about['project'])}* · {_escaped(about['webhook'])}"
    lines = [_escaped(line) for line in _sentences(each)]
    text, shown = "", 0
    for line in lines:
        if len(text) + len(line) > MAX_SLACK_TEXT:
            break
        text, shown = f"{text}\n{line}" if text else line, shown + 1
    if shown < len(lines):
        text += f"\n… and {len(lines) - shown} more lines"
    return {
        "text": f"{_escaped(about['project'])}: {lines[0]}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": heading}]},
        ],
    }


def _escaped(text: str) -> str:
    """As Slack asks: else ``<!channel>`` in a flag's comment would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _filled(value: Any, about: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return filled(value, about)
    if isinstance(value, dict):
        return {key: _filled(inner, about) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, about) for inner in value]
    return value
