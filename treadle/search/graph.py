"""The explored graph: schedules counted on it, and smallest schedules found in it.

It has no cycles: a client never returns to an earlier point of its history, and a waiting client tries again only
after another one has moved. So schedules are counted by dynamic programming. The smallest schedules to a state are
shortest paths (Dijkstra, "A Note on Two Problems in Connexion with Graphs", 1959); of these, the one is taken whose
choices come first, so that it depends on the graph alone and not on the order in which it was explored.

Where interchangeable clients were merged, an arc leads to a state in which they may be called otherwise; a path
renames them back as it goes.
"""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from attrs import field, frozen

from treadle.execution.product import Edge
from treadle.execution.symmetry import Renaming
from treadle.values.schedule import Choice, Fail, Schedule, Step


class Arc(NamedTuple):
    """An edge of the graph, reduced to what counting and shortest paths need.

    Attributes:
        target: the node that it leads to.
        first: its first choice; the others are steps of the same client.
        operations: how many choices it has, one operation each.
        essential: how many of them another client could notice, with all before; the rest may be left out if the
            client does nothing more.
        fault: 1 if the first choice spends a fault, else 0.
        adversarial: 1 if that is a fault that SQLite could not have shown, else 0.
        renaming: how clients are called at the target, or None if as before.
    """

    target: int
    first: Choice
    operations: int
    essential: int
    fault: int
    adversarial: int
    renaming: Renaming | None


Graph = list[list[Arc]]
"""The arcs that leave each node."""

Goal = tuple[int, Arc]
"""A node, and an arc that leaves it."""


def arc(edge: Edge, target: int, operations: int, renaming: Renaming | None = None) -> Arc:
    """Return the arc of an edge, or of its first operations."""
    essential = min(edge.essential, operations)
    return Arc(target, edge.first, operations, essential, int(edge.injected), int(edge.adversarial), renaming)


class Arcs(Protocol):
    """A graph that can be asked for the arcs that leave a node."""

    def __getitem__(self, node: int, /) -> list[Arc]:
        """Return the arcs that leave a node."""


class Packed(NamedTuple):
    """A graph as it travels between processes, with a node more, without arcs, for wherever edges lead that left it.

    Attributes:
        degrees: how many arcs each node has.
        targets: where each arc leads to.
        kinds: which of the arcs below each arc is, but for where it leads to.
        distinct: arcs that lead nowhere.
        goals: for each name, the nodes and the arcs that leave them, as above.
        unfinished: the nodes that were not expanded.
    """

    degrees: array[int]
    targets: array[int]
    kinds: array[int]
    distinct: list[Arc]
    goals: dict[str, tuple[array[int], array[int]]]
    unfinished: list[int]


def packed(graph: Graph, goals: dict[str, list[Goal]], unfinished: Iterable[int]) -> Packed:
    """Return a graph ready to travel.

    Args:
        graph: the arcs of each node; those that leave the graph have a target below zero.
        goals: for each name, edges.
        unfinished: nodes that were not expanded.
    """
    beyond = len(graph)
    numbers: dict[tuple[object, ...], int] = {}
    distinct: list[Arc] = []

    def number(item: Arc) -> int:
        first = item.first  # taken apart, since the hash of a choice is slow
        how = (type(first), first.client, first.fault if isinstance(first, Fail) else first.operations, item[2:])
        found = numbers.get(how)
        if found is None:
            found = numbers[how] = len(distinct)
            distinct.append(item._replace(target=-1))
        return found

    return Packed(
        degrees=array("q", [*map(len, graph), 0]),
        targets=array("q", (beyond if item.target < 0 else item.target for arcs in graph for item in arcs)),
        kinds=array("q", map(number, itertools.chain.from_iterable(graph))),
        goals={
            name: (array("q", (node for node, _ in places)), array("q", (number(item) for _, item in places)))
            for name, places in goals.items()
        },
        distinct=distinct,
        unfinished=[*unfinished, beyond],
    )


