"""Hypothesis machines: a scenario as a rule-based state machine.

Hypothesis chooses which client starts, steps and fails, and shrinks what it finds; the properties of the scenario
are the machine's invariants. Rules walk the same learned product that a search walks, so that an example costs a
few real runs at first, and next to nothing later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from treadle.execution.confirmation import run_live
from treadle.execution.state import State
from treadle.execution.system import Known, Surprise, System, less_known
from treadle.execution.tracing import trace_of
from treadle.judge import Judge
from treadle.report.timeline import render_timeline
from treadle.scenario import Scenario
from treadle.values.display import names, quoted
from treadle.values.errors import CounterexampleError, NondeterminismError, UnsupportedOperationError, UsageError
from treadle.values.fault import Fault
from treadle.values.property import Kind
from treadle.values.schedule import Choice, Fail, Schedule, Step
from treadle.values.signals import (
    EndsMatterError,
    HistoryNeededError,
    LogsNeededError,
    NotLocalError,
)
from treadle.world.patience import patience_of

_STARTS_OVER = (EndsMatterError, HistoryNeededError, LogsNeededError, NondeterminismError, NotLocalError)
"""What tells that something must not be taken for granted any more."""

_open: set[_Runner] = set()


def close_machines() -> None:
    """Close the databases of all machines; a machine that goes on opens a new one."""
    while _open:
        _open.pop().close()


class _Runner:
    """What all examples of one machine share: the learned clients and world."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._stack = contextlib.ExitStack()
        self._ready: tuple[System, Judge] | None = None
        self._known = Known()

    def ready(self) -> tuple[System, Judge]:
        """Return the system and its judge, made ready."""
        if self._ready is None:
            with patience_of(self.scenario):
                system = self._stack.enter_context(System(self.scenario, self._known))
            judge = Judge(self.scenario, system.sequel, system.serial, ends_visible=system.shows_ends)
            judge.start(system.product.root())
            self._ready = system, judge
            _open.add(self)
        return self._ready

    def start_over(self, error: Surprise) -> None:
        """Start over, and take for granted no more what has turned out not to be so.

        Raises:
            UnsupportedOperationError: something depends on the whole execution.
        """
        self.close()
        self._known = less_known(self._known, error)
        if self._known.history:
            raise UnsupportedOperationError(
                f"{self._known.history} may depend on the whole execution, and a machine goes on from what it has "
                "learned. Use treadle.check, which then runs every schedule from its start."
            )

    def close(self) -> None:
        """Close databases, and remove their files."""
        self._ready = None
        self._stack.close()


class ScenarioMachine(RuleBasedStateMachine):
    """The base class of machines; ``state_machine`` makes one for a scenario.

    Attributes:
        runner: what all examples share.
        properties: the names of the properties that are checked.
    """

    runner: _Runner
    properties: frozenset[str]

    def __init__(self) -> None:
        """Start an example: no client has started."""
        super().__init__()
        self._names = tuple(client.name for client in self.runner.scenario.clients)
        self._path: list[Choice] = []
        self._broken = False
        self._arrive()

    def _arrive(self) -> None:
        """Get ready in the state that the choices so far led to."""
        self._system, self._judge = self.runner.ready()
        self._state: State = self._system.product.root()
        for taken in self._system.product.walk(tuple(self._path)):
            self._state = taken.after
        self._choices = self._system.product.choices(self._state)

    def _may(self, *, step: bool = False, started: bool = True, fault: Fault | None = None) -> list[str]:
        """Return the names of the clients to which something may happen."""
        return [
            self._names[choice.client]
            for choice in self._choices
            if (step and isinstance(choice, Step) and started is bool(self._state.locals[choice.client].node.depth))
            or (isinstance(choice, Fail) and choice.fault is fault)
        ]

    def _do(self, choice: Choice) -> None:
        """Do a choice, go on to the client's next scheduling point, and look at the properties on the way."""
        try:
            edge = self._system.product.run(self._state, choice)
            for operations, there in edge.moments:
                self._look(there, [*self._path, *edge.choices(operations)])
            self._path += edge.choices()
            self._state = edge.after
            self._choices = self._system.product.choices(self._state)
        except _STARTS_OVER as error:
            self.runner.start_over(error)
            self._arrive()
            self._do(choice)

    def _look(self, state: State, path: list[Choice]) -> None:
        broken = sorted(self._judge.broken(state) & self.properties)
        if broken:
            self._broken = True
            name = broken[0]
            why = self._judge.breaches(state)[name][0].why
            schedule = Schedule(tuple(path))
            taken = list(self._system.product.walk(schedule.choices))
            token = trace_of(self.runner.scenario, taken, {}).schedule.token
            raise CounterexampleError(why, property=name, token=token, details=lambda: self._timeline(schedule, name))

    def _timeline(self, schedule: Schedule, name: str) -> str:
        """Run a schedule live, and tell what happened."""
        taken = run_live(self._system, schedule)
        breaches = self._judge.breaches(taken[-1].after)
        return render_timeline(trace_of(self.runner.scenario, taken, {name: breaches[name]}))

    @invariant()
    def properties_hold(self) -> None:
        """Check the properties in the state that the example is in."""
        if self._broken:
            return
        try:
            self._look(self._state, self._path)
        except _STARTS_OVER as error:
            self.runner.start_over(error)
            self._arrive()
            self.properties_hold()

    def teardown(self) -> None:
        """Let the clients run on, one after another, so that the properties of the end are checked too."""
        while self._choices and not self._broken:
            self._do(next((choice for choice in self._choices if isinstance(choice, Step)), self._choices[0]))


