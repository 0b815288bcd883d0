"""The trace of a counterexample as JSON, for programs: all that happened, and all that is needed to do it again.

::

    Case, Around  ──────>  _Document  ──cattrs──>  trace.json
                  <──────             <──cattrs──               what is read makes the same reports again

Its format has a version and a schema, docs/_static/trace-v1.schema.json. A value of SQLite that JSON has no spelling
for is an object: ``{"blob": "00ff"}``, ``{"real": "inf"}``, ``{"text": "636166e9"}`` for text that is no UTF-8; and
``{"opaque": "..."}`` for what no database holds.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NoReturn

import cattrs
from attrs import field, frozen
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.v import format_exception

from treadle.report.document import version, without_signs
from treadle.values.canonical import printable
from treadle.values.display import in_part, prose, quoted, text_of
from treadle.values.errors import UsageError
from treadle.values.observation import Observation
from treadle.values.opaque import Opaque
from treadle.values.operation import Operation
from treadle.values.outcome import Crashed, Outcome, Raised, Returned
from treadle.values.property import Breach, Kind, Property
from treadle.values.schedule import Schedule
from treadle.values.trace import Change, Event, Setting, Trace
from treadle.values.verdict import Counterexample, Decision, Result, Verdict

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


@frozen
class Around:
    """What reports say besides what happened.

    Attributes:
        command: what the reader can run to replay the schedule; None where nothing leads to the scenario.
        script: the reason why no script beside the report reproduces it; empty if there is one.
        keeps: the names of other scenarios in the same check of which the property holds.
        treadle: the version that found it.
    """

    command: str | None = None
    script: str = ""
    keeps: tuple[str, ...] = ()
    treadle: str = field(factory=version)


# --- The document ------------------------------------------------------------------------------------


@frozen
class _Told:
    """A property, as a document tells of it."""

    name: str
    clause: str
    kind: Kind
    why: str
    expected: Verdict
    confirmed: bool

    @classmethod
    def of(cls, decision: Decision) -> _Told:
        item, example = decision.property, decision.counterexample
        assert example is not None
        return cls(item.name, item.clause, item.kind, example.why, decision.expected, example.confirmed)

    def decision(self, trace: Trace) -> Decision:
        example = Counterexample(trace.schedule, trace, self.confirmed, self.why)
        item = Property(self.name, self.clause, self.kind, _elsewhere)
        return Decision(item, Verdict.VIOLATED, self.expected, counterexample=example)


def _elsewhere(_: object) -> NoReturn:
    raise UsageError("the property of a trace that was read has no predicate: replay the schedule on its scenario.")


@frozen
class _Document:
    """All that is in the file."""

    format: str
    version: int
    treadle: str
    scenario: str
    property: _Told
    also: tuple[_Told, ...]
    command: str | None
    keeps: tuple[str, ...]
    clients: tuple[str, ...]
    schedule: str
    setting: Setting | None
    events: tuple[Event, ...]
    outcomes: dict[str, Outcome]
    breaches: tuple[Breach, ...]

    @classmethod
    def of(cls, case: Case, around: Around) -> _Document:
        trace = case.trace
        return cls(
            format=FORMAT,
            version=FORMAT_VERSION,
            treadle=around.treadle,
            scenario=case.scenario,
            property=_Told.of(case.decision),
            also=tuple(_Told.of(other) for other in case.others),
            command=around.command,
            keeps=around.keeps,
            clients=trace.clients,
            schedule=trace.schedule.token,
            setting=trace.setting,
            events=trace.events,
            outcomes=trace.outcomes,
            breaches=case.breaches,
        )

    def case(self) -> tuple[Case, Around]:
        """Return what the document was made of."""
        strangers = {event.client for event in self.events} - set(range(len(self.clients)))
        if strangers:
            raise UsageError(f"it has events of client {min(strangers)}, and its clients are {len(self.clients)}")
        trace = Trace(
            scenario=self.scenario,
            clients=self.clients,
            schedule=Schedule.parse(self.schedule),
            events=self.events,
            outcomes=self.outcomes,
            breaches={self.property.name: self.breaches},
            setting=self.setting,
        )
        decision = self.property.decision(trace)
        assert decision.counterexample is not None
        others = tuple(other.decision(trace) for other in self.also)
        around = Around(self.command, keeps=self.keeps, treadle=self.treadle)
        return Case(self.scenario, decision, decision.counterexample, others), around


def render_trace(case: Case, around: Around | None = None) -> str:
    """Return the document as text: valid JSON, with no character that a terminal would obey."""
    text = json.dumps(build_trace(case, around), indent=1, ensure_ascii=False, allow_nan=False)
    return without_signs(text)


def build_trace(case: Case, around: Around | None = None) -> dict[str, Any]:
    """Return the document as objects that JSON knows."""
    document: dict[str, Any] = _converter().unstructure(_Document.of(case, around or Around()))
    return document


def read_trace(text: str) -> tuple[Case, Around]:
    """Return what a document was made of: the same reports can be made of it again.

    A value that JSON has no spelling for, an outcome or a property are there to be shown: they have their texts.

    Raises:
        UsageError: the text is no such document, or one of another version.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(text_of(error)) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _malformed(f"its format is not {FORMAT!r}")
    if found.get("version") != FORMAT_VERSION:
        raise _malformed(f"its version is {quoted(found.get('version'))}, and only {FORMAT_VERSION} is known")
    try:
        return _converter().structure(found, _Document).case()
    except cattrs.BaseValidationError as error:
        raise _malformed("; ".join(cattrs.transform_error(error, format_exception=_said)[:3])) from None
    except (UsageError, RecursionError) as error:
        raise _malformed(text_of(error)) from None


