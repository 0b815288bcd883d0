"""Durability: which events committed the rows that break a property, and which rollbacks came too late for them."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from treadle.values.canonical import canonical
from treadle.values.operation import Kind
from treadle.values.property import Breach
from treadle.values.trace import Change, Trace
from treadle.values.view import Row

_SCANNED_MAX = 100
"""How many rows that are not whole, as a property made them up, are looked for in all that was committed."""

_NOTHING = object()


def spelled(row: Row) -> bytes:
    """Return what makes two rows the same."""
    return canonical(list(row.items()))


@define
class Commits:
    """Which event committed a row as it is.

    Attributes:
        trace: what happened.
    """

    trace: Trace
    _known: dict[tuple[str, bytes], int] = field(factory=dict, init=False)
    _scanned: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        """Note the last commit of each row."""
        for event in self.trace.events:
            for change in event.changes:
                if change.after is not None:
                    self._known[change.table, spelled(change.after)] = event.number

    def of(self, table: str, row: Row) -> int | None:
        """Return the number of the event that committed a row; None if it was there from the start."""
        known = self._known.get((table, spelled(row)))
        if known is not None or self._scanned >= _SCANNED_MAX:
            return known
        self._scanned += 1
        for event in reversed(self.trace.events):
            if any(_is_of(change, table, row) for change in event.changes):
                return event.number
        return None


def _is_of(change: Change, table: str, row: Row) -> bool:
    after = change.after
    return change.table == table and after is not None and bool(row) and _has(after, row)


def _has(after: Row, row: Row) -> bool:
    try:
        return all(bool(after.get(column, _NOTHING) == value) for column, value in row.items())
    except Exception:  # noqa: BLE001  # values of a property's own making, which compare as they like
        return False


def shown_by(breaches: Iterable[Breach]) -> tuple[tuple[str, Row], ...]:
    """Return the rows that show some breach, with their tables, each once."""
    rows = {(table, spelled(row)): (table, row) for breach in breaches for table, row in breach.rows}
    return tuple(rows.values())


def offending(commits: Commits, rows: Iterable[tuple[str, Row]]) -> dict[int, int]:
    """Return the numbers of the events that committed some rows, each with how many of them."""
    found: dict[int, int] = {}
    for table, row in rows:
        number = commits.of(table, row)
        if number is not None:
            found[number] = found.get(number, 0) + 1
    return found


def too_late(trace: Trace, durable: Iterable[int]) -> dict[int, int]:
    """Return the numbers of rollbacks after a failure, each with the last commit of the same client before it.

    Args:
        trace: what happened.
        durable: the numbers of the commits that count.
    """
    commits = frozenset(durable)
    last: dict[int, int] = {}
    failed: set[int] = set()
    found: dict[int, int] = {}
    for event in trace.events:
        client, operation, seen = event.client, event.operation, event.observation
        if event.number in commits:
            last[client] = event.number
            failed.discard(client)
        elif operation is not None and operation.kind is Kind.ROLLBACK and client in failed and client in last:
            found[event.number] = last[client]
            failed.discard(client)
        elif seen is not None and seen.failure is not None:
            failed.add(client)
    return found
