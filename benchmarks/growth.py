"""How cost grows with size: what a series of cases has in common.

A series of whole numbers at equal distances is a polynomial of degree d in its place if its (d + 1)-th differences
are all zero, and Newton's forward formula then gives the polynomial. That is exact: no fit decides about a degree.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from attrs import frozen

FLAT = 1.5
"""Up to this factor between smallest and largest size, time for each state counts as flat."""

LINEAR = 1.1
"""Up to this power of the size, time counts as linear."""


@frozen
class Growth:
    """The same case in several sizes.

    Attributes:
        name: what the names of the cases start with.
        sizes: in ascending order.
        states: for each size.
        seconds: for each size.
        plain_run_s: for each size.
        contents: for each size, with how many different database contents executions end.
    """

    name: str
    sizes: tuple[int, ...]
    states: tuple[int, ...]
    seconds: tuple[float, ...]
    plain_run_s: tuple[float, ...]
    contents: tuple[int, ...]

    @classmethod
    def of(cls, name: str, figures: Mapping[str, Mapping[str, Any]]) -> Growth:
        """Collect the cases ``NAME/SIZE``."""
        rows = sorted(
            (int(case.rpartition("/")[2]), row) for case, row in figures.items() if case.rpartition("/")[0] == name
        )
        columns = ("states", "seconds", "plain_run_s", "contents")
        return cls(name, tuple(size for size, _ in rows), *(tuple(row[key] for _, row in rows) for key in columns))

    @property
    def polynomial(self) -> tuple[Fraction, ...] | None:
        """The coefficients of the number of states, constant first; None if it is no polynomial as far as can be seen.

        At least two differences must agree for that, or any series would be one.
        """
        return polynomial(self.sizes, self.states)

    @property
    def degree(self) -> int | None:
        """The degree of the polynomial."""
        found = self.polynomial
        return None if found is None else len(found) - 1

    @property
    def factors(self) -> tuple[float, ...]:
        """How many times as many states each size has as the size before."""
        return tuple(after / before for before, after in itertools.pairwise(self.states))

    @property
    def state_us(self) -> tuple[float, ...]:
        """For each size, the time for each state in microseconds."""
        return tuple(seconds / states * 1e6 for seconds, states in zip(self.seconds, self.states, strict=True))

    @property
    def steepening(self) -> float:
        """How many times as long a state takes at the largest size as at the smallest."""
        return self.state_us[-1] / self.state_us[0]

    @property
    def power(self) -> float:
        """The power of the size with which time grows: the slope of a straight line through the logarithms."""
        return statistics.linear_regression([math.log(n) for n in self.sizes], [math.log(s) for s in self.seconds])[0]


def polynomial(sizes: Sequence[int], values: Sequence[int]) -> tuple[Fraction, ...] | None:
    """Return the coefficients of the polynomial of least degree through all points, constant first.

    Args:
        sizes: at equal distances.
        values: one for each size.

    Returns:
        None if there is none whose degree at least two more points confirm.
    """
    row = list(values)
    first: list[int] = []
    while len(row) > 2:
        first.append(row[0])
        row = [after - before for before, after in itertools.pairwise(row)]
        if not any(row):
            return _newton(sizes[0], sizes[1] - sizes[0], first)
    return None


def _newton(start: int, distance: int, differences: Sequence[int]) -> tuple[Fraction, ...]:
    """Return the sum of ``differences[k] * C((n - start) / distance, k)`` as coefficients of powers of n."""
    total = [Fraction()] * len(differences)
    basis = [Fraction(1)]
    for k, difference in enumerate(differences):
        for power, coefficient in enumerate(basis):
            total[power] += difference * coefficient
        # The next binomial is this one times (n - start - k * distance) / (distance * (k + 1)).
        shifted = [Fraction(), *basis]
        for power, coefficient in enumerate(basis):
            shifted[power] -= coefficient * (start + k * distance)
        basis = [coefficient / (distance * (k + 1)) for coefficient in shifted]
    return tuple(total)


def spoken(coefficients: Sequence[Fraction]) -> str:
    """Return a polynomial in n as one writes it."""
    text = ""
    for power in reversed(range(len(coefficients))):
        coefficient = coefficients[power]
        if coefficient or len(coefficients) == 1:
            sign = ("-" if coefficient < 0 else "") if not text else (" - " if coefficient < 0 else " + ")
            number = "" if abs(coefficient) == 1 and power else str(abs(coefficient))
            text += sign + number + (("", "n", "n²", "n³")[power] if power < 4 else f"n^{power}")
    return text
