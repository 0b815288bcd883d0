"""The explored graph: schedules counted on it, and smallest schedules found in it.

It has no cycles: a client never returns to an earlier point of its history, and a waiting client tries again only
after another one has moved. So schedules are counted by dynamic programming. The smallest schedule to a state is a
shortest path (Dijkstra, "A Note on Two Problems in Connexion with Graphs", 1959).

Where interchangeable clients were merged, an arc leads to a state in which they may be called otherwise; a path
renames them back as it goes.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import NamedTuple

from treadle.execution.product import Edge
from treadle.execution.symmetry import Renaming
from treadle.values.schedule import Choice, Schedule, Step


class Arc(NamedTuple):
    """An edge of the graph, reduced to what counting and shortest paths need.

    Attributes:
        target: the node that it leads to.
        first: its first choice; the others are steps of the same client.
        operations: how many choices it has, one operation each.
        fault: 1 if the first choice spends a fault, else 0.
        adversarial: 1 if that is a fault that SQLite could not have shown, else 0.
        renaming: how clients are called at the target, or None if as before.
    """

    target: int
    first: Choice
    operations: int
    fault: int
    adversarial: int
    renaming: Renaming | None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Its choices, steps taken together."""
        if isinstance(self.first, Step):
            return (Step(self.first.client, self.operations),)
        rest = self.operations - 1
        return (self.first, Step(self.first.client, rest)) if rest else (self.first,)


Graph = list[list[Arc]]
"""The arcs that leave each node."""


def arc(edge: Edge, target: int, operations: int, renaming: Renaming | None = None) -> Arc:
    """Return the arc of an edge, or of its first operations."""
    return Arc(target, edge.first, operations, int(edge.injected), int(edge.adversarial), renaming)


def count_paths(graph: Graph, unfinished: list[int]) -> int:
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
        missing = [item.target for item in graph[node] if item.target not in counts]
        if missing:
            stack += missing
            continue
        counts[node] = sum(counts[item.target] for item in graph[node]) if graph[node] else 1
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


def _spend(cost: _Cost, place: _Place, item: Arc) -> _Cost:
    faults, adversarial, switches, choices, operations, starter = cost
    _, client, stepped = place
    mover = item.first.client
    steps = isinstance(item.first, Step)
    pieces = 1 if steps or item.operations == 1 else 2
    return (
        faults + item.fault,
        adversarial + item.adversarial,
        switches + (client not in {mover, -1}),
        choices + pieces - (stepped and steps and client == mover),
        operations + item.operations,
        mover if client < 0 else starter,
    )


Goal = tuple[int, Arc]
"""A node, and an arc that leaves it."""

_Ways = dict[_Place, tuple[_Cost, _Place | None, Arc | None]]
"""For each place the cheapest way there: its cost, the place before, and the arc from it."""


def smallest(graph: Graph, goals: dict[str, list[Goal]]) -> dict[str, Schedule]:
    """Return for each name the smallest schedule that ends with one of its goals.

    Args:
        graph: the arcs of each node.
        goals: for each name at least one.
    """
    wanted: dict[int, list[tuple[str, Arc]]] = defaultdict(list)
    for name, places in goals.items():
        for node, item in places:
            wanted[node].append((name, item))
    start = _Place(0, -1, stepped=False)
    ways: _Ways = {start: (_NOTHING, None, None)}
    queue = [(_NOTHING, start)]
    found: dict[str, tuple[_Cost, _Place, Arc]] = {}
    done: set[_Place] = set()
    while queue:
        cost, place = heapq.heappop(queue)
        if len(found) == len(goals) and all(cost >= best[0] for best in found.values()):
            break
        if place in done:
            continue
        done.add(place)
        for name, item in wanted.get(place.node, ()):
            total = _spend(cost, place, item)
            if name not in found or total < found[name][0]:
                found[name] = (total, place, item)
        _relax(graph[place.node], cost, place, ways, queue)
    return {name: _follow(ways, found[name][1], found[name][2]) for name in goals}


def _relax(arcs: list[Arc], cost: _Cost, place: _Place, ways: _Ways, queue: list[tuple[_Cost, _Place]]) -> None:
    """Note every way on from a place that is cheaper than the one known."""
    for item in arcs:
        total = _spend(cost, place, item)
        mover = item.first.client
        stepped = isinstance(item.first, Step) or item.operations > 1
        after = _Place(item.target, mover if item.renaming is None else item.renaming[mover], stepped)
        known = ways.get(after)
        if known is None or total < known[0]:
            ways[after] = (total, place, item)
            heapq.heappush(queue, (total, after))


def _follow(ways: _Ways, place: _Place, last: Arc) -> Schedule:
    """Return the schedule of the cheapest way to a place, and one arc further."""
    arcs = [last]
    _, before, item = ways[place]
    while before is not None and item is not None:
        arcs.append(item)
        _, before, item = ways[before]
    arcs.reverse()
    return Schedule(tuple(_named(arcs)))


def _named(arcs: list[Arc]) -> list[Choice]:
    """Return the choices along a path, with the clients called as they are at its start."""
    names: dict[int, int] = {}
    choices: list[Choice] = []
    for item in arcs:
        for choice in item.choices:
            client = names.get(choice.client, choice.client)
            choices.append(
                Step(client, choice.operations) if isinstance(choice, Step) else type(choice)(client, choice.fault)
            )
        if item.renaming is not None:
            names = {there: names.get(here, here) for here, there in enumerate(item.renaming)}
    return choices
