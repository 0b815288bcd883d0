from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.report import bank
from treadle.checking import replay
from treadle.exploring.learned import Learned
from treadle.exploring.stepping import after, find, position
from treadle.scenario import Client, Database, Scenario
from treadle.values.errors import ScheduleMismatchError, UnsupportedOperationError
from treadle.values.fault import Fault, FaultBudget
from treadle.values.outcome import Crashed, Raised
from treadle.values.property import always
from treadle.values.schedule import Choice, Fail, Schedule, Step

A, B = Step(0), Step(1)


@pytest.fixture(scope="module")
def learned() -> Iterator[Learned]:
    """Return the bank that loses updates, with faults."""
    scenario = bank.surprising()
    with Learned(scenario.with_faults(FaultBudget(locked=1, crash=1), scenario.faults_at)) as found:
        yield found


def walked(learned: Learned, *choices: Choice) -> Schedule:
    """Return the schedule of some choices, each step up to where others can come in between."""
    schedule = Schedule()
    for choice in choices:
        schedule = after(learned, schedule, choice, whole=True)
    return schedule


class TestAPosition:
    def test_tells_what_each_client_is_about_to_do(self, learned: Learned) -> None:
        """At the start, nobody has done anything, and everybody may begin or die."""
        here = position(learned, Schedule())
        assert [("connect", 0)] * 2 == [(str(one.operation), one.taken) for one in here.clients]
        assert [(A, Fail(0, Fault.CRASH)), (B, Fail(1, Fault.CRASH))] == [one.choices for one in here.clients]
        assert (1, 1) == here.faults

    def test_offers_a_fault_where_it_has_a_place(self, learned: Learned) -> None:
        """Where SQLite asks for a lock."""
        here = position(learned, walked(learned, A))
        assert "UPDATE account SET balance=?" == str(here.clients[0].operation)
        assert (A, Fail(0, Fault.LOCKED), Fail(0, Fault.CRASH)) == here.clients[0].choices

    def test_is_what_replay_shows(self, learned: Learned) -> None:
        """The same token, and the same events."""
        here = position(learned, walked(learned, A, B, A, A))
        again = replay(learned.scenario, here.trace.schedule.token)
        assert (again.schedule, None) == (here.trace.schedule, again.parting)
        assert [event.changes for event in again.events] == [event.changes for event in here.trace.events]

    def test_knows_where_something_was_broken_first(self, learned: Learned) -> None:
        """And what is broken at its end."""
        (found,) = find(learned, Schedule())
        assert found.way is not None
        here = position(learned, found.way)
        assert {len(here.trace.events): ("no-lost-update",)} == here.broken
        assert ["no-lost-update"] == list(here.trace.breaches)

    def test_says_where_a_schedule_cannot_be_followed(self, learned: Learned) -> None:
        """It is followed up to there."""
        here = position(learned, Schedule.parse("t1.A90.B1"))
        assert here.trace.parting is not None
        assert ("client 'atm-1' has finished by then", 1) == (here.trace.parting.misfit, here.trace.parting.number)
        assert here.clients[0].operation is None

    def test_says_where_something_else_is_done_than_was_recorded(self, learned: Learned) -> None:
        """Of a token that tells what was done."""
        recorded = position(learned, Schedule.parse("t1.A6")).trace.schedule
        assert position(learned, recorded).trace.parting is None
        other = Schedule(recorded.choices, ("0000",))
        assert position(learned, other).trace.parting is not None

    def test_must_be_of_clients_that_there_are(self, learned: Learned) -> None:
        """There is no third one."""
        with pytest.raises(ScheduleMismatchError, match="there are only 2 clients"):
            position(learned, Schedule.parse("t1.C1"))


class TestAChoice:
    def test_goes_on_to_where_others_can_come_in_between(self, learned: Learned) -> None:
        """Or takes one operation."""
        assert "t1.A6" == str(after(learned, Schedule(), A, whole=True))
        assert "t1.A1" == str(after(learned, Schedule(), A, whole=False))

    def test_may_be_a_fault(self, learned: Learned) -> None:
        """Each is what it is in a check, and costs what there is."""
        refused = position(learned, walked(learned, A, Fail(0, Fault.LOCKED), A))
        assert isinstance(refused.clients[0].outcome, Raised)
        assert (0, 1) == refused.faults
        crashed = position(learned, walked(learned, A, Fail(0, Fault.CRASH)))
        assert (Crashed(), ()) == (crashed.clients[0].outcome, crashed.clients[0].choices)

    def test_may_not_be_one_of_a_client_that_waits(self, learned: Learned) -> None:
        """It can go on when the other one has let go."""
        waits = walked(learned, A, B, A, B)
        here = position(learned, waits)
        assert (True, (Fail(1, Fault.LOCKED), Fail(1, Fault.CRASH))) == (here.clients[1].waits, here.clients[1].choices)
        with pytest.raises(ScheduleMismatchError, match="choice B1 is not possible after"):
            after(learned, waits, B, whole=False)
        assert B in position(learned, after(learned, waits, A, whole=True)).clients[1].choices


class TestFinding:
    def test_finds_the_shortest_way_on(self, learned: Learned) -> None:
        """From each state on the way to a violation: no longer than the rest of that way, and it leads there."""
        (whole,) = find(learned, Schedule())
        assert whole.way is not None
        steps = [Step(choice.client) for choice in whole.way.choices for _ in range(getattr(choice, "operations", 1))]
        for count in range(0, len(steps), 3):
            here = Schedule(tuple(steps[:count]))
            (found,) = find(learned, here)
            assert found.way is not None
            there = Schedule((*here.choices, *found.way.choices))
            assert found.settled
            assert len(found.way) <= len(Schedule(tuple(steps[count:])))
            assert "no-lost-update" in position(learned, there).trace.breaches

    def test_says_that_there_is_none(self) -> None:
        """Where nothing was lost when one went on after the other has ended."""
        with Learned(bank.surprising()) as learned:
            first = position(learned, Schedule.parse("t1.A90"))
            (found,) = find(learned, Schedule(first.trace.schedule.choices))
            assert (None, True) == (found.way, found.settled)

    def test_leaves_out_what_is_broken_already(self, learned: Learned) -> None:
        """There is no way to it any more."""
        (found,) = find(learned, Schedule())
        assert found.way is not None
        assert () == find(learned, found.way)


def _ends(view: object) -> bool:
    return not getattr(view, "outcomes")  # noqa: B009  # any view will do


def test_starts_over_where_something_was_taken_for_granted_wrongly() -> None:
    """A property of every committed state that looks at ends makes answers operations."""
    scenario = bank.surprising()
    looking = Scenario(scenario.name, scenario.database, scenario.clients, [always("nobody ends", _ends, name="none")])
    with Learned(looking) as learned:
        (found,) = find(learned, Schedule())
        assert found.way is not None
        assert ["none"] == list(position(learned, found.way).trace.breaches)


def test_refuses_what_depends_on_the_whole_execution() -> None:
    """As check does not: it runs every schedule from its start then."""
    database = Database(bank.METADATA, bank._seed)

    def count() -> None:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA page_count").all()

    scenario = Scenario("pages", database, [Client("one", count), Client("two", count)], [bank.no_lost_update])
    with Learned(scenario) as learned, pytest.raises(UnsupportedOperationError, match="depend on the whole execution"):
        find(learned, Schedule())
