"""Serial equivalence, and failures that are serial: two properties that need no author.

An execution is right if it could have been had without concurrency: the committed rows it leaves, and what its
successful clients were told, are those of some order in which just these clients run one after another
(serializability, as in Papadimitriou, "The Serializability of Concurrent Database Updates", 1979, here decided on
outcomes, not on conflicts). It flags lost updates, write skew, duplicates by check-then-insert, and partial work
of failed clients. And a client should fail only where it fails without concurrency too: that flags what ends in an
error because of others, be it refused a lock, or late with a row that must be unique.

Rows are compared up to a renaming of surrogate keys: the values that SQLite chose for an INTEGER PRIMARY KEY of a
row that was not there in the beginning, and foreign keys that lead to it, at once or through columns that are such
foreign keys themselves. Two contents are the same if their rows are, for some renaming: rows are nodes, references
are edges, and isomorphism decides (``treadle.isomorphism``). A foreign key to another column (a code, say) is a value
like any other, and so is one that leads nowhere, which SQLite allows where foreign keys are not enforced: nobody can
tell whether SQLite or the application chose it. It equals neither NULL nor one that leads to a row.
"""

from __future__ import annotations

import functools
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping

from attrs import frozen
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from treadle.isomorphism import Structure, TooSymmetricError, isomorphic
from treadle.values.canonical import canonical, meaning, spoken, type_name
from treadle.values.errors import PropertyError
from treadle.values.outcome import Crashed, Outcome, Raised, Returned
from treadle.values.property import Breach, Property, at_end
from treadle.values.view import Committed, Table, View

_CLAUSE = "what is committed, and what successful clients were told, is as if just these had run one after another"

_FAILURES_CLAUSE = "a client fails only if it fails in some one-after-another execution too"

_OF_THE_DATABASE = (DBAPIError, PendingRollbackError, PoolTimeoutError, ObjectDeletedError, StaleDataError)
"""What SQLAlchemy raises where the database, or the others that use it, did not let a client do its work."""

_DRIVERS = frozenset({"sqlite3", "_sqlite3", "pysqlite3", "sqlean"})
"""The packages of drivers for SQLite; not all of them need be installed."""


def has_returned(outcome: Outcome) -> bool:
    """Tell whether a client returned: what counts as success where nothing else is said."""
    return isinstance(outcome, Returned)


def has_raised(outcome: Outcome) -> bool:
    """Tell whether a client raised an exception: what counts as a failure where nothing else is said."""
    return isinstance(outcome, Raised)


def was_refused(outcome: Outcome) -> bool:
    """Tell whether a client was refused by a rule of the application: it raised an exception of its own.

    That is one in which no error of the database had a part: none is the exception itself, its cause, its context
    (even where ``from None`` hides it), or a member of a group, at any depth. Errors of the database are those of the
    driver, in SQLAlchemy's clothes (``DBAPIError``), bare (``sqlite3.Error``) or in others (``raise StoreError from
    error``); and those by which SQLAlchemy says that others were in the way:

    - ``StaleDataError`` and ``ObjectDeletedError``: a row was changed or deleted by others meanwhile. No rule of the
      application has refused what was asked; alone, the client would have succeeded. It is a failure of concurrency,
      found in time, that the client may try again; so it must have left nothing, and need not be refused in a
      serial order.
    - ``PendingRollbackError``, which an earlier error of the database leads to, and ``TimeoutError`` of a pool.
    """
    return isinstance(outcome, Raised) and not any(map(_is_of_the_database, _involved(outcome.exception)))


