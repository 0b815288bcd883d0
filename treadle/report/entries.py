"""Entries: the events of a trace as a reader wants them, with the noise folded away.

Most operations of a client are bookkeeping of its driver: it connects, configures, fetches, closes. An entry
is an event that matters, together with the fetches that belong to it::

    events      execute  fetchone  fetchone  close cursor  execute  (B: ...)  fetchall
                └─ entry ────────────────┘   folded        entry    entry     entry of its own:
                                                                              B went on in between
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from treadle.report import extra, phrases
from treadle.report.extra import ARROW, Extra
from treadle.values.operation import RUNS_SQL, Kind
from treadle.values.trace import Event, Trace

FETCHES = frozenset({Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL})
BELONGS = FETCHES | {Kind.CLOSE_CURSOR}
ENDS = frozenset({Kind.COMMIT, Kind.ROLLBACK})
HOUSEKEEPING = frozenset({Kind.CONNECT, Kind.CONFIGURE, Kind.CLOSE_CURSOR, Kind.CLOSE})

_STRENGTH = {"none": 0, "waits": 1, "read": 2, "write": 3}


@frozen
class Entry:
    """What one part of a timeline shows.

    Attributes:
        number: of the first event it stands for.
        client: the position of the client.
        statement: the SQL, or the name of the call; empty for a crash.
        extras: parameters and results, shortened where there is no room.
        notes: what must be read in full: errors, waiting, publishing, outcomes.
        held: for each client, what it held when this happened: "none", "waits", "read" or "write".
    """

    number: int
    client: int
    statement: str
    extras: tuple[Extra, ...]
    notes: tuple[str, ...]
    held: tuple[str, ...]


def entries(trace: Trace, *, verbose: bool = False) -> tuple[Entry, ...]:
    """Return the entries of a trace; ``verbose`` folds nothing away."""
    return _Reader(trace, verbose).read()


@define
class _Connection:
    """What is known of one connection of one client."""

    held: str = "none"
    in_transaction: bool = False
    last: Kind | None = None


@define
class _Reader:
    """Walks through a trace once, and remembers who holds what."""

    trace: Trace
    verbose: bool
    connections: dict[tuple[int, int], _Connection] = field(factory=dict)
    waiting: set[int] = field(factory=set)

    def read(self) -> tuple[Entry, ...]:
        found: list[Entry] = []
        events = self.trace.events
        at = 0
        while at < len(events):
            event = events[at]
            fetched = self._fetches(at)
            if self._matters(event):
                found.append(self._entry(event, fetched))
            for passed in (event, *fetched):
                self._pass(passed)
            at += 1 + len(fetched)
        return tuple(found)

    def _fetches(self, at: int) -> list[Event]:
        """Return the events after a statement that only use up its cursor, before anybody else goes on."""
        first = self.trace.events[at]
        if self.verbose or first.operation is None or first.operation.kind not in RUNS_SQL or _tells(first):
            return []
        found = []
        for event in self.trace.events[at + 1 :]:
            operation = event.operation
            if (
                operation is None
                or event.client != first.client
                or operation.kind not in BELONGS
                or (operation.connection, operation.cursor)
                != (first.operation.connection, first.operation.cursor)
                or _tells(event)
            ):
                break
            found.append(event)
        return found

    def _connection(self, event: Event) -> _Connection:
        assert event.operation is not None, "only a crash has no operation"
        key = (event.client, event.operation.connection)
        return self.connections.setdefault(key, _Connection())

    def _matters(self, event: Event) -> bool:
        if self.verbose or event.operation is None or _tells(event):
            return True
        if event.operation.kind in HOUSEKEEPING:
            return event.held_before != event.held_after
        if event.operation.kind is Kind.ROLLBACK:
            connection = self._connection(event)
            return connection.in_transaction or event.held_before != "none" or connection.last not in ENDS
        return True

    def _pass(self, event: Event) -> None:
        """Remember what is held after an event."""
        self.waiting.discard(event.client)
        if event.waits:
            self.waiting.add(event.client)
        if event.operation is None or event.outcome is not None:
            for client, connection in list(self.connections):
                if client == event.client:
                    del self.connections[client, connection]
            return
        state = self._connection(event)
        state.held = event.held_after
        if event.observation is not None:
            state.in_transaction = event.observation.in_transaction
            if event.operation.kind not in HOUSEKEEPING:
                state.last = event.operation.kind

    def _held(self, client: int) -> str:
        """Return the strongest lock that a client holds."""
        held = [state.held for (owner, _), state in self.connections.items() if owner == client]
        if client in self.waiting:
            held.append("waits")
        return max(held, key=_STRENGTH.__getitem__, default="none")

    def _held_at(self, event: Event) -> tuple[str, ...]:
        """Return for each client what it holds while an event happens."""
        held = [self._held(client) for client in range(len(self.trace.clients))]
        here = [event.held_before, event.held_after, "waits" if event.waits else "none"]
        held[event.client] = max(here, key=_STRENGTH.__getitem__)
        return tuple(held)

    def _lock(self, event: Event) -> str:
        """Return what the holders of a lock hold."""
        clients = self.trace.clients
        held = {self._held(clients.index(name)) for name in event.holders if name in clients}
        if held == {"write"}:
            return "the write lock"
        return "a read lock" if held == {"read"} else "the lock"

    def _entry(self, event: Event, fetched: Sequence[Event]) -> Entry:
        clients = self.trace.clients
        notes = [
            phrases.crash(event),
            phrases.failure(event, clients, self._lock(event)),
            phrases.waiting(event, clients),
            phrases.published(event.changes),
            *(map(phrases.change, event.changes) if self.verbose else ()),
            phrases.ended(event.outcome),
        ]
        return Entry(
            number=event.number,
            client=event.client,
            statement=self._statement(event),
            extras=self._extras(event, fetched),
            notes=tuple(filter(None, notes)),
            held=self._held_at(event),
        )

    def _statement(self, event: Event) -> str:
        """Return the SQL or the call; nothing for a call that is shown only since the client ends there."""
        operation = event.operation
        if operation is None:
            return ""
        if self.verbose or operation.kind not in HOUSEKEEPING or event.held_before != event.held_after:
            return str(operation)
        failed = event.observation is not None and event.observation.failure is not None
        return str(operation) if event.waits or failed else ""

    def _extras(self, event: Event, fetched: Sequence[Event]) -> tuple[Extra, ...]:
        operation = event.operation
        if operation is None:
            return ()
        found = [
            extra.parameters(operation, verbose=self.verbose),
            self._result(event, fetched),
            Extra(f"lock: {event.held_before} {ARROW} {event.held_after}")
            if self.verbose and event.held_before != event.held_after
            else None,
        ]
        return tuple(filter(None, found))

    def _result(self, event: Event, fetched: Sequence[Event]) -> Extra | None:
        """Return what came back, unless it goes without saying."""
        operation, seen = event.operation, event.observation
        if operation is None or seen is None or seen.failure is not None:
            return None
        fetches = [one for one in (event, *fetched) if one.operation and one.operation.kind in FETCHES]
        if fetches:
            rows = [row for fetch in fetches for row in _rows(fetch)]
            return extra.fetched(rows, verbose=self.verbose)
        if operation.kind in RUNS_SQL:
            return extra.changed(seen)
        if operation.kind in ENDS and not self._connection(event).in_transaction:
            return Extra("(no transaction is open)")
        return None


def _tells(event: Event) -> bool:
    """Return whether an event has more to tell than its operation and its result."""
    return bool(
        event.fault
        or event.lock_kind
        or event.waits
        or event.changes
        or event.outcome
        or (event.observation is not None and event.observation.failure is not None)
    )


def _rows(fetch: Event) -> list[Any]:
    """Return the rows of one fetch."""
    return list((fetch.observation.rows if fetch.observation is not None else None) or ())
