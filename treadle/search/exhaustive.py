"""Exhaustive search: every state of the product, each once.

Depth first, so that the live world and the live clients mostly go on from where they are. The graph is kept: it
has no cycles (a client never returns to an earlier point of its history, and a waiting client tries again only
after another one has moved), so that schedules are counted on it by dynamic programming, and the smallest
counterexample is a shortest path in it (Dijkstra, "A Note on Two Problems in Connexion with Graphs", 1959).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import NamedTuple

from treadle.execution.product import Edge, Product, State
from treadle.judge import Judge
from treadle.search.protocol import Finding, Limits, moments
from treadle.values.errors import StuckClientError
from treadle.values.fault import LockKind
from treadle.values.schedule import Choice, Fail, Schedule, Step
from treadle.values.signals import OperationBoundError


class _Arc(NamedTuple):
    """An edge of the graph, reduced to what a shortest path needs."""

    target: int
    first: Choice
    operations: int
    fault: int
    adversarial: int

    @property
    def client(self) -> int:
        return self.first.client

    @property
    def choices(self) -> tuple[Choice, ...]:
        if isinstance(self.first, Step):
            return (Step(self.client, self.operations),)
        rest = self.operations - 1
        return (self.first, Step(self.client, rest)) if rest else (self.first,)


def _arc(edge: Edge, target: int, count: int) -> _Arc:
    first = edge.taken[0]
    injected = isinstance(first.choice, Fail) and not first.free
    adversarial = first.lock_kind is LockKind.OUTSIDE and not first.reachable
    return _Arc(target, first.choice, count, int(injected), int(adversarial))


class Exhaustive:
    """Visits every state.

    Args:
        merge: visit equal states once. Without, every schedule is walked to its end.
    """

    def __init__(self, *, merge: bool = True) -> None:
        """Choose whether equal states are merged."""
        self._merge = merge

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Walk everything, count, and find the smallest example of each property that is broken."""
        root = product.root()
        judge.start(root)
        graph: list[list[_Arc]] = [[]]
        broken: dict[str, list[tuple[int, _Arc]]] = defaultdict(list)
        judge.broken(root)
        numbers: dict[State, int] = {root: 0}
        todo: list[tuple[int, State]] = [(0, root)]
        transitions = ends = 0
        finding = Finding(minimal=True)
        endless = ""
        while todo:
            finding.why_not = endless or limits.reached(len(graph), transitions, ends)
            if finding.why_not:
                break
            number, state = todo.pop()
            choices = product.choices(state)
            ends += not choices
            for choice in choices:
                try:
                    edge = product.run(state, choice)
                except (OperationBoundError, StuckClientError) as error:
                    endless = endless or str(error)
                    continue
                transitions += 1
                target = numbers.get(edge.after) if self._merge else None
                if target is None:
                    target = len(graph)
                    graph.append([])
                    if self._merge:
                        numbers[edge.after] = target
                    todo.append((target, edge.after))
                graph[number].append(_arc(edge, target, len(edge.taken)))
                for count, taken in moments(edge):
                    for name in judge.broken(taken.after):
                        broken[name].append((number, _arc(edge, target, count)))
        finding.why_not = finding.why_not or endless
        finding.exhausted = not finding.why_not
        finding.states = len(graph)
        finding.transitions = transitions
        finding.schedules = count_paths(graph, [number for number, _ in todo])
        finding.examples = {name: smallest(graph, places) for name, places in broken.items()}
        return finding


def count_paths(graph: list[list[_Arc]], unfinished: list[int]) -> int:
    """Return how many complete paths an acyclic graph has from its first node.

    Args:
        graph: the arcs of each node.
        unfinished: nodes that were not expanded; paths that end there are not complete.
    """
    counts: dict[int, int] = dict.fromkeys(unfinished, 0)
    stack = [0]
    while stack:
        node = stack[-1]
        if node in counts:
            stack.pop()
            continue
        missing = [arc.target for arc in graph[node] if arc.target not in counts]
        if missing:
            stack += missing
            continue
        counts[node] = sum(counts[arc.target] for arc in graph[node]) if graph[node] else 1
        stack.pop()
    return counts[0]


_Cost = tuple[int, int, int, int, int, int]
"""Faults, adversarial faults, context switches, choices, operations, and the client that starts: compared in
this order."""


_NOTHING: _Cost = (0, 0, 0, 0, 0, 0)


class _Place(NamedTuple):
    """A node, and who moved last and how: what the cost of the next arc depends on."""

    node: int
    client: int
    stepped: bool


def _spend(cost: _Cost, place: _Place, arc: _Arc) -> _Cost:
    faults, adversarial, switches, choices, operations, starter = cost
    goes_on = place.client == arc.client and place.stepped and isinstance(arc.first, Step)
    return (
        faults + arc.fault,
        adversarial + arc.adversarial,
        switches + (place.client not in {arc.client, -1}),
        choices + len(arc.choices) - goes_on,
        operations + arc.operations,
        arc.client if place.client < 0 else starter,
    )


_Ways = dict[_Place, tuple[_Cost, _Place | None, _Arc | None]]
"""For each place the cheapest way there: its cost, the place before, and the arc from it."""


def smallest(graph: list[list[_Arc]], places: list[tuple[int, _Arc]]) -> Schedule:
    """Return the smallest schedule that ends with one of the arcs given, each with the node it leaves."""
    goals: dict[int, list[_Arc]] = defaultdict(list)
    for node, arc in places:
        goals[node].append(arc)
    start = _Place(0, -1, stepped=False)
    ways: _Ways = {start: (_NOTHING, None, None)}
    queue = [(_NOTHING, start)]
    found: tuple[_Cost, _Place, _Arc] | None = None
    done: set[_Place] = set()
    while queue:
        cost, place = heapq.heappop(queue)
        if found is not None and cost >= found[0]:
            break
        if place in done:
            continue
        done.add(place)
        for arc in goals.get(place.node, ()):
            total = _spend(cost, place, arc)
            found = (total, place, arc) if found is None or total < found[0] else found
        _relax(graph[place.node], cost, place, ways, queue)
    assert found is not None
    return _follow(ways, found[1], found[2])


def _relax(arcs: list[_Arc], cost: _Cost, place: _Place, ways: _Ways, queue: list[tuple[_Cost, _Place]]) -> None:
    """Note every way on from a place that is cheaper than the one known."""
    for arc in arcs:
        total = _spend(cost, place, arc)
        after = _Place(arc.target, arc.client, isinstance(arc.choices[-1], Step))
        known = ways.get(after)
        if known is None or total < known[0]:
            ways[after] = (total, place, arc)
            heapq.heappush(queue, (total, after))


def _follow(ways: _Ways, place: _Place, last: _Arc) -> Schedule:
    """Return the schedule of the cheapest way to a place, and one arc further."""
    arcs = [last]
    _, before, arc = ways[place]
    while before is not None and arc is not None:
        arcs.append(arc)
        _, before, arc = ways[before]
    return Schedule(tuple(choice for arc in reversed(arcs) for choice in arc.choices))
