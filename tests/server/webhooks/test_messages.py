from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from domain.state import Webhook
from domain.webhooks import (
    AS_JSON,
    BlocksTemplate,
    SlackTemplate,
    Template,
    TextTemplate,
    WebhookFilter,
)
from eventstore.log import StoredEvent
from server.webhooks.messages import MAX_LINES, delivery_id, message

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOOK = Webhook(
    "h1", "Team", "", "https://a.example", "t", (), WebhookFilter(), AS_JSON, "s", True, NOW, 1, 1
)


def event(seq: int = 7, **changed: Any) -> StoredEvent:
    stored = StoredEvent(
        "demo", seq, f"id-{seq}", "production", "flag", "checkout", 3, "FlagEnabled", 1, True,
        b'{"comment":"Launch <!channel> & go"}', "acc1", "cmd1", None, "revert:3", True, NOW, b"h",
    )  # fmt: skip
    return replace(stored, **changed)


def told(template: Template, *events: StoredEvent) -> Any:
    hook = replace(HOOK, template=template)
    return message("demo", hook, events, {"acc1": "Ada"}, "d1")


def test_as_json_the_events_are_told_whole() -> None:
    made = told(AS_JSON, event())
    assert (made.content_type, made.events) == ("application/json", "FlagEnabled")
    assert json.loads(made.body) == {
        "delivery": "d1",
        "project": "demo",
        "webhook": {"id": "h1", "name": "Team"},
        "events": [
            {
                "id": "id-7",
                "seq": 7,
                "type": "FlagEnabled",
                "entity": {"kind": "flag", "key": "checkout", "environment": "production"},
                "revision": 3,
                "actor": {"id": "acc1", "name": "Ada"},
                "recordedAt": "2026-05-01T12:00:00Z",
                "commandId": "cmd1",
                "causationId": "revert:3",
                "body": {"comment": "Launch <!channel> & go"},
            }
        ],
    }


def test_an_event_of_a_newer_version_is_told_as_it_was_stored() -> None:
    made = told(AS_JSON, event(type="Invented", body=b'{"new":[1]}'))
    assert json.loads(made.body)["events"][0]["body"] == {"new": [1]}


def test_no_receiver_is_told_a_hash_of_a_secret() -> None:
    body = b'{"kind":"server","sha256":"5f"}'
    made = told(AS_JSON, event(type="SdkKeyIssued", schema_version=2, body=body))
    assert json.loads(made.body)["events"][0]["body"] == {"kind": "server"}


def test_a_ping_has_no_events() -> None:
    made = told(AS_JSON)
    assert (made.events, json.loads(made.body)["events"]) == ("Ping", [])


def test_a_text_is_a_line_for_each_event() -> None:
    made = told(TextTemplate("{{actor}} {{ action }} {{flag}}"), event(), event(8, actor_id="x"))
    assert made.body == b"Ada flag enabled checkout\nx flag enabled checkout"
    assert made.content_type == "text/plain; charset=utf-8"


def test_slack_is_told_in_blocks_that_mention_nobody() -> None:
    content = json.loads(told(SlackTemplate(), event()).body)
    text = content["blocks"][0]["text"]["text"]
    sentence = "flag enabled checkout in production: Launch &lt;!channel&gt; &amp; go"
    assert text == f"Ada: {sentence}"
    assert "<" not in json.dumps(content)


def test_many_events_are_some_sentences_and_a_number() -> None:
    events = [event(n, body=b'{"comment":"%s"}' % (b"x" * 900)) for n in range(1, 90)]
    content = json.loads(told(SlackTemplate(), *events).body)
    assert len(content["blocks"][0]["text"]["text"]) < 3_000
    assert "more lines" in content["blocks"][0]["text"]["text"]
    lines = json.loads(told(BlocksTemplate({"t": "{{lines}}"}), *events).body)["t"]
    assert lines.endswith(f"and {89 - MAX_LINES} more")


@pytest.mark.parametrize("escapes", [True, False])
def test_blocks_are_filled_in_wherever_there_is_a_text(escapes: bool) -> None:
    body = {"a": ["{{count}} of {{project}}", {"b": "{{comment}}"}], "n": 1, "{{key}}": None}
    content = json.loads(told(BlocksTemplate(body, escapes), event()).body)
    comment = "Launch &lt;!channel&gt; &amp; go" if escapes else "Launch <!channel> & go"
    assert content == {"a": ["1 of demo", {"b": comment}], "n": 1, "{{key}}": None}


def test_what_is_filled_in_cannot_leave_its_place() -> None:
    hostile = json.dumps({"comment": '"},{"x":"{{actorId}}\n\u2028'}).encode()
    content = json.loads(told(BlocksTemplate({"t": "{{comment}}"}), event(body=hostile)).body)
    assert content == {"t": '"},{"x":"{{actorId}} '}
    lines = told(TextTemplate("{{comment}}"), event(body=hostile)).body.decode().splitlines()
    assert lines == ['"},{"x":"{{actorId}} ']


def test_a_value_is_not_long() -> None:
    made = told(TextTemplate("{{comment}}"), event(body=b'{"comment":"%s"}' % (b"x" * 2_000)))
    assert len(made.body.decode()) == 500


def test_the_same_events_have_the_same_id_and_others_another() -> None:
    known = delivery_id("demo", HOOK, [event(7), event(8)])
    assert known == delivery_id("demo", replace(HOOK, name="B"), [event(7), event(8)])
    others = {
        delivery_id("demo", HOOK, [event(7)]),
        delivery_id("shop", HOOK, [event(7), event(8)]),
        delivery_id("demo", replace(HOOK, id="h2"), [event(7), event(8)]),
        delivery_id("demo", HOOK, [event(7), event(9)]),
    }
    assert len({known, *others}) == 5
