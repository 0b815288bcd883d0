"""The timeline of one execution: who did what, what it saw, and what was left behind."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from treadle.report.entries import entries
from treadle.report.layout import Page, legend, lines
from treadle.report.phrases import unfinished
from treadle.report.sql import count, literal, page, pairs, together, wrap
from treadle.values.display import FULL, USUAL, Measure, prose
from treadle.values.display import name as spelled
from treadle.values.property import Breach
from treadle.values.trace import Trace
from treadle.values.view import Row

WIDTH = 100
"""The width of a report that is not shown on a terminal, in characters."""

BREACHES_MAX = 3
ROWS_MAX = 10


def render_timeline(
    trace: Trace,
    *,
    width: int = WIDTH,
    verbose: bool = False,
    properties: Collection[str] | None = None,
) -> str:
    """Return a trace as text: a column for each client, and what it leaves behind.

    Args:
        trace: what happened.
        width: of the text, in characters; clients stand side by side where they have room to.
        verbose: show every operation, every value and every committed row in full.
        properties: the names of the properties whose breaches are shown; None for all.
    """
    found = entries(trace, verbose=verbose)
    last = trace.events[-1].number if trace.events else 0
    body = lines(Page(width, trace.clients, last, verbose), found)
    key = legend(found, body)
    parts = [*together(key, width), ""] if key else []
    parts += body
    parts += _unfinished(trace)
    for name, breaches in trace.breaches.items():
        if properties is None or name in properties:
            parts += ["", *_broken(name, breaches, width, verbose=verbose)]
    return page(parts) + "\n"


def _unfinished(trace: Trace) -> list[str]:
    """Say which clients have not ended."""
    missing = unfinished(trace)
    return ["", f"Here the schedule ends; not finished: {', '.join(missing)}"] if missing else []


def _broken(name: str, breaches: Sequence[Breach], width: int, *, verbose: bool) -> list[str]:
    """Say how a property is broken, with the committed rows that show it."""
    shown = breaches[: FULL.most_items if verbose else BREACHES_MAX]
    name, found = spelled(name), []
    for breach in shown:
        found += wrap(f"{name} is broken: {prose(breach.why)}", width, indent="  ")
        found += _rows(breach.rows, width, verbose=verbose)
    if len(breaches) > len(shown):
        found.append(f"{name} is broken in {count(len(breaches) - len(shown), 'more way')}.")
    return found


def _rows(rows: Sequence[tuple[str, Row]], width: int, *, verbose: bool) -> list[str]:
    """Return committed rows, a table below the other, with aligned columns where they fit."""
    tables: dict[str, list[Row]] = {}
    for table, row in rows:
        tables.setdefault(table, []).append(row)
    found = []
    for table, members in tables.items():
        shown = members[: FULL.most_items if verbose else ROWS_MAX]
        found += wrap(f"  committed in {spelled(table)}:", width, indent="    ")
        measure = FULL if verbose else USUAL
        found += _grid(shown, width, measure) or _pairs(shown, width, measure)
        if len(members) > len(shown):
            found.append(f"    and {count(len(members) - len(shown), 'more row')}")
    return found


def _grid(rows: Sequence[Row], width: int, measure: Measure) -> list[str]:
    """Return rows below a heading with their columns' names; nothing if that is too wide."""
    names = list(rows[0])
    if len(names) > width // 2 or any(list(row) != names for row in rows):
        return []
    cells = [
        [spelled(name) for name in names],
        *([literal(row[name], measure=measure) for name in names] for row in rows),
    ]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    found = [
        "    " + "  ".join(cell.ljust(wide) for cell, wide in zip(line, widths, strict=True)).rstrip() for line in cells
    ]
    return found if max(map(len, found)) <= width else []


def _pairs(rows: Sequence[Row], width: int, measure: Measure) -> list[str]:
    """Return rows as names with values, wrapped."""
    return [line for row in rows for line in wrap(f"    {pairs(row, ' = ', measure=measure)}", width, indent="      ")]
