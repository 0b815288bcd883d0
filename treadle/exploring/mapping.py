"""All states of a small scenario, and what leads from one to another.

They are those that an exhaustive search visits, with each client under its own name: interchangeable ones are not
merged here, for who reads a drawing wants to know who moved.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from treadle.execution.state import State
from treadle.execution.taken import Edge, Taken
from treadle.exploring.learned import Learned, Ready
from treadle.values.display import quoted
from treadle.values.errors import UsageError
from treadle.values.fault import Fault
from treadle.values.outcome import Outcome
from treadle.values.schedule import Choice, Fail, Schedule, letters

STATES_MAX = 400
"""How many states are drawn, if nobody says otherwise: of more, nobody sees anything."""


@frozen
class Place:
    """A state.

    Attributes:
        schedule: a way there, with as few edges as any.
        broken: the names of the properties that are broken there.
        outcomes: how each client has ended, or None.
        final: nothing can happen any more.
    """

    schedule: Schedule
    broken: tuple[str, ...]
    outcomes: tuple[Outcome | None, ...]
    final: bool


@frozen
class Arc:
    """An edge: operations of one client, up to its next scheduling point.

    Attributes:
        source: the number of the state that it leaves.
        target: the number of the state that it leads to.
        client: the position of the client.
        fault: what is done to the client first, or None.
        operations: each with what came of it, in words.
        label: the first of them that others could notice, in one word.
        broken: the names of properties that are broken on the way, and were not before.
    """

    source: int
    target: int
    client: int
    fault: Fault | None
    operations: tuple[str, ...]
    label: str
    broken: tuple[str, ...]


@frozen
class Map:
    """All states, and all edges; the first state is the start.

    Attributes:
        clients: the names of the clients.
        places: the states.
        arcs: the edges.
    """

    clients: tuple[str, ...]
    places: tuple[Place, ...]
    arcs: tuple[Arc, ...]


def map_of(learned: Learned, most: int = STATES_MAX) -> Map:
    """Return all states of a scenario.

    Args:
        learned: the scenario.
        most: how many states there may be.

    Raises:
        UsageError: there are more.
        TreadleError: the scenario cannot be run.
    """
    return learned.ask(lambda ready: _Mapper(ready, most).run())


@define
class _Mapper:
    """Visits states in the order of their distance from the start."""

    _ready: Ready
    _most: int
    _numbers: dict[State, int] = field(factory=dict, init=False)
    _ways: list[tuple[Choice, ...]] = field(factory=list, init=False)
    _todo: deque[State] = field(factory=deque, init=False)

    def run(self) -> Map:
        scenario = self._ready.system.scenario
        product = self._ready.system.product
        places: list[Place] = []
        arcs: list[Arc] = []
        self._arrive(product.root(), ())
        while self._todo:
            state = self._todo.popleft()
            choices = product.choices(state)
            number = self._numbers[state]
            places.append(
                Place(
                    Schedule(self._ways[number]),
                    tuple(sorted(self._ready.judge.broken(state))),
                    tuple(local.node.outcome for local in state.locals),
                    not choices,
                )
            )
            arcs += [self._follow(number, state, product.run(state, choice)) for choice in choices]
        return Map(tuple(client.name for client in scenario.clients), tuple(places), tuple(arcs))

    def _arrive(self, state: State, way: tuple[Choice, ...]) -> int:
        if state not in self._numbers:
            if len(self._numbers) == self._most:
                raise UsageError(
                    f"scenario {quoted(self._ready.system.scenario.name)} has more than {self._most:,} states: at the "
                    f"bound, {len(self._todo):,} of them were still to be visited. Nobody could read such a drawing: "
                    "make the scenario smaller (fewer clients, rows or faults; -p sets the parameters of a TARGET), or "
                    "allow more with --max-states N."
                )
            self._numbers[state] = len(self._numbers)
            self._ways.append(way)
            self._todo.append(state)
        return self._numbers[state]

    def _follow(self, number: int, state: State, edge: Edge) -> Arc:
        judge = self._ready.judge
        passed = set().union(*(judge.broken(there) for _, there in edge.moments))
        product = self._ready.system.product
        taken = product.reaching(state, lambda: list(product.walk(edge.choices(), state)))
        return Arc(
            source=number,
            target=self._arrive(edge.after, (*self._ways[number], *edge.choices())),
            client=edge.first.client,
            fault=edge.first.fault if isinstance(edge.first, Fail) else None,
            operations=tuple(map(_said, taken)),
            label=_label(next((one for one in taken if _shows(one)), taken[0])),
            broken=tuple(sorted(passed - judge.broken(state))),
        )


def _shows(taken: Taken) -> bool:
    """Tell whether an operation fails, waits, or changes a lock or what is committed."""
    transition = taken.transition
    moves = transition is None or transition.held_before is not transition.held_after
    return moves or taken.waits or _failed(taken) or taken.before.content is not taken.after.content


def _failed(taken: Taken) -> bool:
    return taken.observation is not None and taken.observation.failure is not None


def _label(taken: Taken) -> str:
    if taken.operation is None:
        return "crash"
    verb = str(taken.operation).partition(" ")[0]
    return f"{verb} waits" if taken.waits else f"{verb} ✗" if _failed(taken) else verb


def _said(taken: Taken) -> str:
    """Return an operation, and what came of it where that is not what is expected."""
    asked = "crash" if taken.operation is None else str(taken.operation)
    if taken.waits:
        return f"{asked}: waits"
    failure = None if taken.observation is None else taken.observation.failure
    if failure is not None:
        return f"{asked}: {failure.message}"
    outcome = taken.after.locals[taken.choice.client].node.outcome
    return asked if outcome is None else f"{asked}; {letters(taken.choice.client)} {outcome}"
