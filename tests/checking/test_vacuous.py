"""What was never tried does not hold."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.checking.bank import Account, add_in_place, bank, read_then_write
from treadle import Client, FaultBudget, Result, Scenario, UsageError, Verdict, View, always, at_end, check, sometimes


def _with(*others: Callable[[Engine], object], **options: Any) -> Scenario:
    """Return a scenario with a client A that adds one in SQL, and clients B, C, ... that do something else."""
    scenario = bank(add_in_place, clients=1)
    engine = scenario.database.engine
    more = [Client(name, lambda run=run: run(engine)) for name, run in zip("BCD", others, strict=False)]  # type: ignore[misc]
    return evolve(
        scenario,
        clients=[*scenario.clients, *more],
        properties=[
            always("the balance is a whole number", lambda view: view.rows("account")[0]["balance"] >= 0, name="whole"),
            sometimes("A returns", lambda view: "A" in view.returned(), name="returns"),
            at_end("the balance is 5", lambda view: view.rows("account")[0]["balance"] == 5, name="five"),
        ],
        **options,
    )


def _verdicts(result: Result) -> list[Verdict]:
    return [decision.verdict for decision in result.decisions]


def _misspells(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE acount SET balance = 1"))


def _is_not_set_up(engine: Engine) -> None:
    with engine.connect():
        raise LookupError("APPLICATION_SECRET is not set\nand more")


def _asks_nothing(engine: Engine) -> int:
    return 1


def _ends_with(code: int | None) -> Callable[[Engine], object]:
    def run(engine: Engine) -> None:
        add_in_place(engine)
        sys.exit(code)

    return run


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("run", "shown"),
    [
        (_misspells, "OperationalError: (sqlite3.OperationalError) no such table: acount"),
        (_is_not_set_up, "LookupError: APPLICATION_SECRET is not set"),
        (_ends_with(3), "SystemExit: 3"),
    ],
)
def test_nothing_holds_where_a_client_always_fails(run: Callable[[Engine], object], shown: str, workers: int) -> None:
    """What would hold is inconclusive, and shows how the client ended; a violation stays one."""
    result = check(_with(run), workers=workers)
    assert [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE, Verdict.VIOLATED] == _verdicts(result)
    for name in ("whole", "returns"):
        assert "'B'" in result[name].why
        assert f"raised {shown}" in result[name].why
        assert "and more" not in result[name].why


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_holds_where_a_client_asks_nothing(workers: int) -> None:
    """Also if it returns: its statements may go to another database."""
    result = check(_with(_asks_nothing), workers=workers)
    assert (Verdict.INCONCLUSIVE, False) == (result["whole"].verdict, result.exhausted)
    assert "'B'" in result["whole"].why


@pytest.mark.parametrize("run", [_misspells, _is_not_set_up, _ends_with(3)])
def test_a_client_may_fail_where_the_scenario_says_so(run: Callable[[Engine], object]) -> None:
    """Then its failure is what was to be tried."""
    result = check(_with(run, may_fail=["B"]))
    assert [Verdict.HOLDS, Verdict.HOLDS, Verdict.VIOLATED] == _verdicts(result)


def test_a_client_that_may_fail_may_not_ask_nothing() -> None:
    """It did not fail, and its statements were not seen."""
    assert Verdict.INCONCLUSIVE is check(_with(_asks_nothing, may_fail=["B"]))["whole"].verdict


@pytest.mark.parametrize("code", [None, 0])
def test_to_end_with_exit_code_0_is_to_succeed(code: int | None) -> None:
    """As scripts do."""
    assert Verdict.HOLDS is check(_with(_ends_with(code)))["whole"].verdict


def test_a_client_that_succeeds_alone_has_been_tried() -> None:
    """The one execution that is sampled refuses a client, which would succeed alone."""
    scenario = evolve(
        bank(read_then_write, transactions="begin"),
        properties=[sometimes("somebody fails", lambda view: bool(view.raised()), name="fails")],
    )
    results = [check(scenario, search="random", max_executions=1, seed=seed) for seed in range(20)]
    seen = [
        result for result in results if "fails" in {item.property.name for item in result.decisions if not item.why}
    ]
    assert seen
    assert {Verdict.HOLDS} == {result["fails"].verdict for result in seen}
    assert all("raised" in outcome for result in seen for outcome in result.outcomes)


def test_a_client_that_succeeds_only_after_another_has_been_tried() -> None:
    """What it takes another has to bring; alone it fails."""

    def take(engine: Engine) -> None:
        with Session(engine) as session:
            taken = session.execute(update(Account).where(Account.balance > 0).values(balance=Account.balance - 1))
            session.commit()
        if not taken.rowcount:  # type: ignore[attr-defined]
            raise LookupError("nothing is there")

    assert Verdict.HOLDS is check(_with(take))["whole"].verdict


def test_a_fault_in_every_execution_is_no_failure() -> None:
    """A client that fails only for the faults that are done to it succeeds alone."""
    scenario = evolve(_with(_ends_with(0)), faults=FaultBudget(locked=1))
    assert Verdict.HOLDS is check(scenario)["whole"].verdict


def test_a_client_that_does_not_exist_cannot_fail() -> None:
    """The name is looked up when the scenario is made."""
    with pytest.raises(UsageError, match="'Zoe'"):
        _with(may_fail=["Zoe"])


def _locks_itself_out(engine: Engine) -> None:
    """Write on one connection, and then on another one, which waits for the first."""
    with engine.begin() as one, engine.connect() as other:
        one.execute(text("UPDATE account SET balance = 1"))
        other.execute(text("UPDATE account SET balance = 2"))


def test_a_client_that_locks_itself_out_always_fails() -> None:
    """With the error of the database."""
    result = check(_with(_locks_itself_out))
    assert Verdict.INCONCLUSIVE is result["whole"].verdict
    assert OperationalError.__name__ in result["whole"].why


def test_a_view_of_all_that_failed_is_no_witness() -> None:
    """A sometimes is inconclusive, too, though it was seen."""

    def everybody_failed(view: View) -> bool:
        return len(view.raised()) == 1

    scenario = _with(_misspells)
    seen = check(evolve(scenario, properties=[sometimes("B fails", everybody_failed, name="fails")]))
    assert Verdict.INCONCLUSIVE is seen["fails"].verdict
