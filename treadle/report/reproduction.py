"""A script that reproduces a counterexample with Python's sqlite3 alone: no application, no Treadle.

::

    # what it shows            comments, for whoever opens the file
    DATABASE = [...]           the schema, and the rows that were there from the start
    def do(...), ...           what carries a step out on real connections, and compares
    do(21, "B", 0, "execute", 1, "INSERT ...", (...), line="shop.py:31")
    ...                        a step for each operation, in the order of the schedule
    finish()                   what is committed is what was; ends with 1, or with 2 if something was different

Connections are the driver's own. Where a client waits, its call is made with a busy timeout of 0 and fails, and is made
again when it is its turn, which holds the same locks meanwhile. Where a process outside holds the lock, another
connection really holds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from treadle.report.durable import Commits, shown_by, spelled
from treadle.report.sql import page
from treadle.report.tracefile import Case
from treadle.values.canonical import printable
from treadle.values.display import name, on_one_line, prose
from treadle.values.fault import Fault, LockKind
from treadle.values.operation import Kind, Operation
from treadle.values.schedule import letters
from treadle.values.trace import Event, Trace

_TEMPLATE = Path(__file__).parent / "templates" / "reproduce.txt"

_OPTIONS = frozenset({"timeout", "isolation_level", "cached_statements", "autocommit", "mode"})
"""Options of sqlite3.connect() that a script passes on."""

_DRIVERS = frozenset({"sqlite3", "sqlite3.dbapi2"})
"""Names of the driver that is a part of Python."""

_KNOWN_FUNCTIONS = frozenset({"regexp", "floor"})
"""Functions that SQLAlchemy registers, which the script has, too."""

_ATTRIBUTES = frozenset({"isolation_level", "autocommit"})
"""Attributes of a connection that a script sets."""

_ASKS = frozenset({"lastrowid", "total_changes", "getlimit", "getconfig"})
"""Configurations that only ask."""

_PASSED = frozenset({Kind.ANSWER})

_KINDS = frozenset(
    {Kind.CONNECT, Kind.CONFIGURE, Kind.EXECUTE, Kind.EXECUTEMANY, Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL}
    | {Kind.CLOSE_CURSOR, Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE, Kind.ANSWER}
)


class UnreproducibleError(Exception):
    """A trace has something in it that Python's sqlite3 alone cannot do again; the text says what."""


def render_reproduction(case: Case) -> str:
    """Return the script.

    Raises:
        UnreproducibleError: there is something in the trace that it could not do.
    """
    trace = case.trace
    if trace.setting is None or not trace.setting.dump:
        raise UnreproducibleError("the rows that were there from the start cannot be written down as SQL")
    if trace.setting.driver not in _DRIVERS:
        raise UnreproducibleError(f"it ran on {name(trace.setting.driver)}, which is no part of Python")
    steps = [line for event in trace.events for line in _step(event)]
    return page([*_head(case), *_data(case, trace), "", *_template(), "", "", "create()", *steps, "finish()"]) + "\n"


def _template() -> list[str]:
    return _TEMPLATE.read_text(encoding="utf-8").rstrip("\n").split("\n")


def _head(case: Case) -> list[str]:
    item, trace = case.decision.property, case.trace
    assert trace.setting is not None
    setting = trace.setting
    return [
        "#!/usr/bin/env python3",
        f"# {name(case.scenario)} breaks {name(item.name)}: {prose(item.clause)}",
        "#",
        f"# Found with SQLite {setting.sqlite_version}, journal mode {setting.journal}.",
        f"# Python {setting.python_version}, SQLAlchemy {setting.sqlalchemy_version}.",
        f"# Schedule {trace.schedule.token}",
        "#",
        "# Run it with Python 3.11 or later: it needs nothing else. It makes a database in a temporary directory,",
        "# drives a connection for each client through the schedule, and prints what happens. It ends with 1 when the",
        "# violation is there again, and with 2 when something else happened.",
        "",
    ]


def _data(case: Case, trace: Trace) -> list[str]:
    assert trace.setting is not None
    item = case.decision.property
    return [
        f"JOURNAL = {literal(trace.setting.journal)}",
        f"RECORDED_WITH = {literal(trace.setting.sqlite_version)}",
        f"PROPERTY = {literal(printable(item.name))}",
        f"CLAUSE = {literal(printable(item.clause))}",
        f"WHY = {literal(prose(case.counterexample.why))}",
        "",
        "DATABASE = [",
        *(f"    {literal(line)}," for line in trace.setting.dump),
        "]",
        "",
        "LEFT = [  # committed rows that show it",
        *(f"    ({literal(table)}, {literal(dict(row))})," for table, row in _left(case)),
        "]",
        "",
        "COMMITTED = [  # rows that the steps commit",
        *(f"    ({literal(table)}, {literal(row)})," for table, row in _committed(trace)),
        "]",
    ]


