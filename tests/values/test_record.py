"""Digests of what was done: what they tell apart, and what they do not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from treadle.values.fault import Fault
from treadle.values.observation import Failure, Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Crashed, Raised, Returned
from treadle.values.record import digests, parting, recorded
from treadle.values.schedule import Fail, Schedule, Step
from treadle.values.trace import Event, Parting, Trace

ROOT = Path(__file__).parents[2]


def event(
    sql: str = "SELECT 1",
    arguments: Any = (),
    *,
    kind: Kind = Kind.EXECUTE,
    seen: Observation | None = None,
    **more: Any,
) -> Event:
    """Return an event of client A, with what it saw."""
    operation = Operation(kind, 0, 0, sql if kind is Kind.EXECUTE else None, arguments)
    return Event(more.pop("number", 1), more.pop("client", 0), operation, seen or Observation(), **more)


def digest(*events: Event) -> str:
    """Return the digest of all events as one choice."""
    return digests((Step(0, len(events)),), events)[0]


@dataclasses.dataclass
class Answer:
    """What a request returns."""

    status: int
    names: Any = None


@attrs.define
class Reply:
    """The same, otherwise."""

    status: int


class Opaque:
    """Has no spelling of its own."""


ALIKE = {
    "line breaks": (event("SELECT a\n  FROM t"), event("SELECT a FROM   t ")),
    "the number of the event": (event(number=1), event(number=7)),
    "objects": (event(arguments=(Opaque(),)), event(arguments=(Opaque(),))),
    "the text of an error": (event(outcome=Raised(ValueError("at 0x1"))), event(outcome=Raised(ValueError("at 0x2")))),
    "sets": (event(outcome=Returned({"a", "b"})), event(outcome=Returned({"b", "a"}))),
    "the order of a dict": (event(arguments={"a": 1, "b": 2}), event(arguments={"b": 2, "a": 1})),
    "records with objects": (
        event(outcome=Returned(Answer(1, Opaque()))),
        event(outcome=Returned(Answer(1, Opaque()))),
    ),
}


@pytest.mark.parametrize("events", ALIKE.values(), ids=ALIKE)
def test_what_differs_between_runs_is_not_told(events: tuple[Event, Event]) -> None:
    """The same was done."""
    assert digest(events[0]) == digest(events[1])


CYCLE: list[Any] = [1]
CYCLE.append(CYCLE)

DIFFERENT = [
    event(),
    event("SELECT 2"),
    event("SELECT 'a  b'"),
    event("SELECT 'a b'"),
    event("SELECT 1 -- all\n, 2"),
    event("SELECT 1 -- all , 2"),
    event(client=1),
    event(arguments=(1,)),
    event(arguments=(1.0,)),
    event(arguments=(True,)),
    event(arguments=("1",)),
    event(arguments=(b"1",)),
    event(arguments=(None,)),
    event(arguments=(10**5000,)),
    event(arguments=("\udc80",)),
    event(arguments=("é",)),
    event(arguments={"a": 1}),
    event(arguments=(dt.datetime(2026, 1, 1, tzinfo=dt.UTC),)),
    event(arguments=(Decimal("1.0"),)),
    event(arguments=(CYCLE,)),
    event(kind=Kind.COMMIT),
    event(kind=Kind.ROLLBACK),
    event(kind=Kind.FETCHALL, seen=Observation(rows=[(1,)])),
    event(kind=Kind.FETCHALL, seen=Observation(rows=[(2,)])),
    event(seen=Observation(rowcount=1)),
    event(seen=Observation(failure=Failure("OperationalError", "no", 1))),
    event(seen=Observation(failure=Failure("OperationalError", "no", 5))),
    event(seen=Observation(failure=Failure("IntegrityError", "no", 1))),
    event(fault=Fault.LOCKED),
    attrs.evolve(event(), observation=None),
    Event(1, 0, None, None, fault=Fault.CRASH, outcome=Crashed()),
    event(outcome=Returned(None)),
    event(outcome=Returned(1)),
    event(outcome=Returned(Answer(200))),
    event(outcome=Returned(Answer(500))),
    event(outcome=Returned(Reply(200))),
    event(outcome=Returned(Reply(500))),
    event(outcome=Raised(ValueError("no"))),
    event(outcome=Raised(KeyError("no"))),
]


def test_what_was_done_is_told() -> None:
    """All of these are different, and so is doing one of them twice."""
    found = [*map(digest, DIFFERENT), digest(event(), event())]
    assert len(found) == len(set(found))


def test_a_digest_tells_all_that_came_before() -> None:
    """Whatever follows a difference differs."""
    choices = (Step(0), Step(1), Step(0))
    one = digests(choices, [event(), event(client=1), event("SELECT 3")])
    other = digests(choices, [event(), event("SELECT 2", client=1), event("SELECT 3")])
    assert [True, False, False] == [left == right for left, right in zip(one, other, strict=True)]


SETS = event(outcome=Returned(Answer(1, {"names": {"alpha", "beta", "gamma", "delta"}, "all": frozenset("abcdef")})))
SPELLED = "from tests.values.test_record import *; print(digest(*DIFFERENT, SETS))"


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_a_digest_is_the_same_everywhere(seed: str) -> None:
    """In every process, with every hash seed, on every Python: tokens are kept for long."""
    process = subprocess.run(
        [sys.executable, "-c", SPELLED],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == "yxz1\n"


EVENTS = tuple(event(f"SELECT {number}", number=number) for number in range(1, 7))
CHOICES = (Step(0, 2), Step(1, 3), Step(0))
TOLD = recorded(Schedule(CHOICES), EVENTS)


def trace(events: tuple[Event, ...], schedule: Schedule = TOLD) -> Trace:
    """Return the trace of an execution."""
    return Trace("s", ("A", "B"), recorded(Schedule(schedule.choices), events), events, {})


def changed(number: int) -> tuple[Event, ...]:
    """Return the events, with another statement at one place."""
    return tuple(attrs.evolve(item, number=9) if item.number != number else event("SELECT 0") for item in EVENTS)


class TestParting:
    def test_of_the_same_execution(self) -> None:
        """It does not part."""
        assert parting(TOLD, trace(EVENTS)) is None

    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (1, Parting(1, 1, 2, "")),
            (2, Parting(1, 1, 2, "")),
            (3, Parting(2, 3, 5, "")),
            (5, Parting(2, 3, 5, "")),
            (6, Parting(3, 6, 6, "")),
        ],
    )
    def test_of_another_one(self, number: int, expected: Parting) -> None:
        """It parts at the first choice under which something else was done."""
        assert expected == parting(TOLD, trace(changed(number)))

    def test_where_nothing_was_recorded(self) -> None:
        """Nobody can tell."""
        assert parting(Schedule(CHOICES), trace(changed(1))) is None

    @pytest.mark.parametrize(
        ("choices", "expected"),
        [
            ((), Parting(1, 1, 0, "why")),
            ((Step(0),), Parting(1, 1, 1, "why")),
            ((Step(0, 2),), Parting(2, 3, 2, "why")),
            ((Step(0, 2), Step(1, 2)), Parting(2, 3, 4, "why")),
            ((Step(0, 2), Step(1, 3)), Parting(3, 6, 5, "why")),
        ],
    )
    @pytest.mark.parametrize("replayed", [TOLD, Schedule(CHOICES)])
    def test_of_one_that_goes_no_further(self, replayed: Schedule, choices: Any, expected: Parting) -> None:
        """It parts at the choice that could not be made to its end, whether or not anything was recorded."""
        short = Schedule(choices)
        count = sum(choice.operations for choice in choices)
        assert expected == parting(replayed, trace(EVENTS[:count], short), "why")

    def test_of_one_that_parted_before_it_ended(self) -> None:
        """The first place counts."""
        assert Parting(1, 1, 2, "") == parting(TOLD, trace(changed(1)[:4], Schedule((Step(0, 2), Step(1, 2)))), "why")

    def test_counts_a_fault_as_one_event(self) -> None:
        """As it is."""
        events = (event(number=1), Event(2, 1, None, None, fault=Fault.CRASH), event(number=3))
        schedule = recorded(Schedule((Step(0), Fail(1, Fault.CRASH), Step(0))), events)
        other = (*events[:2], event("SELECT 0"))
        assert Parting(3, 3, 3, "") == parting(schedule, trace(other, schedule))
