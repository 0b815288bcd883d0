"""How cost grows: polynomials are found where there are some, and there is none where there cannot be one."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from benchmarks.cases import BROKEN, backfill
from benchmarks.growth import Growth, polynomial, spoken
from benchmarks.measure import final_contents
from treadle import check


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([22, 22, 22], "22"),
        ([0, 0, 0], "0"),
        ([30, 51, 72, 93], "21n + 9"),
        ([-1, -2, -3, -4], "-n"),
        ([n**3 - 2 * n for n in range(1, 7)], "n³ - 2n"),
        ([n * (n + 1) // 2 for n in range(1, 6)], "1/2n² + 1/2n"),
        ([n**4 for n in range(1, 8)], "n^4"),
    ],
)
def test_a_polynomial_is_found(values: list[int], words: str) -> None:
    """From its differences."""
    found = polynomial(range(1, len(values) + 1), values)
    assert found is not None
    assert words == spoken(found)


def test_a_polynomial_is_found_at_other_sizes() -> None:
    """Sizes need not start at one, nor follow each other."""
    assert (Fraction(5), Fraction(), Fraction(3)) == polynomial(
        (2, 4, 6, 8, 10), [3 * n**2 + 5 for n in (2, 4, 6, 8, 10)]
    )


@pytest.mark.parametrize("values", [[2**n for n in range(1, 9)], [1, 2], [1, 2, 4], [1, 2, 3, 5]])
def test_no_polynomial_is_found(values: list[int]) -> None:
    """Some polynomial leads through any points; without two more that confirm it, it says nothing."""
    assert polynomial(range(1, len(values) + 1), values) is None


def test_growth_is_collected_by_name() -> None:
    """In the order of the sizes."""
    row = {"seconds": 2.0, "plain_run_s": 1.0, "contents": 1}
    rows = {"E/x/10": {**row, "states": 4}, "E/x/5": {**row, "states": 2, "seconds": 1.0}, "E/y/5": {}}

    growth = Growth.of("E/x", rows)

    assert (5, 10) == growth.sizes
    assert (2, 4) == growth.states
    assert (2.0,) == growth.factors
    assert 1.0 == growth.steepening
    assert 1.0 == pytest.approx(growth.power)


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_no_search_of_the_shipped_algorithm_is_polynomial(runs: int) -> None:
    """Each order in which the dates of two requests can be committed ends with different contents.

    Two sequences of n commits can be merged in C(2n, n) ways. The backfill that is created first may be the one
    that goes first at the first date or the other one: twice that. And a request may be refused before its first
    date, because the other one is already there: one more.
    """
    result = check(backfill(BROKEN, requests=2, runs=runs, locked=0))

    assert 2 * math.comb(2 * runs, runs) + 1 == final_contents(result)
    assert final_contents(result) < result.stats.states
