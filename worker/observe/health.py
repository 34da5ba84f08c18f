"""The pages that orchestrators look at: does it live, is it ready?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from worker.observe.dependencies import DependencyState
from worker.observe.heartbeat import Silence
from worker.observe.listener import Answer

JSON: Final = "application/json"


def healthz(silences: Sequence[Silence]) -> Answer:
    """200 while every loop turns; 503 naming those that are stuck.

    A server that is away makes no loop stuck: restarting this process would bring none back.
    """
    stuck = [silence.loop for silence in silences if silence.is_stuck]
    loops = {
        silence.loop: {
            "turning": not silence.is_stuck,
            "silent_seconds": round(silence.silent.total_seconds(), 3),
            "limit_seconds": silence.limit.total_seconds(),
        }
        for silence in silences
    }
    status = "stuck" if stuck else "turning"
    return _answer({"status": status, "stuck": stuck, "loops": loops}, good=not stuck)


def readyz(
    states: Sequence[DependencyState],
    event_loops: Sequence[Silence] = (),
    *,
    serving: bool,
    stopping: bool,
) -> Answer:
    """200 when every server is there and the roles run; 503 naming what is missing or stalled."""
    stalled = [silence.loop for silence in event_loops if silence.is_stuck]
    missing = [state.name for state in states if not state.ready]
    dependencies = {
        state.name: {
            "ready": state.ready,
            "detail": state.detail,
            "checked_seconds_ago": (
                None if state.checked is None else round(state.checked.total_seconds(), 3)
            ),
        }
        for state in states
    }
    status = "stopping" if stopping else "starting" if not serving else "serving"
    good = status == "serving" and not missing and not stalled
    if status == "serving" and not good:
        status = "stalled" if stalled else "waiting"
    content = {
        "status": status,
        "missing": missing,
        "stalled": stalled,
        "dependencies": dependencies,
        "event_loops": {
            silence.loop: {
                "turning": not silence.is_stuck,
                "silent_seconds": round(silence.silent.total_seconds(), 3),
            }
            for silence in event_loops
        },
    }
    return _answer(content, good=good)


def _answer(content: Mapping[str, Any], *, good: bool) -> Answer:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, JSON, json.dumps(content, indent=2).encode() + b"\n")
