"""Traces: what happened in one execution, for people to read."""

from __future__ import annotations

from attrs import field, frozen

from treadle.values.fault import Fault, LockKind
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.outcome import Outcome
from treadle.values.property import Breach
from treadle.values.schedule import Schedule
from treadle.values.view import Row


@frozen
class Change:
    """One committed row that appeared, disappeared or changed.

    Attributes:
        table: the table's name.
        before: the row before, or None if it was not there.
        after: the row after, or None if it is gone.
    """

    table: str
    before: Row | None
    after: Row | None


@frozen
class Event:
    """One thing that happened to one client.

    Attributes:
        number: the event's place in the trace, from 1.
        client: the position of the client in the scenario.
        operation: what the client asked; None when the client crashed.
        observation: what it saw; None while it waits, and when it crashed.
        fault: the fault that was done to the client here, if any.
        lock_kind: why the client saw ``database is locked``, if it did.
        reachable: for an injected ``locked``: whether SQLite could really have answered so here.
        holders: names of the clients that held the lock, when this one waited or was refused.
        held_before: the lock of the operation's connection before: "none", "read" or "write".
        held_after: the same afterwards.
        changes: the committed rows that this event published, changed or removed.
        outcome: how the client ended, if it ended here.
    """

    number: int
    client: int
    operation: Operation | None
    observation: Observation | None
    fault: Fault | None = None
    lock_kind: LockKind | None = None
    reachable: bool = True
    holders: tuple[str, ...] = ()
    held_before: str = "none"
    held_after: str = "none"
    changes: tuple[Change, ...] = ()
    outcome: Outcome | None = None

    @property
    def waits(self) -> bool:
        """Whether the client now waits for a lock and will retry this operation."""
        return self.operation is not None and self.observation is None


@frozen
class Trace:
    """What happened in one execution, from the first operation to the last.

    Attributes:
        scenario: the scenario's name.
        clients: the clients' names.
        schedule: the choices that led here.
        events: what happened, in order.
        outcomes: how each client ended, by name; a client that has not finished is not listed.
        breaches: for each property that this execution breaks, by name, how.
    """

    scenario: str
    clients: tuple[str, ...]
    schedule: Schedule
    events: tuple[Event, ...]
    outcomes: dict[str, Outcome]
    breaches: dict[str, tuple[Breach, ...]] = field(factory=dict)
