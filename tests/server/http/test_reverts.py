"""Planning reverts and applying them, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.api import FLAG, PROJECT, SETTINGS, created, problem

RULE = {"when": {"op": "exists", "attribute": "plan"}, "serve": {"variation": "on"}}


async def seq_of(api: httpx.AsyncClient) -> int:
    return int((await api.get(PROJECT)).json()["seq"])


async def planned(api: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    response = await api.get(f"{path}/revert", params=query)
    assert response.status_code == 200, response.text
    plan: dict[str, Any] = response.json()
    return plan


async def done(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await api.post(f"{path}/revert", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def event_path(seq: int) -> str:
    return f"{PROJECT}/events/{seq}"


async def settings(api: httpx.AsyncClient, environment: str = "development") -> dict[str, Any]:
    row: dict[str, Any] = (await api.get(f"{FLAG}/environments/{environment}")).json()
    return {name: row[name] for name in ("enabled", "fallthrough", "rules", "targets")}


async def test_a_flag_goes_back_to_a_moment_in_all_environments(demo: httpx.AsyncClient) -> None:
    then, was = await seq_of(demo), await settings(demo)
    await demo.post(f"{SETTINGS}/enable")
    await demo.post(f"{SETTINGS}/rules", json=RULE)
    await demo.patch(FLAG, json={"name": "Other"})
    await demo.post(f"{FLAG}/environments/production/enable")
    plan = await planned(demo, FLAG, to=then)
    assert plan["applicable"]
    assert [each["type"] for each in plan["commands"]] == [
        "RenameFlag",
        "DisableFlag",
        "RemoveRule",
        "DisableFlag",
    ]
    assert [event["seq"] for event in plan["overwrites"]] == [
        then + 4,
        then + 3,
        then + 2,
        then + 1,
    ]
    assert plan["overwrites"][0]["actor"]["name"] == "Ada"
    answer = await done(
        demo, FLAG, {"to": then, "token": plan["token"], "comment": "the rollout was bad"}
    )
    assert [event["type"] for event in answer["events"]] == [
        "FlagRenamed",
        "FlagDisabled",
        "RuleRemoved",
        "FlagDisabled",
    ]
    assert await settings(demo) == was
    assert (await demo.get(f"{FLAG}/diff?from={then}")).json()["changes"] == []
    newest = (await demo.get(f"{PROJECT}/events?limit=1")).json()["items"][0]
    assert newest["body"]["comment"] == "the rollout was bad"
    assert newest["causationId"] == plan["reverts"] == f"revert-to:{then}"


async def test_a_flag_goes_back_in_one_environment_alone(demo: httpx.AsyncClient) -> None:
    then = await seq_of(demo)
    for environment in ("development", "production"):
        await demo.post(f"{FLAG}/environments/{environment}/enable")
    plan = await planned(demo, FLAG, to=then, environment="production")
    body = {"to": then, "environment": "production", "token": plan["token"]}
    await done(demo, FLAG, body)
    assert (await settings(demo))["enabled"]
    assert not (await settings(demo, "production"))["enabled"]


async def test_a_plan_does_nothing(demo: httpx.AsyncClient) -> None:
    await demo.post(f"{SETTINGS}/enable")
    before = await seq_of(demo)
    await planned(demo, FLAG, to=5)
    await planned(demo, event_path(before))
    assert await seq_of(demo) == before


async def test_a_plan_is_refused_where_something_came_between(demo: httpx.AsyncClient) -> None:
    then = await seq_of(demo)
    await demo.post(f"{SETTINGS}/enable")
    plan = await planned(demo, FLAG, to=then)
    await demo.patch(FLAG, json={"name": "Other"})
    body = {"to": then, "token": plan["token"]}
    refused = problem(await demo.post(f"{FLAG}/revert", json=body), 412, "plan-outdated")
    assert [event["type"] for event in refused["between"]] == ["FlagRenamed"]
    assert (await settings(demo))["enabled"]


async def test_what_happens_elsewhere_does_not_outdate_a_plan(demo: httpx.AsyncClient) -> None:
    then = await seq_of(demo)
    await demo.post(f"{SETTINGS}/enable")
    plan = await planned(demo, FLAG, to=then)
    await created(demo, f"{PROJECT}/flags", {"key": "other"})
    await done(demo, FLAG, {"to": then, "token": plan["token"]})
    assert not (await settings(demo))["enabled"]


async def test_a_token_is_of_one_plan(demo: httpx.AsyncClient) -> None:
    then = await seq_of(demo)
    await demo.post(f"{SETTINGS}/enable")
    await demo.post(f"{SETTINGS}/rules", json=RULE)
    token = (await planned(demo, FLAG, to=then))["token"]
    for body in ({"to": then + 1, "token": token}, {"to": then, "token": "x"}):
        refused = await demo.post(f"{FLAG}/revert", json=body)
        assert problem(refused, 422, "malformed")["errors"][0]["path"] == "/token"
    problem(await demo.post(f"{FLAG}/revert", json={"to": then}), 422, "malformed")


async def test_a_repeat_under_the_same_key_is_answered_as_the_first_was(
    demo: httpx.AsyncClient,
) -> None:
    then = await seq_of(demo)
    await demo.post(f"{SETTINGS}/enable")
    body = {"to": then, "token": (await planned(demo, FLAG, to=then))["token"]}
    headers = {"idempotency-key": "once"}
    first = (await demo.post(f"{FLAG}/revert", json=body, headers=headers)).json()
    again = (await demo.post(f"{FLAG}/revert", json=body, headers=headers)).json()
    assert again == {**first, "replayed": True}


async def test_one_change_is_undone_and_later_edits_elsewhere_stay(demo: httpx.AsyncClient) -> None:
    rule = (await demo.post(f"{SETTINGS}/rules", json=RULE)).json()
    await demo.post(f"{SETTINGS}/enable")
    plan = await planned(demo, event_path(rule["seq"]))
    assert (plan["reverts"], plan["overwrites"]) == (f"revert:{rule['seq']}", [])
    answer = await done(demo, event_path(rule["seq"]), {"token": plan["token"]})
    assert [event["type"] for event in answer["events"]] == ["RuleRemoved"]
    now = await settings(demo)
    assert (now["enabled"], now["rules"]) == (True, [])
    back = await planned(demo, event_path(answer["seq"]))
    await done(demo, event_path(answer["seq"]), {"token": back["token"]})
    assert len((await settings(demo))["rules"]) == 1


async def test_a_later_edit_of_the_same_part_is_named_and_overwritten_on_demand(
    demo: httpx.AsyncClient,
) -> None:
    path = f"{SETTINGS}/fallthrough"
    first = (await demo.put(path, json={"variation": "off"})).json()["seq"]
    await demo.post(f"{SETTINGS}/enable")
    rollout = {
        "buckets": [{"variation": "on", "weight": 1}, {"variation": "off", "weight": 99_999}]
    }
    later = (await demo.put(path, json={"rollout": rollout})).json()["seq"]
    plan = await planned(demo, event_path(first))
    assert not plan["applicable"]
    [clash] = plan["clashes"]
    assert (clash["path"], clash["before"]) == ("/fallthrough", {"variation": "on"})
    assert [event["seq"] for event in plan["overwrites"]] == [later]
    refused = await demo.post(f"{event_path(first)}/revert", json={"token": plan["token"]})
    assert len(problem(refused, 409, "revert-clash")["clashes"]) == 1
    plan = await planned(demo, event_path(first), overwrite="true")
    assert plan["applicable"]
    await done(demo, event_path(first), {"token": plan["token"], "overwrite": True})
    assert (await settings(demo))["fallthrough"] == {"variation": "on"}


async def test_a_whole_command_is_undone_together(demo: httpx.AsyncClient) -> None:
    edit = (await demo.patch(FLAG, json={"name": "Other", "tags": ["x"]})).json()
    first = edit["events"][0]["seq"]
    one = await planned(demo, event_path(first))
    assert [each["type"] for each in one["commands"]] == ["RenameFlag"]
    both = await planned(demo, event_path(first), whole="true")
    assert [each["type"] for each in both["commands"]] == ["RenameFlag", "TagFlag"]
    await done(demo, event_path(first), {"token": both["token"], "whole": True})
    flag = (await demo.get(FLAG)).json()
    assert (flag["name"], flag["tags"]) == ("New checkout", [])


async def test_a_deleted_flag_comes_back_under_a_new_revision(demo: httpx.AsyncClient) -> None:
    await demo.post(f"{SETTINGS}/rules", json=RULE)
    await demo.post(f"{SETTINGS}/enable")
    was, flag = await settings(demo), (await demo.get(FLAG)).json()
    seq = (await demo.delete(FLAG)).json()["seq"]
    plan = await planned(demo, event_path(seq))
    await done(demo, event_path(seq), {"token": plan["token"]})
    assert await settings(demo) == was
    again = (await demo.get(FLAG)).json()
    assert again["revision"] == flag["revision"] + 2
    assert again["name"] == flag["name"]


async def test_what_stands_in_the_way_is_named(demo: httpx.AsyncClient) -> None:
    segment = f"{PROJECT}/segments/beta"
    await created(demo, f"{PROJECT}/segments", {"key": "beta"})
    rule = {**RULE, "when": {"op": "segment", "values": ["beta"]}}
    await created(demo, f"{SETTINGS}/rules", rule)
    then = await seq_of(demo)
    rules = (await settings(demo))["rules"]
    await demo.delete(f"{SETTINGS}/rules/{rules[0]['id']}")
    await demo.delete(segment)
    plan = await planned(demo, FLAG, to=then)
    assert not plan["applicable"]
    [obstacle] = plan["obstacles"]
    assert "there is no segment 'beta'" in obstacle["reason"]
    body = {"to": then, "token": plan["token"]}
    problem(await demo.post(f"{FLAG}/revert", json=body), 409, "not-revertible")
    back = await planned(demo, segment, to=then)
    await done(demo, segment, {"to": then, "token": back["token"]})
    assert (await planned(demo, FLAG, to=then))["applicable"]


async def test_other_things_are_not_reverted(demo: httpx.AsyncClient) -> None:
    problem(await demo.get(f"{event_path(1)}/revert"), 409, "not-revertible")
    for seq in ("0", "99", "x", "1" * 30):
        problem(await demo.get(f"{PROJECT}/events/{seq}/revert"), 404, "not-found")
    problem(await demo.get(f"{PROJECT}/flags/none/revert?to=3"), 404, "not-found")
    problem(await demo.get(f"{FLAG}/revert"), 422, "malformed")


async def reverted(api: httpx.AsyncClient, path: str = f"{PROJECT}/events") -> dict[int, int]:
    """By seq, which event undid it."""
    items = (await api.get(path)).json()["items"]
    return {each["seq"]: each["revertedBy"] for each in items if each["revertedBy"] is not None}


async def undone(api: httpx.AsyncClient, seq: int, query: str = "", **how: bool) -> dict[str, Any]:
    """Undo a change; the answer."""
    plan = await planned(api, event_path(seq), **how)
    body = {"token": plan["token"], **how}
    response = await api.post(f"{event_path(seq)}/revert{query}", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_an_event_says_which_one_undid_it(demo: httpx.AsyncClient) -> None:
    on = (await demo.post(f"{SETTINGS}/enable")).json()["seq"]
    assert await reverted(demo) == {}
    off = (await undone(demo, on))["seq"]
    again = (await undone(demo, off))["seq"]
    assert await reverted(demo) == {on: off, off: again}
    newest = (await undone(demo, on))["seq"]
    assert await reverted(demo, f"{FLAG}/history?limit=4") == {on: newest, off: again}
    detail = (await demo.get(event_path(on))).json()
    assert detail["event"]["revertedBy"] == newest


async def test_events_of_a_command_that_was_undone_say_so_each_of_its_own_entity(
    demo: httpx.AsyncClient,
) -> None:
    await created(demo, f"{PROJECT}/flags", {"key": "other"})
    commands = [
        {"type": "EnableFlag", "flag": flag, "environment": environment}
        for flag in ("checkout", "other")
        for environment in ("development", "production")
    ]
    batch = await demo.post(f"{PROJECT}/commands:batch", json={"commands": commands})
    asked = [event["seq"] for event in batch.json()["events"]]
    answer = await undone(demo, asked[0], whole=True)
    by = {str(event["entity"]): event["seq"] for event in answer["events"]}
    expected = {event["seq"]: by[str(event["entity"])] for event in batch.json()["events"]}
    assert len(set(expected.values())) == 4
    assert await reverted(demo) == expected


async def test_what_was_undone_past_its_approvals_says_so_too(demo: httpx.AsyncClient) -> None:
    on = (await demo.post(f"{SETTINGS}/enable")).json()["seq"]
    await demo.patch(f"{PROJECT}/environments/development", json={"requiredApprovals": 1})
    off = (await undone(demo, on, "?bypassApproval=true&comment=now"))["seq"]
    assert await reverted(demo) == {on: off}


async def test_only_undoing_counts_as_that(demo: httpx.AsyncClient) -> None:
    then = await seq_of(demo)
    await demo.post(f"{SETTINGS}/enable")
    plan = await planned(demo, FLAG, to=then)
    await done(demo, FLAG, {"to": then, "token": plan["token"]})
    assert await reverted(demo) == {}
