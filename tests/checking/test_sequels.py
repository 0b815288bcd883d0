"""One more client that runs alone, from wherever an execution is."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

import pytest
from attrs import evolve
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.checking.bank import Account, add_in_place, bank, read_then_write
from treadle import Client, PropertyError, Raised, Returned, Scenario, Verdict, View, always, check
from treadle.execution.system import System


def _read_twice(engine: Engine) -> tuple[int, int, int]:
    """Read the balance in a transaction, and twice beside it, the second time one row at a time."""
    with Session(engine) as session, engine.connect() as connection:
        first = session.get_one(Account, 1).balance
        beside = connection.execute(select(Account.balance)).scalar_one()
        rows = connection.exec_driver_sql("SELECT balance FROM account WHERE id < 9 ORDER BY id")
        row = rows.fetchone()
        assert row is not None
        rows.close()
        return first, beside, row[0]


def _asked(scenario: Scenario, judge: Callable[[View], bool]) -> Scenario:
    return evolve(scenario, properties=[always("one more client ends as it should", judge, name="sequel")])


@pytest.mark.parametrize("run", [add_in_place, read_then_write])
@pytest.mark.parametrize("without", [(), ("memory",), ("local",)])
def test_one_more_reader_sees_what_is_committed(run: Callable[[Engine], int], without: tuple[str, ...]) -> None:
    """In WAL mode nobody is in its way, and it reads just the committed rows, whoever holds what."""
    scenario = bank(run, clients=3)
    more = partial(_read_twice, scenario.database.engine)
    seen: set[int] = set()

    def reads(view: View) -> bool:
        balance = view.rows("account")[0]["balance"]
        seen.add(balance)
        end = view.then(more)
        return isinstance(end, Returned) and end.value == (balance,) * 3

    result = check(_asked(scenario, reads), without=without)
    assert Verdict.HOLDS is result["sequel"].verdict
    assert {0, 1} <= seen


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("without", [(), ("memory",)])
def test_one_more_writer_waits_for_nobody_who_stays(journal: str, without: tuple[str, ...]) -> None:
    """Its timeout expires where another client holds a lock, for that one does not go on; otherwise it adds one."""
    scenario = bank(read_then_write, journal=journal, transactions="begin")
    engine = scenario.database.engine
    seen: set[str] = set()

    def write_and_read() -> int:
        add_in_place(engine)
        with engine.connect() as connection:
            balance: int = connection.execute(text("SELECT balance FROM account")).scalar_one()
            return balance

    def writes(view: View) -> bool:
        end = view.then(write_and_read)
        if isinstance(end, Raised):
            seen.add("barred")
            return isinstance(end.exception, OperationalError) and len(view.outcomes) != len(scenario.clients)
        seen.add("added")
        return isinstance(end, Returned) and end.value == view.rows("account")[0]["balance"] + 1

    assert Verdict.HOLDS is check(_asked(scenario, writes), without=without)["sequel"].verdict
    assert {"barred", "added"} == seen


def test_one_more_client_that_never_ends() -> None:
    """It is stopped, and the verdict says why there is none."""
    scenario = evolve(bank(add_in_place, clients=1), max_operations=40)
    engine = scenario.database.engine

    def read_for_ever() -> None:
        while True:
            with engine.connect() as connection:
                connection.execute(select(Account.balance)).scalar_one()

    result = check(_asked(scenario, lambda view: isinstance(view.then(read_for_ever), Returned)))
    assert Verdict.INCONCLUSIVE is result["sequel"].verdict
    assert "'sequel 1' took 40 operations without finishing" in result["sequel"].why


def _systems() -> list[System]:
    return [thing for thing in gc.get_objects() if type(thing) is System]  # others may answer for their class


def test_a_view_that_is_kept_keeps_nothing_of_the_check() -> None:
    """A property may keep a view; it cannot run clients any more then, and all that the check knew is gone."""
    kept: list[View] = []
    scenario = bank(add_in_place)
    before = _systems()

    def keep(view: View) -> bool:
        kept.append(view)
        return isinstance(view.then(partial(_read_twice, scenario.database.engine)), Returned)

    assert Verdict.HOLDS is check(_asked(scenario, keep))["sequel"].verdict
    gc.collect()
    assert not [system for system in _systems() if system not in before]
    assert {0, 1, 2} == {view.rows("account")[0]["balance"] for view in kept}
    with pytest.raises(PropertyError, match="outlived its check"):
        kept[0].then(lambda: None)
    with pytest.raises(PropertyError, match="outlived its check"):
        kept[0].serially("A")


def test_clients_run_one_after_another() -> None:
    """Each sees what those before it committed; a failure leaves what was committed by then."""
    scenario = bank(add_in_place, clients=2)
    engine = scenario.database.engine

    def add_if_even() -> int:
        with engine.begin() as connection:
            balance: int = connection.execute(select(Account.balance)).scalar_one()
            if balance % 2:
                raise ValueError(balance)
            connection.exec_driver_sql("UPDATE account SET balance = balance + 2")
            return balance

    scenario = evolve(scenario, clients=[Client("A", partial(add_in_place, engine)), Client("B", add_if_even)])

    def serial(view: View) -> bool:
        one, other = view.serially("A", "B"), view.serially("B", "A")
        failed = one.outcomes["B"]
        return (
            isinstance(failed, Raised)
            and isinstance(failed.exception, ValueError)
            and one.committed.rows("account")[0]["balance"] == 1
            and other.outcomes["B"] == Returned(0)
            and other.committed.rows("account")[0]["balance"] == 3
        )

    assert Verdict.HOLDS is check(_asked(scenario, serial))["sequel"].verdict
