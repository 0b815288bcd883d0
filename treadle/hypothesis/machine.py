"""The machine: Hypothesis chooses whose turn it is, up to where, and what fails there, and shrinks what it finds.

Rules walk the same learned product that a search walks, so that an example costs a few real runs at first, and next to
nothing later. Hypothesis takes an example for the smaller the fewer choices it draws, and then the smaller they are. So
one turn is one rule, and a fault draws as much as several turns: what is left has few faults first, and few turns then.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

from attrs import evolve
from hypothesis import Phase, currently_in_test_context, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from treadle.execution.confirmation import run_live
from treadle.execution.state import State
from treadle.execution.tracing import trace_of
from treadle.hypothesis.ahead import Ahead, Edges
from treadle.hypothesis.learned import STARTS_OVER, Shared
from treadle.report.timeline import render_timeline
from treadle.scenario import Scenario
from treadle.values.display import names, quoted
from treadle.values.errors import CounterexampleError, UsageError
from treadle.values.property import Kind
from treadle.values.schedule import Choice, Schedule

_Answer = TypeVar("_Answer")

_WEIGHT = 30
"""How many choices more than a turn a fault draws, and an adversarial one once more: a turn takes some six of them."""


_TURNS = 8
"""For how many turns of each client Hypothesis draws rules: a race needs few, and the clients run on in any case."""


class _Allowed(enum.IntEnum):
    """Which faults an example may have; Hypothesis shrinks to the first."""

    NONE = 0
    REACHABLE = 1
    ALL = 2


class _EveryRule:
    """Leaves every rule enabled, where Hypothesis would disable some for each example.

    It does so without a look at preconditions, and may have no rule left then: a third of the examples were wasted.
    """

    def is_enabled(self, name: str) -> bool:
        """Tell that a rule is."""
        del name
        return True


class ScenarioMachine(RuleBasedStateMachine):
    """The base class of machines; ``state_machine`` makes one for a scenario.

    Attributes:
        shared: what all examples share.
        properties: the names of the properties that are checked.
    """

    shared: Shared
    properties: frozenset[str]

    def __init__(self) -> None:
        """Start an example: no client has started."""
        super().__init__()
        self._names = tuple(client.name for client in self.shared.scenario.clients)
        self._path: list[Choice] = []
        self._passed: list[int] = []
        self._found: CounterexampleError | None = None
        self._allowed = _Allowed.ALL
        self._chosen = 0
        allowed: Any = st.shared(st.sampled_from(_Allowed), key=("allowed", self)).map(self._allow)
        # It is no part of Hypothesis' documented interface. Where it is ignored, some examples are wasted again, and
        # all faults of the budget are allowed in each.
        self._rules_strategy.enabled_rules_strategy = allowed
        self._arrive()
        self._surely(lambda: self._look(self._state, []))

    def _allow(self, allowed: _Allowed) -> _EveryRule:
        self._allowed = allowed
        return _EveryRule()

    def _arrive(self) -> None:
        """Get ready in the state that the choices so far led to."""
        self._learned = self.shared.learned()
        product = self._learned.system.product
        self._state: State = product.root()
        for taken in product.walk(tuple(self._path)):
            self._state = taken.after

    def _surely(self, act: Callable[[], _Answer]) -> _Answer:
        """Do something, and again where something must not be taken for granted any more."""
        while True:
            try:
                return act()
            except STARTS_OVER as error:
                self.shared.start_over(error)
                self._arrive()

    # What may happen.

    def ahead(self, client: int) -> Ahead:
        """Return what a client may do next."""
        return self._surely(lambda: self._learned.ahead(self._state, client))

    def possible(self, rule_name: str, client: int) -> dict[str, Edges]:
        """Return the places to which a rule may lead a client in this example, the simplest first."""
        if self.finished:
            return {}
        ahead = self.ahead(client)
        if rule_name == "turn":
            return ahead.turns
        if self._allowed is _Allowed.NONE:
            return {}
        if rule_name == "crash_at":
            return ahead.crashes
        return ahead.reachable | (ahead.adversarial if self._allowed is _Allowed.ALL else {})

    def clients_for(self, rule_name: str) -> list[str]:
        """Return the names of the clients that a rule may lead somewhere."""
        return [name for client, name in enumerate(self._names) if self.possible(rule_name, client)]

    def choose(self, client: str) -> str:
        """Note which client was drawn, for its place is drawn next."""
        self._chosen = self._names.index(client)
        return client

    def places_for(self, rule_name: str) -> st.SearchStrategy[str]:
        """Draw a place for the client that was drawn; what is worse draws more."""
        adversarial = self.ahead(self._chosen).adversarial

        def weigh(place: str) -> st.SearchStrategy[str]:
            faults = 0 if rule_name == "turn" else 1 + (rule_name == "locked_at" and place in adversarial)
            return st.tuples(st.just(place), *[st.integers(0, 0)] * (_WEIGHT * faults)).map(lambda drawn: drawn[0])

        places = list(self.possible(rule_name, self._chosen))
        behind = 0 if rule_name != "turn" else self._passed.count(self._chosen)
        # The same number mostly means the same place, however far the client is: a turn can do without the one before.
        return st.sampled_from(places[:1] * behind + places).flatmap(weigh)

    @staticmethod
    def count(what: str) -> None:
        """Count an example for ``--hypothesis-show-statistics``; one that is run by hand is not counted."""
        if currently_in_test_context():
            event(what)

    @property
    def finished(self) -> bool:
        """Whether nothing happens any more: all clients have finished, or a property is broken."""
        return self._found is not None or self._state.ended

    # What happens.

    def follow(self, rule_name: str, client: str, place: str) -> None:
        """Do what a rule says.

        Raises:
            UsageError: there is no such client, or no such place ahead of it.
        """
        if client not in self._names:
            raise UsageError(f"client={quoted(client)}: there is {names(self._names)}. Correct the name.")
        places = self.possible(rule_name, self._names.index(client))
        if place not in places:
            raise UsageError(
                f"{rule_name}: {quoted(place)} is no place ahead of {quoted(client)}; there is {names(list(places))}. "
                "Copy the rules of an example as they are."
            )
        for edge in places[place]:
            self._surely(partial(self._take, edge.first))

    def _take(self, choice: Choice) -> None:
        """Do a choice, go on to the client's next scheduling point, and look at the properties on the way."""
        if self.finished:
            return
        edge = self._learned.run(self._state, choice)
        for operations, there in edge.moments:
            self._look(there, [*self._path, *edge.choices(operations)])
        self._path += edge.choices()
        self._passed.append(choice.client)
        self._state = edge.after

    def _look(self, state: State, path: list[Choice]) -> None:
        """Look at the properties; what is broken is told at the end.

        If a rule told it, an example that ends with this rule would draw less than the one without it, in which it
        shows when the clients run on: Hypothesis draws once more to end the rules.
        """
        broken = sorted(self._learned.judge.broken(state) & self.properties)
        if broken and self._found is None:
            name = broken[0]
            why = self._learned.judge.breaches(state)[name][0].why
            schedule = Schedule(tuple(path))
            system = self._learned.system
            taken = list(system.product.walk(schedule.choices))
            token = trace_of(self.shared.scenario, taken, {}).schedule.token
            details = partial(self._timeline, schedule, name)
            self._found = CounterexampleError(why, property=name, token=token, details=details)

    def _timeline(self, schedule: Schedule, name: str) -> str:
        """Run a schedule live, and tell what happened."""
        taken = run_live(self._learned.system, schedule)
        breaches = self._learned.judge.breaches(taken[-1].after)
        return render_timeline(trace_of(self.shared.scenario, taken, {name: breaches[name]}))

    def teardown(self) -> None:
        """Let the clients run on, one after another, so that the properties of the end are checked too.

        Raises:
            CounterexampleError: a property is broken.
        """
        while not self.finished:
            self._surely(lambda: self._take(self._learned.run_on(self._state).first))
        if self._found is not None:
            raise self._found


