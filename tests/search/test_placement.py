"""Where faults are tried, and what is said of where they are not."""

from __future__ import annotations

from functools import partial

import pytest
from attrs import evolve
from sqlalchemy import Engine, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from properties.backfill import scenarios
from tests.checking.bank import Account, add_in_place, bank
from treadle import FaultBudget, Placement, Scenario, Verdict, at_end, check

pytestmark = pytest.mark.usefixtures("few_challenges")


def _add_and_swallow(engine: Engine) -> str:
    """Add one, and tell nobody if that is refused; there is no savepoint."""
    with Session(engine) as session:
        try:
            session.execute(update(Account).values(balance=Account.balance + 1))
            session.commit()
        except OperationalError:
            return "swallowed"
        return "added"


def _swallowing() -> Scenario:
    scenario = bank(add_in_place, clients=1)
    (client,) = scenario.clients
    return evolve(
        scenario,
        clients=[evolve(client, run=partial(_add_and_swallow, scenario.database.engine))],
        properties=[at_end("one is added", lambda view: view.rows("account")[0]["balance"] == 1, name="added")],
        faults=FaultBudget(locked=1),
    )


def test_code_without_savepoints_is_tried_by_default() -> None:
    """The default placement is wherever SQLite itself could refuse a lock."""
    assert Placement.REACHABLE is _swallowing().faults_at
    assert Verdict.VIOLATED is check(_swallowing())["added"].verdict


def test_lock_points_that_are_left_untried_are_noted() -> None:
    """How many they are, the first of them, and how they are tried."""
    (note,) = check(evolve(_swallowing(), faults_at="savepoint")).notes
    assert note.startswith("1 lock point ")
    assert "UPDATE account" in note
    assert "--faults-at reachable" in note


@pytest.mark.parametrize("workers", [1, 2])
def test_lock_points_outside_savepoints_are_counted(workers: int) -> None:
    """The cleanup of the fix that shipped is not inside a savepoint."""
    notes = check(scenarios(algorithms="shipped-3.3.2", locked=2, runs=1)[0], workers=workers).notes
    assert any("--faults-at reachable" in note for note in notes)
