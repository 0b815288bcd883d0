"""The small protocol behind which every search policy stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from attrs import Factory, define, field, frozen

from treadle.execution.product import Product
from treadle.judge import Judge
from treadle.values.schedule import Schedule


@frozen
class Progress:
    """How far a search is.

    Attributes:
        states: visited states.
        transitions: edges walked.
        ends: executions that ended.
        seconds: wall-clock time so far.
    """

    states: int
    transitions: int
    ends: int
    seconds: float


@define
class Limits:
    """What stops a search before it is done.

    Attributes:
        max_states: how many states may be visited, or None.
        max_seconds: how long it may take, in seconds, or None.
        max_executions: how many executions may end, or None.
        until_violated: a search that samples stops as soon as a property is violated.
        report: told about the progress now and then, or None.
    """

    max_states: int | None = None
    max_seconds: float | None = None
    max_executions: int | None = None
    until_violated: bool = False
    report: Callable[[Progress], None] | None = None
    started: float = field(default=Factory(time.perf_counter))
    _next_report: float = 0.0

    def reached(self, states: int, transitions: int, ends: int) -> str:
        """Return why the search must stop now, or an empty text."""
        seconds = time.perf_counter() - self.started
        if self.report is not None and seconds >= self._next_report:
            self._next_report = seconds + 0.1
            self.report(Progress(states, transitions, ends, seconds))
        if self.max_states is not None and states >= self.max_states:
            return f"the search stopped at its bound of {self.max_states} states"
        if self.max_seconds is not None and seconds >= self.max_seconds:
            return f"the search stopped at its bound of {self.max_seconds:g} seconds"
        if self.max_executions is not None and ends >= self.max_executions:
            return f"the search stopped at its bound of {self.max_executions} executions"
        return ""


@define
class Finding:
    """What a search found.

    Attributes:
        exhausted: it visited everything within the fault budget.
        why_not: why it is not exhausted.
        states: visited states.
        transitions: edges walked.
        schedules: distinct complete interleavings that these stand for.
        examples: for each property that was broken, by name, a schedule that breaks it.
        minimal: the examples are the smallest ones there are, and need no shrinking.
    """

    exhausted: bool = False
    why_not: str = ""
    states: int = 0
    transitions: int = 0
    schedules: int = 0
    examples: dict[str, Schedule] = field(factory=dict)
    minimal: bool = False


class Search(Protocol):
    """A policy that walks the product and lets the judge look at what it meets."""

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Walk until done, or until a limit is reached."""