def _involved(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all its causes, contexts and members, each once, in a fixed order."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        members = found.exceptions if isinstance(found, BaseExceptionGroup) else ()
        waiting += [*reversed(members), found.__context__, found.__cause__]


def _is_of_the_driver(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) or any(
        kind.__name__ == "Error" and kind.__module__.partition(".")[0] in _DRIVERS for kind in type(error).__mro__
    )


def _is_of_the_database(error: BaseException) -> bool:
    return isinstance(error, _OF_THE_DATABASE) or _is_of_the_driver(error)


def failure_of(outcome: Outcome) -> Hashable:
    """Return what tells one failure from another where nothing else is said.

    Of an exception its qualified type and, where the driver's own error had a part in it, SQLite's primary result
    code (``SQLITE_BUSY`` is no ``SQLITE_CONSTRAINT``; https://www.sqlite.org/rescode.html). Texts are not compared:
    they have values in them. Of a value what it means.
    """
    if not isinstance(outcome, Raised):
        return outcome.key
    chain = [(error, getattr(error, "orig", None)) for error in _involved(outcome.exception)]
    codes = [getattr(error, "sqlite_errorcode", None) for pair in chain for error in pair]
    code = next((code & 0xFF for code in codes if isinstance(code, int)), None)
    return type_name(type(outcome.exception)), code


def _told(outcome: Outcome) -> object:
    return outcome.value if isinstance(outcome, Returned) else str(outcome)


def serial_equivalence(
    *,
    succeeded: Callable[[Outcome], bool] = has_returned,
    refused: Callable[[Outcome], bool] | None = was_refused,
    result: Callable[[Outcome], object] = _told,
    rename_keys: bool = True,
    name: str = "serial-equivalence",
) -> Property:
    """Build the property that every execution is equivalent to one without concurrency.

    Args:
        succeeded: tells whether a client did what it was asked to do; by default, whether it returned.
        refused: tells whether a client was refused by a rule of the application: it must then be refused at some
            place in the serial order too. None switches this half off. By default, whether it raised an exception in
            which no error of the database had a part, neither as its cause or context, nor in a group; SQLAlchemy's
            ``StaleDataError``, ``ObjectDeletedError``, ``PendingRollbackError`` and pool ``TimeoutError`` count as
            errors of the database. So an ``IntegrityError`` that the application turns into its own
            ``AlreadyExists`` is no refusal; if that is how it says no by a rule, say so:
            ``refused=lambda outcome: isinstance(outcome, Raised) and isinstance(outcome.exception, AlreadyExists)``.
            A client that neither succeeded nor was refused has failed, and must have left nothing.
        result: what a successful client was told, as far as it is compared; by default the value it returned. Two
            are the same if they mean the same: ``1``, ``1.0`` and ``True`` differ, sets and dicts have no order, and
            objects are their types and states, wherever they are in memory.
        rename_keys: compare rows up to a renaming of surrogate keys; without, exactly.
        name: the property's name.

    The predicate raises a ``PropertyError`` where so many rows are alike, and refer to each other, that the renaming
    cannot be found out in some seconds.
    """
    rules = _Rules(succeeded, refused, result, rename_keys)
    return at_end(_CLAUSE, rules.breaches, name=name)


def serial_failures(
    *,
    failed: Callable[[Outcome], bool] = has_raised,
    failure: Callable[[Outcome], Hashable] = failure_of,
    name: str = "serial-failures",
) -> Property:
    """Build the property that a client fails only if it fails in some one-after-another execution too.

    Some of the others, in any order, run before it then. It flags what serial equivalence lets pass, because a
    client that fails may: a check-then-insert that ends in an ``IntegrityError``, tables made at first use that
    are there already, a ``database is locked`` for want of a busy timeout or in an upgrade.

    It is meant for scenarios without faults. Nobody injects any into a serial execution: with a budget of ``locked``
    faults, each client that one of them makes fail breaks this property, and so it should where clients are to try
    again; otherwise say with ``failed`` which failures count. A client that crashed has not failed by itself, and
    is never looked at.

    Args:
        failed: tells whether a client failed; by default, whether it raised an exception. For a client that answers
            with a status, say which answers are failures.
        failure: what tells one failure from another, as something that can be compared and hashed; by default the
            qualified type of an exception, with SQLite's primary result code if a driver's error had a part in it.
        name: the property's name.
    """
    return at_end(_FAILURES_CLAUSE, _Failures(failed, failure).breaches, name=name)


@frozen
class _Failures:
    """Which outcomes are failures, and which failures are the same."""

    failed: Callable[[Outcome], bool]
    failure: Callable[[Outcome], Hashable]

    def breaches(self, view: View) -> list[Breach]:
        """Return the clients that fail in no serial execution as they did here."""
        return [
            Breach(f"{name} {outcome}; alone, whoever of the others ran before, it never fails so")
            for name, outcome in view.outcomes.items()
            if not isinstance(outcome, Crashed) and self.failed(outcome) and not self._is_serial(view, name, outcome)
        ]

    def _is_serial(self, view: View, name: str, outcome: Outcome) -> bool:
        others = [other for other in view.outcomes if other != name]
        failure = self.failure(outcome)
        for count in range(len(others) + 1):
            for before in itertools.permutations(others, count):
                end = view.serially(*before, name).outcomes[name]
                if self.failed(end) and self.failure(end) == failure:
                    return True
        return False


@frozen
class _Rules:
    """How outcomes and rows are compared."""

    succeeded: Callable[[Outcome], bool]
    refused: Callable[[Outcome], bool] | None
    result: Callable[[Outcome], object]
    rename_keys: bool

    def breaches(self, view: View) -> list[Breach]:
        """Return why no serial order explains a view; nothing if one does."""
        done = [name for name, outcome in view.outcomes.items() if self.succeeded(outcome)]
        turned_away = [
            name
            for name, outcome in view.outcomes.items()
            if name not in done and self.refused is not None and self.refused(outcome)
        ]
        reasons: list[str] = []
        for order in itertools.permutations(done):
            reason = self._difference(view, order, turned_away)
            if not reason:
                return []
            if reason not in reasons:
                reasons.append(reason)
        return [Breach(f"{self._summary(view, done, turned_away)}, and {'; and '.join(reasons)}")]

    @staticmethod
    def _summary(view: View, done: list[str], turned_away: list[str]) -> str:
        failed = [name for name in view.outcomes if name not in done and name not in turned_away]
        parts = [
            f"{', '.join(names)} {word}"
            for names, word in ((done, "succeeded"), (turned_away, "refused"), (failed, "failed"))
            if names
        ]
        return "; ".join(parts)

    def _difference(self, view: View, order: tuple[str, ...], turned_away: list[str]) -> str:
        """Return how a serial execution differs from a view; empty if it does not."""
        title = f"alone in the order {', '.join(order)}" if order else "without any of them"
        end = view.serially(*order)
        for name in order:
            expected, got = end.outcomes[name], view.outcomes[name]
            if not self.succeeded(expected):
                return f"{title}, {name} {expected}"
            alone, here = self.result(expected), self.result(got)
            if meaning(alone) != meaning(here):
                return f"{title}, {name} gets {spoken(alone)} and not {spoken(here)}"
        tables = different_tables(view.committed, end.committed, view.initial, rename_keys=self.rename_keys)
        if tables:
            return f"{title}, the rows of {', '.join(tables)} would be others"
        for name in turned_away:
            if not any(self._refuses(view, order[:place], name) for place in range(len(order) + 1)):
                return f"{title}, {name} is refused nowhere"
        return ""

    def _refuses(self, view: View, before: tuple[str, ...], name: str) -> bool:
        assert self.refused is not None
        return self.refused(view.serially(*before, name).outcomes[name])


def different_tables(
    committed: Committed, other: Committed, initial: Committed, *, rename_keys: bool = True
) -> list[str]:
    """Return the names of the tables whose rows differ in two contents; where it is only all of them together, those.

    Args:
        committed: the rows.
        other: other rows.
        initial: the rows whose keys are kept: they were there before any client started.
        rename_keys: compare up to a renaming of surrogate keys.

    Raises:
        PropertyError: too many rows are alike to find out.
    """
    ours, theirs = _folded_tables(committed), _folded_tables(other)
    if ours.keys() == theirs.keys() and all(table.shares_all_with(theirs[name]) for name, table in ours.items()):
        return []
    mine, others = (_Content(tables, _folded_tables(initial), rename_keys) for tables in (ours, theirs))
    different = sorted({*ours} ^ {*theirs}) + sorted(
        name for name in ours if name in theirs and mine.labels[name] != others.labels[name]
    )
    spelt = {folded(name): name for name in (*other.tables, *committed.tables)}
    if different:
        return [spelt[name] for name in different]
    try:
        same = isomorphic(mine.structure(), others.structure())
    except TooSymmetricError:
        raise PropertyError(
            f"the rows of {', '.join(mine.renamed)} cannot be compared up to a renaming of their keys: too many of "
            "them are alike but for their keys, and refer to each other. Compare them exactly, rename_keys=False, or "
            "leave these tables out of what the property is shown."
        ) from None
    return [] if same else [spelt[name] for name in mine.renamed]


@functools.lru_cache(maxsize=10_000)
def folded(name: str) -> str:
    """Return a name as SQLite compares it: without the case of the letters of ASCII, and of no others."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _folded_tables(committed: Committed) -> dict[str, Table]:
    return {folded(name): table for name, table in committed.tables.items()}


_Key = tuple[str, object]
"""A table, and the key of a row of it."""


class _Content:
    """The rows of one content, with their surrogate keys taken out.

    Attributes:
        labels: for each table how many rows have which values, but for surrogate keys.
        renamed: the tables some of whose rows have a surrogate key in them.
    """

    def __init__(self, tables: Mapping[str, Table], initial: Mapping[str, Table], rename_keys: bool) -> None:  # noqa: FBT001  # made in one place
        self._tables = tables
        old = {name: _keys(table) for name, table in initial.items()}
        self._new = {name: _keys(table) - old.get(name, frozenset()) for name, table in tables.items()}
        self._nodes: list[bytes] = []
        self._places: dict[_Key, int] = {}
        self._leads: list[tuple[int, str, _Key]] = []
        self.labels: dict[str, Counter[bytes]] = {}
        renamed = set()
        for name, table in tables.items():
            before = len(self._nodes)
            self.labels[name] = Counter(self._read(name, table, self._surrogates(name) if rename_keys else {}))
            if len(self._nodes) > before:
                renamed.add(name)
        self.renamed = sorted(renamed)

    def _read(self, name: str, table: Table, surrogates: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the label of each row; those with a surrogate key in them become nodes, with edges to what it is of."""
        columns = tuple(map(folded, table.columns))
        order = sorted(range(len(columns)), key=columns.__getitem__)
        heading = canonical((name, tuple([columns[place] for place in order])))
        links = [(place, surrogates[columns[place]]) for place in order if columns[place] in surrogates]
        own = None if table.key is None else table.columns.index(table.key)
        for row in table.values:
            renamed = [(place, target) for place, target in links if row[place] in self._new[target]]
            places = {place for place, _ in renamed}
            # The type of a key is not renamed; which columns are is noted, for no value looks like one that is.
            kept = [type(row[place]).__name__ if place in places else row[place] for place in order]
            label = heading + canonical((kept, [columns[place] for place, _ in renamed]))
            if renamed:
                if own is not None:
                    self._places[name, row[own]] = len(self._nodes)
                self._leads += [
                    (len(self._nodes), columns[place], (target, row[place]))
                    for place, target in renamed
                    if (place, target) != (own, name)
                ]
                self._nodes.append(label)
            yield label

    def _surrogates(self, name: str) -> dict[str, str]:
        """Return which columns of a table have surrogate keys, and of which tables."""
        table = self._tables[name]
        targets = {folded(column): self._lead(name, column, frozenset()) for column in table.columns}
        return {column: target for column, target in targets.items() if target is not None}

    def _lead(self, name: str, column: str | None, passed: frozenset[tuple[str, str]]) -> str | None:
        """Return the table whose surrogate keys a column has; None if it has none.

        A column that is a key and refers to another is of that other one: rows of both have the same key.

        Args:
            name: the table of the column.
            column: the column; None for the primary key.
            passed: the columns that were asked about on the way here.
        """
        name = folded(name)
        table = self._tables.get(name)
        if table is None:
            return None
        if column is None:
            column = table.primary_key[0] if len(table.primary_key) == 1 else None
        if column is None or (name, folded(column)) in passed:
            return None
        for link in table.references:
            if folded(link.column) == folded(column):
                onward = self._lead(link.table, link.target, passed | {(name, folded(column))})
                if onward is not None:
                    return onward
        return name if table.key is not None and folded(table.key) == folded(column) else None

    def structure(self) -> Structure:
        """Return the rows with surrogate keys in them, and which of them refers to which."""
        edges = [(source, column, self._places[target]) for source, column, target in self._leads]
        return Structure(tuple(self._nodes), edges)


def _keys(table: Table) -> frozenset[object]:
    if table.key is None:
        return frozenset()
    place = table.columns.index(table.key)
    return frozenset([row[place] for row in table.values])
