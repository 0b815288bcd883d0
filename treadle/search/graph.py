"""The explored graph: which states were met, and which edges lead from one to another.

It may have millions of arcs, of which most are alike, so it is kept as numbers::

    node      0       1   2        where its arcs begin, and how many there are
              │       │   │
    arcs    ▢ ▢ ▢   ▢ ▢   ▢        each where it leads to, and which of the labels it has
    labels  "client A takes 3 operations", "client B is refused a lock, and takes 4 more", ...

It has no cycles: a client never returns to an earlier point of its history, and a waiting client tries again only
after another one has moved. So schedules are counted by dynamic programming.

Where interchangeable clients were merged, an arc leads to a state in which they may be called otherwise.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from treadle.execution.symmetry import Renaming
from treadle.execution.taken import Edge
from treadle.values.fault import Fault
from treadle.values.schedule import Fail

NOWHERE = -1
"""Where an arc leads of which that is not known yet."""


class Label(NamedTuple):
    """What an arc stands for: a stretch of one client's operations.

    Attributes:
        client: the position of the client.
        fault: what its first choice does to it, or None if that is a step as the others are.
        operations: how many choices it has, one operation each.
        essential: how many of them another client could notice, with all before; the rest may be left out if the
            client does nothing more.
        injected: whether the first choice spends a fault.
        adversarial: whether that is a fault that SQLite could not have shown.
        renaming: how clients are called at the end, or None if as before.
    """

    client: int
    fault: Fault | None
    operations: int
    essential: int
    injected: bool
    adversarial: bool
    renaming: Renaming | None


def label_of(edge: Edge, operations: int, renaming: Renaming | None = None) -> Label:
    """Return the label of an edge, or of its first operations."""
    first = edge.first
    return Label(
        first.client,
        first.fault if isinstance(first, Fail) else None,
        operations,
        min(edge.essential, operations),
        edge.injected,
        edge.adversarial,
        renaming,
    )


class Graph:
    """A graph whose nodes are numbered from 0, where everything starts.

    Attributes:
        labels: the distinct labels of its arcs.
        goals: for each property that was broken, edges that break it: the node that each leaves, and its label.
    """

    def __init__(self) -> None:
        """Start without nodes."""
        self.labels: list[Label] = []
        self.goals: dict[str, list[tuple[int, Label]]] = defaultdict(list)
        self._numbers: dict[Label, int] = {}
        self._first = array("q")
        self._degrees = array("q")
        self._targets = array("q")
        self._labels = array("q")

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._first)

    def add_node(self) -> int:
        """Add a node, and return its number."""
        self._first.append(NOWHERE)
        self._degrees.append(0)
        return len(self._first) - 1

    def expand(self, node: int, arcs: list[tuple[int, Label]]) -> int:
        """Give a node its arcs, and return the number of the first one; the others follow.

        Args:
            node: one without arcs.
            arcs: the nodes that they lead to, or ``NOWHERE``, and what each stands for.
        """
        assert not self._degrees[node], "a node is expanded once"
        first = self._first[node] = len(self._targets)
        self._degrees[node] = len(arcs)
        for target, label in arcs:
            number = self._numbers.get(label)
            self._targets.append(target)
            self._labels.append(self._number(label) if number is None else number)
        return first

    def _number(self, label: Label) -> int:
        number = self._numbers.get(label)
        if number is None:
            number = self._numbers[label] = len(self.labels)
            self.labels.append(label)
        return number

    def lead(self, arc: int, target: int, renaming: Renaming | None) -> None:
        """Say where an arc leads to, and how clients are called there."""
        self._targets[arc] = target
        if renaming is not None:
            self._labels[arc] = self._number(self.labels[self._labels[arc]]._replace(renaming=renaming))

    def targets(self, node: int) -> array[int]:
        """Return where the arcs of a node lead to."""
        first = self._first[node]
        return self._targets[first : first + self._degrees[node]]

    def arcs(self, node: int) -> Iterator[tuple[int, Label]]:
        """Yield where the arcs of a node lead to, and what each stands for."""
        first = self._first[node]
        for arc in range(first, first + self._degrees[node]):
            yield self._targets[arc], self.labels[self._labels[arc]]

    def add(self, other: Graph) -> tuple[int, int]:
        """Add the nodes and arcs of another graph; return which numbers the first node and the first arc have here."""
        nodes, arcs = len(self._first), len(self._targets)
        numbers = [self._number(label) for label in other.labels]
        self._first.extend([first + arcs for first in other._first])
        self._degrees.extend(other._degrees)
        self._targets.extend([NOWHERE if target == NOWHERE else target + nodes for target in other._targets])
        self._labels.extend([numbers[label] for label in other._labels])
        for name, places in other.goals.items():
            self.goals[name] += [(node + nodes, label) for node, label in places]
        return nodes, arcs

    def count_paths(self, unfinished: Iterable[int]) -> int:
        """Return how many complete paths lead from the first node.

        Args:
            unfinished: nodes that were not expanded; paths that end there are not complete, and neither are those
                along an arc that leads nowhere.
        """
        counts: dict[int, int] = {NOWHERE: 0, **dict.fromkeys(unfinished, 0)}
        known = counts.get
        stack = [0]
        while stack:
            node = stack[-1]
            if node in counts:
                stack.pop()
                continue
            onward = self.targets(node)
            height, total = len(stack), 0
            for target in onward:
                count = known(target)
                if count is None:
                    stack.append(target)
                else:
                    total += count
            if len(stack) == height:
                counts[node] = total if onward else 1
                stack.pop()
        return counts[0]
