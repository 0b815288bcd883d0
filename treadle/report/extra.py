"""Extras: parameters and results, shown as far as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from treadle.report.phrases import ARROW
from treadle.report.sql import count, row
from treadle.values.display import ELLIPSIS, FULL, USUAL, how_long
from treadle.values.observation import Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation

_LIMITS = (30, 20, 14, 11)
"""How long a value may be, in characters; the first that makes all values fit is taken."""

_TIGHT = evolve(USUAL, items=3)
"""How much is shown where there is little room."""

_ROWS_MAX = 3

_ROWS_IN_FULL = 1_000
"""The most rows that are shown where all are."""


@frozen
class Extra:
    """A text with rows of values in it.

    Attributes:
        before: the text before the rows.
        rows: the rows.
        more: how many rows there are besides these.
    """

    before: str = ""
    rows: tuple[Any, ...] = ()
    more: int = 0

    def render(self, limit: int | None = None) -> str:
        """Return the whole text; a value that is longer than the limit is cut, if there is one."""
        measure = FULL if limit is None else _TIGHT
        shown = ", ".join(row(values, limit=limit, measure=measure) for values in self.rows)
        return f"{self.before}{shown}" + (f" and {self.more:,} more" if self.more else "")

    def fit(self, room: int) -> str:
        """Return the text in at most this many characters."""
        text = ""
        for limit in _LIMITS:
            text = self.render(limit)
            if len(text) <= room:
                return text
        cut = text[: room - 2]
        return f"{cut[: cut.rfind(' ') + 1]}{ELLIPSIS})"


def parameters(operation: Operation, *, verbose: bool = False) -> Extra | None:
    """Return the parameters of a statement; None if it has none."""
    if operation.kind not in RUNS_SQL or not operation.arguments:
        return None
    if operation.kind is Kind.EXECUTEMANY:
        return _some("", operation.arguments, _ROWS_IN_FULL if verbose else 1)
    return Extra(rows=(operation.arguments,))


def fetched(rows: Sequence[Any], *, verbose: bool = False) -> Extra:
    """Return the rows that came back."""
    if not rows:
        return Extra(f"{ARROW} no row")
    return _some(f"{ARROW} {count(len(rows), 'row')}: ", rows, _ROWS_IN_FULL if verbose else _ROWS_MAX)


def long(operation: Operation) -> Extra | None:
    """Return how long a statement is of which only the ends are shown; None of any other."""
    if operation.sql is None or len(operation.sql) <= FULL.most:
        return None
    return Extra(how_long(len(operation.sql), "character"))


def changed(seen: Observation) -> Extra | None:
    """Return how many rows a statement changed; None where it changed one, or does not change rows."""
    if seen.description is not None or seen.rowcount in {-1, 1}:
        return None
    return Extra(f"{ARROW} {count(seen.rowcount, 'row')} changed")


def _some(before: str, rows: Sequence[Any], most: int) -> Extra:
    shown = tuple(rows[:most])
    return Extra(before, shown, len(rows) - len(shown))