def _can(rule_name: str) -> Any:
    return precondition(lambda machine: bool(machine.clients_for(rule_name)))


def _clients(rule_name: str) -> st.SearchStrategy[str]:
    """Choose among the clients that a rule may lead somewhere."""
    return st.runner().flatmap(lambda machine: st.sampled_from(machine.clients_for(rule_name)).map(machine.choose))


def _places(rule_name: str) -> st.SearchStrategy[str]:
    """Choose among the places to which a rule may lead the client; Hypothesis draws arguments in alphabetical order."""
    return st.runner().flatmap(lambda machine: machine.places_for(rule_name))


def turn(self: ScenarioMachine, client: str, to: str) -> None:
    """Let a client go on to a place, and stop before it does what is next there."""
    self.follow("turn", client, to)


def locked_at(self: ScenarioMachine, client: str, place: str) -> None:
    """Let a client go on to a place, where it gets ``database is locked``."""
    self.count(f"locked at {place}")
    self.follow("locked_at", client, place)


def crash_at(self: ScenarioMachine, client: str, place: str) -> None:
    """Let a client go on to a place, where its process dies."""
    self.count(f"crash at {place}")
    self.follow("crash_at", client, place)


def rest(self: ScenarioMachine) -> None:
    """Do nothing: all clients have finished, or a property is broken."""


def state_machine(scenario: Scenario, *, properties: Collection[str] | None = None) -> type[RuleBasedStateMachine]:
    """Return a rule-based state machine for a scenario.

    Its rules are ``turn(client, to)``, ``locked_at(client, place)`` and ``crash_at(client, place)``: a client goes on
    to a place, undisturbed, and stops before it, gets ``database is locked`` there, or dies. Faults come within the
    scenario's budget and at the places that it names. A place is an operation, as "SAVEPOINT 2 of 3": the second of
    three that the client comes to if nobody disturbs it. The scenario's properties are checked after each commit and at
    the end; ``sometimes`` properties are left out, since one example cannot decide them. Clients that have not finished
    when Hypothesis stops are run to their end, one after another.

    Use it as any machine (https://hypothesis.readthedocs.io/en/latest/stateful.html)::

        TestBackfill = state_machine(scenario).TestCase

    In its ``TestCase.settings`` the explain phase is off, since it traces every line that runs, and an example has at
    most eight rules for each client.

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
        "shared": Shared(evolve(scenario, properties=wanted, expect_violated=scenario.expect_violated & chosen)),
        "properties": frozenset(chosen),
        "rest": precondition(lambda machine: machine.finished)(rule()(rest)),
        "turn": _can("turn")(rule(client=_clients("turn"), to=_places("turn"))(turn)),
    }
    for budget, action in ((scenario.faults.locked, locked_at), (scenario.faults.crash, crash_at)):
        name = action.__name__
        if budget > 0:
            namespace[name] = _can(name)(rule(client=_clients(name), place=_places(name))(action))
    title = "".join(part.capitalize() for part in "".join(c if c.isalnum() else " " for c in scenario.name).split())
    machine: Any = type(f"{title}Machine", (ScenarioMachine,), namespace)
    usual = machine.TestCase.settings
    machine.TestCase.settings = settings(
        usual,
        phases=[phase for phase in usual.phases if phase is not Phase.explain],
        stateful_step_count=min(usual.stateful_step_count, _TURNS * len(scenario.clients)),
    )
    made: type[RuleBasedStateMachine] = machine
    return made
