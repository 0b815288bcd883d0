"""From what an execution did to a trace that people can read."""

from __future__ import annotations

from treadle.execution.product import Taken
from treadle.scenario import Scenario
from treadle.values.fault import Fault, LockKind
from treadle.values.property import Breach
from treadle.values.schedule import Fail, Schedule
from treadle.values.trace import Change, Event, Trace
from treadle.values.view import Committed, Row, Table

_NO_TABLE = Table((), ())


def _identities(*contents: tuple[Row, ...]) -> list[dict[object, Row]]:
    """Return the rows of contents by their first column, or by themselves where that is not unique everywhere."""
    keyed: list[dict[object, Row]] = [{next(iter(row.values()), None): row for row in rows} for rows in contents]
    if all(len(rows) == len(found) for rows, found in zip(contents, keyed, strict=True)):
        return keyed
    return [{repr(dict(row)): row for row in rows} for rows in contents]


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


def _event(number: int, taken: Taken, names: tuple[str, ...]) -> Event:
    client = taken.choice.client
    transition = taken.transition
    contents = taken.before.world.content, taken.after.world.content
    held = str(transition.held_before if transition else "none"), str(transition.held_after if transition else "none")
    if taken.operation is not None and transition is None:
        key = (client, taken.operation.connection)
        held = str(taken.before.world.holding(key).lock), str(taken.after.world.holding(key).lock)
    holders = transition.holders if transition else ()
    wait = taken.before.wait_of(client)
    if taken.lock_kind is LockKind.TIMEOUT and wait is not None:
        holders = wait.holders
    fault = taken.choice.fault if isinstance(taken.choice, Fail) and not taken.free else None
    return Event(
        number=number,
        client=client,
        operation=taken.operation,
        observation=taken.observation,
        fault=fault,
        lock_kind=None if fault is Fault.CRASH else taken.lock_kind,
        reachable=taken.reachable,
        holders=tuple(names[holder] if holder < len(names) else "?" for holder in holders),
        held_before=held[0],
        held_after=held[1],
        changes=() if contents[0] is contents[1] else changes(contents[0].committed, contents[1].committed),
        outcome=taken.after.nodes[client].outcome,
    )


def trace_of(scenario: Scenario, taken: list[Taken], breaches: dict[str, tuple[Breach, ...]]) -> Trace:
    """Return the trace of an execution.

    Args:
        scenario: what was run.
        taken: what each choice did, from the start.
        breaches: how its last state breaks properties.
    """
    names = tuple(client.name for client in scenario.clients)
    last = taken[-1].after.nodes if taken else ()
    return Trace(
        scenario=scenario.name,
        clients=names,
        schedule=Schedule(tuple(item.choice for item in taken)),
        events=tuple(_event(number, item, names) for number, item in enumerate(taken, 1)),
        outcomes={name: node.outcome for name, node in zip(names, last, strict=False) if node.outcome is not None},
        breaches=breaches,
    )
