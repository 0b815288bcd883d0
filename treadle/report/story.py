"""The story of a trace: the dozen entries that tell what went wrong, each with the application's own line.

::

    events   4 .. 20 PRAGMA, SELECT, fetch   21 INSERT   22 COMMIT   23 ROLLBACK   24 .. 31 SELECT, SAVEPOINT, fetch
    story    19 SELECT … FROM backfill → 0               22 COMMIT ▶ +backfill 1   27 reads dag_run: a snapshot

An entry has the number of its event, which is the same in every report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from attrs import define, evolve, field, frozen

from treadle.report import extra, phrases
from treadle.report.durable import Commits, offending, shown_by, too_late
from treadle.report.entries import Entry, Reader, fails_or_waits, shortened
from treadle.report.extra import Extra
from treadle.report.phrases import PUBLISHED
from treadle.report.plot import Plot
from treadle.report.sql import NO_BREAK, count, literal
from treadle.values.display import ELLIPSIS, name
from treadle.values.fault import LockKind
from treadle.values.property import Breach
from treadle.values.schedule import letters
from treadle.values.trace import Change, Event, Trace
from treadle.values.view import Row

_MOST, _KEPT = 8, 3
"""How many unremarkable entries in a row one client has at most, and how many of more are shown at each end."""

_ENTRIES_MAX, _FIRST, _LAST = 60, 15, 35
"""How many entries a story has at most, and how many of more are shown at its beginning and at its end."""

LEFT_MAX = 20
"""How many of the rows that show how a property is broken are looked into."""

_VALUE = 30
"""How much is shown of a value in a row that is left, in characters."""

_NARROW = 4
"""So many columns of a row are all shown; of more, those that something names."""

_POINTED = 3
"""A statement that names more columns of a row than so many does not point at them."""


@frozen
class Left:
    """A committed row that shows how a property is broken.

    Attributes:
        table: its table.
        row: the row.
        number: of the event that made it durable; None if it was there from the start.
        columns: those that matter, the key not among them.
    """

    table: str
    row: Row
    number: int | None
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the table, the key, and the columns that matter."""
        key = next(iter(self.row.values()), None)
        shown = [f"{name(column)} {literal(self.row[column], limit=_VALUE)}" for column in self.columns]
        return f"{name(self.table)} {literal(key, limit=_VALUE)}" + (f" ({', '.join(shown)})" if shown else "")


@frozen
class Story:
    """What is told of a trace.

    Attributes:
        entries: in order.
        hidden: how many operations are not told.
        left: the first rows that show how a property is broken.
        more: how many rows there are besides these.
        too_late: numbers of rollbacks, each with that of the commit that it cannot take back.
        at_once: numbers of the refusals that no timeout has anything to do with, each with its kind.
    """

    entries: tuple[Entry, ...]
    hidden: int
    left: tuple[Left, ...]
    more: int
    too_late: dict[int, int]
    at_once: dict[int, LockKind]


def story_of(trace: Trace, properties: Collection[str] | None = None) -> Story:
    """Return the story of a trace.

    Args:
        trace: what happened.
        properties: the names of the properties whose breaches are told; None for all.
    """
    breaches = [
        breach for item, found in trace.breaches.items() if properties is None or item in properties for breach in found
    ]
    return _Teller(trace, breaches).tell()


@define
class _Told:
    """An entry in the making.

    Attributes:
        event: what it is about.
        entry: the entry.
        changes: what it published.
        numbers: of the events that it stands for.
    """

    event: Event
    entry: Entry
    changes: tuple[Change, ...]
    numbers: tuple[int, ...]

    def is_like(self, other: _Told) -> bool:
        """Tell whether two commits look the same, but for their rows."""
        own, its = self.entry, other.entry
        same = (own.client, own.source, _verb(own.statement)) == (its.client, its.source, _verb(its.statement))
        return same and bool(self.changes and other.changes) and own.usual and its.usual


