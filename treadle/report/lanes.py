"""What pages of an execution have in common: lanes, locks, and the rows at each step, with no network.

::

    entries   (start)   19 B reads    22 B COMMIT   34 A COMMIT
    steps     [0]       [0]           [1]           [2]           which tables are shown, after each entry
    tables    0: []     1: [backfill: +1]           2: [backfill: 1, +2]
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field

from treadle.report.durable import spelled
from treadle.report.entries import Entry
from treadle.report.phrases import FAILED, PUBLISHED, titles
from treadle.report.sql import NO_BREAK, literal, shorten
from treadle.values.display import name, on_one_line
from treadle.values.trace import Trace
from treadle.values.view import Committed, Row

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"

_VALUE = 60
"""How much of a value is shown, in characters."""

_STATEMENT = 120
"""How much is shown of a statement, in characters."""

_MEANINGS = {"none": "", "waits": "waits", "read": "holds a read lock", "write": "holds the write lock"}
"""What is said of what a client holds."""

_ROWS_MAX = 200
"""How many rows of a table are shown at a step."""

_KINDS = {PUBLISHED: "durable", FAILED: "fails"}
"""How notes are coloured, by their signs."""


@cache
def template(named: str, *folders: Path) -> Template:
    """Return a template in which every value is text.

    Args:
        named: the name of its file.
        folders: where else than here templates are.
    """
    # Whoever writes no page need not wait for it.
    import jinja2  # noqa: PLC0415

    loader = jinja2.FileSystemLoader([_TEMPLATES, *folders])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(named)


def lanes(trace: Trace, entries: Sequence[Entry], hidden: str, start: Committed | None = None) -> dict[str, Any]:
    """Return what the template ``execution.html.jinja`` shows.

    Args:
        trace: what happened.
        entries: what is told of it.
        hidden: a sentence on what is not told.
        start: what was committed at first; None to show, of what is known, only the rows that change.
    """
    shown = _Steps(trace, entries, start)
    return {
        "clients": titles(trace.clients),
        "entries": [_entry(entry) for entry in entries],
        "meanings": _MEANINGS,
        "hidden": hidden,
        "heading": "Committed rows, of those that change" if start is None else "Committed rows",
        "states": {"tables": shown.tables, "steps": shown.steps},
        "final": [shown.tables[at] for at in shown.steps[-1]],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "client": entry.client,
        "source": on_one_line(entry.source),
        "statement": shorten(entry.statement, _STATEMENT),
        "extras": [extra.render(_VALUE) for extra in entry.extras],
        "notes": [
            {"text": on_one_line(note.replace(NO_BREAK, " ")), "kind": _KINDS.get(note[:1], "")} for note in entry.notes
        ],
        "held": entry.held,
    }


# --- Rows --------------------------------------------------------------------------------------------


_Key = tuple[str, bytes]
"""What tells a row from others: its table, and its values."""


@define
class _Steps:
    """The committed tables after each entry.

    Attributes:
        tables: each that is shown, as texts, once.
        steps: for the start, and after each entry, the places of its tables.
    """

    _trace: Trace
    _entries: Sequence[Entry]
    _start: Committed | None
    tables: list[dict[str, Any]] = field(factory=list, init=False)
    steps: list[list[int]] = field(factory=list, init=False)
    _places: dict[str, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        rows = _at_start(self._trace) if self._start is None else _all_rows(self._start)
        empty = {} if self._start is None else {each: table.columns for each, table in self._start.tables.items()}
        self._note(rows, (), empty)
        events = self._trace.events
        ends = [entry.number for entry in self._entries[1:]] + [len(events) + 1]
        at = 0
        for end in ends if self._entries else []:
            fresh: set[_Key] = set()
            for change in (change for event in events[at : end - 1] for change in event.changes):
                if change.before is not None:
                    rows.pop((change.table, spelled(change.before)), None)
                if change.after is not None:
                    key = change.table, spelled(change.after)
                    rows[key] = change.after
                    fresh.add(key)
            at = end - 1
            self._note(rows, fresh, empty)

    def _note(self, rows: Mapping[_Key, Row], fresh: Collection[_Key], empty: Mapping[str, Sequence[str]]) -> None:
        step = []
        for table in _tables(rows, fresh, empty):
            place = self._places.setdefault(json.dumps(table), len(self.tables))
            if place == len(self.tables):
                self.tables.append(table)
            step.append(place)
        self.steps.append(step)


def _all_rows(start: Committed) -> dict[_Key, Row]:
    return {(each, spelled(row)): row for each, table in start.tables.items() for row in table.rows()}


def _at_start(trace: Trace) -> dict[_Key, Row]:
    """Return the rows that are there before they are changed for the first time."""
    made: set[_Key] = set()
    found: dict[_Key, Row] = {}
    for change in (change for event in trace.events for change in event.changes):
        if change.before is not None and (change.table, spelled(change.before)) not in made:
            found[change.table, spelled(change.before)] = change.before
        if change.after is not None:
            made.add((change.table, spelled(change.after)))
    return found


def _tables(
    rows: Mapping[_Key, Row], fresh: Collection[_Key], empty: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return rows by their tables, as texts; of very many, the last ones."""
    tables: dict[str, list[_Key]] = {table: [] for table in empty}
    for key in rows:
        tables.setdefault(key[0], []).append(key)
    return [
        {
            "name": name(table),
            "columns": [name(column) for column in (rows[keys[0]] if keys else empty[table])],
            "rows": [
                {"values": [literal(value, limit=_VALUE) for value in rows[key].values()], "is_new": key in fresh}
                for key in keys[-_ROWS_MAX:]
            ],
        }
        for table, keys in sorted(tables.items())
    ]
