"""Measure every case, compare with the last results, and record the new ones.

Usage: ``python -m benchmarks [NAME ...] [--all] [--record]``. Without names, the cases that take seconds.
"""

from __future__ import annotations

import json
import platform
import sqlite3
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import click
import sqlalchemy
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Case, cases
from benchmarks.plain import plain_run_s
from treadle import Result, check

RESULTS = Path(__file__).with_name("results.json")
PLAIN_ROUNDS = 15


def measure(case: Case) -> dict[str, Any]:
    """Return the figures of one case: medians over its rounds, and the ratio to plain runs of the same process."""
    seconds: list[float] = []
    plain: list[float] = []
    result: Result | None = None
    for _ in range(case.rounds):
        plain.append(plain_run_s(case.scenario, rounds=PLAIN_ROUNDS))
        start = time.perf_counter()
        result = check(case.scenario, search=case.search)
        seconds.append(time.perf_counter() - start)
        plain.append(plain_run_s(case.scenario, rounds=PLAIN_ROUNDS))
    assert result is not None
    median, unit = statistics.median(seconds), statistics.median(plain)
    return {
        "title": case.title,
        "exhausted": result.exhausted,
        "seconds": round(median, 3),
        "plain_run_ms": round(unit * 1000, 3),
        "ratio": round(median / unit, 1),
        "states": result.stats.states,
        "transitions": result.stats.transitions,
        "schedules": result.stats.schedules,
        "live_runs": result.stats.live_runs,
        "peak_rss_mb": round(result.stats.peak_rss_bytes / 1e6, 1),
    }


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlalchemy": sqlalchemy.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def table(figures: dict[str, dict[str, Any]], last: dict[str, dict[str, Any]]) -> Table:
    """Return the figures beside the ratios of the last results."""
    shown = Table(title="What a proof costs, in plain runs", title_justify="left")
    for name in ("case", "", "seconds", "plain ms", "plain runs", "last", "states", "schedules", "live runs", "MB"):
        shown.add_column(name, justify="left" if name in {"case", ""} else "right")
    for name, row in figures.items():
        before = last.get(name, {}).get("ratio", "-")
        shown.add_row(
            name,
            row["title"] + ("" if row["exhausted"] else " (not exhausted)"),
            f"{row['seconds']:.2f}",
            f"{row['plain_run_ms']:.2f}",
            f"{row['ratio']:.0f}",
            str(before),
            f"{row['states']:,}",
            f"{row['schedules']:,}",
            f"{row['live_runs']:,}",
            f"{row['peak_rss_mb']:.0f}",
        )
    return shown


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Also the cases that take minutes.")
@click.option("--record", is_flag=True, help="Write the figures to benchmarks/results.json.")
def main(names: tuple[str, ...], *, everything: bool, record: bool) -> None:
    """Measure, compare, and record."""
    known = {case.name: case for case in cases()}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise click.UsageError(f"{unknown[0]!r} is no case; there are {', '.join(known)}.")
    chosen = [known[name] for name in names] or [case for case in known.values() if everything or not case.slow]
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    figures: dict[str, dict[str, Any]] = {}
    console = Console(width=150 if not sys.stdout.isatty() else None)
    for case in chosen:
        figures[case.name] = measure(case)
        console.print(f"{case.name}: {figures[case.name]['ratio']:.0f} plain runs", highlight=False)
    console.print(table(figures, before["cases"]))
    if record:
        kept = {"machine": machine(), "cases": {**before["cases"], **figures}}
        RESULTS.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
