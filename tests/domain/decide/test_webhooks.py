from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from msgspec.structs import replace

from domain import limits
from domain import webhook_commands as c
from domain import webhook_events as e
from domain.blanks import PLACEHOLDERS, filled
from domain.errors import InvalidCommand, KeyTaken, LimitReached, UnknownEntity
from domain.webhooks import BlocksTemplate, TextTemplate, WebhookFilter
from tests.support.decider import NOW, given

HOOK = c.CreateWebhook("h1", "Team", "https://hooks.example.com", "t1", "s1")


def test_a_webhook_begins_with_the_event_after_its_own() -> None:
    history = given(HOOK)
    hook = history.state.webhooks["h1"]
    assert (hook.begun_at, hook.begins_after) == (len(history.facts), len(history.facts))
    assert hook.enabled


def test_its_id_is_drawn_and_taken_once() -> None:
    history = given(replace(HOOK, webhook=""))
    [hook_id] = history.state.webhooks
    assert len(hook_id) == 12
    history.refusal(replace(HOOK, webhook=hook_id), KeyTaken)


def test_there_is_a_bound_on_how_many() -> None:
    history = given(*(replace(HOOK, webhook=f"h{n}") for n in range(limits.WEBHOOKS)))
    assert history.refusal(replace(HOOK, webhook="more"), LimitReached).limit == limits.WEBHOOKS


DEEP: dict[str, Any] = {"a": "x"}
for _ in range(limits.WEBHOOK_BODY_DEPTH):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"name": " "}, "/name"),
        ({"address": "https://a.example/secret"}, "/address"),
        ({"address": "ftp://a.example"}, "/address"),
        ({"target": "a/b"}, "/target"),
        ({"headers": ("X Y",)}, "/headers/0"),
        ({"headers": ("A\r\nB",)}, "/headers/0"),
        ({"headers": ("A",) * 21}, "/headers"),
        ({"filter": WebhookFilter(types=("FlagEnabeld",))}, "/filter/types/0"),
        ({"filter": WebhookFilter(flags=("a", "a"))}, "/filter/flags/1"),
        ({"filter": WebhookFilter(environments=("a b",))}, "/filter/environments/0"),
        ({"template": TextTemplate("{{nobody}}")}, "/template/text"),
        ({"template": TextTemplate(" ")}, "/template/text"),
        ({"template": BlocksTemplate({"a": ["{{__class__}}"]})}, "/template/body/a/0"),
        ({"template": BlocksTemplate({"a": "x" * 20_000})}, "/template/body"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], path: str) -> None:
    [problem] = given().refusal(replace(HOOK, **changed), InvalidCommand).problems
    assert problem.path == path


def test_a_body_that_nests_too_deeply_is_refused() -> None:
    history = given()
    refusal = history.refusal(replace(HOOK, template=BlocksTemplate(DEEP)), InvalidCommand)
    assert "levels deep" in refusal.problems[0].reason


def test_an_unknown_type_of_event_is_refused_with_a_suggestion() -> None:
    command = replace(HOOK, filter=WebhookFilter(types=("FlagEnabeld",)))
    [problem] = given().refusal(command, InvalidCommand).problems
    assert "did you mean 'FlagEnabled'?" in problem.reason


@pytest.mark.parametrize(
    "command",
    [
        c.DescribeWebhook("h1", name="Team"),
        c.ChangeWebhookFilter("h1", WebhookFilter()),
        c.ChangeWebhookTemplate("h1", HOOK.template),
        c.EnableWebhook("h1"),
    ],
)
def test_what_is_so_already_yields_nothing(command: c.WebhookCommand) -> None:
    assert given(HOOK).when(command) == ()


def test_what_is_not_there_is_not_changed() -> None:
    given().refusal(c.EnableWebhook("h1"), UnknownEntity)
    given(HOOK, c.DeleteWebhook("h1")).refusal(c.DeleteWebhook("h1"), UnknownEntity)


def test_a_name_or_a_description_alone_leaves_the_other() -> None:
    history = given(HOOK, c.DescribeWebhook("h1", description="All of it"))
    assert history.when(c.DescribeWebhook("h1", name="Ops")) == (
        e.WebhookDescribed("Ops", "All of it"),
    )


def test_a_disabled_webhook_goes_on_with_what_comes_after_it_was_enabled() -> None:
    history = given(HOOK, c.DisableWebhook("h1", reason="gone"))
    assert history.state.webhooks["h1"].disabled_because == "gone"
    history.do(c.DescribeWebhook("h1", name="Ops"), c.EnableWebhook("h1"))
    hook = history.state.webhooks["h1"]
    assert (hook.enabled, hook.begins_after, hook.begun_at) == (
        True,
        len(history.facts),
        len(history.facts),
    )


def test_a_replay_says_where_to_go_on() -> None:
    history = given(HOOK, c.ReplayWebhook("h1", 2))
    hook = history.state.webhooks["h1"]
    assert (hook.begins_after, hook.begun_at) == (1, len(history.facts))
    history.refusal(c.ReplayWebhook("h1", 0), InvalidCommand)


def test_a_replay_from_a_seq_to_come_means_from_now_on() -> None:
    history = given(HOOK, c.ReplayWebhook("h1", 4_000))
    hook = history.state.webhooks["h1"]
    assert hook.begins_after == hook.begun_at == len(history.facts)


def test_a_former_secret_is_good_for_a_while() -> None:
    history = given(HOOK, c.RotateWebhookSecret("h1", "s2", 60))
    hook = history.state.webhooks["h1"]
    at = NOW + timedelta(seconds=len(history.facts))
    assert (hook.secret, hook.previous_secret) == ("s2", "s1")
    assert hook.previous_until == at + timedelta(seconds=60)
    history.refusal(c.RotateWebhookSecret("h1", "s3", -1), InvalidCommand)


@pytest.mark.parametrize(
    ("wanted", "event", "fits"),
    [
        (WebhookFilter(), ("FlagEnabled", "flag", "a", "live"), True),
        (WebhookFilter(types=("FlagEnabled",)), ("FlagDisabled", "flag", "a", "live"), False),
        (WebhookFilter(kinds=("segment",)), ("SegmentRenamed", "segment", "s", None), True),
        (WebhookFilter(environments=("live",)), ("FlagEnabled", "flag", "a", "dev"), False),
        (WebhookFilter(environments=("live",)), ("FlagArchived", "flag", "a", None), True),
        (WebhookFilter(flags=("a",)), ("FlagEnabled", "flag", "b", "live"), False),
        (WebhookFilter(flags=("a",)), ("SegmentRenamed", "segment", "a", None), False),
    ],
)
def test_of_each_field_one_must_fit(
    wanted: WebhookFilter, event: tuple[str, str, str, str | None], fits: bool
) -> None:
    assert wanted.wants(*event) is fits


@for_all(st.text(max_size=40), st.sampled_from(PLACEHOLDERS))
def test_what_is_filled_in_is_never_read_as_a_template(value: str, name: str) -> None:
    hostile = f"{{{{project}}}}{value}{{{{{name}}}}}"
    assert filled("<{{ comment }}>", {"comment": hostile, "project": "no"}) == f"<{hostile}>"
