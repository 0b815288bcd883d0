"""Views: which rows are new, and which are lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle import Committed, PropertyError, View
from treadle.values.view import Row, Table

CELLS = st.sampled_from([None, 0, 0.0, False, 1, 1.0, True, 2.5, "", "1", b"", b"1"])
COLUMNS = st.sampled_from([("a", "b"), ("b", "a"), ("a", "c")])


def tables() -> st.SearchStrategy[Table]:
    """Return tables with few distinct rows."""
    return st.builds(Table, COLUMNS, st.lists(st.tuples(CELLS, CELLS), max_size=6).map(tuple))


def view(now: Table, before: Table) -> View:
    """Return a view of one table."""
    return View(Committed({"item": now}), Committed({"item": before}))


def without(rows: tuple[Row, ...], others: tuple[Row, ...]) -> list[Row]:
    """Return the rows that are not among others, one by one."""
    return [row for row in rows if row not in others]


@given(now=tables(), before=tables())
def test_new_and_lost_rows_are_those_that_equal_no_other(now: Table, before: Table) -> None:
    """Values are equal as in Python, and the order of columns does not matter."""
    assert without(now.rows(), before.rows()) == list(view(now, before).new_rows("item"))
    assert without(before.rows(), now.rows()) == list(view(now, before).lost_rows("item"))


def test_new_rows_are_found_among_many() -> None:
    """Comparing each row with each other would take minutes."""
    many = Table(("id",), tuple((number,) for number in range(50_000)))
    more = Table(("id",), (*many.values, (-1,)))
    assert [{"id": -1}] == [dict(row) for row in view(more, many).new_rows("item")]
    assert () == view(more, many).lost_rows("item")


@pytest.mark.parametrize("find", [View.new_rows, View.lost_rows, View.rows])
def test_a_table_that_is_not_there_is_refused(find: object) -> None:
    """By its name, and with those that are."""
    table = Table(("id",), ())
    assert callable(find)
    with pytest.raises(PropertyError, match="'items' is no table of this database: its tables are item"):
        find(view(table, table), "items")
