"""What the policies that sample executions share."""

from __future__ import annotations

from collections.abc import Callable

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.judge import Judge
from treadle.search.protocol import Finding, Limits
from treadle.values.schedule import Choice, Schedule

EXECUTIONS = 1000
"""How many executions are sampled where no other bound is given."""

Pick = Callable[[State, tuple[Choice, ...]], Choice]
"""Chooses in a state among what may happen."""


class Sampler:
    """Runs executions one after another, and keeps the first example of each property that one breaks."""

    def __init__(self, product: Product, judge: Judge, limits: Limits) -> None:
        """Start with nothing sampled."""
        self.finding = Finding()
        self._product = product
        self._judge = judge
        self._limits = limits
        self._seen: set[State] = set()
        root = product.root()
        judge.start(root)
        judge.broken(root)

    def execute(self, pick: Pick, prefix: tuple[Choice, ...] = (), state: State | None = None) -> bool:
        """Run one execution to its end; return False if a limit is reached.

        Args:
            pick: chooses.
            prefix: choices already made, one operation each.
            state: where they led; by default the start.
        """
        product, finding = self._product, self.finding
        path = list(prefix)
        state = product.root() if state is None else state
        while choices := product.choices(state):
            finding.why_not = self._limits.reached(len(self._seen), finding.transitions, finding.schedules)
            if finding.why_not:
                return False
            edge = product.run(state, pick(state, choices))
            finding.transitions += 1
            for operations, there in edge.moments:
                for name in self._judge.broken(there):
                    if name not in finding.examples:
                        finding.examples[name] = Schedule((*path, *edge.choices(operations)))
            path += edge.choices()
            state = edge.after
            self._seen.add(state)
            finding.states = len(self._seen)
        finding.schedules += 1
        return True
