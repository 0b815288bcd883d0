"""What a predicate may answer."""

from __future__ import annotations

from typing import Any

import pytest

from treadle import Breach, Committed, PropertyError, View, always
from treadle.values.view import Table

VIEW = View(Committed({"item": Table(("id",), ())}), Committed({"item": Table(("id",), ())}))


@pytest.mark.parametrize("answer", [True, []])
def test_a_predicate_says_that_all_is_well(answer: Any) -> None:
    """In two ways."""
    assert () == always("all is well", lambda view: answer, name="well").breaches(VIEW)


@pytest.mark.parametrize("answer", [False, [Breach("not well")]])
def test_a_predicate_says_that_it_is_not(answer: Any) -> None:
    """Likewise."""
    assert 1 == len(always("all is well", lambda view: answer, name="well").breaches(VIEW))


@pytest.mark.parametrize(
    "answer",
    [
        *((), {}, set(), frozenset(), "", b"", 0, 1, None, VIEW.rows("item"), VIEW.returned(), iter([])),
        *((Breach("a tuple"),), [1], [Breach("one"), None], {Breach("a set")}, {"why": Breach("a dict")}),
    ],
)
def test_any_other_answer_is_an_error(answer: Any) -> None:
    """Containers that happen to be empty above all: rows that are not there would tell that all is well."""
    with pytest.raises(PropertyError, match=r"'well' returned .* a predicate returns True, False, or a list of Breach"):
        always("all is well", lambda view: answer, name="well").breaches(VIEW)
