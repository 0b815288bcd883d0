"""What the policies that sample executions share."""

from __future__ import annotations

from collections.abc import Callable

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.judge import Judge
from treadle.search.protocol import Finding, Limits
from treadle.shrinking import size
from treadle.values.errors import StuckClientError
from treadle.values.schedule import Choice, Schedule, merged
from treadle.values.signals import OperationBoundError

EXECUTIONS = 1000
"""How many executions are sampled at random where no other number is given."""

Pick = Callable[[State, tuple[Choice, ...]], Choice]
"""Chooses in a state among what may happen."""


class Execution:
    """One execution under way.

    Attributes:
        state: where it is.
        path: the choices that led there, neighbouring steps of one client joined.
        broken: the names of the properties that it has broken.
    """

    def __init__(self, state: State) -> None:
        """Start in a state."""
        self.state = state
        self.path: list[Choice] = []
        self.broken: set[str] = set()

    def branch(self) -> Execution:
        """Return another execution that begins as this one."""
        other = Execution(self.state)
        other.path = list(self.path)
        other.broken = set(self.broken)
        return other

    def go_to(self, state: State, steps: tuple[Choice, ...]) -> None:
        """Go on to another state."""
        self.state = state
        self.path[-1:] = merged((*self.path[-1:], *steps))


class Sampler:
    """Runs executions one after another, and keeps an example of each property that one breaks."""

    def __init__(self, product: Product, judge: Judge, limits: Limits, *, smallest: bool = False) -> None:
        """Start with nothing sampled.

        Args:
            product: what is walked.
            judge: looks at what is met.
            limits: what stops the search.
            smallest: keep the smallest example, not the first.
        """
        self.finding = Finding()
        self._product = product
        self._judge = judge
        self._limits = limits
        self._smallest = smallest
        self._seen: set[State] = set()
        root = product.root()
        judge.start(root)
        self.finding.examples |= dict.fromkeys(judge.broken(root), Schedule())

    def begin(self) -> Execution:
        """Return an execution in which nothing has happened."""
        return Execution(self._product.root())

    def execute(self, pick: Pick, execution: Execution | None = None) -> bool:
        """Run one execution to its end; return False if a limit is reached, or a client does not come to an end.

        Args:
            pick: chooses.
            execution: one under way, or None for one from the start.
        """
        execution = self.begin() if execution is None else execution
        try:
            while choices := self._product.choices(execution.state):
                if self.must_stop():
                    return False
                self.take(execution, pick(execution.state, choices))
        except (OperationBoundError, StuckClientError) as error:
            self.finding.why_not = str(error)
            return False
        self.finding.schedules += 1
        return True

    def must_stop(self) -> bool:
        """Tell whether a limit is reached."""
        finding = self.finding
        finding.why_not = self._limits.reached(
            len(self._seen), finding.transitions, finding.schedules, violated=bool(finding.examples)
        )
        return bool(finding.why_not)

    def take(self, execution: Execution, choice: Choice) -> None:
        """Let an execution go on with a choice, to its next scheduling point."""
        edge = self._product.run(execution.state, choice)
        self.finding.transitions += 1
        for operations, there in edge.moments:
            for name in self._judge.broken(there) - execution.broken:
                execution.broken.add(name)
                self._note(name, execution.path, edge.choices(operations))
        execution.go_to(edge.after, edge.choices())
        self._seen.add(edge.after)
        self.finding.states = len(self._seen)

    def _note(self, name: str, path: list[Choice], steps: tuple[Choice, ...]) -> None:
        """Keep an example, if it is better than the one there is."""
        known = self.finding.examples.get(name)
        if known is not None and not self._smallest:
            return
        example = Schedule((*path, *steps))
        if known is None or size(example) < size(known):
            self.finding.examples[name] = example
