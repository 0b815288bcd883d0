"""Exploring: visiting states, each once, and keeping the graph.

Depth first, so that the live world and the live clients mostly go on from where they are. Of the states that differ
only in what interchangeable clients are called, one is visited.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.symmetry import Renaming, Symmetry
from treadle.judge import Judge
from treadle.search.graph import Arc, Goal, Graph, arc
from treadle.values.errors import StuckClientError
from treadle.values.signals import OperationBoundError


class Departure(NamedTuple):
    """An edge to a state that another explorer visits.

    Attributes:
        node: the node that it leaves.
        place: which of the node's arcs it is; the arc's target is to be filled in.
        state: where it leads to.
    """

    node: int
    place: int
    state: State


def _everywhere(state: State) -> bool:
    del state
    return True


class Explorer:
    """Visits the states that are its own.

    Attributes:
        graph: the arcs of each node; those of a node that is still to be visited are missing.
        goals: for each property that was broken, the edges that break it.
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
        self.graph: Graph = []
        self.goals: dict[str, list[Goal]] = defaultdict(list)
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
        number = len(self.graph)
        if self._merge:
            number = self._numbers.setdefault(self._symmetry.canonical(state), number)
        if number < len(self.graph):
            return number, self._symmetry.renaming(state, self._states[number])
        self.graph.append([])
        self._states.append(state)
        self._broken.append(self._judge.broken(state))
        self.todo.append(number)
        return number, None

    def broken(self, node: int) -> frozenset[str]:
        """Return the names of the properties that are broken at a node."""
        return self._broken[node]

    def visit(self) -> None:
        """Visit the next state."""
        node = self.todo.pop()
        state = self._states[node]
        choices = self._product.choices(state)
        self.ends += not choices
        arcs = self.graph[node]
        for choice in choices:
            try:
                edge = self._product.run(state, choice)
            except (OperationBoundError, StuckClientError) as error:
                self.endless = self.endless or str(error)
                continue
            self.transitions += 1
            after = edge.after
            operations = edge.moments[-1].operations
            if self._owns(after):
                target, renaming = self.arrive(after)
                arcs.append(arc(edge, target, operations, renaming))
                now = self._broken[target]
            else:
                self.departures.append(Departure(node, len(arcs), after))
                arcs.append(arc(edge, -1, operations))
                now = self._judge.broken(after)
            if now:
                self._note_broken(node, arcs[-1], now)
            for count, there in edge.moments[:-1]:
                names = self._judge.broken(there)
                if names:
                    self._note_broken(node, arc(edge, -1, count), names)

    def _note_broken(self, node: int, item: Arc, names: frozenset[str]) -> None:
        for name in names - self._broken[node]:  # one that is broken before has a shorter way than this
            self.goals[name].append((node, item))
