"""Verdicts: what a check decided, within which bounds, and at what cost."""

from __future__ import annotations

import builtins
import enum
from collections import Counter

from attrs import field, frozen

from treadle.values.display import quoted
from treadle.values.fault import FaultBudget, Placement
from treadle.values.picture import picture
from treadle.values.property import Property
from treadle.values.schedule import Schedule
from treadle.values.trace import Trace


class Verdict(enum.StrEnum):
    """What was decided. There is never a fourth."""

    HOLDS = "holds"
    """The search was exhausted within its bounds and found no counterexample."""

    VIOLATED = "violated"
    """A counterexample was found and confirmed live; for ``sometimes``: exhausted without a witness."""

    INCONCLUSIVE = "inconclusive"
    """Neither: the search stopped at a bound, or its result could not be confirmed."""


@frozen
class Bounds:
    """What limits a search.

    Attributes:
        faults: how many faults one execution may contain.
        faults_at: where ``locked`` faults are injected.
        max_states: how many states may be visited, or None.
        max_seconds: how long the search may take, in seconds, or None.
        max_executions: how many executions may be sampled, or None.
        until_violated: the search stops as soon as a property is violated.
        max_memory: how much resident memory the search may take, in bytes, or None for the default, which depends on
            the machine.
    """

    faults: FaultBudget
    faults_at: Placement
    max_states: int | None = None
    max_seconds: float | None = None
    max_executions: int | None = None
    until_violated: bool = False
    max_memory: int | None = None


@frozen
class Counterexample:
    """The smallest execution found that breaks a property.

    Attributes:
        schedule: the choices that lead to it.
        trace: what happens under that schedule, observed live.
        confirmed: whether the live execution on a fresh database broke the property too.
        why: one sentence.
    """

    schedule: Schedule
    trace: Trace
    confirmed: bool
    why: str

    @builtins.property
    def faults(self) -> int:
        """How many faults were spent: a timeout that expires because all clients wait costs nothing."""
        return sum(event.fault is not None for event in self.trace.events)

    def __repr__(self) -> str:
        """Return the token and the reason: what happened has many lines, see ``trace``."""
        confirmed = "" if self.confirmed else ", NOT confirmed"
        return f"Counterexample({quoted(self.schedule.token)}: {quoted(self.why)}{confirmed})"

    def _repr_html_(self) -> str | None:
        return picture(self)


@frozen
class Decision:
    """The verdict on one property.

    Attributes:
        property: what was decided.
        verdict: how.
        expected: the verdict that the scenario expects.
        why: for ``inconclusive``, the reason; for a ``sometimes`` that is violated, what was not reached.
        counterexample: for ``violated``, the execution that shows it (a ``sometimes`` has none).
    """

    property: Property  # the word of the docs
    verdict: Verdict
    expected: Verdict
    why: str = ""
    counterexample: Counterexample | None = None

    @builtins.property
    def as_expected(self) -> bool:
        """Whether the verdict is the expected one."""
        return self.verdict is self.expected

    def __repr__(self) -> str:
        """Return the verdict, and the reason or the token, where there is one."""
        expected = "" if self.as_expected else f", expected {self.expected}"
        token = "" if self.counterexample is None else f": {quoted(self.counterexample.schedule.token)}"
        why = f": {quoted(self.why)}" if self.why and not token else token
        return f"Decision({quoted(self.property.name)} {self.verdict}{expected}{why})"


@frozen
class Stats:
    """What a check cost.

    Attributes:
        states: visited states of the product.
        transitions: edges between them.
        schedules: distinct complete interleavings that the explored graph stands for.
        live_runs: how often client Python code was started, from its beginning or as a copy of its process.
        seconds: wall-clock time.
        peak_rss_bytes: the process's peak resident memory.
        challenges: live executions, of which nothing was left out, that showed nothing that was not found.
    """

    states: int = 0
    transitions: int = 0
    schedules: int = 0
    live_runs: int = 0
    seconds: float = 0.0
    peak_rss_bytes: int = 0
    challenges: int = 0


@frozen
class Result:
    """All that a check of one scenario decided.

    Attributes:
        scenario: the scenario's name.
        clients: the names of its clients.
        journal: the journal mode, and what clients set it to (``delete, then wal``).
        transactions: the driver's transaction mode, as the clients' connections had it when they ran statements: as a
            scenario says it, or as the application set it (``isolation_level=None``, ``legacy IMMEDIATE``).
        sqlite_version: of the library that ran.
        bounds: what limited the search.
        search: the name of the search policy.
        exhausted: whether the search visited everything within the fault budget.
        decisions: one for each property.
        stats: what it cost.
        notes: what a reader should know about how much the verdicts say.
        outcomes: the distinct final outcomes: for each client how it ended, and a digest of the committed rows.
    """

    scenario: str
    clients: tuple[str, ...]
    journal: str
    transactions: str
    sqlite_version: str
    bounds: Bounds
    search: str
    exhausted: bool
    decisions: tuple[Decision, ...]
    stats: Stats
    notes: tuple[str, ...] = ()
    outcomes: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def as_expected(self) -> bool:
        """Whether every verdict is the expected one."""
        return all(decision.as_expected for decision in self.decisions)

    @property
    def inconclusive(self) -> bool:
        """Whether some verdict is inconclusive."""
        return any(decision.verdict is Verdict.INCONCLUSIVE for decision in self.decisions)

    def __repr__(self) -> str:
        """Return what was decided on one line; ``treadle.report.render_result`` says all."""
        times = Counter(decision.verdict for decision in self.decisions)
        verdicts = ", ".join(f"{times[verdict]} {verdict}" for verdict in Verdict if verdict in times)
        other = [decision.property.name for decision in self.decisions if not decision.as_expected]
        surprising = f"; NOT as expected: {quoted(other)}" if other else ""
        searched = "exhausted" if self.exhausted else "NOT exhausted"
        cost = f"{quoted(self.stats.schedules)} schedules, {self.stats.seconds:.1f} s"
        return f"Result({quoted(self.scenario)}: {verdicts}{surprising}; {searched}, {cost})"

    def _repr_html_(self) -> str | None:
        return picture(self)

    def __getitem__(self, name: str) -> Decision:
        """Return the decision on the property with this name.

        Raises:
            KeyError: there is no such property.
        """
        for decision in self.decisions:
            if decision.property.name == name:
                return decision
        raise KeyError(name)
