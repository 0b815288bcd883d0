"""What clients return and raise, as checks compare it: by what it means, and so that nobody can change it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from attrs import evolve
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from tests.checking.bank import METADATA, Account, add_in_place, bank, seed
from treadle import Client, Database, Scenario, Verdict, View, always, at_end, check, serial_equivalence


class Receipt:
    """An object without a repr of its own."""

    def __init__(self, balance: int) -> None:
        self.lines = {"balance": [balance]}


def row(engine: Engine) -> Account:
    """Return the row object, loaded."""
    with Session(engine, expire_on_commit=False) as session:
        return session.get_one(Account, 1)


def receipt(engine: Engine) -> tuple[Receipt, set[str], Callable[[], object]]:
    """Return an object of one's own, a set, and a function."""
    with Session(engine) as session:
        return Receipt(session.get_one(Account, 1).balance), set("abcdefgh"), lambda: None


def complaint(engine: Engine) -> None:
    """Raise an exception whose text has an address in it."""
    raise ValueError(f"{row(engine)} is of no use")


@pytest.mark.parametrize("run", [row, receipt, complaint])
@pytest.mark.parametrize("options", [{}, {"live": True}, {"without": ["fork"]}])
def test_an_address_in_memory_is_no_difference(run: Callable[[Engine], object], options: dict[str, object]) -> None:
    """Each run makes its objects anew; a check neither takes that for another behaviour, nor for another answer."""
    scenario = evolve(bank(run), properties=[serial_equivalence()], may_fail=["A", "B"])
    result = check(scenario, **options)  # type: ignore[arg-type]  # options of several types
    assert Verdict.HOLDS is result["serial-equivalence"].verdict
    assert 1 == len(result.outcomes)


def test_what_an_object_without_a_repr_has_in_it_is_a_difference() -> None:
    """A counter that two read and write tells both the same number: no order of them does."""
    database = Database(METADATA, seed)

    def draw() -> Receipt:
        with Session(database.engine) as session:
            account = session.get_one(Account, 1)
            number = account.balance
        with Session(database.engine) as session:
            session.get_one(Account, 1).balance += 1
            session.commit()
        return Receipt(number)

    told = serial_equivalence(refused=None)
    scenario = Scenario("draw", database, [Client(name, draw) for name in "AB"], [told])
    assert Verdict.VIOLATED is check(scenario)["serial-equivalence"].verdict


def test_a_predicate_that_changes_a_list_does_not_reach_what_is_known() -> None:
    """It sorts and fills what it was given; the next view has what the client returned."""

    def answer(engine: Engine) -> list[list[int]]:
        add_in_place(engine)
        return [[3], [1], [2]]

    scenario = bank(answer)
    clean: set[bool] = set()

    def untidy(view: View) -> bool:
        alone = view.then(partial(answer, scenario.database.engine))
        for value in (*view.returned().values(), *[getattr(end, "value", [[3], [1], [2]]) for end in (alone,)]):
            clean.add(value == [[3], [1], [2]])
            value.sort()
            value[0].append(4)
            value.clear()
        return True

    properties = [
        always("it is untidy", untidy, name="untidy"),
        at_end(
            "nothing has changed", lambda view: all(x == [[3], [1], [2]] for x in view.returned().values()), name="same"
        ),
        serial_equivalence(),
    ]
    result = check(evolve(scenario, properties=properties))
    assert {True} == clean
    assert [Verdict.HOLDS] * 3 == [decision.verdict for decision in result.decisions]


def test_an_engine_is_told_by_its_type() -> None:
    """What is in it differs from run to run, and means nothing."""

    def engine_of_ones_own(engine: Engine) -> Engine:
        add_in_place(engine)
        return create_engine("sqlite://")

    scenario = evolve(bank(engine_of_ones_own), properties=[serial_equivalence()])
    assert Verdict.HOLDS is check(scenario)["serial-equivalence"].verdict
