"""The matrix: which property holds in which journal mode and transaction mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from treadle.report.sql import page
from treadle.values.display import name as spelled
from treadle.values.property import Kind
from treadle.values.verdict import Result, Verdict

_MARKS = {Verdict.HOLDS: ".", Verdict.VIOLATED: "VIOLATED", Verdict.INCONCLUSIVE: "?"}
_LEGEND = "VIOLATED, or . where it holds, or ? where it is inconclusive; in journal mode and transaction mode"


def render_matrices(results: Sequence[Result]) -> str:
    """Return a matrix for each scenario that was checked in several modes; empty if there is none.

    Scenarios are the same but for their modes if their names are the same up to a bracket, as in
    ``create-backfill/flush[wal,begin]``.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.scenario.partition("[")[0], []).append(result)
    tables = [line for name, group in groups.items() if _modes(group) > 1 for line in (*_matrix(name, group), "")]
    return page([_LEGEND, "", *tables]) if tables else ""


def _modes(group: Iterable[Result]) -> int:
    return len({(result.journal, result.transactions) for result in group})


def _matrix(name: str, group: Sequence[Result]) -> list[str]:
    names = list(
        dict.fromkeys(
            decision.property.name
            for result in group
            for decision in result.decisions
            if decision.property.kind is not Kind.SOMETIMES
        )
    )
    columns = [[spelled(name), ""], *([result.journal, result.transactions] for result in group)]
    columns[0] += map(spelled, names)
    for column, result in zip(columns[1:], group, strict=True):
        column += [_mark(result, item) for item in names]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _mark(result: Result, name: str) -> str:
    verdicts = [decision.verdict for decision in result.decisions if decision.property.name == name]
    return _MARKS[verdicts[0]] if verdicts else ""
