"""The smallest schedules of an explored graph.

They are shortest paths (Dijkstra, "A Note on Two Problems in Connexion with Graphs", 1959); of these, the one is taken
whose choices come first, so that it depends on the graph alone and not on the order in which it was explored.

Where interchangeable clients were merged, an arc leads to a state in which they may be called otherwise; a path
renames them back as it goes.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from attrs import field, frozen

from treadle.search.graph import Graph, Label
from treadle.values.schedule import Choice, Fail, Schedule, Step

_Cost = tuple[int, int, int, int, int]
"""Faults, adversarial faults, context switches, choices, operations: compared in this order."""

_NOTHING: _Cost = (0, 0, 0, 0, 0)


class _Place(NamedTuple):
    """A node, and who moved last and how: what the cost of the next arc depends on."""

    node: int
    client: int
    stepped: bool


def _spend(cost: _Cost, place: _Place, label: Label) -> _Cost:
    faults, adversarial, switches, choices, operations = cost
    _, client, stepped = place
    steps = label.fault is None
    pieces = 1 if steps or label.operations == 1 else 2
    return (
        faults + label.injected,
        adversarial + label.adversarial,
        switches + (client not in {label.client, -1}),
        choices + pieces - (stepped and steps and client == label.client),
        operations + label.operations,
    )


_START = _Place(0, -1, stepped=False)


@frozen
class _Ways:
    """The cheapest ways to places: what each costs, and all last steps that cost so much."""

    cost: dict[_Place, _Cost] = field(factory=lambda: {_START: _NOTHING})
    before: dict[_Place, list[tuple[_Place, Label]]] = field(factory=lambda: defaultdict(list))
    queue: list[tuple[_Cost, _Place]] = field(factory=lambda: [(_NOTHING, _START)])

    def relax(self, place: _Place, cost: _Cost, graph: Graph) -> None:
        """Note every way on from a place that is not dearer than the one known."""
        for target, label in graph.arcs(place.node):
            total = _spend(cost, place, label)
            mover = label.client
            stepped = label.fault is None or label.operations > 1
            after = _Place(target, mover if label.renaming is None else label.renaming[mover], stepped)
            known = self.cost.get(after)
            if known is None or total < known:
                self.cost[after] = total
                self.before[after] = [(place, label)]
                heapq.heappush(self.queue, (total, after))
            elif total == known:
                self.before[after].append((place, label))


class Smallest:
    """The smallest schedules to the goals of a graph, which may grow while they are looked for.

    Places are left in the order of their cost. So a schedule is the smallest one as soon as the place that comes next
    costs more.

    Attributes:
        settled: the names whose smallest schedules are known, or of which it is known that there are none.
    """

    def __init__(self, graph: Graph, groups: tuple[int, ...]) -> None:
        """Stand at the start.

        Args:
            graph: whose paths.
            groups: for each client the number of its group of interchangeable clients.
        """
        self.settled: set[str] = set()
        self._graph = graph
        self._groups = groups
        self._ways = _Ways()
        self._wanted: dict[int, list[tuple[str, Label]]] = defaultdict(list)
        self._known: Counter[str] = Counter()
        self._found: dict[str, tuple[_Cost, list[tuple[_Place, Label]]]] = {}

    def seek(self, names: Collection[str], enter: Callable[[int], bool] | None = None) -> None:
        """Look for schedules until those of some names are settled, or nothing is left.

        Args:
            names: of properties.
            enter: called before the arcs of a node are looked at, which it may still add; returns False to stop.
        """
        while self._ways.queue:
            cost, place = heapq.heappop(self._ways.queue)
            self.settled = {name for name, (best, _) in self._found.items() if best < cost}
            if self.settled.issuperset(names):
                return
            if cost > self._ways.cost[place]:
                continue
            if place.node >= 0 and enter is not None and not enter(place.node):
                return
            self._note_goals()
            self._leave(place, cost)
        self.settled = {*names, *self._found}

    def _note_goals(self) -> None:
        for name, places in self._graph.goals.items():
            for node, label in places[self._known[name] :]:
                self._wanted[node].append((name, label))
            self._known[name] = len(places)

    def _leave(self, place: _Place, cost: _Cost) -> None:
        for name, label in self._wanted.get(place.node, ()):
            total = _spend(cost, place, label)
            if name not in self._found or total < self._found[name][0]:
                self._found[name] = (total, [(place, label)])
            elif total == self._found[name][0]:
                self._found[name][1].append((place, label))
        if place.node >= 0:  # otherwise it is a state that was not visited
            self._ways.relax(place, cost, self._graph)

    def schedules(self) -> dict[str, Schedule]:
        """Return the smallest schedules so far, by name."""
        return {name: _first(self._ways, lasts, self._groups) for name, (_, lasts) in self._found.items()}


def smallest(graph: Graph, groups: tuple[int, ...]) -> dict[str, Schedule]:
    """Return for each name the smallest schedule that ends with one of its goals, if a path leads to one.

    Args:
        graph: with at least one goal for each name.
        groups: for each client the number of its group of interchangeable clients.
    """
    found = Smallest(graph, groups)
    found.seek(graph.goals.keys())
    return found.schedules()


_END = _Place(-1, -1, stepped=False)
"""Where the last arcs of smallest paths lead."""


def _first(ways: _Ways, lasts: list[tuple[_Place, Label]], groups: tuple[int, ...]) -> Schedule:
    """Return of all cheapest paths the schedule whose choices come first.

    Args:
        ways: the cheapest ways.
        lasts: the last arcs of the paths, each with the place that it leaves.
        groups: for each client the number of its group of interchangeable clients.
    """
    onward: dict[_Place, list[tuple[_Place, Label]]] = defaultdict(list)
    todo = [(place, label, _END) for place, label in lasts]
    reached = set()
    while todo:
        place, label, after = todo.pop()
        onward[place].append((after, label))
        if place not in reached:
            reached.add(place)
            todo += [(earlier, arrived, place) for earlier, arrived in ways.before.get(place, ())]
    travellers = [(_START, _Namer(groups))]
    while travellers[0][0] is not _END:
        moves = [
            (namer.key(label), after, label, namer) for place, namer in travellers for after, label in onward[place]
        ]
        best = min(move[0] for move in moves)
        travellers = [(after, namer.after(label)) for key, after, label, namer in moves if key == best]
    return min((namer.schedule() for _, namer in travellers), key=lambda schedule: schedule.token)


@frozen
class _Namer:
    """A path, and how clients are called along it.

    Interchangeable clients are named in the order in which they first appear.
    """

    groups: tuple[int, ...]
    path: tuple[tuple[int, Label], ...] = ()
    names: dict[int, int] = field(factory=dict)

    def _name(self, client: int) -> int:
        """Return the name of a client, as it is called at the end of the path."""
        if client in self.names:
            return self.names[client]
        taken = set(self.names.values())
        return next(
            name for name, group in enumerate(self.groups) if group == self.groups[client] and name not in taken
        )

    def key(self, label: Label) -> tuple[int, bool, int]:
        """Return what decides which of two arcs comes first."""
        return self._name(label.client), label.fault is not None, label.operations

    def after(self, label: Label) -> _Namer:
        """Return the path one arc further."""
        name = self._name(label.client)
        names = {**self.names, label.client: name}
        if label.renaming is not None:
            names = {label.renaming[here]: there for here, there in names.items()}
        return _Namer(self.groups, (*self.path, (name, label)), names)

    def schedule(self) -> Schedule:
        """Return the schedule of the path."""
        return schedule_of(self.path)


def schedule_of(path: Sequence[tuple[int, Label]]) -> Schedule:
    """Return the schedule of a path; what a client does last without being noticed is left out.

    Args:
        path: for each arc the position of the client that moves, and what it does.
    """
    choices: list[Choice] = []
    later: set[int] = set()
    for client, label in reversed(path):
        count = label.operations if not later or client in later else label.essential
        fails = label.fault is not None
        if count > fails:
            choices.append(Step(client, count - fails))
        if label.fault is not None:
            choices.append(Fail(client, label.fault))
        if count:
            later.add(client)
    return Schedule(tuple(reversed(choices)))
