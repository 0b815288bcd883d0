"""Interchangeable clients: one of the states is visited that differ only in what they are called."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

import pytest
from attrs import evolve
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from tests.checking.bank import Account, add_in_place, bank, counts, read_then_write
from treadle import Client, Raised, Result, Returned, Scenario, Verdict, View, always, at_end, check, replay, sometimes
from treadle.execution.symmetry import groups_of


def _verdicts(result: Result) -> dict[str, Verdict]:
    return {item.property.name: item.verdict for item in result.decisions}


@pytest.mark.parametrize("run", [read_then_write, add_in_place])
@pytest.mark.parametrize("clients", [2, 3])
def test_symmetry_changes_no_verdict_and_no_number_of_schedules(run: Callable[[Engine], int], clients: int) -> None:
    """It only leaves out states."""
    scenario = bank(run, clients=clients)
    merged, named = check(scenario), check(scenario, without=["symmetry"])
    assert (_verdicts(named), named.outcomes) == (_verdicts(merged), merged.outcomes)
    assert named.stats.schedules == merged.stats.schedules
    assert named.stats.states > merged.stats.states


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_a_property_that_names_a_client_is_decided(name: str) -> None:
    """It is asked under every naming; the counterexample shows the one that breaks it, and is confirmed so."""

    def returns(view: View) -> bool:
        return isinstance(view.outcomes[name], Returned)

    scenario = evolve(
        bank(read_then_write, clients=3, transactions="begin"),
        properties=[
            at_end(f"{name} returns", returns, name="returns"),
            sometimes(f"{name} fails", lambda view: not returns(view), name="fails"),
            sometimes("nobody returns", lambda view: not view.returned(), name="never"),
        ],
    )
    result = check(scenario)
    expected = {"returns": Verdict.VIOLATED, "fails": Verdict.HOLDS, "never": Verdict.VIOLATED}
    assert expected == _verdicts(result)
    assert expected == _verdicts(check(scenario, without=["symmetry"]))
    example = result["returns"].counterexample
    assert example is not None
    assert isinstance(replay(scenario, example.schedule.token).outcomes[name], Raised)


def test_smallest_schedules_do_not_depend_on_symmetry() -> None:
    """A schedule that breaks a property of all clients is the same, and as small."""
    scenario = bank(read_then_write, clients=3)
    tokens = [
        example.schedule.token
        for off in ((), ("symmetry",))
        if (example := check(scenario, without=off)["every-increment-counts"].counterexample)
    ]
    assert 2 == len(tokens)
    assert len(tokens[0]) == len(tokens[1])


def test_what_is_interchangeable() -> None:
    """The same callable, or partials of the same function with equal arguments, which compare as types do not."""
    engine = bank(add_in_place).database.engine

    def own() -> None:
        return

    runs: list[Callable[[], object]] = [
        own,
        partial(add_in_place, engine),
        own,
        partial(add_in_place, engine),
        partial(read_then_write, engine),
        lambda: None,
        lambda: None,
    ]
    clients = [Client(str(number), run) for number, run in enumerate(runs)]
    assert (0, 1, 0, 1, 4, 5, 6) == groups_of(clients)
    assert tuple(range(7)) == groups_of(clients, symmetry=False)


def _add(engine: Engine, amount: float) -> None:
    with Session(engine) as session:
        session.execute(update(Account).values(balance=amount))
        session.commit()


@pytest.mark.parametrize("amounts", [(1, 2), (1, 1.0), (1, True)])
def test_clients_with_other_arguments_are_told_apart(amounts: tuple[float, float]) -> None:
    """Also where the arguments compare equal and are not the same: an integer, a real, and a truth."""
    scenario = bank(add_in_place)
    engine = scenario.database.engine
    clients = [Client(name, partial(_add, engine, amount)) for name, amount in zip("AB", amounts, strict=True)]
    assert (0, 1) == groups_of(clients)


def _open_account(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Account(id=uuid.uuid4().int % 1000 + 2, balance=0))
        session.commit()


def test_clients_that_draw_random_numbers_are_told_apart() -> None:
    """These are seeded with their names, so the search starts over without symmetry."""
    scenario = bank(_open_account)
    merged, named = check(scenario), check(scenario, without=["symmetry"])
    assert (named.outcomes, named.stats.states) == (merged.outcomes, merged.stats.states)
    accounts = always("few", lambda view: len(view.rows("account")) <= 3, name="few")
    assert Verdict.HOLDS is check(evolve(scenario, properties=[accounts]))["few"].verdict


def test_a_scenario_of_one_group_and_one_other() -> None:
    """Those that are alike are merged, and the other one is not."""
    scenario = bank(read_then_write, clients=2)
    other = Client("other", partial(add_in_place, scenario.database.engine))
    properties = [at_end("counts", counts, name="counts")]
    mixed = Scenario("mixed", scenario.database, [*scenario.clients, other], properties)
    merged, named = check(mixed), check(mixed, without=["symmetry"])
    assert (_verdicts(named), named.outcomes) == (_verdicts(merged), merged.outcomes)
    assert named.stats.schedules == merged.stats.schedules
