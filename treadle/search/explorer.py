"""Exploring: visiting states, each once, and keeping the graph.

Depth first, so that the live world and the live clients mostly go on from where they are. Of the states that differ
only in what interchangeable clients are called, one is visited.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.symmetry import Renaming, Symmetry
from treadle.judge import Judge
from treadle.search.graph import NOWHERE, Graph, Label, label_of
from treadle.search.smallest import smallest
from treadle.values.errors import StuckClientError
from treadle.values.schedule import Fail, Schedule, Step
from treadle.values.signals import OperationBoundError


class Departure(NamedTuple):
    """An edge to a state that another explorer visits.

    Attributes:
        arc: the number of its arc, of which is to be said where it leads.
        state: where it leads to.
    """

    arc: int
    state: State


def _everywhere(state: State) -> bool:
    del state
    return True


class Explorer:
    """Visits the states that are its own.

    Attributes:
        graph: the states as nodes; the arcs of one that is still to be visited are missing.
        todo: the nodes that are still to be visited.
        departures: edges to states of others.
        transitions: how many edges were walked.
        ends: how many final states were met.
        endless: why a client did not finish, or an empty text.
    """

    def __init__(
        self,
        product: Product,
        judge: Judge,
        symmetry: Symmetry,
        *,
        merge: bool = True,
        owns: Callable[[State], bool] = _everywhere,
    ) -> None:
        """Start with nothing to visit.

        Args:
            product: what is walked.
            judge: looks at every state.
            symmetry: which clients are interchangeable.
            merge: visit equal states once. Without, every schedule is walked to its end.
            owns: tells whether a state is for this explorer to visit; by default all are.
        """
        self._product = product
        self._judge = judge
        self._symmetry = symmetry
        self._merge = merge
        self._owns = owns
        self.graph = Graph()
        self.todo: list[int] = []
        self.departures: list[Departure] = []
        self.transitions = 0
        self.ends = 0
        self.endless = ""
        self._states: list[State] = []
        self._broken: list[frozenset[str]] = []
        self._numbers: dict[Hashable, int] = {}

    def arrive(self, state: State) -> tuple[int, Renaming | None]:
        """Return the node of a state, which is to be visited if it is new, and how clients are called there."""
        canonical = self._symmetry.canonical(state) if self._merge else None
        known = self._numbers.get(canonical)
        if known is not None:
            return known, self._symmetry.renaming(state, self._states[known])
        broken = self._judge.broken(state)  # this may fail, and nothing is noted then
        number = self.graph.add_node()
        if canonical is not None:
            self._numbers[canonical] = number
        self._states.append(state)
        self._broken.append(broken)
        self.todo.append(number)
        return number, None

    def broken(self, node: int) -> frozenset[str]:
        """Return the names of the properties that are broken at a node."""
        return self._broken[node]

    @property
    def violated(self) -> bool:
        """Whether some property is broken in what was met."""
        return bool(self.graph.goals) or bool(self._broken and self._broken[0])

    def examples(self) -> dict[str, Schedule]:
        """Return, for each property that is broken in what was met, the smallest schedule there that breaks it."""
        at_once = dict.fromkeys(self._broken[0], Schedule()) if self._broken else {}
        return at_once | smallest(self.graph, self._symmetry.groups)

    def visit(self) -> None:
        """Visit the next state; where a client does not come to an end, say so in ``endless``."""
        node = self.todo.pop()
        try:
            self.expand(node)
        except (OperationBoundError, StuckClientError) as error:  # nothing can be told of the state
            self.endless = self.endless or str(error)
            self.todo.append(node)

    def expand(self, node: int) -> None:
        """Give a node that was not visited yet its arcs.

        Raises:
            OperationBoundError: what decides what happens there, or what a property lets run there, does not end.
            StuckClientError: likewise.
        """
        state = self._states[node]
        choices = self._product.choices(state)
        for choice in choices:
            if isinstance(choice, Fail) and Step(choice.client) in choices:  # it has two ways on from there
                self._product.stay(state, choice.client)
        arcs: list[tuple[int, Label]] = []
        departures: list[tuple[int, State]] = []
        for choice in choices:
            try:
                edge = self._product.run(state, choice)
            except (OperationBoundError, StuckClientError) as error:
                self.endless = self.endless or str(error)
                continue
            after = edge.after
            operations = edge.moments[-1].operations
            if self._owns(after):
                target, renaming = self.arrive(after)
                label = label_of(edge, operations, renaming)
                now = self._broken[target]
            else:
                target, label = NOWHERE, label_of(edge, operations)
                departures.append((len(arcs), after))
                now = self._judge.broken(after)
            arcs.append((target, label))
            if now:
                self._note_broken(node, label, now)
            for count, there in edge.moments[:-1]:
                names = self._judge.broken(there)
                if names:
                    self._note_broken(node, label_of(edge, count), names)
        self.ends += not choices
        self.transitions += len(arcs)
        first = self.graph.expand(node, arcs)
        self.departures += [Departure(first + place, after) for place, after in departures]

    def _note_broken(self, node: int, label: Label, names: frozenset[str]) -> None:
        for name in names - self._broken[node]:  # one that is broken before has a shorter way than this
            self.graph.goals[name].append((node, label))
