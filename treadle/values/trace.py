"""Traces: what happened in one execution, for people to read."""

from __future__ import annotations

from attrs import field, frozen

from treadle.values.display import in_part, quoted
from treadle.values.fault import Fault, LockKind
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.outcome import Outcome
from treadle.values.property import Breach
from treadle.values.schedule import Schedule
from treadle.values.source import Source
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
    before: Row | None = field(repr=lambda row: in_part(row)[0])
    after: Row | None = field(repr=lambda row: in_part(row)[0])


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
        changes: the committed rows that this event published, changed or removed; where it changed the schema, rows of
            ``sqlite_schema``, too.
        outcome: how the client ended, if it ended here.
        source: the line of the application that asked for the operation, where that is known.
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
    source: Source | None = None

    @property
    def waits(self) -> bool:
        """Whether the client now waits for a lock and will retry this operation."""
        return self.operation is not None and self.observation is None


@frozen
class Setting:
    """Where an execution took place: all that is needed to do it again without the application.

    Attributes:
        journal: the journal mode.
        transactions: the driver's transaction mode.
        driver: the name of the driver's module.
        sqlite_version: of the library that ran.
        sqlalchemy_version: of SQLAlchemy.
        python_version: of Python.
        dump: the statements that make the schema and the rows that were there from the start.
    """

    journal: str
    transactions: str
    driver: str
    sqlite_version: str
    sqlalchemy_version: str
    python_version: str
    dump: tuple[str, ...] = field(repr=False)


@frozen
class Parting:
    """Where a replay parts from what its token recorded.

    Attributes:
        number: of the first choice under which something else was done than the token recorded, or that could not be
            made to its end, from 1.
        first: the number of the first event under this choice.
        last: of its last one; less than ``first`` if there is none.
        misfit: why this choice could not be made to its end; empty if it could.
    """

    number: int
    first: int
    last: int
    misfit: str


@frozen
class Trace:
    """What happened in one execution, from the first operation to the last.

    Attributes:
        scenario: the scenario's name.
        clients: the clients' names.
        schedule: the choices that led here, with digests of what was done.
        events: what happened, in order.
        outcomes: how each client ended, by name; a client that has not finished is not listed.
        breaches: for each property that this execution breaks, by name, how. Properties of the end are looked at only
            if all clients have finished.
        replayed: for a replay, the schedule of its token, with the digests that are in the token.
        parting: for a replay, where it parts from what the token recorded; None if it does not, as far as the token
            tells. Where it does, the token's schedule was not replayed, whatever this execution breaks.
        setting: where it took place, if that is known.
    """

    scenario: str
    clients: tuple[str, ...]
    schedule: Schedule
    events: tuple[Event, ...]
    outcomes: dict[str, Outcome]
    breaches: dict[str, tuple[Breach, ...]] = field(factory=dict)
    replayed: Schedule | None = None
    parting: Parting | None = None
    setting: Setting | None = None

    def __repr__(self) -> str:
        """Return the token, and how much happened: ``treadle.report.render_timeline`` says what."""
        broken = [name for name, breaches in self.breaches.items() if breaches]
        breaks = f", breaks {quoted(broken)}" if broken else ""
        schedule = f"{quoted(self.scenario)}, {quoted(self.schedule.token)}"
        return f"Trace({schedule}: {len(self.events):,} events{breaks})"

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The names of the clients that have not finished."""
        return tuple(name for name in self.clients if name not in self.outcomes)

    @property
    def as_recorded(self) -> bool:
        """Whether all that was done is what a token recorded."""
        return self.replayed is not None and bool(self.replayed.digests) and self.parting is None
