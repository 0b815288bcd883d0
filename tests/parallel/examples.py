"""Scenarios that several processes search together, each made by a function without arguments."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from functools import partial

from attrs import evolve
from sqlalchemy import Engine, insert, select, update

from properties.backfill import scenarios
from tests.checking.bank import Account, add_in_place, bank, read_then_write, read_times
from treadle import Client, FaultBudget, Result, Returned, Scenario, View, always, at_end, sometimes


def with_a_fault() -> Scenario:
    """Clients lose updates, and one may be refused a lock."""
    return evolve(bank(read_then_write), faults=FaultBudget(locked=1), faults_at="reachable")


def create_backfill() -> Scenario:
    """The algorithm that shipped, with one date and a fault."""
    return scenarios(requests=2, runs=1, locked=1, algorithms="shipped-3.2.2")[0]


def different_clients() -> Scenario:
    """Three clients of which no two do the same."""
    scenario = bank(add_in_place)
    engine = scenario.database.engine
    return evolve(
        scenario,
        clients=[
            Client("A", partial(add_in_place, engine)),
            Client("B", partial(read_then_write, engine)),
            Client("C", partial(read_times, engine, 2)),
        ],
    )


def rollback_journal() -> Scenario:
    """Readers bar writers."""
    return bank(read_then_write, journal="delete")


def _all_returned(view: View) -> bool:
    return all(isinstance(outcome, Returned) for outcome in view.outcomes.values())


def _a_alone(view: View) -> bool:
    return view.rows("account")[0]["balance"] == 1 and isinstance(view.outcomes["A"], Returned)


def witnessed() -> Scenario:
    """One ``sometimes`` is seen, also one that names a client, and one is not."""
    scenario = bank(read_then_write)
    return evolve(
        scenario,
        properties=[
            *scenario.properties,
            sometimes("all return", _all_returned, name="all-return"),
            sometimes("A alone counts", _a_alone, name="a-alone"),
            sometimes("nobody returns", lambda view: not view.returned(), name="nobody-returns"),
            always("the balance is never 2", lambda view: view.rows("account")[0]["balance"] != 2, name="never-2"),
        ],
    )


def _write_without_end(engine: Engine) -> None:
    while True:
        add_in_place(engine)


def endless() -> Scenario:
    """A client that never finishes."""
    scenario = bank(add_in_place)
    clients = [*scenario.clients, Client("C", partial(_write_without_end, scenario.database.engine))]
    return evolve(scenario, clients=clients, max_operations=60)


def _add_and_fail(engine: Engine) -> None:
    add_in_place(engine)
    raise LookupError("after all")


def raising() -> Scenario:
    """Clients end with an exception."""
    return bank(_add_and_fail)


def _open(engine: Engine) -> str:
    name = uuid.uuid4()
    with engine.begin() as connection:
        connection.execute(insert(Account).values(id=name.int % 1000 + 2, balance=0))
    return str(name)


def drawing() -> Scenario:
    """Clients run the same code, and draw random numbers, which are seeded with their names."""
    return bank(_open)


def _add_and_ask(engine: Engine) -> int:
    with engine.begin() as connection:
        connection.execute(insert(Account).values(balance=5))
    with engine.connect() as connection:
        found: int = connection.exec_driver_sql("SELECT last_insert_rowid()").scalar_one()
        return found


def asking_for_what_is_over() -> Scenario:
    """A statement asks what earlier ones of its connection did, so that the logs must be kept."""
    return bank(_add_and_ask)


def _read_twice(engine: Engine) -> list[int]:
    add_in_place(engine)
    with engine.connect() as connection:
        return [connection.execute(select(Account.balance).where(Account.id == 1)).scalar_one() for _ in range(2)]


def _add_if_new(engine: Engine) -> None:
    with engine.connect() as connection:
        balance = connection.execute(select(Account.balance)).scalar_one()
    if balance:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS late (id INTEGER)")
            connection.execute(update(Account).values(balance=7))


def rare_branch() -> Scenario:
    """A client changes the schema in a branch that it never takes alone."""
    scenario = bank(add_in_place)
    engine = scenario.database.engine
    return evolve(
        scenario, clients=[Client("A", partial(_read_twice, engine)), Client("B", partial(_add_if_new, engine))]
    )


def _leave(engine: Engine) -> None:
    add_in_place(engine)
    os._exit(3)


def leaving() -> Scenario:
    """A client ends its whole process."""
    return bank(_leave)


class PickyError(Exception):
    """An error that cannot be made anew from its arguments."""

    def __init__(self, one: str, *, other: str) -> None:
        super().__init__(f"{one} and {other}")


def failing_seed() -> Scenario:
    """The database cannot be made."""
    scenario = bank(add_in_place)

    def seed(engine: Engine) -> None:
        raise PickyError("this", other="that")

    scenario.database.seed = seed
    return scenario


_calls: list[int] = []


def _drift(engine: Engine) -> None:
    _calls.append(1)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE account SET balance = {len(_calls)}")


def drifting() -> Scenario:
    """Clients remember something from run to run."""
    return bank(_drift)


def _raise(view: View) -> bool:
    raise RuntimeError("the predicate is broken")


def failing_predicate() -> Scenario:
    """A property that cannot be decided."""
    return evolve(bank(add_in_place), properties=[at_end("fails", _raise, name="fails")])


FINISHED: list[Callable[[], Scenario]] = [
    with_a_fault,
    create_backfill,
    different_clients,
    rollback_journal,
    witnessed,
    raising,
    drawing,
    asking_for_what_is_over,
    rare_branch,
]
"""Those that a search exhausts."""


def facts(result: Result) -> tuple[object, ...]:
    """Return all that several processes must find as one does."""
    decided = [
        (item.property.name, item.verdict, item.why, item.counterexample and item.counterexample.schedule.token)
        for item in result.decisions
    ]
    stats = result.stats
    return (decided, result.exhausted, stats.states, stats.transitions, stats.schedules, result.outcomes, result.notes)
