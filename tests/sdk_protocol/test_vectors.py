"""The vectors are the contract of every language: this one keeps it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, get_args

import msgspec
import pytest
from halyard_protocol.bucketing import bucket, bucketing_value
from halyard_protocol.canonical import canonical, canonical_object
from halyard_protocol.codec import convert, encode
from halyard_protocol.conditions import OPERATORS, SEGMENT_OPERATORS, condition_from_json
from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.evaluation import Detail, ReasonKind, evaluate
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.messages import SdkInfo, decode_server_message
from halyard_protocol.ruleset import Environment, Flag, Rule, Ruleset, Serve, Variation
from halyard_protocol.session.client_actions import Actions, Close, Send
from halyard_protocol.session.outcomes import digest_of, read_values
from halyard_protocol.session.values_client import ValuesClient

from tests.support import vectors
from tests.support.vectors import (
    BUCKET_TOLERANCE,
    BucketingCase,
    BucketingFile,
    ConditionCase,
    ConditionFile,
    ContextCase,
    ContextFile,
    ConversationCase,
    ConversationFile,
    DigestCase,
    DigestFile,
    EvaluationCase,
    EvaluationFile,
    OperatorCase,
    OperatorFile,
    Step,
)

FILES = vectors.read_all()


def cases_of(kind: type[Any]) -> list[Any]:
    return [
        pytest.param(file, case, id=f"{name}: {case.name}")
        for name, file in FILES.items()
        if isinstance(file, kind)
        for case in file.cases
    ]


def evaluates_to(ruleset: Ruleset, when: Any, context: Any, now_ms: int) -> str:
    rule = Rule("rule", condition_from_json(when), Serve("yes"))
    flag = Flag(
        key="flag",
        type="string",
        enabled=True,
        variations=(Variation("yes", "yes"), Variation("no", "no")),
        rules=(rule,),
        fallthrough=Serve("no"),
    )
    ruleset = msgspec.structs.replace(ruleset, flags={"flag": flag})
    detail = evaluate(ruleset, "flag", Context.of(context), None, now_ms)
    assert detail.reason.kind == ("RULE_MATCH" if detail.value == "yes" else "FALLTHROUGH")
    return str(detail.value)


@pytest.mark.parametrize(("file", "case"), cases_of(OperatorFile))
def test_an_operator_matches_as_its_vector_says(file: OperatorFile, case: OperatorCase) -> None:
    when: dict[str, Any] = {"attribute": "subject", "op": case.op, "values": case.values}
    context: dict[str, Any] = {"key": "someone"}
    if case.attribute is not msgspec.UNSET:
        context["subject"] = case.attribute
    now_ms = file.now if case.now is None else case.now
    ruleset = Ruleset(Environment("test"), {}, {})
    assert evaluates_to(ruleset, when, context, now_ms) == ("yes" if case.matches else "no")


@pytest.mark.parametrize(("file", "case"), cases_of(ConditionFile))
def test_a_condition_holds_as_its_vector_says(file: ConditionFile, case: ConditionCase) -> None:
    now_ms = file.now if case.now is None else case.now
    found = evaluates_to(file.ruleset(), case.when, case.context, now_ms)
    assert found == ("yes" if case.matches else "no")


@pytest.mark.parametrize(("file", "case"), cases_of(EvaluationFile))
def test_a_flag_evaluates_as_its_vector_says(file: EvaluationFile, case: EvaluationCase) -> None:
    now_ms = file.now if case.now is None else case.now
    context = Context.of(case.context)
    found = evaluate(file.ruleset(), case.flag, context, case.default, now_ms)
    assert_detail(found, case)


def assert_detail(found: Detail, case: EvaluationCase) -> None:
    assert msgspec.json.encode(found.value) == msgspec.json.encode(case.value)
    assert found.variation == case.variation
    assert found.reason.bucket == pytest.approx(case.reason.bucket, abs=BUCKET_TOLERANCE)
    for field in ("kind", "error_code", "rule_id", "rule_index", "prerequisite", "in_experiment"):
        assert getattr(found.reason, field) == getattr(case.reason, field), field


@pytest.mark.parametrize(("file", "case"), cases_of(BucketingFile))
def test_a_value_hashes_as_its_vector_says(file: BucketingFile, case: BucketingCase) -> None:
    value = bucketing_value(case.value)
    found = None if value is None else bucket(case.key, case.salt, value, case.seed)
    assert found == pytest.approx(case.bucket, abs=BUCKET_TOLERANCE)


@pytest.mark.parametrize(("file", "case"), cases_of(ContextFile))
def test_a_context_is_read_as_its_vector_says(file: ContextFile, case: ContextCase) -> None:
    if case.invalid is msgspec.UNSET:
        assert sorted(Context.of(case.context).kinds) == case.kinds
        return
    with pytest.raises(InvalidContext) as caught:
        Context.of(case.context)
    assert caught.value.field == case.invalid


@pytest.mark.parametrize(("file", "case"), cases_of(DigestFile))
def test_values_have_the_digest_that_their_vector_says(file: DigestFile, case: DigestCase) -> None:
    values = read_values(case.values)
    read = {key: msgspec.json.decode(each) for key, each in values.items()}
    for value in read.values():
        value.pop("version", None)
    canonical_values = {key: canonical(value) for key, value in read.items()}
    assert canonical_object(canonical_values).decode() == case.canonical
    assert digest_of(values) == case.digest


@pytest.mark.parametrize(("file", "case"), cases_of(ConversationFile))
def test_a_client_does_what_its_vector_says(file: ConversationFile, case: ConversationCase) -> None:
    client = ValuesClient(SdkInfo("test"), 0.0, case.context)
    due: list[Any] = []
    for step in case.steps:
        if step.sends is not msgspec.UNSET:
            assert due.pop(0) == (step.link, step.sends)
        elif step.closes is not msgspec.UNSET:
            assert due.pop(0) == (step.link, "close")
        elif step.values is not msgspec.UNSET:
            assert client.values_of == step.of
            assert client.values == {key: bytes(each) for key, each in step.values.items()}
        else:
            assert not due
            due = [told for action in happens(client, step) if (told := what(action))]
    assert not due


def happens(client: ValuesClient, step: Step) -> Actions:
    if step.opens is not msgspec.UNSET:
        return client.opened(step.link, 0.0)
    if step.breaks is not msgspec.UNSET:
        return client.closed(step.link, None, "lost", 0.0)
    if step.hears is not msgspec.UNSET:
        return client.received(step.link, decode_server_message(bytes(step.hears)), 0.0)
    return client.identify(step.identify)


def what(action: Any) -> Any:
    match action:
        case Send(link, payload):
            message = msgspec.json.decode(payload)
            return (link, {k: v for k, v in message.items() if k not in ("sdk", "protocol")})
        case Close(link):
            return (link, "close")
    return None


def test_every_operator_has_vectors_of_both_outcomes() -> None:
    seen = {
        (case.op, case.matches)
        for file in FILES.values()
        if isinstance(file, OperatorFile)
        for case in file.cases
    }
    compared = OPERATORS - SEGMENT_OPERATORS
    assert seen == {(op, outcome) for op in compared for outcome in (True, False)}


def form(of: Any) -> str:
    """What an attribute is, as finely as JSON and the operators tell apart."""
    match of:
        case None | bool() | msgspec.UnsetType():
            return repr(of)
        case int() | float():
            return "whole" if of == int(of) else "fraction"
        case []:
            return "empty array"
        case list():
            if any(isinstance(element, list) for element in of):
                return "array in array"
            types = {type(element) for element in of}
            return "array of strings" if types == {str} else "array of several types"
    return type(of).__name__


FORMS = {
    "str", "whole", "fraction", "True", "False", "None", "UNSET", "dict",
    "array of strings", "array of several types", "empty array", "array in array",
}  # fmt: skip


@pytest.mark.parametrize("op", sorted(OPERATORS - SEGMENT_OPERATORS))
def test_every_operator_has_a_vector_of_every_form_of_attribute(op: str) -> None:
    seen = {
        form(case.attribute)
        for file in FILES.values()
        if isinstance(file, OperatorFile)
        for case in file.cases
        if case.op == op
    }
    assert seen >= FORMS


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_every_operator_has_a_vector_of_every_type_of_value(op: str) -> None:
    file = FILES["conditions-values"]
    assert isinstance(file, ConditionFile)
    leaves = [case.when["not"] for case in file.cases if "not" in case.when]
    values = [leaf["values"] for leaf in leaves if leaf["op"] == op and "values" in leaf]
    seen = {form(value[0]) for value in values if isinstance(value, list) and value}
    assert seen >= {"str", "whole", "fraction", "True", "None", "dict", "array of strings"}


def test_the_names_of_cases_are_unique() -> None:
    for name, file in FILES.items():
        names = Counter((getattr(case, "op", None), case.name) for case in file.cases)
        assert not [each for each, count in names.items() if count > 1], name


def test_every_flag_and_segment_of_a_file_is_asked_for() -> None:
    for name, file in FILES.items():
        if isinstance(file, EvaluationFile):
            asked = {case.flag for case in file.cases}
            named = {item["flag"] for flag in file.flags for item in _prerequisites(flag)}
            assert {flag["key"] for flag in file.flags} <= asked | named, name


def _prerequisites(flag: Any) -> Any:
    return (item for item in flag.get("prerequisites", ()) if "flag" in item)


def test_every_case_is_answered_the_same_by_an_evaluator_that_has_warmed_up() -> None:
    for file in FILES.values():
        if isinstance(file, EvaluationFile):
            evaluator = Evaluator(file.ruleset(), interpreted_calls=1)
            for _ in range(3):
                for case in file.cases:
                    now_ms = file.now if case.now is None else case.now
                    context = Context.of(case.context)
                    assert_detail(evaluator.detail(case.flag, context, case.default, now_ms), case)


def test_every_kind_of_reason_has_a_vector() -> None:
    seen = {
        case.reason.kind
        for file in FILES.values()
        if isinstance(file, EvaluationFile)
        for case in file.cases
    }
    assert seen == set(get_args(ReasonKind))


def test_a_flag_of_the_vectors_survives_being_written_and_read() -> None:
    for file in FILES.values():
        if isinstance(file, EvaluationFile):
            for flag in file.ruleset().flags.values():
                if isinstance(flag, Flag):
                    written = msgspec.json.decode(encode(flag))
                    assert convert(written, Flag) == flag


def test_every_choice_that_the_text_names_is_a_case() -> None:
    text = (vectors.FOLDER / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `([a-z-]+)`: (.+) \|$", text, re.MULTILINE)
    assert len(named) > 20
    for name, case in named:
        assert case in {each.name for each in FILES[name].cases}, f"{name}: {case}"


def test_the_schema_of_the_vectors_is_current() -> None:
    assert (vectors.FOLDER / vectors.SCHEMA).read_bytes() == vectors.schema()
