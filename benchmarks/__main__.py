"""Measure cases, compare them with the last record, and record them: ``python -m benchmarks``.

Each case runs in a process of its own. What is recorded also appears on the page docs/cost.md and in its plot.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Case, cases, find
from benchmarks.growth import spoken
from benchmarks.page import PAGE, large, number, page
from benchmarks.plot import draw
from benchmarks.results import Rows, Verdict, judged, record, recorded, series
from treadle import UsageError


def chosen(names: tuple[str, ...], *, everything: bool) -> list[Case]:
    """Return the cases that are asked for: by name, or all whose names start so."""
    known = cases()
    if not names:
        return [case for case in known.values() if everything or not case.slow]
    found: dict[str, Case] = {}
    for name in names:
        beneath = {other: case for other, case in known.items() if other == name or other.startswith(f"{name}/")}
        found.update(beneath or {name: find(name)})
    return list(found.values())


def measured(case: Case) -> dict[str, Any]:
    """Return the figures of a case, measured in a fresh process.

    Raises:
        CalledProcessError: it failed.
    """
    done = subprocess.run([sys.executable, "-m", "benchmarks.measure", case.name], stdout=subprocess.PIPE, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def table(chosen: list[Case], rows: Rows, last: Rows) -> Table:
    """Return the figures beside the ratios of the last record."""
    shown = Table(title="What a proof costs, in plain runs", title_justify="left")
    for name in ("case", "", "seconds", "states", "schedules", "live runs", "MB", "plain runs", "last", "wanted"):
        shown.add_column(name, justify="left" if name in {"case", "", "wanted"} else "right")
    for case in chosen:
        row = rows[case.name]
        shown.add_row(
            case.name,
            row["title"] + ("" if row.get("exhausted", True) or case.search != "exhaustive" else " (not exhausted)"),
            number(row["seconds"]),
            *(large(row[name]) if name in row else "-" for name in ("states", "schedules", "live_runs")),
            number(row["peak_rss_mb"]) if "peak_rss_mb" in row else "-",
            number(row["ratio"]),
            number(last[case.name]["ratio"]) if case.name in last else "-",
            _wanted(judged(case, row), {want.figure: row[want.figure] for want in case.wants}),
        )
    return shown


def _wanted(verdicts: list[Verdict], figures: Mapping[str, float]) -> str:
    parts = []
    for (words, met), (name, value) in zip(verdicts, figures.items(), strict=True):
        said = "" if name == "ratio" else f" ({value})"
        parts.append(words + said + (": met" if met else ": not met"))
    return "; ".join(parts)


def _grown(rows: Rows) -> list[str]:
    """Return what is wanted of each series that was measured, a line for each."""
    lines = []
    for growth, wanted in series(rows):
        through = f"states {spoken(growth.polynomial)}" if growth.polynomial else "states no polynomial"
        said = "; ".join(f"{words}: {'met' if met else 'not met'}" for words, met in wanted)
        lines.append(
            f"{growth.name}, n = {growth.sizes[0]} to {growth.sizes[-1]}: {through}, seconds as n^{growth.power:.2f}, "
            f"{growth.steepening:.2f} times as long for each state at the largest. {said}"
        )
    return lines


def write_page() -> None:
    """Make the page and its plot from the record."""
    rows = recorded()
    PAGE.write_text(page(rows), encoding="utf-8")
    draw(rows)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Also the cases that take minutes.")
@click.option(
    "--record/--no-record", default=True, help="Record the figures in benchmarks/results.json and docs/cost.md."
)
@click.option("--page", "only_page", is_flag=True, help="Measure nothing: make the page of the last record anew.")
def main(names: tuple[str, ...], *, everything: bool, record: bool, only_page: bool) -> None:
    """Measure, compare, and record.

    NAMES are names of cases, or what they start with; without any, the cases that take seconds.
    """
    if only_page:
        write_page()
        return
    try:
        measure_all(chosen(names, everything=everything), keep=record)
    except UsageError as error:
        raise click.UsageError(str(error)) from error


def measure_all(asked: list[Case], *, keep: bool) -> None:
    """Measure cases, print how they compare with the last record, and record those that are among the listed ones."""
    last = recorded()
    rows: dict[str, dict[str, Any]] = {}
    console = Console(width=None if sys.stdout.isatty() else 180)
    for case in asked:
        rows[case.name] = measured(case)
        console.print(f"{case.name}: {number(rows[case.name]['ratio'])} plain runs", highlight=False)
    console.print(table(asked, rows, last))
    for line in _grown(rows):
        console.print(line, highlight=False)
    if keep:
        record({name: row for name, row in rows.items() if name in cases()})
        write_page()


if __name__ == "__main__":
    main()
