"""Parts of what is compared at length: the default tests have a sample, and ``make truth`` has all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(number: int, cases: Iterable[Any]) -> list[Any]:
    """Return cases for ``parametrize``, of which the default tests have the first and every so manieth after it.

    Args:
        number: one in how many.
        cases: a tuple is the values of several parameters.
    """
    return [_marked(case, often=place % number == 0) for place, case in enumerate(cases)]


def _marked(case: Any, *, often: bool) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=() if often else pytest.mark.truth)
