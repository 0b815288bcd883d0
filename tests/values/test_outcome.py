"""Outcomes: when two are the same, and that nobody can change one."""

from __future__ import annotations

import pickle
import threading

import pytest

from treadle import Raised, Returned
from treadle.values.outcome import Outcome


class Row:
    """A row object without a repr of its own."""

    def __init__(self, stock: int) -> None:
        self.stock = stock


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (Returned(Row(1)), Returned(Row(1)), Returned(Row(2))),
        (Returned({"a": 1, "b": 2}), Returned({"b": 2, "a": 1}), Returned({"a": 1, "b": 3})),
        (Returned(1), Returned(1), Returned(1.0)),
        (Returned(None), Returned(None), Raised(ValueError("None"))),
        (Raised(ValueError(f"no {Row(1)}")), Raised(ValueError(f"no {Row(1)}")), Raised(KeyError(f"no {Row(1)}"))),
        (Raised(ValueError("at 0x7f1234567890")), Raised(ValueError("at 0x7f1234567abc")), Raised(ValueError("at"))),
    ],
)
def test_outcomes_are_compared_by_what_they_mean(one: Outcome, same: Outcome, other: Outcome) -> None:
    """An address is no difference, also not in what is said of them."""
    assert one == same
    assert (one.key, hash(one), str(one)) == (same.key, hash(same), str(same))
    assert one != other
    assert one.key != other.key


def test_what_was_returned_cannot_be_changed() -> None:
    """Whoever asks for it is given a copy; what cannot be copied is given as it is."""
    returned = Returned([2, {"a": [1]}])
    returned.value.sort(key=str)
    returned.value[1]["a"].append(2)
    assert [2, {"a": [1]}] == returned.value
    lock = threading.Lock()
    assert lock is Returned(lock).value


def test_an_outcome_travels_between_processes() -> None:
    """And can be taken apart in a match statement."""
    there = pickle.loads(pickle.dumps(Returned([1])))  # noqa: S301  # made right here
    assert Returned([1]) == there
    match there:
        case Returned([one]):
            assert 1 == one
    assert "Returned(value=[1])" == repr(there)
