"""The trace of a counterexample as JSON, for programs: all that happened, and all that is needed to do it again.

Its format has a version and a schema, docs/_static/trace-v1.schema.json. A value of SQLite that JSON has no spelling
for is an object: ``{"blob": "00ff"}``, ``{"real": "inf"}``, ``{"text": "636166e9"}`` for text that is no UTF-8; and
``{"opaque": "..."}`` for what no database holds.
"""

from __future__ import annotations

import json
import math
from typing import Any

import cattrs
from attrs import frozen

from treadle.report.document import version, without_signs
from treadle.values.canonical import printable
from treadle.values.display import in_part
from treadle.values.observation import Failure, Observation
from treadle.values.operation import Operation
from treadle.values.property import Breach
from treadle.values.trace import Change, Event, Setting, Trace
from treadle.values.verdict import Counterexample, Decision, Result

FORMAT = "treadle-trace"
"""What tells the document from others."""

FORMAT_VERSION = 1
"""Of the format; a document of another version is refused."""


@frozen
class Case:
    """One property, with the counterexample that breaks it.

    Attributes:
        scenario: the scenario's name.
        decision: on the property.
        counterexample: what breaks it.
        others: on other properties that the same schedule breaks.
    """

    scenario: str
    decision: Decision
    counterexample: Counterexample
    others: tuple[Decision, ...] = ()

    @property
    def trace(self) -> Trace:
        """What happens."""
        return self.counterexample.trace

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """How the property is broken."""
        return self.trace.breaches.get(self.decision.property.name, ())


def cases_in(result: Result) -> list[Case]:
    """Return each violated property of a result that has a counterexample."""
    found = [one for one in result.decisions if one.counterexample is not None]
    return [
        Case(
            result.scenario,
            one,
            one.counterexample,
            tuple(
                other
                for other in found
                if other is not one
                and other.counterexample is not None
                and other.counterexample.schedule.token == one.counterexample.schedule.token
            ),
        )
        for one in found
        if one.counterexample is not None
    ]


def render_trace(case: Case) -> str:
    """Return the document as text: valid JSON, with no character that a terminal would obey."""
    text = json.dumps(build_trace(case), indent=1, ensure_ascii=False, allow_nan=False)
    return without_signs(text)


def build_trace(case: Case) -> dict[str, Any]:
    """Return the document as objects that JSON knows."""
    trace, item = case.trace, case.decision.property
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "treadle": version(),
        "scenario": printable(case.scenario),
        "property": {
            "name": printable(item.name),
            "clause": printable(item.clause),
            "why": printable(case.counterexample.why),
            "expected": str(case.decision.expected),
            "confirmed": case.counterexample.confirmed,
        },
        "clients": [printable(name) for name in trace.clients],
        "schedule": trace.schedule.token,
        "setting": _converter.unstructure(trace.setting),
        "events": _converter.unstructure(trace.events),
        "outcomes": {printable(name): printable(str(outcome)) for name, outcome in trace.outcomes.items()},
        "breaches": [_breach(breach) for breach in case.breaches],
    }


_INTEGERS = 2**64
"""What is not less than this, no database holds."""


# --- Values ------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return a value of SQLite, or what holds such values, as JSON has it."""
    match value:
        case None | bool():
            return value
        case int() if abs(value) < _INTEGERS:
            return int(value)
        case float():
            return value if math.isfinite(value) else {"real": repr(value)}
        case bytes() | bytearray() | memoryview():
            return {"blob": bytes(value).hex()}
        case str():
            return value if printable(value) == value else {"text": value.encode("utf-8", "surrogateescape").hex()}
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {"named": {printable(str(key)): plain(item) for key, item in value.items()}}
        case _:
            return {"opaque": printable(in_part(value)[0])}


def _row(row: Any) -> Any:
    return None if row is None else {printable(str(key)): plain(value) for key, value in row.items()}


def _breach(breach: Breach) -> dict[str, Any]:
    rows = [{"table": printable(table), "row": _row(row)} for table, row in breach.rows]
    return {"why": printable(breach.why), "rows": rows}


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "kind": operation.kind.value,
        "connection": operation.connection,
        "cursor": operation.cursor,
        "sql": None if operation.sql is None else printable(operation.sql),
        "arguments": plain(operation.arguments),
    }


def _observation(seen: Observation) -> dict[str, Any]:
    return {
        "rows": plain(seen.rows),
        "rowcount": seen.rowcount,
        "lastrowid": seen.lastrowid,
        "failure": None if seen.failure is None else _failure(seen.failure),
        "in_transaction": seen.in_transaction,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    message = printable(failure.message)
    return {"type": failure.type, "message": message, "code": failure.code, "code_name": failure.code_name}


def _change(change: Change) -> dict[str, Any]:
    return {"table": printable(change.table), "before": _row(change.before), "after": _row(change.after)}


def _event(event: Event) -> dict[str, Any]:
    return {
        "number": event.number,
        "client": event.client,
        "source": _converter.unstructure(event.source),
        "operation": None if event.operation is None else _operation(event.operation),
        "observation": None if event.observation is None else _observation(event.observation),
        "fault": None if event.fault is None else str(event.fault),
        "lock_kind": None if event.lock_kind is None else str(event.lock_kind),
        "reachable": event.reachable,
        "waits": event.waits,
        "holders": [printable(name) for name in event.holders],
        "held_before": event.held_before,
        "held_after": event.held_after,
        "changes": [_change(change) for change in event.changes],
        "outcome": None if event.outcome is None else printable(str(event.outcome)),
    }


def _setting(setting: Setting) -> dict[str, Any]:
    return {
        "journal": setting.journal,
        "transactions": setting.transactions,
        "driver": setting.driver,
        "sqlite": setting.sqlite_version,
        "sqlalchemy": setting.sqlalchemy_version,
        "python": setting.python_version,
        "dump": [printable(line) for line in setting.dump],
    }


_converter = cattrs.Converter()
_converter.register_unstructure_hook(Event, _event)
_converter.register_unstructure_hook(Setting, _setting)
