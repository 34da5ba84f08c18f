"""The model behind docs/scaling.md, on figures that are easy to reckon with."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.scaling import NotMeasured, parts_of, step_to, table_of


def results() -> dict[str, Any]:
    measured = {
        ("noise", "raw XREADGROUP + json + XACK", "events/s"): 100_000.0,
        ("noise", "Pointsman, one process", "events/s"): 10_000.0,
        ("noise", "Pointsman, processor time", "µs/event"): 1.0,
        ("noise", "raw insert", "events/s"): 20_000.0,
        ("resume", "raw signals, 100 workflows", "signals/s"): 1_000.0,
        ("resume", "raw signals, 1,000 workflows", "signals/s"): 800.0,
        ("resume", "Pointsman, 100 workflows", "signals/s"): 900.0,
        ("resume", "Pointsman publish → completed", "workflows/s"): 1.0,
    }
    return {
        "figures": [
            {"part": part, "name": name, "unit": unit, "median": median}
            for (part, name, unit), median in measured.items()
        ]
    }


def test_every_part_gets_the_units_that_its_rate_takes() -> None:
    step = step_to(100_000, parts_of(results(), waking=0.1), busy=0.5)

    assert step.units == {
        "Redis": 2,
        "consumers": 20,
        "Postgres": 10,
        "delivery": 23,
        "Temporal": 25,
    }


def test_the_limit_is_the_part_that_is_busiest() -> None:
    parts = parts_of(results(), waking=0.1)

    steps = [step_to(rate, parts, busy=0.9) for rate in (1_000, 7_300)]

    assert [(step.limit, round(step.busy, 3)) for step in steps] == [
        ("Temporal", 0.125),
        ("delivery", 0.811),
    ]


def test_events_that_wake_nobody_need_one_temporal() -> None:
    step = step_to(100_000, parts_of(results(), waking=0.0), busy=0.5)

    assert (step.units["Temporal"], step.units["delivery"]) == (1, 1)


def test_a_table_has_a_row_for_every_rate() -> None:
    parts = parts_of(results(), waking=0.1)

    table = table_of([step_to(rate, parts, 0.5) for rate in (1_000, 100_000)], parts)

    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| 1,000", "| 100,000"]


def test_a_missing_figure_is_named_with_the_command_that_measures_it() -> None:
    with pytest.raises(NotMeasured, match=r"no figure noise: .*bench --only noise resume"):
        parts_of({"figures": []}, waking=0.1)
