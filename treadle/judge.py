"""Judgement: which properties a state of the product breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treadle.execution.product import State
from treadle.scenario import Scenario
from treadle.values.outcome import Outcome
from treadle.values.property import Breach, Kind, Property
from treadle.values.view import SerialEnd, View
from treadle.world.state import WorldState

Sequel = Callable[[WorldState, Callable[[], object]], Outcome]
"""Runs one more client alone from a state of the world."""


Serial = Callable[[tuple[str, ...]], SerialEnd]
"""Runs some of the clients one after another from the start."""


class Judge:
    """Evaluates the properties of a scenario, once for each distinct view.

    Attributes:
        witnessed: the names of the ``sometimes`` properties that were seen.
        outcomes: the distinct final outcomes: how each client ended, and a digest of the committed rows.
    """

    def __init__(self, scenario: Scenario, sequel: Sequel, serial: Serial) -> None:
        """Judge by the properties of a scenario.

        Args:
            scenario: whose properties.
            sequel: runs one more client.
            serial: runs clients one after another.
        """
        self._serial = serial
        self.witnessed: set[str] = set()
        self.outcomes: set[str] = set()
        self._names = tuple(client.name for client in scenario.clients)
        self._invariants = scenario.invariants
        self._ends = scenario.ends
        self._sequel = sequel
        self._initial: Any = None
        self._always: dict[Any, frozenset[str]] = {}
        self._at_end: dict[Any, frozenset[str]] = {}

    def start(self, root: State) -> None:
        """Note what is committed before any client starts."""
        self._initial = root.world.content.committed

    def view(self, state: State) -> View:
        """Return a state as properties see it."""
        return View(
            committed=state.world.content.committed,
            initial=self._initial,
            outcomes={
                name: node.outcome
                for name, node in zip(self._names, state.nodes, strict=True)
                if node.outcome is not None
            },
            sequel=lambda run: self._sequel(state.world, run),
            serial=self._serial,
        )

    def broken(self, state: State) -> frozenset[str]:
        """Return the names of the properties that a state breaks.

        Raises:
            PropertyError: a predicate failed, or returned no verdict.
        """
        ends = tuple(node.outcome_key for node in state.nodes)
        key = (state.world.content if state.world.quiescent else state.world, ends)
        broken = self._always.get(key)
        if broken is None:
            broken = self._always[key] = self._evaluate(self._invariants, state)
        if None not in ends:
            broken |= self._broken_at_end(key, state)
        return broken

    def _broken_at_end(self, key: Any, state: State) -> frozenset[str]:
        broken = self._at_end.get(key)
        if broken is None:
            broken = self._at_end[key] = self._evaluate(self._ends, state)
            self.outcomes.add(self._spoken(state))
        return broken

    def _evaluate(self, properties: tuple[Property, ...], state: State) -> frozenset[str]:
        if not properties:
            return frozenset()
        view = self.view(state)
        broken = set()
        for item in properties:
            breaches = item.breaches(view)
            if item.kind is Kind.SOMETIMES:
                if not breaches:
                    self.witnessed.add(item.name)
            elif breaches:
                broken.add(item.name)
        return frozenset(broken)

    def breaches(self, state: State) -> dict[str, tuple[Breach, ...]]:
        """Return how a state breaks each property that it breaks."""
        names = self.broken(state)
        view = self.view(state)
        return {item.name: item.breaches(view) for item in (*self._invariants, *self._ends) if item.name in names}

    def _spoken(self, state: State) -> str:
        ends = "; ".join(f"{name} {node.outcome}" for name, node in zip(self._names, state.nodes, strict=True))
        return f"{ends} | {state.world.content.digest}"
