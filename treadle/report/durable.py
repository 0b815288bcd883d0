"""Durability: which events committed the rows that break a property, and which rollbacks came too late for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treadle.values.canonical import canonical
from treadle.values.operation import Kind
from treadle.values.property import Breach
from treadle.values.trace import Change, Trace
from treadle.values.view import Row

_NOTHING = object()


def made_durable(trace: Trace, table: str, row: Row) -> int | None:
    """Return the number of the event that committed a row as it is; None if it was there from the start."""
    for event in reversed(trace.events):
        if any(_is_of(change, table, row) for change in event.changes):
            return event.number
    return None


def _is_of(change: Change, table: str, row: Row) -> bool:
    after = change.after
    return change.table == table and after is not None and _has(after, row)


def _has(after: Row, row: Row) -> bool:
    try:
        return all(bool(after.get(column, _NOTHING) == value) for column, value in row.items())
    except Exception:  # noqa: BLE001  # values of a property's own making, which compare as they like
        return False


def shown_by(breaches: Iterable[Breach]) -> tuple[tuple[str, Row], ...]:
    """Return the rows that show some breach, with their tables, each once."""
    rows = {(table, canonical(list(row.items()))): (table, row) for breach in breaches for table, row in breach.rows}
    return tuple(rows.values())


def offending(trace: Trace, breaches: Iterable[Breach]) -> dict[int, int]:
    """Return the numbers of the events that committed rows which show a breach, each with how many of them."""
    found: dict[int, int] = {}
    for table, row in shown_by(breaches):
        number = made_durable(trace, table, row)
        if number is not None:
            found[number] = found.get(number, 0) + 1
    return found


def too_late(trace: Trace, durable: Iterable[int]) -> dict[int, int]:
    """Return the numbers of rollbacks, each with that of the commit of the same client that it cannot take back."""
    events = trace.events
    found: dict[int, int] = {}
    for number in durable:
        client = events[number - 1].client
        for event in events[number:]:
            operation = event.operation
            rolls_back = operation is not None and operation.kind is Kind.ROLLBACK
            if event.client == client and rolls_back and any(_failures(trace, number, event.number, client)):
                found[event.number] = number
                break
    return found


def _failures(trace: Trace, first: int, last: int, client: int) -> Iterator[bool]:
    """Yield for what a client did after one event, up to another one, whether it failed."""
    for event in trace.events[first:last]:
        if event.client == client and event.observation is not None:
            yield event.observation.failure is not None
