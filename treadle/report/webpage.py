"""The timeline of a counterexample as one page for a browser, with no network: lanes, locks, and the rows at each step.

::

    entries     19 B reads    22 B COMMIT            34 A COMMIT
    states      []            [backfill: +1]         [backfill: 1, +2]       the rows that change, after each entry
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from treadle.report.brief import no_help, why_not_told
from treadle.report.durable import spelled
from treadle.report.phrases import FAILED, PUBLISHED, titles
from treadle.report.sql import NO_BREAK, count, literal, page, shorten
from treadle.report.story import Story, story_of
from treadle.report.tracefile import Around, Case
from treadle.values.display import name, on_one_line, prose
from treadle.values.trace import Trace
from treadle.values.view import Row

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
def _template() -> Template:
    # Whoever writes no page need not wait for it.
    import jinja2  # noqa: PLC0415

    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("timeline.html.jinja")


def render_webpage(case: Case, around: Around) -> str:
    """Return the page; whatever is in a value is shown as text."""
    trace, item = case.trace, case.decision.property
    story = story_of(trace, [item.name])
    states = _states(trace, story)
    told = not why_not_told(case.counterexample.why, item.clause)
    text = _template().render(
        scenario=name(case.scenario),
        property=name(item.name),
        clause=prose(item.clause),
        why=prose(case.counterexample.why) if told else "",
        about=_about(case),
        clients=titles(trace.clients),
        steps=[_step(entry) for entry in story.entries],
        meanings=_MEANINGS,
        hidden=f"{count(story.hidden, 'operation')} hidden.",
        states=states,
        final=[{**table, "rows": [row["values"] for row in table["rows"]]} for table in (states[-1] if states else [])],
        verdict=_verdict(story),
        token=trace.schedule.token,
        command=None if around.command is None else on_one_line(around.command),
    )
    return page(text.split("\n")) + "\n"


def _about(case: Case) -> str:
    setting = case.trace.setting
    again = "run again live, with the same result" if case.counterexample.confirmed else "NOT confirmed live"
    if setting is None:
        return again
    return (
        f"SQLite {setting.sqlite_version}, journal mode {setting.journal}, transactions {setting.transactions}, "
        f"SQLAlchemy {setting.sqlalchemy_version}, Python {setting.python_version}; {again}"
    )


def _step(entry: Any) -> dict[str, Any]:
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


def _verdict(story: Story) -> list[str]:
    found = []
    for left in story.left:
        when = "there from the start" if left.number is None else f"made durable at {left.number}"
        found.append(f"Left: {left}, {when}")
    for late, commit in story.too_late.items():
        found.append(f"The ROLLBACK at {late} takes nothing back: {commit} is committed.")
    return [*found, " ".join(" ".join(no_help(story, 10_000)).split())] if story.at_once else found


# --- Rows --------------------------------------------------------------------------------------------


_Key = tuple[str, bytes]
"""What tells a row from others: its table, and its values."""


def _states(trace: Trace, story: Story) -> list[list[dict[str, Any]]]:
    """Return the committed rows, of those that change at all, after each entry."""
    rows = _at_start(trace)
    ends = [entry.number for entry in story.entries[1:]] + [len(trace.events) + 1]
    found, at = [], 0
    for end in ends if story.entries else []:
        fresh: set[_Key] = set()
        for change in (change for event in trace.events[at : end - 1] for change in event.changes):
            if change.before is not None:
                rows.pop((change.table, spelled(change.before)), None)
            if change.after is not None:
                key = change.table, spelled(change.after)
                rows[key] = change.after
                fresh.add(key)
        at = end - 1
        found.append(_tables(rows, fresh))
    return found


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


def _tables(rows: Mapping[_Key, Row], fresh: Collection[_Key]) -> list[dict[str, Any]]:
    """Return rows by their tables, as texts; of very many, the last ones."""
    tables: dict[str, list[_Key]] = {}
    for key in rows:
        tables.setdefault(key[0], []).append(key)
    return [
        {
            "name": name(table),
            "columns": [name(column) for column in rows[keys[0]]],
            "rows": [
                {"values": [literal(value, limit=_VALUE) for value in rows[key].values()], "is_new": key in fresh}
                for key in keys[-_ROWS_MAX:]
            ],
        }
        for table, keys in sorted(tables.items())
    ]