def _clients(**which: Any) -> st.SearchStrategy[str]:
    """Choose among the clients to which something may happen."""
    return st.runner().flatmap(lambda machine: st.sampled_from(machine._may(**which)))  # noqa: SLF001  # one module


def _can(**which: Any) -> Any:
    return precondition(lambda machine: bool(machine._may(**which)))  # noqa: SLF001  # one module


def start(self: ScenarioMachine, client: str) -> None:
    """Start a client: it goes on through its first operation that others can notice."""
    self._do(Step(self._names.index(client)))


def step(self: ScenarioMachine, client: str) -> None:
    """Step a client to its next scheduling point."""
    self._do(Step(self._names.index(client)))


def fail(self: ScenarioMachine, client: str) -> None:
    """Fail a client's next operation with ``database is locked``."""
    self._do(Fail(self._names.index(client), Fault.LOCKED))


def crash(self: ScenarioMachine, client: str) -> None:
    """Let a client's process die."""
    self._do(Fail(self._names.index(client), Fault.CRASH))


def rest(self: ScenarioMachine) -> None:
    """Do nothing: all clients have finished."""


def state_machine(scenario: Scenario, *, properties: Collection[str] | None = None) -> type[RuleBasedStateMachine]:
    """Return a rule-based state machine for a scenario.

    Its rules start clients, step them to their next scheduling point, fail them with ``database is locked`` and
    crash them, within the scenario's fault budget and at the places that it names. Its invariants are the
    scenario's properties; ``sometimes`` properties are left out, since one example cannot decide them. The clients
    that have not finished when Hypothesis stops are run to their end, one after another.

    Use it as any machine (https://hypothesis.readthedocs.io/en/latest/stateful.html)::

        TestBackfill = state_machine(scenario).TestCase

    Args:
        scenario: what the machine runs.
        properties: the names of the properties to check; by default all.

    Raises:
        UsageError: a name is no property of the scenario.
    """
    known = {item.name for item in scenario.properties if item.kind is not Kind.SOMETIMES}
    chosen = known if properties is None else set(properties)
    unknown = sorted(chosen - known)
    if unknown:
        raise UsageError(
            f"properties={quoted(unknown[0])}: scenario {quoted(scenario.name)} has no such property to check; it has "
            f"{names(sorted(known))}. Correct the name."
        )
    wanted = [item for item in scenario.properties if item.name in chosen]
    namespace: dict[str, Any] = {
        "__doc__": f"Runs scenario {quoted(scenario.name)}.",
        "__module__": __name__,
        # What else the scenario asks would only make examples longer.
        "runner": _Runner(evolve(scenario, properties=wanted, expect_violated=scenario.expect_violated & chosen)),
        "properties": frozenset(chosen),
        "start": _can(step=True, started=False)(rule(client=_clients(step=True, started=False))(start)),
        "rest": precondition(lambda machine: not machine._choices)(rule()(rest)),  # noqa: SLF001  # one module
        "step": _can(step=True)(rule(client=_clients(step=True))(step)),
    }
    for fault, action in ((Fault.LOCKED, fail), (Fault.CRASH, crash)):
        if getattr(scenario.faults, fault.value) > 0:
            name = "fail" if fault is Fault.LOCKED else "crash"
            namespace[name] = _can(fault=fault)(rule(client=_clients(fault=fault))(action))
    title = "".join(part.capitalize() for part in "".join(c if c.isalnum() else " " for c in scenario.name).split())
    return type(f"{title}Machine", (ScenarioMachine,), namespace)
