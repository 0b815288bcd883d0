"""Exhaustive search: every state of the product, each once.

Depth first, so that the live world and the live clients mostly go on from where they are. Of the states that differ
only in what interchangeable clients are called, one is visited.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.symmetry import Symmetry
from treadle.judge import Judge
from treadle.search.graph import Goal, Graph, arc, count_paths, smallest
from treadle.search.protocol import Finding, Limits
from treadle.values.errors import StuckClientError
from treadle.values.schedule import Schedule
from treadle.values.signals import OperationBoundError


class Exhaustive:
    """Visits every state."""

    def __init__(self, symmetry: Symmetry, *, merge: bool = True) -> None:
        """Choose what is merged.

        Args:
            symmetry: which clients are interchangeable.
            merge: visit equal states once. Without, every schedule is walked to its end.
        """
        self._symmetry = symmetry
        self._merge = merge

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Walk everything, count, and find the smallest example of each property that is broken."""
        finding = self._explore(product, judge, limits)
        while product.outdated:
            product.forget()
            finding = self._explore(product, judge, limits)
        return finding

    def _explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        root = product.root()
        judge.start(root)
        graph: Graph = [[]]
        visited = [root]
        broken = [judge.broken(root)]
        goals: dict[str, list[Goal]] = defaultdict(list)
        numbers: dict[Hashable, int] = {self._symmetry.canonical(root): 0}
        todo = [0]
        transitions = ends = 0
        finding = Finding(minimal=True)
        endless = ""
        while todo:
            if product.outdated:
                break
            finding.why_not = endless or limits.reached(len(graph), transitions, ends)
            if finding.why_not:
                break
            number = todo.pop()
            state = visited[number]
            choices = product.choices(state)
            ends += not choices
            for choice in choices:
                try:
                    edge = product.run(state, choice)
                except (OperationBoundError, StuckClientError) as error:
                    endless = endless or str(error)
                    continue
                transitions += 1
                after = edge.after
                target = self._number(after, numbers)
                last = judge.broken(after)
                renaming = None
                if target == len(graph):
                    graph.append([])
                    visited.append(after)
                    broken.append(last)
                    todo.append(target)
                else:
                    renaming = self._symmetry.renaming(after, visited[target])
                graph[number].append(arc(edge, target, edge.moments[-1].operations, renaming))
                # A state that is broken already has a shorter way than through here.
                before = broken[number]
                for operations, there in edge.moments:
                    now = judge.broken(there)
                    for name in now - before if now else ():
                        goals[name].append((number, arc(edge, target, operations)))
        finding.why_not = finding.why_not or endless
        finding.exhausted = not finding.why_not
        finding.states = len(graph)
        finding.transitions = transitions
        finding.schedules = count_paths(graph, todo)
        finding.examples = dict.fromkeys(broken[0], Schedule()) | smallest(graph, goals)
        return finding

    def _number(self, state: State, numbers: dict[Hashable, int]) -> int:
        """Return the number of a state, or the next one if it is new."""
        if not self._merge:
            numbers[len(numbers)] = 0
            return len(numbers) - 1
        return numbers.setdefault(self._symmetry.canonical(state), len(numbers))
