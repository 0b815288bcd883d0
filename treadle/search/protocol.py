"""The small protocol behind which every search policy stands."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from attrs import Factory, define, field, frozen

from treadle.execution.product import Product
from treadle.judge import Judge
from treadle.search.interruption import Interruption
from treadle.search.memory import resident, spoken
from treadle.values.schedule import Schedule


@frozen
class Progress:
    """How far a search is.

    Attributes:
        states: visited states.
        transitions: edges walked.
        ends: executions that ended.
        seconds: wall-clock time so far.
        interrupted: Ctrl-C was pressed, and what was found by then is being made smaller and confirmed.
        violated: some property is violated.
        share: how much of its nearest bound is spent, from 0 to 1; None if it has no bound but that of memory.
    """

    states: int
    transitions: int
    ends: int
    seconds: float
    interrupted: bool = False
    violated: bool = False
    share: float | None = None


_PULSE_S = 0.1
"""How often progress is told and memory is looked at, in seconds."""


@define
class Limits:
    """What stops a search before it is done.

    Attributes:
        max_states: how many states may be visited, or None.
        max_seconds: how long it may take, in seconds, or None.
        max_executions: how many executions may end, or None.
        until_violated: the search stops as soon as a property is violated.
        report: told about the progress now and then, or None.
        max_memory: how much resident memory it may take, in bytes, or None.
        interruption: tells whether the user wants it to stop.
        started: when it began.
    """

    max_states: int | None = None
    max_seconds: float | None = None
    max_executions: int | None = None
    until_violated: bool = False
    report: Callable[[Progress], None] | None = None
    max_memory: int | None = None
    interruption: Interruption = field(factory=Interruption)
    started: float = field(default=Factory(time.perf_counter))
    _next_pulse: float = 0.0
    _full: bool = False

    @property
    def seconds(self) -> float:
        """How long it took so far, in seconds."""
        return time.perf_counter() - self.started

    def reached(
        self,
        states: int,
        transitions: int,
        ends: int,
        *,
        violated: bool = False,
        memory: Callable[[], int] = resident,
    ) -> str:
        """Return why the search must stop now, or an empty text.

        Args:
            states: how many were visited.
            transitions: how many edges were walked.
            ends: how many executions ended.
            violated: some property is violated.
            memory: tells how much memory is taken, in bytes.
        """
        seconds = self.seconds
        if seconds >= self._next_pulse:
            self._next_pulse = seconds + _PULSE_S
            self._full = self.max_memory is not None and memory() >= self.max_memory
            if self.report is not None:
                share = self._share(states, ends, seconds)
                self.report(Progress(states, transitions, ends, seconds, violated=violated, share=share))
        if self.interruption.asked:
            if self.report is not None:
                self.report(Progress(states, transitions, ends, seconds, interrupted=True))
            return "the search was interrupted"
        if self.until_violated and violated:
            return "the search stopped at the first violation"
        if self.max_states is not None and states >= self.max_states:
            return f"the search stopped at its bound of {self.max_states} states"
        if self.max_seconds is not None and seconds >= self.max_seconds:
            return f"the search stopped at its bound of {self.max_seconds:g} seconds"
        if self.max_executions is not None and ends >= self.max_executions:
            return f"the search stopped at its bound of {self.max_executions} executions"
        if self._full and self.max_memory is not None:
            return f"the search stopped at its bound of {spoken(self.max_memory)} of memory"
        return ""

    def _share(self, states: int, ends: int, seconds: float) -> float | None:
        """Return how much of the nearest bound is spent."""
        bounds = ((states, self.max_states), (seconds, self.max_seconds), (ends, self.max_executions))
        return max((min(spent / most, 1.0) for spent, most in bounds if most is not None), default=None)

    def afterwards(self, states: int) -> Limits:
        """Return the limits for looking for something smaller than what was found, once a limit was reached.

        A search with no bound but one of states must give the same result every time, so there no clock plays a part.

        Args:
            states: how many were visited by then.
        """
        hurried = self.interruption.asked or self._full or self.max_seconds is not None
        patience_s = min(self.seconds * _SHARE, _PATIENCE_S if self.interruption.asked else math.inf)
        return Limits(
            max_states=max(_LEAST_STATES, states),
            max_seconds=max(_LEAST_S, patience_s) if hurried else None,
            max_memory=None if self.max_memory is None else round(self.max_memory * (1 + _SHARE)),
        )


_SHARE = 0.25
"""How much of the time and the memory of a search may be spent once more on what it found."""

_LEAST_S = 1.0
"""How long that may take in any case, in seconds."""

_PATIENCE_S = 10.0
"""How long it may take at most where somebody has pressed Ctrl-C, in seconds."""

_LEAST_STATES = 1000
"""How many states it may visit in any case."""


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
        minimal: the names of the properties whose examples are the smallest ones there are, and need no shrinking.
    """

    exhausted: bool = False
    why_not: str = ""
    states: int = 0
    transitions: int = 0
    schedules: int = 0
    examples: dict[str, Schedule] = field(factory=dict)
    minimal: set[str] = field(factory=set)


class Search(Protocol):
    """A policy that walks the product and lets the judge look at what it meets."""

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Walk until done, or until a limit is reached."""
