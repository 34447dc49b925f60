"""Decisions on webhooks."""

from __future__ import annotations

import re
from typing import Any

from halyard_protocol.codec import encode
from halyard_protocol.limits import MAX_DESCRIPTION_LENGTH
from halyard_protocol.problems import (
    Problem,
    Problems,
    count_problems,
    hint,
    key_problems,
    repeat_problems,
    text_problems,
)
from msgspec.structs import asdict

from domain import limits
from domain import webhook_commands as c
from domain import webhook_events as e
from domain.blanks import placeholder_problems
from domain.decide.standing import require_room, same
from domain.errors import KeyTaken
from domain.events import EVENT_TYPES
from domain.facts import Entity
from domain.names import id_problems, name_problems, refuse
from domain.state import ProjectState
from domain.webhooks import BlocksTemplate, Template, TextTemplate, WebhookFilter

_ADDRESS = re.compile(r"https?://[a-z0-9.:\[\]_-]+")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def create(state: ProjectState, command: c.CreateWebhook) -> e.WebhookCreated:
    """One more."""
    refuse(
        id_problems("/webhook", command.webhook),
        name_problems("/name", command.name),
        text_problems("/description", command.description, MAX_DESCRIPTION_LENGTH),
        _target_problems(command),
        id_problems("/secret", command.secret),
        _filter_problems(command.filter),
        _template_problems(command.template),
    )
    if command.webhook in state.webhooks:
        raise KeyTaken(Entity("webhook", command.webhook))
    require_room(state.webhooks, limits.WEBHOOKS, "webhooks")
    fields = asdict(command)
    for name in ("webhook", "expected_revision"):
        del fields[name]
    return e.WebhookCreated(**fields)


def _target_problems(command: c.CreateWebhook | c.ChangeWebhookTarget) -> Problems:
    if not _ADDRESS.fullmatch(command.address):
        yield Problem("/address", "is a scheme and a host, such as https://hooks.example.com")
    yield from text_problems("/address", command.address, limits.WEBHOOK_ADDRESS_LENGTH)
    yield from id_problems("/target", command.target)
    yield from count_problems("/headers", command.headers, limits.WEBHOOK_HEADERS, "headers")
    for index, name in enumerate(command.headers):
        if not _HEADER.fullmatch(name):
            yield Problem(f"/headers/{index}", "is not the name of a header")
        yield from text_problems(f"/headers/{index}", name, limits.ID_LENGTH)


def _filter_problems(wanted: WebhookFilter) -> Problems:
    for name in ("types", "kinds", "environments", "flags"):
        values: tuple[str, ...] = getattr(wanted, name)
        yield from count_problems(f"/filter/{name}", values, limits.WEBHOOK_FILTER, name)
        yield from repeat_problems(f"/filter/{name}", values, "value")
        for index, value in enumerate(values):
            yield from key_problems(f"/filter/{name}/{index}", value)
    for index, value in enumerate(wanted.types):
        if value not in EVENT_TYPES:
            reason = f"no event is called '{value}'{hint(value, EVENT_TYPES)}"
            yield Problem(f"/filter/types/{index}", reason)


def _template_problems(template: Template) -> Problems:
    match template:
        case TextTemplate(text=text):
            if not text.strip():
                yield Problem("/template/text", "say what each event's line is")
            yield from text_problems("/template/text", text, limits.WEBHOOK_TEXT_LENGTH)
            yield from placeholder_problems("/template/text", text)
        case BlocksTemplate(body=body):
            problems = tuple(_body_problems("/template/body", body, limits.WEBHOOK_BODY_DEPTH))
            yield from problems
            # Only what is known not to be deep: writing it goes as deep as it does.
            if not problems and len(encode(body)) > limits.WEBHOOK_BODY_BYTES:
                yield Problem("/template/body", f"has at most {limits.WEBHOOK_BODY_BYTES} bytes")
        case _:
            pass


def _body_problems(path: str, value: Any, depth: int) -> Problems:
    if depth == 0:
        yield Problem(path, f"nests more than {limits.WEBHOOK_BODY_DEPTH} levels deep")
    elif isinstance(value, str):
        yield from placeholder_problems(path, value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _body_problems(f"{path}/{key}", inner, depth - 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _body_problems(f"{path}/{index}", inner, depth - 1)


def describe(state: ProjectState, command: c.DescribeWebhook) -> e.WebhookDescribed | None:
    """Another name, or another description."""
    hook = state.webhooks[command.webhook]
    name = hook.name if command.name is None else command.name
    description = hook.description if command.description is None else command.description
    refuse(
        name_problems("/name", name),
        text_problems("/description", description, MAX_DESCRIPTION_LENGTH),
    )
    if (name, description) == (hook.name, hook.description):
        return None
    return e.WebhookDescribed(name, description, comment=command.comment)


def change_target(_state: ProjectState, command: c.ChangeWebhookTarget) -> e.WebhookTargetChanged:
    """Another address; nobody can say here whether it is the same."""
    refuse(_target_problems(command))
    return e.WebhookTargetChanged(
        command.address, command.target, command.headers, comment=command.comment
    )


def change_filter(
    state: ProjectState, command: c.ChangeWebhookFilter
) -> e.WebhookFilterChanged | None:
    """Other events."""
    refuse(_filter_problems(command.filter))
    if state.webhooks[command.webhook].filter == command.filter:
        return None
    return e.WebhookFilterChanged(command.filter, comment=command.comment)


def change_template(
    state: ProjectState, command: c.ChangeWebhookTemplate
) -> e.WebhookTemplateChanged | None:
    """Another form."""
    refuse(_template_problems(command.template))
    if same(state.webhooks[command.webhook].template, command.template):
        return None
    return e.WebhookTemplateChanged(command.template, comment=command.comment)


def rotate(_state: ProjectState, command: c.RotateWebhookSecret) -> e.WebhookSecretRotated:
    """Another secret."""
    refuse(id_problems("/secret", command.secret), _overlap_problems(command.overlap_s))
    return e.WebhookSecretRotated(command.secret, command.overlap_s, comment=command.comment)


def _overlap_problems(overlap_s: int) -> Problems:
    if not 0 <= overlap_s <= limits.WEBHOOK_OVERLAP_S:
        yield Problem("/overlapS", f"is from 0 to {limits.WEBHOOK_OVERLAP_S} seconds")


def enable(state: ProjectState, command: c.EnableWebhook) -> e.WebhookEnabled | None:
    """On again."""
    if state.webhooks[command.webhook].enabled:
        return None
    return e.WebhookEnabled(comment=command.comment)


def disable(state: ProjectState, command: c.DisableWebhook) -> e.WebhookDisabled | None:
    """Off."""
    if not state.webhooks[command.webhook].enabled:
        return None
    return e.WebhookDisabled(command.reason, comment=command.comment)


def replay(_state: ProjectState, command: c.ReplayWebhook) -> e.WebhookReplayed:
    """Go on elsewhere."""
    refuse(_seq_problems(command.from_seq))
    return e.WebhookReplayed(command.from_seq, comment=command.comment)


def _seq_problems(seq: int) -> Problems:
    if not 1 <= seq <= limits.LAST_SEQ:
        yield Problem("/fromSeq", "is the seq of an event: 1 or more")


def delete(_state: ProjectState, command: c.DeleteWebhook) -> e.WebhookDeleted:
    """The end of it."""
    return e.WebhookDeleted(comment=command.comment)
