"""Entries: the events of a trace as a reader wants them, with the noise folded away.

Most operations of a client are bookkeeping of its driver: it connects, configures, fetches, closes. An entry
is an event that matters, together with the fetches that belong to it::

    events      execute  fetchone  fetchone  close cursor  execute  (B: ...)  fetchall
                └─ entry ────────────────┘   folded        entry    entry     entry of its own:
                                                                              B went on in between
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from treadle.report import extra, phrases
from treadle.report.extra import Extra
from treadle.report.holdings import HOUSEKEEPING, Holdings
from treadle.report.phrases import ARROW
from treadle.report.sql import count
from treadle.values.display import ELLIPSIS
from treadle.values.fault import LockKind
from treadle.values.operation import RUNS_SQL, Kind
from treadle.values.trace import Event, Trace

FETCHES = frozenset({Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL})
BELONGS = FETCHES | {Kind.CLOSE_CURSOR}
ENDS = frozenset({Kind.COMMIT, Kind.ROLLBACK})

STRETCH_MAX = 120
"""How many entries in a row in which one client does nothing remarkable are shown; of more, the middle is left out."""

_KEPT = 50
"""How many are then shown at each end."""


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
        usual: nothing failed here, nobody waited, and no client ended.
        source: the line of the application, where it is shown.
    """

    number: int
    client: int
    statement: str
    extras: tuple[Extra, ...]
    notes: tuple[str, ...]
    held: tuple[str, ...]
    usual: bool = field(default=False, eq=False)
    source: str = ""


def entries(trace: Trace, *, verbose: bool = False) -> tuple[Entry, ...]:
    """Return the entries of a trace; ``verbose`` folds nothing away."""
    found = Reader(trace, verbose).read()
    return found if verbose else tuple(shortened(found))


def shortened(found: Sequence[Entry], most: int = STRETCH_MAX, kept: int = _KEPT) -> Iterator[Entry]:
    """Leave out the middle of each long stretch in which one client does nothing remarkable.

    Args:
        found: the entries.
        most: the length of the longest stretch that is shown whole.
        kept: how many entries of a longer one are shown at each end.
    """
    for (_, usual), group in itertools.groupby(found, key=lambda entry: (entry.client, entry.usual)):
        stretch = list(group)
        if not usual or len(stretch) <= most:
            yield from stretch
            continue
        middle = stretch[kept:-kept]
        what = f"{ELLIPSIS} {count(len(middle), 'entry', 'entries')} like these left out, up to {middle[-1].number:,}"
        yield from stretch[:kept]
        yield evolve(middle[0], statement="", extras=(), notes=(what,), held=middle[-1].held, source="")
        yield from stretch[-kept:]


@define
class Reader:
    """Walks through a trace once."""

    trace: Trace
    verbose: bool
    holdings: Holdings = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.holdings = Holdings(self.trace.clients)

    def read(self) -> tuple[Entry, ...]:
        """Return the entries."""
        found: list[Entry] = []
        events = self.trace.events
        at = 0
        while at < len(events):
            event = events[at]
            fetched = self.fetches(at)
            if self.verbose or self._matters(event):
                found.append(self._entry(event, fetched))
            for passed in (event, *fetched):
                self.holdings.let_pass(passed)
            at += 1 + len(fetched)
        return tuple(found)

    def fetches(self, at: int) -> list[Event]:
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
                or (operation.connection, operation.cursor) != (first.operation.connection, first.operation.cursor)
                or _tells(event)
                or event.outcome is not None
            ):
                break
            found.append(event)
        return found

    def _matters(self, event: Event) -> bool:
        if event.waits:
            return self.holdings.waits_for(event.client) != event.holders
        return _tells(event) or event.outcome is not None or not self._is_noise(event)

    def _is_noise(self, event: Event) -> bool:
        """Return whether an operation is only what a driver or a connection pool does to keep house."""
        if event.operation is None or event.held_before != event.held_after:
            return False
        if event.operation.kind is Kind.ROLLBACK:
            connection = self.holdings.connection(event)
            return not connection.in_transaction and connection.last in ENDS
        return event.operation.kind in HOUSEKEEPING

    def _entry(self, event: Event, fetched: Sequence[Event]) -> Entry:
        clients = self.trace.clients
        notes = [
            phrases.crash(event),
            phrases.failure(event, clients, self.holdings.of_holders(event)),
            phrases.waiting(event, clients),
            phrases.published(event.changes),
            *(map(phrases.change, event.changes) if self.verbose else phrases.differences(event.changes)),
            phrases.ended(event.outcome),
        ]
        return Entry(
            number=event.number,
            client=event.client,
            statement=self._statement(event),
            extras=self._extras(event, fetched),
            notes=tuple(filter(None, notes)),
            held=self.holdings.during(event),
            usual=event.outcome is None and not fails_or_waits(event),
            source=str(event.source) if self.verbose and event.source is not None else "",
        )

    def _statement(self, event: Event) -> str:
        """Return the SQL or the call; nothing for a client's last call if only the outcome is of interest."""
        if event.operation is None or (not self.verbose and self._is_noise(event) and not _tells(event)):
            return ""
        if event.lock_kind is LockKind.TIMEOUT and self._again(event):
            return ""
        return str(event.operation)

    def _extras(self, event: Event, fetched: Sequence[Event]) -> tuple[Extra, ...]:
        operation = event.operation
        if operation is None or not self._statement(event):
            return ()
        found = [
            None if self.verbose else extra.long(operation),
            Extra("(again)") if self._again(event) else extra.parameters(operation, verbose=self.verbose),
            self.result(event, fetched),
            Extra(f"lock: {event.held_before} {ARROW} {event.held_after}")
            if self.verbose and event.held_before != event.held_after
            else None,
        ]
        return tuple(filter(None, found))

    def _again(self, event: Event) -> bool:
        """Return whether the client has waited with this operation."""
        return self.holdings.waits_for(event.client) is not None

    def result(self, event: Event, fetched: Sequence[Event]) -> Extra | None:
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
        if operation.kind in ENDS and not self.holdings.connection(event).in_transaction:
            return Extra("(no transaction is open)")
        return None


def _tells(event: Event) -> bool:
    """Return whether an event has more to tell than its operation, its result and how the client ended."""
    return bool(event.changes) or fails_or_waits(event)


def fails_or_waits(event: Event) -> bool:
    """Return whether something went wrong at an event, or its client waits."""
    failed = event.observation is not None and event.observation.failure is not None
    return bool(event.fault or event.lock_kind or event.waits or failed)


def _rows(fetch: Event) -> list[Any]:
    """Return the rows of one fetch."""
    return list((fetch.observation.rows if fetch.observation is not None else None) or ())
