"""Views: what a property may look at."""

from __future__ import annotations

import itertools
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from treadle.values.canonical import canonical
from treadle.values.display import in_part, names, quoted
from treadle.values.errors import PropertyError
from treadle.values.outcome import Outcome, Raised, Returned

Row = Mapping[str, Any]
"""One row: column name to value, read-only."""


@frozen
class Reference:
    """A column of a foreign key.

    Attributes:
        column: the column that refers.
        table: the table that it refers to, as the foreign key spells it.
        target: the column there that it refers to, likewise; None for the primary key.
    """

    column: str
    table: str
    target: str | None = None


class Record:
    """One committed row, which all contents that have it share.

    Attributes:
        values: the values of its columns.
    """

    __slots__ = ("_row", "values")

    def __init__(self, values: tuple[Any, ...]) -> None:
        """Make a record of a row's values."""
        self.values = values
        self._row: Row | None = None

    def row(self, columns: tuple[str, ...]) -> Row:
        """Return the row as a read-only mapping.

        Args:
            columns: the names of the columns, always the same.
        """
        if self._row is None:
            self._row = MappingProxyType(dict(zip(columns, self.values, strict=True)))
        return self._row


class Records(tuple[tuple[Record, ...], ...]):
    """The rows of a table in stretches, each of which contents may share."""

    __slots__ = ()

    def values(self) -> tuple[tuple[Any, ...], ...]:
        """Return the values of all rows."""
        return tuple(record.values for stretch in self for record in stretch)


def _records(rows: Records | Iterable[tuple[Any, ...]]) -> Records:
    return rows if isinstance(rows, Records) else Records([tuple(map(Record, rows))])


@frozen
class Table:
    """The committed rows of one table, in the order of their primary keys.

    Attributes:
        columns: the names of its columns.
        values: its rows, each of values as SQLite gives them.
        key: the column that is its INTEGER PRIMARY KEY, for which SQLite chooses values; None if it has none.
        references: the columns of its foreign keys.
        primary_key: the columns of its primary key, whatever their types; empty if it has none.
    """

    columns: tuple[str, ...]
    _records: Records = field(alias="values", converter=_records, eq=Records.values, repr=False)
    key: str | None = None
    references: tuple[Reference, ...] = ()
    primary_key: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[tuple[Any, ...], ...]:
        """The rows, each as the values of its columns."""
        return self._records.values()

    def rows(self) -> tuple[Row, ...]:
        """Return the rows as read-only mappings."""
        columns = self.columns
        return tuple(record.row(columns) for stretch in self._records for record in stretch)

    def rows_beside(self, other: Table) -> tuple[Row, ...]:
        """Return the rows but for those in stretches that another content of this table shares."""
        return tuple([record.row(self.columns) for record in self._records_beside(other)])

    def _records_beside(self, other: Table) -> Iterator[Record]:
        shared = set(map(id, other._records))
        return (record for stretch in self._records if id(stretch) not in shared for record in stretch)

    def shares_all_with(self, other: Table) -> bool:
        """Tell whether both have the very same rows, without a look at them; False if that cannot be told so."""
        mine, theirs = self._records, other._records
        return self.columns == other.columns and len(mine) == len(theirs) and all(map(operator.is_, mine, theirs))

    def rows_without(self, other: Table) -> tuple[Row, ...]:
        """Return the rows that are left when each row of another content is taken away once.

        Rows are equal if they have equal values of equal types in the same columns, in any order of columns.
        """
        if self.columns == other.columns:
            mine, theirs = self._records_beside(other), (record.values for record in other._records_beside(self))
        elif set(self.columns) == set(other.columns):
            places = [other.columns.index(column) for column in self.columns]
            mine = itertools.chain.from_iterable(self._records)
            theirs = (tuple([values[place] for place in places]) for values in other.values)
        else:
            return self.rows()
        taken = Counter(map(canonical, theirs))
        left = []
        for record in mine:
            form = canonical(record.values)
            if taken[form]:
                taken[form] -= 1
            else:
                left.append(record.row(self.columns))
        return tuple(left)


