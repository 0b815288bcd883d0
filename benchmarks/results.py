"""What was measured: the recorded figures, and whether they are as wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.cases import BROKEN, ONE_TRANSACTION, SWEPT, Case, cases
from benchmarks.growth import FLAT, LINEAR, Growth

RESULTS = Path(__file__).with_name("results.json")
"""The last record."""

Rows = Mapping[str, Mapping[str, Any]]
"""The figures of each case, by name."""

Verdict = tuple[str, bool]
"""What is wanted, in words, and whether it is so."""


def recorded() -> dict[str, dict[str, Any]]:
    """Return the figures that were recorded last, by case, in the order of the cases."""
    if not RESULTS.exists():
        return {}
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {name: found[name] for name in cases() if name in found}


def record(rows: Rows) -> None:
    """Record figures; those of cases that were not measured now stay."""
    kept = {**recorded(), **rows}
    ordered = {name: kept[name] for name in cases() if name in kept}
    RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def judged(case: Case, row: Mapping[str, Any]) -> list[Verdict]:
    """Return what is wanted of one case."""
    return [(str(want), row[want.figure] is not None and want.met(row[want.figure])) for want in case.wants]


def series(rows: Rows) -> Iterator[tuple[Growth, list[Verdict]]]:
    """Return what is measured in several sizes, and what is wanted of how it grows."""
    for name in (*(f"E/{algorithm}" for algorithm in (BROKEN, *ONE_TRANSACTION)), *(f"F/{name}" for name in SWEPT)):
        growth = Growth.of(name, rows)
        if len(growth.sizes) > 2:
            yield growth, _cubic(growth) if name.startswith("E") else _linear(growth)


def _cubic(growth: Growth) -> list[Verdict]:
    return [
        ("states a polynomial of degree 3 at most", growth.degree is not None and growth.degree <= 3),
        ("time for each state flat", growth.steepening <= FLAT),
    ]


def _linear(growth: Growth) -> list[Verdict]:
    return [("time linear", growth.power <= LINEAR)]
