"""Steps by hand: where a schedule leads, what may happen there, and the shortest ways on to a violation.

A position is a schedule. To arrive there is to run that schedule live, on a fresh real database, with the real code of
all clients; so the address of a position is all that there is to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from treadle.checking import followed, require_clients
from treadle.execution.confirmation import end_of
from treadle.execution.state import State
from treadle.execution.taken import Taken
from treadle.exploring.learned import Learned, Ready
from treadle.search.protocol import Limits
from treadle.search.smaller import seek_smaller
from treadle.values.errors import ScheduleMismatchError
from treadle.values.operation import Operation
from treadle.values.outcome import Outcome
from treadle.values.property import Kind
from treadle.values.schedule import Choice, Schedule, Step
from treadle.values.trace import Trace
from treadle.values.view import Committed

SEARCH_SECONDS = 10.0
"""How long a search for a violation takes at most, in seconds."""

_SEARCH_STATES = 100_000


@frozen
class Standing:
    """Where a client stands.

    Attributes:
        operation: what it is about to ask for; None if it has ended.
        taken: how many operations it has taken.
        outcome: how it has ended; None if it has not.
        waits: it is inside a call that waits for a lock.
        choices: what may happen to it next.
    """

    operation: Operation | None
    taken: int
    outcome: Outcome | None
    waits: bool
    choices: tuple[Choice, ...]


@frozen
class Position:
    """Where a schedule leads.

    Attributes:
        schedule: what was asked for.
        trace: what happened, with what is broken at its end, and where it parts from what the schedule recorded.
        start: what was committed before any client started.
        clients: where each client stands.
        broken: for each event at which something is broken that was not before, the names of these properties.
        faults: how many ``locked`` and ``crash`` faults are left.
    """

    schedule: Schedule
    trace: Trace
    start: Committed
    clients: tuple[Standing, ...]
    broken: dict[int, tuple[str, ...]]
    faults: tuple[int, int]

    @property
    def back(self) -> Schedule:
        """The schedule without its last choice."""
        return Schedule(self.trace.schedule.choices[:-1])


@frozen
class Found:
    """The shortest way on to where a property is broken.

    Attributes:
        name: of the property.
        way: the choices from here; None if there are none as far as was searched.
        settled: there is no shorter one; or, without a way, none at all.
    """

    name: str
    way: Schedule | None
    settled: bool


def position(learned: Learned, schedule: Schedule) -> Position:
    """Return where a schedule leads.

    Raises:
        ScheduleMismatchError: it has choices for a client that the scenario does not have.
        TreadleError: the scenario cannot be run.
    """
    return learned.ask(lambda ready: _position(ready, schedule))


def after(learned: Learned, schedule: Schedule, choice: Choice, *, whole: bool) -> Schedule:
    """Return a schedule with one more choice.

    Args:
        learned: the scenario.
        schedule: where to begin.
        choice: one operation, or a fault.
        whole: after a step, go on to where others could come in between.

    Raises:
        ScheduleMismatchError: that may not happen there.
        TreadleError: the scenario cannot be run.
    """

    def ask(ready: Ready) -> Schedule:
        end = _walked(ready, schedule)
        if choice not in ready.unreduced.choices(end):
            raise ScheduleMismatchError(
                f"choice {choice} is not possible after {schedule}: the client has ended or waits there, or the fault "
                "has no place or no budget left. Choose one of those that the page offers."
            )
        if not whole or not isinstance(choice, Step):
            return Schedule((*schedule.choices, choice))
        # Where a fault could be done is no reason to stop for somebody who wants to go on.
        edge = ready.system.product.run(end._replace(locked=0, crash=0), choice)
        return Schedule((*schedule.choices, *edge.choices()))

    return learned.ask(ask)


def find(learned: Learned, schedule: Schedule) -> tuple[Found, ...]:
    """Return for each property that is not broken after a schedule the shortest way on to where it is.

    Raises:
        TreadleError: the scenario cannot be run.
    """

    def ask(ready: Ready) -> tuple[Found, ...]:
        end = _walked(ready, schedule)
        system, judge = ready.system, ready.judge
        broken = judge.broken(end)
        wanted = [item.name for item in learned.scenario.properties if item.kind is not Kind.SOMETIMES]
        names = [name for name in wanted if name not in broken]
        limits = Limits(max_states=_SEARCH_STATES, max_seconds=SEARCH_SECONDS)
        ways, settled = seek_smaller(system.product, judge, system.symmetry, names, limits, start=end)
        found = [Found(name, ways.get(name), name in settled) for name in names]
        return tuple(sorted(found, key=lambda one: (one.way is None, len(one.way or ()))))

    return learned.ask(ask)


def _walked(ready: Ready, schedule: Schedule) -> State:
    end = ready.system.product.root()
    for taken in ready.system.product.walk(schedule.choices):
        end = taken.after
    return end


def _position(ready: Ready, schedule: Schedule) -> Position:
    system = ready.system
    require_clients(system.scenario, schedule)
    taken, trace = followed(system, ready.judge, schedule)
    end = end_of(system, taken)
    choices = ready.unreduced.choices(end)
    return Position(
        schedule=schedule,
        trace=trace,
        start=system.product.root().content.committed,
        clients=tuple(
            Standing(
                operation=local.node.operation,
                taken=sum(one.choice.client == client for one in taken),
                outcome=local.node.outcome,
                waits=local.wait is not None,
                choices=tuple(choice for choice in choices if choice.client == client),
            )
            for client, local in enumerate(end.locals)
        ),
        broken=_broken_at(ready, taken),
        faults=(max(end.locked, 0), max(end.crash, 0)),
    )


def _broken_at(ready: Ready, taken: Sequence[Taken]) -> dict[int, tuple[str, ...]]:
    """Return at which events, by number, something is broken that was not before."""
    found = {}
    before = ready.judge.broken(ready.system.product.root())
    for number, one in enumerate(taken, 1):
        now = ready.judge.broken(one.after)
        if now - before:
            found[number] = tuple(sorted(now - before))
        before = now
    return found