class Joined:
    """A graph put together from several; its arcs are made when they are asked for.

    Attributes:
        size: how many nodes they have together, but for the additional ones.
        starts: the number of the first node of each.
        goals: for each name, edges.
        unfinished: the nodes that were not expanded.
    """

    def __init__(self, graphs: Sequence[Packed]) -> None:
        """Number the nodes of all graphs one after another."""
        *self.starts, size = itertools.accumulate((len(graph.degrees) for graph in graphs), initial=0)
        self.size = size - len(graphs)
        self.goals: dict[str, list[Goal]] = defaultdict(list)
        self.unfinished: list[int] = []
        self._first = [0]
        self._targets: list[int] = []
        self._kinds: list[int] = []
        self._numbers: dict[Arc, int] = {}
        self._distinct: list[Arc] = []
        for start, graph in zip(self.starts, graphs, strict=True):
            kinds = [self._kind(item) for item in graph.distinct]
            self._first += itertools.accumulate(graph.degrees, initial=self._first.pop())
            self._targets += map(start.__add__, graph.targets)
            self._kinds += map(kinds.__getitem__, graph.kinds)
            self.unfinished += map(start.__add__, graph.unfinished)
            for name, (nodes, arcs) in graph.goals.items():
                goals = map(graph.distinct.__getitem__, arcs)
                self.goals[name] += zip(map(start.__add__, nodes), goals, strict=True)

    def _kind(self, item: Arc) -> int:
        number = self._numbers.setdefault(item, len(self._distinct))
        if number == len(self._distinct):
            self._distinct.append(item)
        return number

    def lead(self, node: int, place: int, target: int, renaming: Renaming | None) -> None:
        """Say where an arc leads to, and how clients are called there."""
        at = self._first[node] + place
        self._targets[at] = target
        if renaming is not None:
            self._kinds[at] = self._kind(self._distinct[self._kinds[at]]._replace(renaming=renaming))

    def targets(self, node: int) -> list[int]:
        """Return where the arcs of a node lead to."""
        return self._targets[self._first[node] : self._first[node + 1]]

    def __getitem__(self, node: int) -> list[Arc]:
        """Return the arcs of a node."""
        kinds = self._kinds[self._first[node] : self._first[node + 1]]
        return [
            self._distinct[kind]._replace(target=target) for kind, target in zip(kinds, self.targets(node), strict=True)
        ]


def count_paths(targets: Callable[[int], list[int]], unfinished: Iterable[int]) -> int:
    """Return how many complete paths an acyclic graph has from its first node, which is node 0.

    Args:
        targets: returns where the arcs of a node lead to.
        unfinished: nodes that were not expanded; paths that end there are not complete.
    """
    counts: dict[int, int] = dict.fromkeys(unfinished, 0)
    stack = [0]
    while stack:
        node = stack[-1]
        if node in counts:
            stack.pop()
            continue
        onward = targets(node)
        height, total = len(stack), 0
        for target in onward:
            count = counts.get(target)
            if count is None:
                stack.append(target)
            else:
                total += count
        if len(stack) == height:
            counts[node] = total if onward else 1
            stack.pop()
    return counts[0]


_Cost = tuple[int, int, int, int, int]
"""Faults, adversarial faults, context switches, choices, operations: compared in this order."""

_NOTHING: _Cost = (0, 0, 0, 0, 0)


class _Place(NamedTuple):
    """A node, and who moved last and how: what the cost of the next arc depends on."""

    node: int
    client: int
    stepped: bool


def _spend(cost: _Cost, place: _Place, item: Arc) -> _Cost:
    faults, adversarial, switches, choices, operations = cost
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
    )


_START = _Place(0, -1, stepped=False)


@frozen
class _Ways:
    """The cheapest ways to places: what each costs, and all last steps that cost so much."""

    cost: dict[_Place, _Cost] = field(factory=lambda: {_START: _NOTHING})
    before: dict[_Place, list[tuple[_Place, Arc]]] = field(factory=lambda: defaultdict(list))
    queue: list[tuple[_Cost, _Place]] = field(factory=lambda: [(_NOTHING, _START)])

    def relax(self, place: _Place, cost: _Cost, arcs: list[Arc]) -> None:
        """Note every way on from a place that is not dearer than the one known."""
        for item in arcs:
            total = _spend(cost, place, item)
            mover = item.first.client
            stepped = isinstance(item.first, Step) or item.operations > 1
            after = _Place(item.target, mover if item.renaming is None else item.renaming[mover], stepped)
            known = self.cost.get(after)
            if known is None or total < known:
                self.cost[after] = total
                self.before[after] = [(place, item)]
                heapq.heappush(self.queue, (total, after))
            elif total == known:
                self.before[after].append((place, item))


