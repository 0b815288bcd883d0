"""Transactions: each function is one, and returns what it read.

Every result is read to its end at once, so no cursor is left open.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, update

from model.anomalies.table import Test

IS_20: ColumnElement[bool] = Test.value == 20  # noqa: PLR2004  # Hermitage's own numbers
IS_30: ColumnElement[bool] = Test.value == 30  # noqa: PLR2004
IS_MULTIPLE_OF_3: ColumnElement[bool] = Test.value % 3 == 0

Row = tuple[int, int]
"""The id and the value of a row."""


def _read(connection: Connection, row_id: int) -> int:
    return connection.scalars(select(Test.value).where(Test.id == row_id)).one()


def _read_all(connection: Connection, *conditions: ColumnElement[bool]) -> list[Row]:
    statement = select(Test.id, Test.value).where(*conditions).order_by(Test.id)
    return [(row.id, row.value) for row in connection.execute(statement)]


def _write(connection: Connection, row_id: int, value: int) -> None:
    connection.execute(update(Test).where(Test.id == row_id).values(value=value))


def write_both(engine: Engine, first: int, second: int) -> None:
    """Write row 1, then row 2."""
    with engine.begin() as connection:
        _write(connection, 1, first)
        _write(connection, 2, second)


def write_and_roll_back(engine: Engine, value: int) -> None:
    """Write row 1, and take it back."""
    with engine.connect() as connection:
        _write(connection, 1, value)
        connection.rollback()


def write_twice(engine: Engine, first: int, second: int) -> None:
    """Write row 1, and write it again."""
    with engine.begin() as connection:
        _write(connection, 1, first)
        _write(connection, 1, second)


def write_one_read_other(engine: Engine, write: int, value: int, read: int) -> int:
    """Write one row, then read another."""
    with engine.begin() as connection:
        _write(connection, write, value)
        return _read(connection, read)


def read_all_twice(engine: Engine) -> tuple[list[Row], list[Row]]:
    """Read the table two times."""
    with engine.begin() as connection:
        return _read_all(connection), _read_all(connection)


def read_to_and_fro(engine: Engine) -> list[Row]:
    """Read row 1, row 2, row 2 and row 1."""
    with engine.begin() as connection:
        return [(row_id, _read(connection, row_id)) for row_id in (1, 2, 2, 1)]


def read_one_then_other(engine: Engine) -> tuple[int, int]:
    """Read row 1, then row 2."""
    with engine.begin() as connection:
        return _read(connection, 1), _read(connection, 2)


def read_one_then_delete_twenties(engine: Engine) -> tuple[int, int]:
    """Read row 1, then delete rows whose value is 20. Return what was read, and how many were deleted."""
    with engine.begin() as connection:
        value = _read(connection, 1)
        return value, connection.execute(delete(Test).where(IS_20)).rowcount


def read_then_write(engine: Engine, value: int) -> int:
    """Read row 1, then write it."""
    with engine.begin() as connection:
        before = _read(connection, 1)
        _write(connection, 1, value)
        return before


def read_both_then_write(engine: Engine, write: int, value: int) -> tuple[int, int]:
    """Read both rows, then write one of them."""
    with engine.begin() as connection:
        before = _read(connection, 1), _read(connection, 2)
        _write(connection, write, value)
        return before


def insert_row(engine: Engine, row_id: int, value: int) -> None:
    """Insert a row."""
    with engine.begin() as connection:
        connection.execute(insert(Test).values(id=row_id, value=value))


def add_ten(engine: Engine) -> None:
    """Add 10 to each value."""
    with engine.begin() as connection:
        connection.execute(update(Test).values(value=Test.value + 10))


def find_thirties_then_multiples_of_three(engine: Engine) -> tuple[list[Row], list[Row]]:
    """Look for a value of 30, then for any multiple of 3."""
    with engine.begin() as connection:
        return _read_all(connection, IS_30), _read_all(connection, IS_MULTIPLE_OF_3)


def find_then_delete_twenties(engine: Engine) -> tuple[list[int], list[int]]:
    """Look for values of 20, then delete them. Return the ids of both."""
    with engine.begin() as connection:
        found = [row_id for row_id, _ in _read_all(connection, IS_20)]
        deleted = connection.scalars(delete(Test).where(IS_20).returning(Test.id)).all()
        return found, sorted(deleted)


def find_multiples_of_three_then_insert(engine: Engine, row_id: int, value: int) -> list[Row]:
    """Look for multiples of 3, then insert a row."""
    with engine.begin() as connection:
        found = _read_all(connection, IS_MULTIPLE_OF_3)
        connection.execute(insert(Test).values(id=row_id, value=value))
        return found
