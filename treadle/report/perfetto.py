"""The trace of a counterexample for viewers of traces, as https://ui.perfetto.dev: a track for each client.

::

    steps         1         2         3         4
    A · atm-1     [ SELECT ][ UPDATE  waits     ][ UPDATE ]      slices: operations, and how long one waits
    B · atm-2               [ COMMIT ]
                            ▲ commits                            instants: commits, refusals, faults and ends

The format is Chrome's Trace Event Format
(https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU). Times are the numbers of the events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from treadle.report import phrases
from treadle.report.document import without_signs
from treadle.report.entries import FETCHES
from treadle.report.extra import changed, fetched, parameters
from treadle.report.sql import NO_BREAK, shorten
from treadle.report.tracefile import Case
from treadle.values.canonical import printable
from treadle.values.display import name, on_one_line, prose
from treadle.values.schedule import letters
from treadle.values.trace import Event, Trace

_PROCESS = 1

_TEXT_MAX = 200
"""How much of a text is shown, in characters."""

_VALUE_MAX = 60
"""How much of a value."""


def render_perfetto(case: Case) -> str:
    """Return the document as text: valid JSON, with no character that a terminal would obey."""
    return without_signs(json.dumps(build_perfetto(case), indent=1, ensure_ascii=False, allow_nan=False))


def build_perfetto(case: Case) -> dict[str, Any]:
    """Return the document as objects that JSON knows."""
    trace = case.trace
    return {
        "displayTimeUnit": "ns",
        "otherData": {
            "scenario": _text(name(case.scenario)),
            "property": _text(name(case.decision.property.name)),
            "why": _text(prose(case.counterexample.why)),
            "schedule": trace.schedule.token,
        },
        "traceEvents": [*_tracks(case), *(one for event in trace.events for one in _happened(event, trace))],
    }


def _tracks(case: Case) -> Iterator[dict[str, Any]]:
    """Yield what the tracks are called, in the order of the clients."""
    broken = f"{name(case.scenario)} breaks {name(case.decision.property.name)}"
    yield {"ph": "M", "pid": _PROCESS, "name": "process_name", "args": {"name": _text(broken)}}
    for at, client in enumerate(case.trace.clients):
        track = {"ph": "M", "pid": _PROCESS, "tid": at + 1}
        yield {**track, "name": "thread_name", "args": {"name": _text(f"{letters(at)} · {name(client)}")}}
        yield {**track, "name": "thread_sort_index", "args": {"sort_index": at}}


def _happened(event: Event, trace: Trace) -> Iterator[dict[str, Any]]:
    """Yield the slice of an operation, and an instant for whatever is worth a look."""
    place = {"pid": _PROCESS, "tid": event.client + 1, "ts": event.number}
    if event.operation is not None:
        title = _text(on_one_line(str(event.operation)))
        waits = phrases.waiting(event, trace.clients)
        yield {**place, "ph": "X", "dur": _lasts(event, trace), "name": title, "cat": "operation", "args": _told(event)}
        if waits:
            yield {**place, "ph": "i", "s": "t", "name": _text(waits), "cat": "waits"}
    for kind, text in (
        ("fault", phrases.crash(event)),
        ("refused", phrases.refusal(event, trace.clients)),
        ("commit", phrases.briefly_published(event.changes) if event.changes else ""),
        ("end", phrases.briefly_ended(event.outcome)),
    ):
        if text:
            yield {**place, "ph": "i", "s": "t", "name": _text(text), "cat": kind}


def _lasts(event: Event, trace: Trace) -> int:
    """Return how many steps an operation takes: one, or as many as it waits."""
    if not event.waits:
        return 1
    again = (other.number for other in trace.events[event.number :] if other.client == event.client)
    return next(again, len(trace.events) + 1) - event.number


def _told(event: Event) -> dict[str, Any]:
    """Return what a viewer shows of a slice that is looked at."""
    operation, seen = event.operation, event.observation
    assert operation is not None
    given = parameters(operation)
    found = {
        "step": event.number,
        "line": "" if event.source is None else str(event.source),
        "parameters": "" if given is None else given.render(_VALUE_MAX),
        "lock": event.held_after,
    }
    if seen is not None and seen.failure is not None:
        found["error"] = str(seen)
    elif seen is not None:
        answer = fetched(seen.rows or ()) if operation.kind in FETCHES else changed(seen)
        found["answer"] = "" if answer is None else answer.render(_VALUE_MAX)
    return {key: _text(value) if isinstance(value, str) else value for key, value in found.items() if value != ""}


def _text(text: str) -> str:
    return shorten(printable(on_one_line(text.replace(NO_BREAK, " "))), _TEXT_MAX)
