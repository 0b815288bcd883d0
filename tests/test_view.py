"""Views: which rows are new, lost, added, removed and changed; and that nobody can change them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treadle import Committed, PropertyError, Returned, View
from treadle.values.view import Record, Records, Row, Table

pytestmark = pytest.mark.usefixtures("few_challenges")

CELLS = st.sampled_from([None, 0, 0.0, False, 1, 1.0, True, 2.5, "", "1", b"", b"1"])
COLUMNS = st.sampled_from([("a", "b"), ("b", "a"), ("a", "c")])


def tables() -> st.SearchStrategy[Table]:
    """Return tables with few distinct rows."""
    return st.builds(Table, COLUMNS, st.lists(st.tuples(CELLS, CELLS), max_size=6).map(tuple))


def view(now: Table, before: Table) -> View:
    """Return a view of one table."""
    return View(Committed({"item": now}), Committed({"item": before}))


def without(rows: tuple[Row, ...], others: tuple[Row, ...]) -> list[Row]:
    """Return the rows that are left when each of others is taken away once."""
    taken = [sorted((column, type(value), value) for column, value in row.items()) for row in others]
    left = []
    for row in rows:
        form = sorted((column, type(value), value) for column, value in row.items())
        if form in taken:
            taken.remove(form)
        else:
            left.append(row)
    return left


@given(now=tables(), before=tables())
def test_new_and_lost_rows_are_what_is_left_when_equal_rows_are_taken_away(now: Table, before: Table) -> None:
    """Values are equal if their types are, too; the order of columns is no matter, and how many rows there are is."""
    assert without(now.rows(), before.rows()) == list(view(now, before).new_rows("item"))
    assert without(before.rows(), now.rows()) == list(view(now, before).lost_rows("item"))


def test_new_rows_are_found_among_many() -> None:
    """Comparing each row with each other would take minutes."""
    many = Table(("id",), tuple((number,) for number in range(50_000)))
    more = Table(("id",), (*many.values, (-1,)))
    assert [{"id": -1}] == [dict(row) for row in view(more, many).new_rows("item")]
    assert () == view(more, many).lost_rows("item")


def test_a_second_equal_row_is_new_and_so_is_a_number_of_another_type() -> None:
    """In a table without a key rows are counted."""
    one, two = Table(("n",), ((10,),)), Table(("n",), ((10,), (10,)))
    assert [{"n": 10}] == [dict(row) for row in view(two, one).new_rows("item")]
    assert [{"n": 10}] == [dict(row) for row in view(one, two).lost_rows("item")]
    real = view(Table(("n",), ((10.0,),)), one)
    assert ([(float, 10.0)], [(int, 10)]) == (
        [(type(row["n"]), row["n"]) for row in real.new_rows("item")],
        [(type(row["n"]), row["n"]) for row in real.lost_rows("item")],
    )


def test_rows_that_stretches_share_are_not_new() -> None:
    """Contents share what they have in common; equal rows elsewhere are compared all the same."""
    shared = tuple(map(Record, [(1,), (1,)]))
    before = Table(("n",), Records([shared, tuple(map(Record, [(2,)]))]))
    now = Table(("n",), Records([shared, tuple(map(Record, [(1,), (2,)]))]))
    assert [{"n": 1}] == [dict(row) for row in view(now, before).new_rows("item")]
    assert () == view(now, before).lost_rows("item")


@pytest.mark.parametrize("key", [("id",), ("id", "kind")])
def test_added_removed_and_changed_rows_are_told_by_the_primary_key(key: tuple[str, ...]) -> None:
    """A changed row is new and lost in its forms, but neither added nor removed."""
    columns = ("id", "kind", "n")
    before = Table(columns, ((1, "a", 1), (2, "a", 1), (3, "a", 1)), primary_key=key)
    now = Table(columns, ((1, "a", 1), (2, "a", 1.0), (4, "a", 1)), primary_key=key)
    seen = view(now, before)
    assert [4] == [row["id"] for row in seen.added_rows("item")]
    assert [3] == [row["id"] for row in seen.removed_rows("item")]
    assert [(1, 1.0)] == [(was["n"], row["n"]) for was, row in seen.changed_rows("item")]
    assert [2, 4] == [row["id"] for row in seen.new_rows("item")]
    assert [2, 3] == [row["id"] for row in seen.lost_rows("item")]


def test_rows_whose_keys_are_null_are_all_there() -> None:
    """SQLite lets there be many of them."""
    before = Table(("id",), ((None,),), primary_key=("id",))
    now = Table(("id",), ((None,), (None,)), primary_key=("id",))
    assert 1 == len(view(now, before).added_rows("item"))
    assert () == view(now, before).removed_rows("item")


@pytest.mark.parametrize("find", [View.added_rows, View.removed_rows, View.changed_rows])
def test_rows_of_a_table_without_primary_key_are_not_told_to_be_the_same(find: object) -> None:
    """Nobody can know that a row was changed there."""
    table = Table(("id",), ())
    assert callable(find)
    with pytest.raises(PropertyError, match="table 'item' has no primary key"):
        find(view(table, table), "item")


def test_a_view_cannot_be_changed() -> None:
    """Neither its rows, nor its tables, nor who ended how, nor what they returned."""
    table = Table(("id",), ((1,),))
    seen = View(Committed({"item": table}), Committed({"item": table}), {"A": Returned([2, 1])})
    for mapping in (seen.outcomes, seen.committed.tables, seen.rows("item")[0]):
        with pytest.raises(TypeError):
            mapping["A"] = None  # type: ignore[index]  # which is what is refused
    seen.returned()["A"].sort()
    seen.outcomes["A"].value.append(3)  # type: ignore[union-attr]  # it has returned
    assert {"A": [2, 1]} == seen.returned()


@pytest.mark.parametrize("find", [View.new_rows, View.lost_rows, View.rows, View.added_rows])
def test_a_table_that_is_not_there_is_refused(find: object) -> None:
    """By its name, and with those that are."""
    table = Table(("id",), ())
    assert callable(find)
    with pytest.raises(PropertyError, match="'items' is no table of this database: its tables are item"):
        find(view(table, table), "items")
