"""Views: what a property may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from treadle.values.errors import PropertyError
from treadle.values.outcome import Outcome, Raised, Returned

Row = Mapping[str, Any]
"""One row: column name to value, read-only."""


@frozen
class Reference:
    """A foreign key of one column.

    Attributes:
        column: the column that refers.
        table: the table that it refers to.
    """

    column: str
    table: str


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
        references: its foreign keys to such columns.
    """

    columns: tuple[str, ...]
    _records: Records = field(alias="values", converter=_records, eq=Records.values, repr=False)
    key: str | None = None
    references: tuple[Reference, ...] = ()

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
        shared = set(map(id, other._records))
        columns = self.columns
        return tuple(
            record.row(columns) for stretch in self._records if id(stretch) not in shared for record in stretch
        )


@frozen
class Committed:
    """The committed content of a database: what another connection would read."""

    tables: Mapping[str, Table]
    _rows: dict[str, tuple[Row, ...]] = field(factory=dict, init=False, eq=False, repr=False)
    _not_in: dict[str, tuple[Committed, tuple[Row, ...]]] = field(factory=dict, init=False, eq=False, repr=False)

    def table(self, name: str) -> Table:
        """Return a table.

        Raises:
            PropertyError: the database has no such table.
        """
        if name not in self.tables:
            raise PropertyError(
                f"{name!r} is no table of this database: its tables are {', '.join(sorted(self.tables))}. "
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
        """Return the committed rows of a table that are not in another content, in linear time.

        Raises:
            PropertyError: one of them has no such table.
        """
        asked, rows = self._not_in.get(table, (None, ()))
        if asked is not other:
            theirs, ours = other.table(table), self.table(table)
            known = _values_by(ours.columns, theirs)
            rows = tuple(row for row, values in zip(self.rows(table), ours.values, strict=True) if values not in known)
            self._not_in[table] = other, rows
        return rows


def _values_by(columns: tuple[str, ...], table: Table) -> set[tuple[Any, ...]]:
    """Return a table's rows with its columns in this order; none if it has others: such rows differ from all."""
    if table.columns == columns:
        return set(table.values)
    if set(table.columns) != set(columns):
        return set()
    places = [table.columns.index(column) for column in columns]
    return {tuple(values[place] for place in places) for values in table.values}


@frozen
class SerialEnd:
    """How some clients end that run one after another from the initial state, without faults.

    Attributes:
        outcomes: how each ended, by name, in the order in which they ran.
        committed: the rows that are there in the end.
    """

    outcomes: Mapping[str, Outcome]
    committed: Committed


def _no_serial(order: tuple[str, ...]) -> SerialEnd:
    """Refuse: only the checker can run clients."""
    raise PropertyError(f"{order!r} cannot be run from this view: it was built by hand, without a checker.")


def _no_sequel(client: Callable[[], object]) -> Outcome:
    """Refuse: only the checker can run a client."""
    raise PropertyError(f"{client!r} cannot be run from this view: it was built by hand, without a checker.")


@frozen
class View:
    """A committed state of an execution, as a property sees it.

    It may be kept, and read later. Clients run from it (``then`` and ``serially``) only while its check lasts.

    Attributes:
        committed: the rows that another connection would read now.
        initial: the rows that were there before any client started.
        outcomes: how each client that has finished ended, by name.
    """

    committed: Committed
    initial: Committed
    outcomes: Mapping[str, Outcome] = field(factory=dict)
    _sequel: Callable[[Callable[[], object]], Outcome] = field(default=_no_sequel, eq=False, repr=False)
    _serial: Callable[[tuple[str, ...]], SerialEnd] = field(default=_no_serial, eq=False, repr=False)

    def rows(self, table: str) -> tuple[Row, ...]:
        """Return the committed rows of a table.

        Raises:
            PropertyError: the database has no such table.
        """
        return self.committed.rows(table)

    def new_rows(self, table: str) -> tuple[Row, ...]:
        """Return the committed rows of a table that were not there, in this form, before any client started."""
        return self.committed.rows_not_in(self.initial, table)

    def lost_rows(self, table: str) -> tuple[Row, ...]:
        """Return the rows that were there before any client started and are not there, in this form, now."""
        return self.initial.rows_not_in(self.committed, table)

    def returned(self) -> Mapping[str, Any]:
        """Return the values of the clients that returned, by name."""
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
