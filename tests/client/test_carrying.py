"""What an outcome is after it went over a pipe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tests.checking.bank import add_in_place, bank
from treadle import Client, View, at_end, check
from treadle.values.outcome import Outcome, Raised, Returned


class RefusedError(Exception):
    """An exception that wants other arguments than it passes on, as most of them do."""

    def __init__(self, name: str, amount: int) -> None:
        """Compose a text."""
        super().__init__(f"{name} may not have {amount}")
        self.name = name
        self.lock = threading.Lock()


class Receipt:
    """A value with a part that cannot be pickled."""

    def __init__(self) -> None:
        """Note an amount."""
        self.amount = 5
        self.guard = threading.Lock()


def outcome_of(client: Callable[[], object]) -> Outcome:
    """Return how a client ends, as properties see it."""
    scenario = bank(add_in_place, clients=1)
    seen: list[Outcome] = []

    def run() -> object:
        add_in_place(scenario.database.engine)
        return client()

    @at_end("look", name="look")
    def look(view: View) -> bool:
        seen.append(view.outcomes["A"])
        return True

    check(evolve(scenario, clients=[Client("A", run)], properties=[look], may_fail=["A"]), challenges=0, challenge=0)
    return seen[0]


def test_an_exception_keeps_its_type_its_text_and_its_attributes() -> None:
    """Its ``__init__`` is not called again, and an attribute that cannot be carried is told by its text."""

    def refuse() -> None:
        try:
            raise KeyError("account")
        except KeyError as error:
            raise RefusedError("Ann", 7) from error

    outcome = outcome_of(refuse)
    assert isinstance(outcome, Raised)
    error = outcome.exception
    assert isinstance(error, RefusedError)
    assert ("Ann may not have 7", "Ann") == (str(error), error.name)
    assert isinstance(error.__cause__, KeyError)
    assert ("account",) == error.__cause__.args


def test_a_class_without_a_name_is_the_same_at_both_ends() -> None:
    """A property asks ``isinstance`` of a class that was made in a function."""

    class LocalError(Exception):
        """Has no name that leads to it."""

    def refuse() -> None:
        raise LocalError("no")

    outcome = outcome_of(refuse)
    assert isinstance(outcome, Raised)
    assert type(outcome.exception) is LocalError


def test_a_value_is_carried_as_far_as_that_goes() -> None:
    """What of it cannot be pickled is told by its text, and the rest is as it was."""
    outcome = outcome_of(Receipt)
    assert isinstance(outcome, Returned)
    assert type(outcome.value) is Receipt
    assert (5, True) == (outcome.value.amount, "lock" in repr(outcome.value.guard))


def test_what_cannot_be_carried_at_all_is_told_by_its_text() -> None:
    """A lock stays where it is."""
    outcome = outcome_of(threading.Lock)
    assert isinstance(outcome, Returned)
    assert repr(outcome.value).startswith("<unlocked")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseExceptionGroup("a", [KeyError()])]
)
def test_whatever_a_client_raises_is_its_outcome(error: BaseException) -> None:
    """Also what is no ``Exception``."""

    def leave() -> Any:
        raise error

    outcome = outcome_of(leave)
    assert isinstance(outcome, Raised)
    assert (type(error), repr(error)) == (type(outcome.exception), repr(outcome.exception))