@define
class _Teller:
    """Walks through a trace once."""

    trace: Trace
    breaches: Sequence[Breach]
    _plot: Plot = field(init=False)
    _reader: Reader = field(init=False)
    _rows: tuple[tuple[str, Row], ...] = field(init=False)
    _commits: Commits = field(init=False)
    _durable: dict[int, int] = field(init=False)
    _too_late: dict[int, int] = field(init=False)
    _seen: int = field(init=False, default=0)
    _asked: dict[str, set[str]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._plot = Plot(self.trace)
        self._reader = Reader(self.trace, verbose=False)
        for event in self.trace.events:
            for table in self._plot.read_of_others(event):
                assert event.operation is not None
                self._asked.setdefault(table, set()).add(event.operation.sql or "")
        self._rows = shown_by(self.breaches)
        self._commits = Commits(self.trace)
        self._durable = offending(self._commits, self._rows)
        self._too_late = too_late(self.trace, self._durable)

    def tell(self) -> Story:
        told = _joined(list(self._told()))
        found = [self._finished(one) for one in told]
        return Story(
            entries=_in_part(tuple(shortened(found, _MOST, _KEPT))),
            hidden=len(self.trace.events) - self._seen,
            left=tuple(self._left(table, row) for table, row in self._rows[:LEFT_MAX]),
            more=max(len(self._rows) - LEFT_MAX, 0),
            too_late=self._too_late,
            at_once={
                event.number: event.lock_kind
                for event in self.trace.events
                if event.lock_kind in {LockKind.SNAPSHOT, LockKind.UPGRADE}
            },
        )

    def _left(self, table: str, row: Row) -> Left:
        others = list(row)[1:]
        texts = [breach.why for breach in self.breaches]
        named = {column for column in others for text in texts if _names(text, column)}
        for sql in self._asked.get(table, ()):
            found = {column for column in others if _names(sql, column)}
            named |= found if len(found) <= _POINTED else set()
        shown = others if len(row) <= _NARROW else [column for column in others if column in named]
        return Left(table, row, self._commits.of(table, row), tuple(shown))

    def _told(self) -> Iterator[_Told]:
        events, reader = self.trace.events, self._reader
        at = 0
        while at < len(events):
            event = events[at]
            fetched = reader.fetches(at)
            told = self._entry(event, fetched)
            for passed in (event, *fetched):
                reader.holdings.let_pass(passed)
            if told is not None:
                self._seen += 1 + len(fetched)
                yield told
            at += 1 + len(fetched)

    def _entry(self, event: Event, fetched: Sequence[Event]) -> _Told | None:
        waits_still = event.waits and self._reader.holdings.waits_for(event.client) == event.holders
        tells = (self._plot.tells(event) and not waits_still) or event.number in self._too_late
        if not tells and event.outcome is None:
            return None
        again = event.lock_kind is LockKind.TIMEOUT and self._reader.holdings.waits_for(event.client) is not None
        entry = Entry(
            number=event.number,
            client=event.client,
            statement=self._statement(event) if tells and event.operation is not None and not again else "",
            extras=tuple(filter(None, [self._result(event, fetched)])),
            notes=tuple(filter(None, self._notes(event))),
            held=self._reader.holdings.during(event),
            usual=event.outcome is None and not fails_or_waits(event),
            source=event.source.name if tells and event.source is not None else "",
        )
        return _Told(event, entry, event.changes, (event.number,))

    def _result(self, event: Event, fetched: Sequence[Event]) -> Extra | None:
        """Return the rows that came back, where others decide on them; of a statement that writes, its parameters."""
        if not self._plot.read_of_others(event):
            written = event.number in self._plot.needed and event.operation is not None
            return extra.parameters(event.operation) if written and event.operation is not None else None
        result = self._reader.result(event, fetched)
        one = result is not None and len(result.rows) == 1 and not result.more
        return evolve(result, before=f"{phrases.ARROW} ") if result is not None and one else result

    def _statement(self, event: Event) -> str:
        """Return what a client does: which tables it reads, or the statement."""
        read = sorted(self._plot.read_of_others(event))
        return f"reads {', '.join(map(name, read))}" if read else str(event.operation)

    def _notes(self, event: Event) -> Iterator[str]:
        clients, number = self.trace.clients, event.number
        yield phrases.crash(event)
        yield phrases.refusal(event, clients, self._reader.holdings.of_holders(event))
        yield phrases.waiting(event, clients)
        if number in self._plot.snapshots:
            yield "from here on it sees a snapshot" if self._is_snapshot(event) else "from here on it holds a read lock"
        if number in self._plot.in_vain:
            yield f"{PUBLISHED} nothing new: what it wrote was there already"
        if number in self._too_late:
            yield f"takes nothing back: {self._too_late[number]} is committed"
        yield phrases.briefly_ended(event.outcome)

    def _is_snapshot(self, event: Event) -> bool:
        refused = (one for one in self.trace.events[event.number :] if one.client == event.client)
        return next((one.lock_kind is LockKind.SNAPSHOT for one in refused if one.lock_kind is not None), False)

    def _finished(self, told: _Told) -> Entry:
        """Return an entry with what it published."""
        if not told.changes:
            return told.entry
        number, statement = told.event.number, told.entry.statement
        more = []
        if number in self._plot.stale:
            more.append(f"{letters(self._plot.stale[number])}'s snapshot is stale now")
        if _verb(statement) == "RELEASE":
            more.append("an outermost RELEASE is a commit")
        text = phrases.briefly_published(told.changes)
        stay = sum(self._durable.get(one, 0) for one in told.numbers)
        if stay:
            stays = f"{phrases.STAYS} {'this row stays' if stay == 1 else 'these rows stay'}"
            text += f"   {stays.replace(' ', NO_BREAK)}"
        if len(told.numbers) > 1:
            statement = f"{len(told.numbers)}x {_verb(statement)}"
        return evolve(told.entry, statement=statement, notes=(text, *more, *told.entry.notes))


def _in_part(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return entries without the middle of a story that is very long."""
    if len(entries) <= _ENTRIES_MAX:
        return entries
    middle = entries[_FIRST:-_LAST]
    what = f"{ELLIPSIS} {count(len(middle), 'entry', 'entries')} left out, up to {middle[-1].number:,}"
    gap = evolve(middle[0], statement="", extras=(), notes=(what,), held=middle[-1].held, source="")
    return (*entries[:_FIRST], gap, *entries[-_LAST:])


def _verb(statement: str) -> str:
    """Return the first word of a statement."""
    return statement.partition(" ")[0]


def _joined(told: list[_Told]) -> list[_Told]:
    """Return commits that look the same as one entry, and the end of a client with what it did last."""
    found: list[_Told] = []
    for one in told:
        last = found[-1] if found else None
        if last is None or last.event.client != one.event.client:
            found.append(one)
        elif not one.entry.statement and one.event.outcome is not None and not one.event.fault:
            last.entry = evolve(last.entry, notes=(*last.entry.notes, *one.entry.notes), usual=False)
        elif last.is_like(one):
            last.changes, last.numbers = (*last.changes, *one.changes), (*last.numbers, *one.numbers)
        else:
            found.append(one)
    return found


def _names(text: str, word: str) -> bool:
    """Tell whether a text has this word in it."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None
