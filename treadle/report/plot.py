"""The plot: which events of a trace its story needs, and why.

::

    A  SELECT stock → 10                       a read of what another client writes
    B               SELECT stock → 10          likewise; and if B is refused later: where its snapshot began
    B               UPDATE  COMMIT ▶ stock 9   what becomes durable, and the statement that replaced rows
    A  UPDATE  COMMIT ▶ nothing new            a write that changes nothing is told, for it should have

What others cannot notice and what does not fail is left out: reads of tables that no other client writes, statements of
the driver, and inserts that their own client commits before anybody else goes on. Nothing of SQL is parsed: a statement
is about those tables, of all that some event changed, whose names are words in it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from attrs import define, field

from treadle.report.entries import fails_or_waits
from treadle.values.fault import LockKind
from treadle.values.operation import RUNS_SQL, Kind
from treadle.values.trace import Event, Trace

_AT_ONCE = frozenset({LockKind.SNAPSHOT, LockKind.UPGRADE})
"""Refusals because of what the transaction has read before."""

_Key = tuple[int, int]
"""A client and its connection."""


@define
class _Transaction:
    """What one connection has done since it held nothing.

    Attributes:
        began: the event at which it took its first lock; None while it holds none.
        writes: the events that wrote.
        alone: nobody else went on since the first of these.
    """

    began: Event | None = None
    writes: list[Event] = field(factory=list)
    alone: bool = True


@define
class Plot:
    """What the story of a trace needs.

    Attributes:
        trace: the trace.
        snapshots: numbers of the events at which a transaction began to read that was refused at once later on.
        stale: number of an event that committed to the client whose snapshot is not the newest any more.
        needed: numbers of other events that are told.
        in_vain: numbers of events that end a transaction which wrote, and change nothing.
    """

    trace: Trace
    snapshots: set[int] = field(factory=set, init=False)
    stale: dict[int, int] = field(factory=dict, init=False)
    needed: set[int] = field(factory=set, init=False)
    in_vain: set[int] = field(factory=set, init=False)
    _open: dict[_Key, _Transaction] = field(factory=lambda: defaultdict(_Transaction), init=False)
    _words: dict[str, re.Pattern[str]] = field(factory=dict, init=False)
    _writers: dict[str, set[int]] = field(factory=lambda: defaultdict(set), init=False)

    def __attrs_post_init__(self) -> None:
        """Go through the trace once to see who writes what, and once more for all else."""
        events = self.trace.events
        tables = {change.table for event in events for change in event.changes}
        self._words = {table: re.compile(rf"(?<!\w){re.escape(table)}(?!\w)") for table in tables}
        for event in events:
            for table in self._written(event):
                self._writers[table].add(event.client)
        for event in events:
            self._pass(event)
        for transaction in self._open.values():
            if transaction.writes and not transaction.alone:
                self.needed.add(transaction.writes[0].number)

    def tells(self, event: Event) -> bool:
        """Tell whether an event is part of the story, whatever its client's end is."""
        number = event.number
        told = number in self.needed or number in self.snapshots or number in self.in_vain
        return told or bool(event.changes) or fails_or_waits(event) or bool(self.read_of_others(event))

    def tables(self, event: Event) -> set[str]:
        """Return the tables, of those that some event changed, that a statement names."""
        sql = event.operation.sql if event.operation is not None else None
        return set() if sql is None else {table for table, word in self._words.items() if word.search(sql)}

    def read_of_others(self, event: Event) -> set[str]:
        """Return the tables that a statement names and only reads, and another client writes."""
        operation, seen = event.operation, event.observation
        if operation is None or operation.kind not in RUNS_SQL or seen is None or seen.description is None:
            return set()
        if event.held_before != event.held_after == "write" or event.changes:
            return set()
        return {table for table in self.tables(event) if self._writers[table] - {event.client}}

    def _written(self, event: Event) -> set[str]:
        found = {change.table for change in event.changes}
        return found | self.tables(event) if _writes(event) else found

    def _pass(self, event: Event) -> None:
        for (client, _), transaction in self._open.items():
            if client != event.client:
                transaction.alone = False
        if event.operation is None:  # a crash
            for key in [key for key in self._open if key[0] == event.client]:
                self._end(self._open.pop(key))
            return
        transaction = self._open[event.client, event.operation.connection]
        self._note_refusal(event, transaction)
        if event.held_before == "none" and event.held_after != "none":
            transaction.began = event
        if _writes(event):
            transaction.alone = transaction.alone or not transaction.writes
            transaction.writes.append(event)
        if event.held_before == "write" and event.held_after != "write":
            self._close(event, transaction)
        if event.held_after == "none":
            self._open[event.client, event.operation.connection] = _Transaction()

    def _note_refusal(self, event: Event, transaction: _Transaction) -> None:
        """Note where that began because of which a client is refused, or waits."""
        if event.lock_kind in _AT_ONCE and transaction.began is not None:
            self.snapshots.add(transaction.began.number)
            after = self.trace.events[transaction.began.number : event.number - 1]
            newer = next((one for one in after if one.changes and one.client != event.client), None)
            if event.lock_kind is LockKind.SNAPSHOT and newer is not None:
                self.stale.setdefault(newer.number, event.client)
        if event.waits or event.lock_kind is not None:
            for began in self._held_by(event.holders):
                self.needed.add(began.number)

    def _held_by(self, names: tuple[str, ...]) -> Iterator[Event]:
        """Yield where clients took what they hold."""
        clients = {place for place, name in enumerate(self.trace.clients) if name in names}
        for (client, _), transaction in self._open.items():
            if client in clients and transaction.began is not None:
                yield transaction.writes[0] if transaction.writes else transaction.began

    def _close(self, event: Event, transaction: _Transaction) -> None:
        """Note what has become of the writes of a transaction that drops the write lock."""
        if not event.changes and not _rolls_back(event) and transaction.writes:
            self.in_vain.add(event.number)
            self.needed.add(transaction.writes[0].number)
        self.needed |= {one.number for one in transaction.writes if self._is_news(one, event)}
        self._end(transaction)
        transaction.writes = []

    def _is_news(self, write: Event, commit: Event) -> bool:
        """Tell whether a write says more than what is then committed: it replaced rows, or nothing came of it."""
        tables = self.tables(write)
        changed = {change.table: change for change in commit.changes}
        if not changed or not tables:
            return False
        return not tables & set(changed) or any(
            change.table in tables and change.before is not None for change in commit.changes
        )

    def _end(self, transaction: _Transaction) -> None:
        if transaction.writes and not transaction.alone:
            self.needed.add(transaction.writes[0].number)


def _writes(event: Event) -> bool:
    """Tell whether a statement wrote, or took the lock to write."""
    operation, seen = event.operation, event.observation
    if operation is None or operation.kind not in RUNS_SQL or seen is None or seen.failure is not None:
        return False
    if event.held_after != "write":
        return False
    return event.held_before != "write" or (seen.description is None and seen.rowcount >= 0)


def _rolls_back(event: Event) -> bool:
    operation = event.operation
    if operation is None or operation.kind in {Kind.ROLLBACK, Kind.CLOSE}:
        return True
    return operation.sql is not None and operation.sql.lstrip()[:8].upper() == "ROLLBACK"