def _left(case: Case) -> list[tuple[str, Any]]:
    """Return the rows that show the violation, as far as some event committed them."""
    commits = Commits(case.trace)
    return [(table, row) for table, row in shown_by(case.breaches) if commits.of(table, row) is not None]


def _committed(trace: Trace) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows that are there in the end because of some event."""
    found: dict[tuple[str, bytes], tuple[str, dict[str, Any]]] = {}
    for event in trace.events:
        for change in event.changes:
            if change.before is not None:
                found.pop((change.table, spelled(change.before)), None)
            if change.after is not None:
                found[change.table, spelled(change.after)] = change.table, dict(change.after)
    return list(found.values())


# --- Steps -------------------------------------------------------------------------------------------


def _step(event: Event) -> Iterator[str]:
    """Yield the line of one event, and what it says of the client's end."""
    client = letters(event.client)
    if event.operation is None:
        yield f"crash({event.number}, {literal(client)})"
        return
    operation = event.operation
    _require(event, operation)
    ended = "" if event.outcome is None else f"{client} {prose(str(event.outcome))}"
    if operation.kind in _PASSED or (operation.kind is Kind.CONFIGURE and operation.arguments[0] in _ASKS):
        if ended:
            yield f"print({literal(' ' * 12 + ended)})"
        return
    words = [literal(event.number), literal(client), literal(operation.connection), literal(operation.kind.value)]
    if operation.cursor is not None or operation.sql is not None or operation.arguments:
        words += [literal(operation.cursor), literal(operation.sql), literal(_arguments(operation))]
    yield f"do({', '.join([*words, *_more(event, ended)])})"


def _more(event: Event, ended: str) -> Iterator[str]:
    """Yield what is expected of a step."""
    seen = event.observation
    if event.source is not None:
        yield f"line={literal(event.source.name)}"
    if event.waits or event.lock_kind in {LockKind.TIMEOUT, LockKind.OUTSIDE}:
        yield f"busy={literal(_busy(event))}"
    if event.lock_kind is LockKind.OUTSIDE and event.reachable:
        yield f"held={literal(event.held_before)}"
    if event.waits:
        yield f"fails={literal('OperationalError: database is locked')}"
        yield f"says={literal(f'{letters(event.client)} waits')}"
    elif seen is not None and seen.failure is not None and _busy(event) != "injected":
        yield f"fails={literal(f'{seen.failure.type}: {seen.failure.message}')}"
    elif seen is not None and event.operation is not None and event.operation.kind.value.startswith("fetch"):
        yield f"rows={literal([tuple(row) for row in seen.rows or ()])}"
    if ended and not event.waits:
        yield f"says={literal(ended)}"


def _busy(event: Event) -> str:
    """Return how a call fails instead of waiting."""
    if event.waits:
        return "waits"
    if event.lock_kind is LockKind.OUTSIDE and event.fault is Fault.LOCKED:
        return "outside" if event.reachable else "injected"
    return "timeout" if event.lock_kind is LockKind.TIMEOUT else ""


def _arguments(operation: Operation) -> Any:
    if operation.kind is Kind.CONNECT:
        return {key: value for key, value in operation.arguments if key in _OPTIONS}
    if operation.kind is Kind.CLOSE:
        return ()
    return operation.arguments


def _require(event: Event, operation: Operation) -> None:
    """Check that a step can be written down.

    Raises:
        UnreproducibleError: it cannot.
    """
    if operation.kind not in _KINDS or operation.arguments is None:
        raise UnreproducibleError(f"at {event.number}, statements of one {operation.kind.value} come one by one")
    if operation.kind is Kind.CONNECT and any(key == "detect_types" and value for key, value in operation.arguments):
        raise UnreproducibleError(f"at {event.number}, a connection converts values (detect_types)")
    if operation.kind is Kind.CONFIGURE:
        what, *values = operation.arguments
        known = what in _ATTRIBUTES | _ASKS or (what == "create_function" and values[0] in _KNOWN_FUNCTIONS)
        if not known:
            raise UnreproducibleError(f"at {event.number}, a connection is given code: {on_one_line(str(operation))}")


# --- Values ------------------------------------------------------------------------------------------


def literal(value: Any) -> str:
    """Return Python's spelling of a value that SQLite has, in ASCII.

    Raises:
        UnreproducibleError: it is none.
    """
    match value:
        case None | bool() | int() | bytes():
            return repr(value)
        case float():
            return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
        case str():
            return ascii(str.__str__(value))
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case tuple():
            return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
        case dict():
            return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
        case _:
            raise UnreproducibleError(f"a value of type {name(type(value).__name__)} is none of SQLite's")