def smallest(graph: Arcs, goals: dict[str, list[Goal]], groups: tuple[int, ...]) -> dict[str, Schedule]:
    """Return for each name the smallest schedule that ends with one of its goals, if a path leads to one.

    Args:
        graph: the arcs of each node.
        goals: for each name at least one.
        groups: for each client the number of its group of interchangeable clients.
    """
    wanted: dict[int, list[tuple[str, Arc]]] = defaultdict(list)
    for name, places in goals.items():
        for node, item in places:
            wanted[node].append((name, item))
    ways = _Ways()
    found: dict[str, tuple[_Cost, list[tuple[_Place, Arc]]]] = {}
    while ways.queue:
        cost, place = heapq.heappop(ways.queue)
        if len(found) == len(goals) and all(cost > best[0] for best in found.values()):
            break
        if cost > ways.cost[place]:
            continue
        for name, item in wanted.get(place.node, ()):
            total = _spend(cost, place, item)
            if name not in found or total < found[name][0]:
                found[name] = (total, [(place, item)])
            elif total == found[name][0]:
                found[name][1].append((place, item))
        ways.relax(place, cost, graph[place.node])
    return {name: _first(ways, lasts, groups) for name, (_, lasts) in found.items()}


_END = _Place(-1, -1, stepped=False)
"""Where the last arcs of smallest paths lead."""


def _first(ways: _Ways, lasts: list[tuple[_Place, Arc]], groups: tuple[int, ...]) -> Schedule:
    """Return of all cheapest paths the schedule whose choices come first.

    Args:
        ways: the cheapest ways.
        lasts: the last arcs of the paths, each with the place that it leaves.
        groups: for each client the number of its group of interchangeable clients.
    """
    onward: dict[_Place, list[tuple[_Place, Arc]]] = defaultdict(list)
    todo = [(place, item, _END) for place, item in lasts]
    reached = set()
    while todo:
        place, item, after = todo.pop()
        onward[place].append((after, item))
        if place not in reached:
            reached.add(place)
            todo += [(earlier, arrived, place) for earlier, arrived in ways.before.get(place, ())]
    travellers = [(_START, _Namer(groups))]
    while travellers[0][0] is not _END:
        moves = [(namer.key(item), after, item, namer) for place, namer in travellers for after, item in onward[place]]
        best = min(move[0] for move in moves)
        travellers = [(after, namer.after(item)) for key, after, item, namer in moves if key == best]
    return min((namer.schedule() for _, namer in travellers), key=lambda schedule: schedule.token)


@frozen
class _Namer:
    """A path, and how clients are called along it.

    Interchangeable clients are named in the order in which they first appear.
    """

    groups: tuple[int, ...]
    path: tuple[tuple[int, Arc], ...] = ()
    names: dict[int, int] = field(factory=dict)

    def _name(self, client: int) -> int:
        """Return the name of a client, as it is called at the end of the path."""
        if client in self.names:
            return self.names[client]
        taken = set(self.names.values())
        return next(
            name for name, group in enumerate(self.groups) if group == self.groups[client] and name not in taken
        )

    def key(self, item: Arc) -> tuple[int, bool, int]:
        """Return what decides which of two arcs comes first."""
        return self._name(item.first.client), isinstance(item.first, Fail), item.operations

    def after(self, item: Arc) -> _Namer:
        """Return the path one arc further."""
        client = item.first.client
        name = self._name(client)
        names = {**self.names, client: name}
        if item.renaming is not None:
            names = {item.renaming[here]: there for here, there in names.items()}
        return _Namer(self.groups, (*self.path, (name, item)), names)

    def schedule(self) -> Schedule:
        """Return the schedule of the path; what a client does last without being noticed is left out."""
        choices: list[Choice] = []
        later: set[int] = set()
        for name, item in reversed(self.path):
            count = item.operations if not later or name in later else item.essential
            fails = isinstance(item.first, Fail)
            if count > fails:
                choices.append(Step(name, count - fails))
            if isinstance(item.first, Fail):
                choices.append(Fail(name, item.first.fault))
            if count:
                later.add(name)
        return Schedule(tuple(reversed(choices)))
