from __future__ import annotations

from treadle.report.extra import Extra, changed, fetched, parameters
from treadle.values.observation import Observation
from treadle.values.operation import Kind, Operation


class TestExtra:
    def test_cuts_values_before_it_leaves_any_out(self) -> None:
        """As long as all values can be shown in part, all are shown."""
        extra = Extra(rows=(("abcdefghijklmnopqrstuvwxyz", 1),))
        assert extra.fit(40) == "('abcdefghijklmnopqrstuvwxyz', 1)"
        assert extra.fit(24) == "('abcdefghijklm…', 1)"

    def test_leaves_values_out_at_last(self) -> None:
        """Where not even parts fit, whole values are left out at the end."""
        extra = Extra(rows=((10, 20, 30, 40, 50),))
        assert extra.fit(12) == "(10, 20, …)"

    def test_shows_everything_when_asked(self) -> None:
        """Without a limit nothing is cut."""
        assert Extra("→ ", (("x" * 50,),)).render() == f"→ ('{'x' * 50}')"


class TestParameters:
    def test_of_one_set(self) -> None:
        """An execute has one set."""
        found = parameters(Operation(Kind.EXECUTE, 0, 0, "INSERT", (1, "a")))
        assert found is not None
        assert found.render() == "(1, 'a')"

    def test_of_several_sets(self) -> None:
        """Of an executemany, the first set stands for the others."""
        found = parameters(Operation(Kind.EXECUTEMANY, 0, 0, "INSERT", ((1,), (2,), (3,))))
        assert found is not None
        assert found.render() == "(1) and 2 more"

    def test_of_several_sets_in_full(self) -> None:
        """All sets are shown when asked for."""
        found = parameters(Operation(Kind.EXECUTEMANY, 0, 0, "INSERT", ((1,), (2,))), verbose=True)
        assert found is not None
        assert found.render() == "(1), (2)"

    def test_only_of_statements(self) -> None:
        """The size of a fetch is no parameter."""
        assert parameters(Operation(Kind.FETCHMANY, 0, 0, arguments=(100,))) is None
        assert parameters(Operation(Kind.EXECUTE, 0, 0, "SELECT 1")) is None


class TestFetched:
    def test_says_how_many_rows(self) -> None:
        """The first rows stand for the others."""
        assert fetched([]).render() == "→ no row"
        assert fetched([(1,)]).render() == "→ 1 row: (1)"
        assert fetched([(n,) for n in range(5)]).render() == "→ 5 rows: (0), (1), (2) and 2 more"


class TestChanged:
    def test_is_silent_about_the_usual(self) -> None:
        """One row is what a statement usually changes; none or many may be the point."""
        texts = [changed(Observation(rowcount=count)) for count in (-1, 1, 0, 2)]
        assert [text and text.render() for text in texts] == [
            None,
            None,
            "→ 0 rows changed",
            "→ 2 rows changed",
        ]