class _MisspelledError(ValueError):
    """A value is not spelled as a document spells it; the text says how it is."""


def _said(error: BaseException, kind: type[Any] | None) -> str:
    return text_of(error) if isinstance(error, _MisspelledError) else format_exception(error, kind)


def _malformed(why: str) -> UsageError:
    return UsageError(
        f"this is no trace of Treadle's: {prose(why)}. Give a trace.json as treadle check --report writes it."
    )


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


def value_of(spelled: Any) -> Any:
    """Return the value that is spelled so; of one that no database holds, what is shown of it."""
    match spelled:
        case list():
            return tuple(value_of(item) for item in spelled)
        case {"blob": str(text)}:
            return bytes.fromhex(text)
        case {"real": "inf" | "-inf" | "nan" as text}:
            return float(text)
        case {"text": str(text)}:
            return bytes.fromhex(text).decode("utf-8", "surrogateescape")
        case {"named": dict(items)}:
            return {key: value_of(item) for key, item in items.items()}
        case {"opaque": str(text)}:
            return Opaque(text)
        case None | bool() | int() | float() | str():
            return spelled
        case _:
            raise _MisspelledError(f"{quoted(spelled)} spells no value")


def _row(row: Mapping[str, Any] | None) -> Any:
    return None if row is None else {printable(str(key)): plain(value) for key, value in row.items()}


def _row_of(spelled: Any, _: object) -> Any:
    if spelled is None:
        return None
    return MappingProxyType({key: value_of(value) for key, value in _exactly(dict, spelled).items()})


def _rows(rows: tuple[tuple[str, Any], ...]) -> Any:
    return [{"table": printable(table), "row": _row(row)} for table, row in rows]


def _rows_of(spelled: Any, _: object) -> Any:
    return tuple((_exactly(str, one["table"]), _row_of(one["row"], None)) for one in _exactly(list, spelled))


def _columns(description: tuple[tuple[Any, ...], ...] | None) -> Any:
    return None if description is None else [printable(str(column[0])) for column in description]


def _columns_of(spelled: Any, _: object) -> Any:
    if spelled is None:
        return None
    return tuple((_exactly(str, name), *[None] * 6) for name in _exactly(list, spelled))


def _ended(outcome: Outcome | None) -> str | None:
    return None if outcome is None else printable(str(outcome))


def _outcome_of(spelled: Any, _: object = None) -> Outcome | None:
    """Return an outcome with this text."""
    how, _blank, what = ("", "", "") if spelled is None else _exactly(str, spelled).partition(" ")
    match how:
        case "":
            return None
        case "crashed":
            return Crashed()
        case "returned":
            return Returned.with_key(Opaque(what), ("returned", what.encode()))
        case "raised":
            kind, _colon, text = what.partition(": ")
            return Raised(type(kind, (Exception,), {})(text))
        case _:
            raise _MisspelledError(f"{quoted(spelled)} tells of no outcome")


def _exactly(kind: type[Any], value: Any, _: object = None) -> Any:
    """Return a value of this type; cattrs would make one of what is another."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise _MisspelledError(f"{quoted(value)} is no {kind.__name__}")
    return value


# --- How cattrs carries each -------------------------------------------------------------------------


@cache
def _converter() -> cattrs.Converter:
    found = cattrs.Converter(forbid_extra_keys=True)
    for kind in (int, str, bool, float):  # and none that derives from one, as enumerations do
        found.register_structure_hook_func(partial(operator.is_, kind), partial(_exactly, kind))
    found.register_unstructure_hook_func(partial(operator.is_, str), printable)
    found.register_structure_hook(Outcome, _outcome_of)
    for ended in (Returned, Raised, Crashed):
        found.register_unstructure_hook(ended, lambda outcome: printable(str(outcome)))
    left_out = override(omit=True)
    values = override(unstruct_hook=plain, struct_hook=lambda spelled, _: value_of(spelled))
    rows = override(unstruct_hook=_row, struct_hook=_row_of)
    carried: dict[type[Any], dict[str, Any]] = {
        Setting: {
            "sqlite_version": override(rename="sqlite"),
            "sqlalchemy_version": override(rename="sqlalchemy"),
            "python_version": override(rename="python"),
        },
        Operation: {"arguments": values, "payload": left_out, "key": left_out},
        Observation: {
            "rows": values,
            "description": override(rename="columns", unstruct_hook=_columns, struct_hook=_columns_of),
            "key": left_out,
        },
        Change: {"before": rows, "after": rows},
        Breach: {"rows": override(unstruct_hook=_rows, struct_hook=_rows_of)},
        Event: {"outcome": override(unstruct_hook=_ended, struct_hook=_outcome_of)},
    }
    for kind, overrides in carried.items():
        found.register_unstructure_hook(kind, make_dict_unstructure_fn(kind, found, **overrides))
        read = make_dict_structure_fn(kind, found, _cattrs_forbid_extra_keys=True, **overrides)
        found.register_structure_hook(kind, read)
    return found
