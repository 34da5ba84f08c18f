"""Trigger definitions: what is understood, and what every wrong one is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from correlation.event import Event, EventId, EventName, Payload, TenantId
from correlation.exact_reading import read_json
from correlation.exact_writing import exact_json, json_fault
from correlation.launching import Launching, NotLaunching, decide
from correlation.reason import Reason
from correlation.triggers import TriggersError, compile_trigger, compile_triggers, definition_of
from tests.builders import an_event
from worker.triggers_source import triggers_from_file

GOOD: dict[str, Any] = {
    "tenant": "acme",
    "event": "CLIENT_CREATED",
    "workflow": "Onboarding",
    "task_queue": "onboarding",
}
FILE = """
tenant = "acme"

[triggers.onboarding]
event = "CLIENT_CREATED"
workflow = "Onboarding"
task_queue = "onboarding"
only_without_wait = true

[triggers.onboarding.input]
clientId = { path = "client.id" }
plan = { path = "client.plan", default = "basic" }
event = { event = "id" }
source = { value = "crm" }

[triggers.onboarding.where]
"client.plan" = ["gold", 2]
"""


def faults(definition: Any, trigger_id: object = "t") -> tuple[str, ...]:
    with pytest.raises(TriggersError) as caught:
        compile_trigger(trigger_id, definition)
    return caught.value.errors


def test_a_file_is_read_and_written_back_the_same(tmp_path: Path) -> None:
    file = tmp_path / "triggers.toml"
    file.write_text(FILE)

    [trigger] = triggers_from_file(file)

    definition = definition_of(trigger)
    assert definition["input"]["plan"] == {"path": "client.plan", "default": "basic"}
    assert (trigger.tenant, trigger.only_without_wait) == ("acme", True)
    assert compile_trigger("onboarding", definition, "acme") == trigger


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event": ""}, "event: must be a text that is not blank"),
        ({"workflow": None}, "workflow: missing; add it"),
        ({"task_queue": 7}, "task_queue: must be a text that is not blank"),
        ({"tenant": "a\nb"}, "tenant: holds a control character"),
        ({"event": "x" * 300}, "event: is longer than 255 bytes"),
        ({"enabled": "yes"}, "enabled: must be true or false"),
        ({"taskqueue": "q"}, "taskqueue: unknown; known are tenant, event"),
        ({"input": "client.id"}, "input: must be a table"),
        ({"input": {"a": "client.id"}}, 'input.a: write {path = "…"}'),
        ({"input": {"a": {}}}, "input.a: needs exactly one of path"),
        ({"input": {"a": {"path": "x", "value": 1}}}, "input.a: needs exactly one of path"),
        ({"input": {"a": {"path": "x..["}}}, "input.a: 'x..[': "),
        ({"input": {"a": {"event": "payload"}}}, "input.a: event must be one of id, name"),
        ({"input": {"a": {"value": float("nan")}}}, "input.a: the value is not a finite number"),
        ({"input": {"a": {"value": object()}}}, "input.a: the value is of the type object"),
        ({"where": {"a": []}}, "where.a: accepts nothing"),
        ({"where": {"a": {"b": 1}}}, "where.a: compares with texts, numbers"),
        ({"where": {"$..a": 1}}, "where.$..a: '$..a': "),
    ],
)
def test_a_wrong_definition_is_told_its_field_and_the_fix(
    change: dict[str, Any], said: str
) -> None:
    [fault] = faults({**GOOD, **change})

    assert fault.startswith(said)


@pytest.mark.parametrize("trigger_id", ["", "a b", "-a", "x" * 101, "ä", 7])
def test_a_trigger_id_is_short_and_plain(trigger_id: object) -> None:
    [fault] = faults(GOOD, trigger_id)

    assert fault.startswith("id: must be 1 to 100 ASCII letters")


def test_every_fault_of_a_file_is_named_at_once_with_its_trigger(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text("tenant: acme\ntriggers:\n  a: {event: E}\n  b: 7\nextra: 1\n")

    with pytest.raises(TriggersError) as caught:
        triggers_from_file(file)

    assert caught.value.source == str(file)
    assert caught.value.errors == (
        "extra: unknown; the file holds `tenant` and `triggers` only",
        "a: workflow: missing; add it",
        "a: task_queue: missing; add it",
        "b: must be a table with event, workflow and task_queue",
    )


def test_a_file_without_the_table_is_told_of_it() -> None:
    with pytest.raises(TriggersError, match="needs a table `triggers`"):
        compile_triggers({"onboarding": GOOD})


@pytest.mark.parametrize(
    ("found", "accepted", "launches"),
    [
        (1, 1, True),
        (Decimal("1.0"), 1, True),
        (Decimal("0.1"), 0.1, True),
        (True, 1, False),
        (1, True, False),
        ("1", 1, False),
        (None, None, True),
        (0, None, False),
        (0, False, False),
        ("gold", ["silver", "gold"], True),
        ({"a": 1}, "a", False),
    ],
)
def test_conditions_compare_as_json_does(found: object, accepted: object, launches: bool) -> None:
    trigger = compile_trigger("t", {**GOOD, "where": {"x": accepted}})
    event = Event(TenantId("acme"), EventId("e"), EventName("N"), Payload("{}", {"x": found}))

    decision = decide(event, None, trigger.input, trigger.where)

    assert isinstance(decision, Launching if launches else NotLaunching)


def test_a_condition_on_a_branching_path_holds_when_any_place_fits() -> None:
    trigger = compile_trigger("t", {**GOOD, "where": {"$.lines[*].kind": "urgent"}})

    calm = decide(an_event(payload={"lines": [{"kind": "x"}]}), None, trigger.input, trigger.where)
    lines = [{"kind": "x"}, {"kind": "urgent"}]
    urgent = decide(an_event(payload={"lines": lines}), None, trigger.input, trigger.where)

    assert isinstance(calm, NotLaunching)
    assert calm.reason is Reason.FILTER_REFUSED
    assert urgent == Launching(None)


def test_exact_json_keeps_every_digit() -> None:
    value = {"a": [Decimal("0.10000000000000000001"), 2**90, True, None, "ü"]}

    assert read_json(exact_json(value)) == value
    assert json_fault(value) is None


def launched(mapping: Any, payload: dict[str, Any]) -> Any:
    """The argument that a trigger with this input makes of an event."""
    trigger = compile_trigger("t", {**GOOD, "input": mapping})
    again = compile_trigger("t", {**definition_of(trigger), "tenant": "acme"})
    assert again == trigger
    stated = Payload(exact_json(payload), payload)
    event = Event(TenantId("acme"), EventId("e-1"), EventName("CLIENT_CREATED"), stated)
    decision = decide(event, "7", trigger.input, trigger.where)
    assert isinstance(decision, Launching)
    return read_json(decision.input_text or "")


TICKET = {"ticket": {"id": 7, "rate": Decimal("0.10"), "tags": ["a", "b"]}, "a.b": 1}


@pytest.mark.parametrize(
    ("mapping", "argument"),
    [
        ({"payload.ticketId": {"path": "ticket.id"}}, {"payload": {"ticketId": 7}}),
        ({"payload": {"ticketId": {"path": "ticket.id"}}}, {"payload": {"ticketId": 7}}),
        (
            {"a.b": {"value": 1}, "a": {"c": {"event": "id"}, "d.e": {"event": "key"}}},
            {"a": {"b": 1, "c": "e-1", "d": {"e": "7"}}},
        ),
        ({r"a\.b": {"value": 1}, r"c\\d": {"value": 2}}, {"a.b": 1, "c\\d": 2}),
        ({"event": {"path": "$"}}, {"event": TICKET}),
        ({"event": "$", "id": "$.ticket.id"}, {"event": TICKET, "id": 7}),
        ({"a.whole": "$"}, {"a": {"whole": TICKET}}),
        ("$", TICKET),
        ("$.ticket", TICKET["ticket"]),
        ("$.ticket.tags[*]", ["a", "b"]),
        ("$.nothing", None),
        ({"a": {"b": {"path": "nothing"}}}, {"a": {}}),
        ({"a": {"b": {"path": "nothing", "default": {"x": 1}}}}, {"a": {"b": {"x": 1}}}),
        ({"value": {"path": "ticket.id"}}, {"value": 7}),
        (
            {"path": {"value": 1}, "event": {"path": {"value": 2}}},
            {"path": 1, "event": {"path": 2}},
        ),
        ({"a.value": {"path": "ticket.id"}}, {"a": {"value": 7}}),
        ({"a": {"value": {"path": "ticket.id"}}}, {"a": {"path": "ticket.id"}}),
        ({"": {"value": 1}}, {"": 1}),
    ],
)
def test_an_input_is_an_object_of_whatever_depth_or_the_payload(
    mapping: Any, argument: Any
) -> None:
    assert launched(mapping, TICKET) == argument


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"a..b": {"value": 1}}, "input.a..b: a name between two dots is empty"),
        ({".a": {"value": 1}}, "input..a: a name between two dots is empty"),
        ({"a.": {"value": 1}}, "input.a.: a name between two dots is empty"),
        ({"a": {"value": 1}, "a.b": {"value": 2}}, "input.a.b: 'a' is given a value of its own"),
        ({"a.b": {"value": 1}, "a": {"value": 2}}, "input.a: is given twice"),
        ({"a.b": {"value": 1}, "a": {"b": {"value": 2}}}, "input.a: is given twice"),
        ({"a": {"path": "x", "defualt": 1}}, "input.a: needs exactly one of path"),
        ({"a": {"b": {"path": 7}}}, "input.a.b: a path must be a text"),
        ({"a": {"b": 7}}, 'input.a.b: write {path = "…"}'),
        ({"a": {"b": {}}}, "input.a.b: needs exactly one of path"),
        ({"a": "$..b"}, "input.a: '$..b': "),
        ({7: {"value": 1}}, "input.7: a member's name must be a text"),
        (
            {".".join("abcdefghijklmnopq"): {"value": 1}},
            "input.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q: is",
        ),
        ({f"m{n}": {"value": n} for n in range(257)}, "input: holds more than 256 members"),
        ("$..a", "input: '$..a': "),
        ("ticket", "input: must be a table"),
        (7, "input: must be a table"),
    ],
)
def test_an_input_that_cannot_be_made_is_told_where_and_why(mapping: Any, said: str) -> None:
    [fault] = faults({**GOOD, "input": mapping})

    assert fault.startswith(said)


def test_a_condition_on_the_whole_payload_is_refused() -> None:
    [fault] = faults({**GOOD, "where": {"$": 1}})

    assert fault.startswith("where.$: ")


@pytest.mark.parametrize("path", ["items.0.id", "a..b", "/a/b"])
def test_a_path_in_another_notation_is_refused_anew_and_goes_on_where_it_is_stored(
    path: str,
) -> None:
    definition = {
        "tenant": "acme",
        "event": "A",
        "workflow": "W",
        "task_queue": "q",
        "input": {"id": {"path": path}},
        "where": {path: 1},
    }

    with pytest.raises(TriggersError) as refused:
        compile_trigger("t", definition)

    assert [error.partition(":")[0] for error in refused.value.errors] == [
        "input.id",
        f"where.{path}",
    ]
    assert compile_trigger("t", definition, stored=True).where[0].path.text == path
