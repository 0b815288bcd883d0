"""Stateless search: every schedule is run live, from its start, and nothing is learned.

It is what is left where something may depend on the whole execution (VeriSoft does so for all programs: Godefroid,
"Model Checking for Programming Languages using VeriSoft", 1997). Depth first: an execution follows a prefix of choices,
goes on with the first choice wherever there are several, and leaves the others as prefixes for later::

    todo   A1.B   A1.A2.B   A1.A2.A3.B  ◀── newest first

States that look equal may be merged; without, the graph is a tree.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.system import System
from treadle.execution.taken import Taken
from treadle.judge import Judge
from treadle.search.graph import Graph, Label
from treadle.search.protocol import Finding, Limits
from treadle.search.smallest import smallest
from treadle.values.errors import StuckClientError
from treadle.values.fault import LockKind
from treadle.values.schedule import Choice, Fail, Schedule, Step
from treadle.values.signals import OperationBoundError


class _Prefix(NamedTuple):
    """What is to be run: choices, the last of which is new.

    Attributes:
        choices: from the start.
        node: the node that the last one leaves.
        place: which of the arcs of that it is.
    """

    choices: tuple[Choice, ...]
    node: int
    place: int


def _label_of(taken: Taken) -> Label:
    choice = taken.choice
    injected = isinstance(choice, Fail) and not taken.free
    adversarial = taken.lock_kind is LockKind.OUTSIDE and not taken.reachable
    return Label(
        choice.client, choice.fault if isinstance(choice, Fail) else None, 1, 1, injected, adversarial, renaming=None
    )


class Stateless:
    """Runs every schedule.

    Attributes:
        merges: states that look equal are gone on from once.
        path: the choices of the execution that is under way.
    """

    def __init__(self, system: System, *, merge: bool) -> None:
        """Run the clients of a system.

        Args:
            system: what is run.
            merge: go on from states that look equal once.
        """
        self._system = system
        self.merges = merge
        self._arcs: list[list[tuple[int, Label] | None]] = []
        self._broken: list[frozenset[str]] = []
        self._numbers: dict[Hashable, int] = {}
        self._todo: list[_Prefix] = []
        self._goals: list[tuple[str, int, Label]] = []
        self.path: list[Choice] = []

    def judge(self) -> Judge:
        """Return a judge that runs one more client live, too."""
        system = self._system
        return Judge(system.scenario, lambda _, run: system.live_sequel(self.path, run), system.serial)

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Run everything, or until a limit is reached."""
        finding = Finding()
        start = judge.start
        why_not = self._run(_Prefix((), -1, 0), judge, finding, start=start)
        while self._todo and not why_not:
            product.met_fault_point = product.met_fault_point or self.met_fault_point
            violated = bool(self._goals)
            why_not = limits.reached(len(self._arcs), finding.transitions, finding.schedules, violated=violated)
            if not why_not:
                why_not = self._run(self._todo.pop(), judge, finding)
        product.met_fault_point = product.met_fault_point or self.met_fault_point
        graph, unfinished = self._graph()
        finding.exhausted, finding.why_not = not why_not, why_not
        finding.states = len(self._arcs)
        finding.schedules = graph.count_paths(unfinished)
        groups = tuple(range(len(self._system.scenario.clients)))
        found = dict.fromkeys(self._broken[0], Schedule()) if self._broken else {}
        finding.examples = found | smallest(graph, groups)
        finding.minimal = set(finding.examples)
        return finding

    met_fault_point = False

    def _run(self, prefix: _Prefix, judge: Judge, finding: Finding, *, start: object = None) -> str:
        """Run one execution, to its end or to a state that was met; return why it did not end, or an empty text."""
        with self._system.live(fresh=False) as live:
            state = live.root()
            self.path = []
            if start is not None:
                judge.start(state)
                node, new = self._arrive(state, judge)
            else:
                for taken in live.walk(prefix.choices[:-1]):
                    state = taken.after
                self.path = list(prefix.choices[:-1])
                node, new = prefix.node, False
            try:
                if prefix.choices:
                    state, node, new = self._take(live, state, prefix, judge, finding)
                while new and (choices := live.choices(state)):
                    self._arcs[node] = [None] * len(choices)
                    others = [
                        _Prefix((*self.path, choice), node, place) for place, choice in enumerate(choices) if place
                    ]
                    self._todo += reversed(others)
                    first = _Prefix((*self.path, choices[0]), node, 0)
                    state, node, new = self._take(live, state, first, judge, finding)
                finding.schedules += 1
            except (OperationBoundError, StuckClientError) as error:
                return str(error)
            finally:
                self.met_fault_point = self.met_fault_point or live.met_fault_point
        return ""

    def _take(
        self, live: Product, state: State, prefix: _Prefix, judge: Judge, finding: Finding
    ) -> tuple[State, int, bool]:
        choice = prefix.choices[-1]
        taken = live.take(state, Step(choice.client) if isinstance(choice, Step) else choice)
        self.path.append(choice)
        finding.transitions += 1
        target, new = self._arrive(taken.after, judge)
        label = _label_of(taken)
        self._arcs[prefix.node][prefix.place] = (target, label)
        for name in self._broken[target] - self._broken[prefix.node]:
            self._goals.append((name, prefix.node, label))
        return taken.after, target, new

    def _arrive(self, state: State, judge: Judge) -> tuple[int, bool]:
        number = len(self._arcs)
        if self.merges:
            number = self._numbers.setdefault(state, number)
            if number < len(self._arcs):
                return number, False
        self._arcs.append([])
        self._broken.append(judge.broken(state))
        return number, True

    def _graph(self) -> tuple[Graph, set[int]]:
        """Return the graph of what was run, and the nodes that have arcs which were not."""
        graph = Graph()
        unfinished: set[int] = set()
        for _ in self._arcs:
            graph.add_node()
        for node, arcs in enumerate(self._arcs):
            graph.expand(node, [arc for arc in arcs if arc is not None])
            if None in arcs:
                unfinished.add(node)
        for name, node, label in self._goals:
            graph.goals[name].append((node, label))
        return graph, unfinished
