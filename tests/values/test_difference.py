"""The one value that differs, marked, and what it looks like."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from treadle.values.difference import Difference, difference_of
from treadle.values.errors import NondeterminismError
from treadle.values.operation import Kind, Operation
from treadle.values.origin import ADDRESS, COUNTER, RANDOM, SET_ORDER, TIME, UUID, Source, source_of
from treadle.values.outcome import Raised, Returned

_INSERT = "INSERT INTO item (id, name, stamp) VALUES (?, ?, ?)"


def _executed(sql: str, *arguments: Any) -> Operation:
    return Operation(Kind.EXECUTE, 0, 0, sql, arguments)


def _between(one: Any, other: Any) -> Difference:
    found = difference_of(one, other)
    assert found is not None
    return found


def test_one_parameter_of_many_is_named_by_its_column() -> None:
    """What is the same is not shown, and of the value that differs a mark says where."""
    found = _between(_executed(_INSERT, 1, "pen", "day-17-late"), _executed(_INSERT, 1, "pen", "day-18-late"))
    assert "parameter 3 (stamp) of " in found.place
    assert ("'day-1«7»-late'", "'day-1«8»-late'", 0) == (found.expected, found.got, found.others)
    assert COUNTER is found.source


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("UPDATE item SET name = ?, stamp=? WHERE id = ?", "parameter 2 (stamp)"),
        ("SELECT * FROM item WHERE item.name LIKE ? AND item.stamp >= ? AND id = ?", "parameter 2 (item.stamp)"),
        ("SELECT ?, ?, ?", "parameter 2"),
    ],
)
def test_a_parameter_is_named_where_the_statement_says_what_it_is(sql: str, place: str) -> None:
    """By what it is compared with or assigned to."""
    found = _between(_executed(sql, "a", "x1", 2), _executed(sql, "a", "x2", 2))
    assert found.place.startswith(f"{place} of ")


def test_rows_and_names_are_counted() -> None:
    """The row of an executemany, the key of a mapping, and how many more differ."""
    many = [Operation(Kind.EXECUTEMANY, 0, 0, _INSERT, ((1, "a", 5), (2, "b", at), (3, "c", at))) for at in (6, 7)]
    found = _between(*many)
    assert found.place.startswith("parameter 3, row 2 of ")
    assert 1 == found.others
    named = _between(*[Operation(Kind.EXECUTE, 0, 0, "SELECT :at", {"at": at}) for at in (6, 7)])
    assert named.place.startswith("parameter 'at' of ")


def test_a_text_of_a_statement_that_differs_in_a_word() -> None:
    """Another statement altogether is no such difference."""
    found = _between(_executed("SAVEPOINT point_17_of_them"), _executed("SAVEPOINT point_18_of_them"))
    assert ("SAVEPOINT point_1«7»_of_them", COUNTER) == (found.expected, found.source)
    assert difference_of(_executed("SELECT 1 FROM item"), _executed("DELETE FROM note")) is None
    assert difference_of(_executed("SELECT 1"), Returned(1)) is None


def test_what_clients_return_and_raise() -> None:
    """An outcome may differ as parameters do."""
    assert "what it returns" == _between(Returned({"id": 1}), Returned({"id": 2})).place
    assert "the text of its ValueError" == _between(Raised(ValueError("no 1")), Raised(ValueError("no 2"))).place
    assert difference_of(Raised(ValueError("no 1")), Raised(TypeError("no 1"))) is None


@pytest.mark.parametrize(
    ("one", "other", "source"),
    [
        (139719960875536, 139719960875856, ADDRESS),
        ("<Thing object at 0x7f12a0>", "<Thing object at 0x7f12f0>", ADDRESS),
        ("key-0x7f00deadbeef", "key-0x7f00deadbee0", ADDRESS),
        (8771217663949, 8771217663937, ADDRESS),
        ("0193e0a4-7c1b-7000-8000-00000000000a", "0193e0a4-7c1b-7000-8000-00000000000b", UUID),
        ("2026-01-01 00:00:00.1", "2026-01-01 00:00:00.2", TIME),
        (1767225600.25, 1767225601.5, TIME),
        (1767225600123456789, 1767225600123456999, TIME),
        (["b", "a"], ["a", "b"], SET_ORDER),
        ("{'b', 'a'}", "{'a', 'b'}", SET_ORDER),
        (3, 4, COUNTER),
        ("worker-3", "worker-4", COUNTER),
        ("f6f774b5", "14f3aa8e", RANDOM),
        (b"\xf6\xf7\x74\xb5", b"\x14\xf3\xaa\x8e", RANDOM),
        (0.125, 0.75, RANDOM),
        ("yes", "no", None),
        (None, 1, None),
    ],
)
def test_a_value_gives_its_source_away(one: Any, other: Any, source: Source | None) -> None:
    """As far as it looks like something that is known."""
    assert source_of(one, other) is source


def test_the_error_shows_the_value_and_travels() -> None:
    """And not the rest of a row of twenty columns."""
    columns = [f"column_{place}" for place in range(20)]
    sql = f"INSERT INTO item ({', '.join(columns)}) VALUES ({', '.join('?' * 20)})"
    rows = [tuple(f"value {place}" if place != 13 else f"at {at}" for place in range(20)) for at in (2**44, 2**44 + 64)]
    one, other = (_executed(sql, *row) for row in rows)
    error = NondeterminismError("Ann", 4, one.described(), other.described(), difference_of(one, other))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # made here
    assert (error.difference, str(error)) == (again.difference, str(again))
    assert "column_13" in str(error)
    assert "value 12" not in str(error)
    assert "value 12" in error.expected
