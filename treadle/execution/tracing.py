"""From what an execution did to a trace that people can read."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from treadle.execution.taken import Taken
from treadle.scenario import Scenario
from treadle.values.canonical import canonical
from treadle.values.fault import Fault, LockKind
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.property import Breach
from treadle.values.record import recorded
from treadle.values.schedule import Fail, Schedule
from treadle.values.trace import Change, Event, Setting, Trace
from treadle.values.view import Committed, Row, Table
from treadle.world.content import Content
from treadle.world.holding import StopKind

_NO_TABLE = Table((), ())


def _identities(*contents: tuple[Row, ...]) -> list[dict[object, Row]]:
    """Return the rows of contents by their first column, or by themselves where that is not unique everywhere."""
    keyed: list[dict[object, Row]] = [{next(iter(row.values()), None): row for row in rows} for rows in contents]
    if all(len(rows) == len(found) for rows, found in zip(contents, keyed, strict=True)):
        return keyed
    return [{canonical(list(row.items())): row for row in rows} for rows in contents]


def changes(before: Committed, after: Committed) -> tuple[Change, ...]:
    """Return the rows that differ between two contents."""
    found: list[Change] = []
    for table in sorted({*before.tables, *after.tables}):
        was, now = before.tables.get(table, _NO_TABLE), after.tables.get(table, _NO_TABLE)
        old, new = _identities(was.rows_beside(now), now.rows_beside(was))
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                found.append(Change(table, old.get(key), new.get(key)))  # noqa: PERF401  # reads better
    return tuple(found)


def _published(before: Content, after: Content) -> tuple[Change, ...]:
    """Return what differs for everybody: the schema, whose rows are in a table of its own, and rows."""
    if before is after:
        return ()
    rows = changes(before.committed, after.committed)
    if before.schema is after.schema:
        return rows
    schemas = [Committed({"sqlite_schema": content.schema.entries}) for content in (before, after)]
    return changes(*schemas) + rows


def _events(taken: list[Taken], names: tuple[str, ...]) -> Iterator[Event]:
    waits_for: dict[int, tuple[int, ...]] = {}
    for number, item in enumerate(taken, 1):
        holders = item.transition.holders if item.transition is not None else ()
        if item.lock_kind is LockKind.TIMEOUT:  # whoever was in the way may have let go since
            holders = waits_for.get(item.choice.client, ())
        elif item.observation is None:
            waits_for[item.choice.client] = holders
        yield _event(number, item, tuple(names[place] if place < len(names) else "?" for place in holders))


_NOTHING = Observation()
"""What is seen of one statement of a script, after which another one is next."""


def _spoken(taken: Taken) -> Operation | None:
    """Return what was asked; of a script, or of an executemany, the statement that it came to."""
    operation = taken.operation
    if operation is None:
        return None
    held = taken.before.locals[taken.choice.client].holding(operation.connection)
    stopped = held.posture.call
    if stopped is None or stopped.kind is not StopKind.PAUSES or stopped.sql is None:
        return operation
    return evolve(operation, sql=stopped.sql.strip())


def _event(number: int, taken: Taken, holders: tuple[str, ...]) -> Event:
    client = taken.choice.client
    transition = taken.transition
    held = str(transition.held_before if transition else "none"), str(transition.held_after if transition else "none")
    if taken.operation is not None and transition is None:
        connection = taken.operation.connection
        before, after = taken.before.locals[client], taken.after.locals[client]
        held = str(before.holding(connection).lock), str(after.holding(connection).lock)
    fault = taken.choice.fault if isinstance(taken.choice, Fail) and not taken.free else None
    return Event(
        number=number,
        client=client,
        operation=_spoken(taken),
        observation=_NOTHING if taken.pauses else taken.observation,
        fault=fault,
        lock_kind=None if fault is Fault.CRASH else taken.lock_kind,
        reachable=taken.reachable,
        holders=holders,
        held_before=held[0],
        held_after=held[1],
        changes=_published(taken.before.content, taken.after.content),
        outcome=taken.after.locals[client].node.outcome,
        source=taken.source,
    )


def trace_of(
    scenario: Scenario,
    taken: list[Taken],
    breaches: dict[str, tuple[Breach, ...]],
    setting: Setting | None = None,
) -> Trace:
    """Return the trace of an execution.

    Args:
        scenario: what was run.
        taken: what each choice did, from the start.
        breaches: how its last state breaks properties.
        setting: where it took place.
    """
    names = tuple(client.name for client in scenario.clients)
    last = [local.node for local in taken[-1].after.locals] if taken else []
    events = tuple(_events(taken, names))
    return Trace(
        scenario=scenario.name,
        clients=names,
        schedule=recorded(Schedule(tuple(item.choice for item in taken)), events),
        events=events,
        outcomes={name: node.outcome for name, node in zip(names, last, strict=False) if node.outcome is not None},
        breaches=breaches,
        setting=setting,
    )