class WatchedOutcomes(Mapping[str, Outcome]):
    """Outcomes that tell whether they were looked at.

    Attributes:
        looked: they were.
    """

    def __init__(self, outcomes: dict[str, Outcome]) -> None:
        """Watch outcomes."""
        self._outcomes = outcomes
        self.looked = False

    def __getitem__(self, name: str) -> Outcome:
        self.looked = True
        return self._outcomes[name]

    def __iter__(self) -> Iterator[str]:
        self.looked = True
        return iter(self._outcomes)

    def __len__(self) -> int:
        self.looked = True
        return len(self._outcomes)

    def __repr__(self) -> str:
        self.looked = True
        return in_part(self._outcomes)[0]


def _read_only(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a mapping that nobody can change, not even who made it."""
    if isinstance(values, WatchedOutcomes):
        return values
    return MappingProxyType(dict(values))


@frozen
class Committed:
    """The committed content of a database: what another connection would read."""

    tables: Mapping[str, Table] = field(converter=_read_only)
    _rows: dict[str, tuple[Row, ...]] = field(factory=dict, init=False, eq=False, repr=False)
    _by_key: dict[str, dict[bytes, Row]] = field(factory=dict, init=False, eq=False, repr=False)
    _not_in: dict[str, tuple[Committed, tuple[Row, ...]]] = field(factory=dict, init=False, eq=False, repr=False)

    def table(self, name: str) -> Table:
        """Return a table.

        Raises:
            PropertyError: the database has no such table.
        """
        if name not in self.tables:
            raise PropertyError(
                f"{quoted(name)} is no table of this database: its tables are {names(sorted(self.tables))}. "
                "Correct the name in the property."
            )
        return self.tables[name]

    def rows(self, table: str) -> tuple[Row, ...]:
        """Return the committed rows of a table.

        Raises:
            PropertyError: the database has no such table.
        """
        if table not in self._rows:
            self._rows[table] = self.table(table).rows()
        return self._rows[table]

    def rows_not_in(self, other: Committed, table: str) -> tuple[Row, ...]:
        """Return the committed rows of a table that are left when each of another content is taken away once.

        Raises:
            PropertyError: one of them has no such table.
        """
        asked, rows = self._not_in.get(table, (None, ()))
        if asked is not other:
            rows = self.table(table).rows_without(other.table(table))
            self._not_in[table] = other, rows
        return rows

    def by_key(self, table: str) -> dict[bytes, Row]:
        """Return the committed rows of a table by the canonical forms of their primary keys.

        Raises:
            PropertyError: the database has no such table, or the table has no primary key.
        """
        if table not in self._by_key:
            key = self.table(table).primary_key
            if not key:
                raise PropertyError(
                    f"table {quoted(table)} has no primary key, so that nobody can tell whether a row of it is new or "
                    "was changed. Ask for new_rows and lost_rows, which compare whole rows."
                )
            found = self._by_key[table] = {}
            for number, row in enumerate(self.rows(table)):
                values = [row[column] for column in key]
                # SQLite lets NULL be in many keys of one table: such a row is itself as a whole only.
                found[canonical([*row.values(), number] if None in values else values)] = row
        return self._by_key[table]


@frozen
class SerialEnd:
    """How some clients end that run one after another from the initial state, without faults.

    Attributes:
        outcomes: how each ended, by name, in the order in which they ran.
        committed: the rows that are there in the end.
    """

    outcomes: Mapping[str, Outcome] = field(converter=_read_only)
    committed: Committed


def _no_serial(order: tuple[str, ...]) -> SerialEnd:
    """Refuse: only the checker can run clients."""
    raise PropertyError(f"{quoted(order)} cannot be run from this view: it was built by hand, without a checker.")


def _no_sequel(client: Callable[[], object]) -> Outcome:
    """Refuse: only the checker can run a client."""
    raise PropertyError(f"{quoted(client)} cannot be run from this view: it was built by hand, without a checker.")


@frozen
class View:
    """A committed state of an execution, as a property sees it.

    Nothing that it gives can change what is known: rows are read-only, and what clients returned is given as a copy.
    Text in the database that is no UTF-8 has each byte that does not fit as a lone surrogate (``surrogateescape``).

    It may be kept, and read later. Clients run from it (``then`` and ``serially``) only while its check lasts.

    Attributes:
        committed: the rows that another connection would read now.
        initial: the rows that were there before any client started.
        outcomes: how each client that has finished ended, by name.
    """

    committed: Committed
    initial: Committed
    outcomes: Mapping[str, Outcome] = field(factory=dict, converter=_read_only)
    _sequel: Callable[[Callable[[], object]], Outcome] = field(default=_no_sequel, eq=False, repr=False)
    _serial: Callable[[tuple[str, ...]], SerialEnd] = field(default=_no_serial, eq=False, repr=False)

    def rows(self, table: str) -> tuple[Row, ...]:
        """Return the committed rows of a table.

        Raises:
            PropertyError: the database has no such table.
        """
        return self.committed.rows(table)

    def added_rows(self, table: str) -> tuple[Row, ...]:
        """Return the committed rows of a table whose primary keys were not there before any client started.

        A row that was changed is not among them; see ``changed_rows``.

        Raises:
            PropertyError: the database has no such table, or the table has no primary key.
        """
        before = self.initial.by_key(table)
        return tuple([row for key, row in self.committed.by_key(table).items() if key not in before])

    def removed_rows(self, table: str) -> tuple[Row, ...]:
        """Return the rows that were there before any client started, and whose primary keys are not there now.

        Raises:
            PropertyError: the database has no such table, or the table has no primary key.
        """
        now = self.committed.by_key(table)
        return tuple([row for key, row in self.initial.by_key(table).items() if key not in now])

    def changed_rows(self, table: str) -> tuple[tuple[Row, Row], ...]:
        """Return the rows that were there before any client started and are others now, by their primary keys.

        Returns:
            For each the row as it was, and as it is.

        Raises:
            PropertyError: the database has no such table, or the table has no primary key.
        """
        now, before = self.committed.by_key(table), self.initial.by_key(table)
        lost = {id(row) for row in self.lost_rows(table)}
        return tuple([(row, now[key]) for key, row in before.items() if key in now and id(row) in lost])

    def new_rows(self, table: str) -> tuple[Row, ...]:
        """Return the committed rows of a table that were not there, in this form, before any client started.

        A row that was **changed** is among them, with its new values; for rows that are new themselves, see
        ``added_rows``. Whole rows are compared, with the types of their values (``10`` and ``10.0`` differ), and
        counted: if there are two equal rows where there was one, one is new.

        Raises:
            PropertyError: the database has, or had, no such table.
        """
        return self.committed.rows_not_in(self.initial, table)

    def lost_rows(self, table: str) -> tuple[Row, ...]:
        """Return the rows that were there before any client started and are not there, in this form, now.

        A row that was **changed** is among them, with its old values; for rows that are gone, see
        ``removed_rows``. Rows are compared and counted as for ``new_rows``.

        Raises:
            PropertyError: the database has, or had, no such table.
        """
        return self.initial.rows_not_in(self.committed, table)

    def returned(self) -> Mapping[str, Any]:
        """Return the values of the clients that returned, by name: copies, where they can be changed."""
        return {name: end.value for name, end in self.outcomes.items() if isinstance(end, Returned)}

    def raised(self) -> Mapping[str, Exception]:
        """Return the exceptions of the clients that raised, by name."""
        return {name: end.exception for name, end in self.outcomes.items() if isinstance(end, Raised)}

    def then(self, client: Callable[[], object]) -> Outcome:
        """Run one more client alone from this state, and return how it ended.

        The state that the client leaves is discarded. The client runs without faults.

        Raises:
            PropertyError: the check is over.
        """
        return self._sequel(client)

    def serially(self, *order: str) -> SerialEnd:
        """Run some of the scenario's clients one after another from the initial state, without faults.

        Args:
            *order: the names of the clients, in the order in which they run.

        Raises:
            PropertyError: the check is over.
        """
        return self._serial(order)
