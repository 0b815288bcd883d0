"""Checking a scenario: search, judge, shrink, confirm, decide. And replaying one schedule."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from attrs import define, evolve, field, frozen

from treadle.client.surroundings import collection_paused
from treadle.execution.confirmation import end_of, run_live
from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.symmetry import groups_of
from treadle.execution.system import System
from treadle.execution.taken import Taken
from treadle.execution.tracing import trace_of
from treadle.judge import Judge
from treadle.parallel.crews import ADDRESS, crew_of
from treadle.parallel.part import Options
from treadle.parallel.together import Together, search_together
from treadle.scenario import Scenario
from treadle.search.exhaustive import Exhaustive
from treadle.search.pct import Pct
from treadle.search.protocol import Finding, Limits, Progress, Search
from treadle.search.random import Random
from treadle.search.stateless import Stateless
from treadle.search.sweep import Sweep
from treadle.shrinking import Shrinker
from treadle.values.errors import ScheduleMismatchError, StuckClientError, UsageError
from treadle.values.property import Kind, Property
from treadle.values.record import parting
from treadle.values.schedule import Choice, Schedule, letters, shown
from treadle.values.signals import (
    EndsMatterError,
    HistoryNeededError,
    LogsNeededError,
    NamesMatterError,
    NotLocalError,
    OperationBoundError,
)
from treadle.values.trace import Trace
from treadle.values.verdict import Bounds, Counterexample, Decision, Result, Stats, Verdict

SEARCHES = ("exhaustive", "random", "pct", "sweep")
"""The search policies."""

REDUCTIONS = {
    "local": "local operations are taken together, without a scheduling point between them",
    "merge": "equal states are visited once",
    "symmetry": "states that differ only in what interchangeable clients are called are visited once",
    "memory": "what a stretch of operations did is not walked again from another state",
    "fork": "a long client goes on from a copy of its process, and not from its start",
}
"""What makes a search smaller or faster without changing its verdicts, by name."""

_Answer = TypeVar("_Answer")


def check(
    scenario: Scenario,
    *,
    search: str = "exhaustive",
    max_states: int | None = None,
    max_seconds: float | None = None,
    max_executions: int | None = None,
    until_violated: bool = False,
    seed: int = 0,
    workers: int | str = 1,
    live: bool = False,
    reduction: bool = True,
    without: Collection[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Decide which properties of a scenario hold.

    Args:
        scenario: what is checked.
        search: one of ``SEARCHES``.
        max_states: stop after this many states; what was not violated by then is inconclusive.
        max_seconds: stop after this many seconds; likewise.
        max_executions: stop after this many executions; likewise. A random or PCT search samples 1000 by default.
        until_violated: let a search that samples stop as soon as it has found a violation; what else there is to
            find is inconclusive. An exhaustive search does not stop.
        seed: of the random numbers of a sampling search and of the spot checks.
        workers: how many processes search, or the address of a Dask scheduler, as in ``tcp://host:8786``; there, one
            for each of its workers, and the scenario needs an ``origin``. Several find exactly what one finds.
        live: run every schedule live, and learn nothing.
        reduction: take local operations together and merge equal states. Without, every interleaving of
            every operation is walked to its end.
        without: the names of the ``REDUCTIONS`` that are switched off.
        progress: told how far the search is, now and then.

    Raises:
        UsageError: an argument is not allowed.
        NondeterminismError: a client did not do again what it did before.
        UnsupportedOperationError: a client did something that cannot be checked.
        PropertyError: a predicate failed, or returned no verdict.
    """
    if not isinstance(scenario, Scenario):
        raise UsageError(f"{scenario!r} is no Scenario. Build one with treadle.Scenario(...).")
    _require_options(search, max_states, max_seconds, max_executions)
    off = _switched_off(without, reduction=reduction)
    _require_workers(workers, search, off, live=live)

    def run(known: Known) -> Result:
        limits = Limits(max_states, max_seconds, max_executions, until_violated, progress)
        symmetry = known.names_alike and search == "exhaustive" and not off & {"symmetry", "merge"} and not live
        options = Options(
            local="local" not in off and known.locality and not known.history,
            memory="memory" not in off,
            symmetry=symmetry and not known.history,
            fork="fork" not in off,
            keep_logs=known.keep_logs or bool(known.history),
            ends_visible=known.ends_visible,
            everything_known=not known.history,
        )
        together = None
        if workers != 1 and not known.history:
            with crew_of(scenario, workers) as crew:
                groups = groups_of(scenario.clients, symmetry=options.symmetry)
                together = search_together(crew, options, groups, limits)
        with options.system(scenario) as system, system.active():
            if live or known.history:
                policy: Search = Stateless(system, merge="merge" not in off and not known.history)
            else:
                policy = _policy(search, system, seed, merge="merge" not in off)
            return _Check(system, limits, seed, known, options).decide(policy, search, together=together)

    with collection_paused():  # until what was known is dropped
        return _start_over_if_needed(run)


def replay(scenario: Scenario, token: str) -> Trace:
    """Run one schedule live, on a fresh database, and return what happened.

    A token of version t2 tells what was done when it was written. Where something else is done now, or the schedule
    cannot be followed to its end, the trace has a ``parting``: the code has changed, and that nothing is broken says
    nothing. Nor does it where clients are ``unfinished``.

    Args:
        scenario: what the schedule belongs to.
        token: the schedule's token.

    Raises:
        TokenError: the token is malformed.
        ScheduleMismatchError: it names clients that the scenario does not have.
    """
    schedule = Schedule.parse(token)
    names = tuple(client.name for client in scenario.clients)
    last = max((choice.client for choice in schedule.choices), default=0)
    if last >= len(names):
        raise ScheduleMismatchError(
            f"token {shown(token)} has choices for client {letters(last)}, and there are only {len(names)} clients: "
            f"{', '.join(names)}. Replay it on the scenario it was found in, with the same parameters."
        )

    def run(known: Known) -> Trace:
        system = System(
            scenario,
            keep_logs=known.keep_logs or bool(known.history),
            ends_visible=known.ends_visible,
            everything_known=not known.history,
        )
        with system, system.active():
            judge = Judge(scenario, system.sequel, system.serial, ends_visible=known.ends_visible)
            judge.start(system.product.root())
            fitting, misfit = _fitting(system.product, schedule, names)
            taken = run_live(system, fitting)
            trace = trace_of(scenario, taken, judge.breaches(end_of(system, taken)))
            return evolve(trace, replayed=schedule, parting=parting(schedule, trace, misfit))

    return _start_over_if_needed(run)


@frozen
class Known:
    """What is taken for granted of a scenario, until a check finds out that it is not so and starts over.

    Attributes:
        keep_logs: more than settings outlives what a connection held.
        names_alike: clients that run the same code are interchangeable.
        ends_visible: some property of every committed state looks at how clients have ended.
        locality: operations can be taken for local.
        history: what may depend on the whole execution, or an empty text.
    """

    keep_logs: bool = False
    names_alike: bool = True
    ends_visible: bool = False
    locality: bool = True
    history: str = ""


def _fitting(product: Product, schedule: Schedule, names: tuple[str, ...]) -> tuple[Schedule, str]:
    """Return how far a schedule can be followed, and why no further; an empty text if it can to its end."""
    path: list[Choice] = []
    state = product.root()
    try:
        for choice in schedule.choices:
            idle = False
            for taken in product.walk((choice,), state):
                if idle and taken.after == taken.before:  # It tried again already, and goes on waiting.
                    return Schedule(tuple(path)), f"client {names[choice.client]!r} waits until another goes on"
                idle = taken.after == taken.before
                path.append(taken.choice)
                state = taken.after
    except ScheduleMismatchError:
        return Schedule(tuple(path)), f"client {names[choice.client]!r} has finished by then"
    except OperationBoundError as error:
        return Schedule(tuple(path)), str(error)
    return Schedule(tuple(path)), ""


def _start_over_if_needed(run: Callable[[Known], _Answer]) -> _Answer:
    """Run, taking for granted what makes a check fast; what turns out not to be so is not taken for granted again."""
    known = Known()
    while True:
        try:
            return run(known)
        except LogsNeededError:
            known = evolve(known, keep_logs=True)
        except NamesMatterError:
            known = evolve(known, names_alike=False)
        except EndsMatterError:
            known = evolve(known, ends_visible=True)
        except NotLocalError:
            known = evolve(known, locality=False)
        except HistoryNeededError as error:
            known = evolve(known, history=str(error))


def _require_options(
    search: str, max_states: int | None, max_seconds: float | None, max_executions: int | None
) -> None:
    if search not in SEARCHES:
        raise UsageError(f"search={search!r}: it must be one of {', '.join(SEARCHES)}. Choose one of these.")
    for name, value in (
        ("max_states", max_states),
        ("max_seconds", max_seconds),
        ("max_executions", max_executions),
    ):
        if value is not None and value <= 0:
            raise UsageError(f"{name}={value!r}: a bound must be greater than zero. Leave it out for no bound.")


def _require_workers(workers: int | str, search: str, off: frozenset[str], *, live: bool) -> None:
    if workers == 1:
        return
    right = ADDRESS.fullmatch(workers) if isinstance(workers, str) else workers >= 1
    if not right:
        raise UsageError(
            f"workers={workers!r}: it must be a number of processes, at least 1, or the address of a Dask scheduler, "
            "as 'tcp://localhost:8786'. Leave the option out for one process."
        )
    if search != "exhaustive" or live or "merge" in off:
        raise UsageError(
            f"workers={workers!r}: several processes share an exhaustive search that merges equal states, and nothing "
            "else. Leave the option out, or the one that contradicts it."
        )


def _switched_off(without: Collection[str], *, reduction: bool) -> frozenset[str]:
    names = {without} if isinstance(without, str) else set(without)
    unknown = sorted(names - set(REDUCTIONS))
    if unknown:
        raise UsageError(f"without={unknown[0]!r}: there is no such reduction; there are {', '.join(REDUCTIONS)}.")
    return frozenset(names if reduction else {*names, "local", "merge", "symmetry"})


def _policy(search: str, system: System, seed: int, *, merge: bool) -> Search:
    scenario = system.scenario
    clients = len(scenario.clients)
    faults = scenario.faults.locked + scenario.faults.crash
    if search == "random":
        return Random(seed)
    if search == "pct":
        return Pct(seed, clients=clients, faults=faults)
    if search == "sweep":
        return Sweep(clients=clients, faults=faults)
    return Exhaustive(system.symmetry, merge=merge)


@define
class _Check:
    """One check under way."""

    _system: System
    _limits: Limits
    _seed: int
    _known: Known
    _options: Options
    _judge: Judge = field(init=False)
    _met_fault_point: bool = field(init=False, default=False)
    _confirmed: dict[Schedule, list[Taken]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        system = self._system
        visible = self._options.ends_visible or not self._options.local
        self._judge = Judge(system.scenario, system.sequel, system.serial, system.symmetry, ends_visible=visible)

    def decide(self, policy: Search, name: str, *, together: Together | None) -> Result:
        """Search, unless several processes did, and return all verdicts."""
        system, scenario = self._system, self._system.scenario
        if together is None:
            finding = self._explore(policy)
            silent = system.silent_clients() if finding.exhausted else []
        else:
            finding, silent = together.finding, together.silent if together.finding.exhausted else []
            self._met_fault_point = together.met_fault_point
            self._judge.start(system.product.root())
            self._judge.witnessed |= together.witnessed
            self._judge.outcomes |= together.outcomes
            self._judge.met |= together.met
        if silent:
            finding.exhausted = False
            finding.why_not = (
                f"client {silent[0]!r} ran no statement on the checked database: does it use the scenario's engine?"
            )
        decisions = self._decide_all(finding)
        return Result(
            scenario=scenario.name,
            clients=tuple(client.name for client in scenario.clients),
            journal=scenario.database.journal,
            transactions=scenario.database.transactions,
            sqlite_version=sqlite3.sqlite_version,
            bounds=Bounds(
                scenario.faults,
                scenario.faults_at,
                self._limits.max_states,
                self._limits.max_seconds,
                self._limits.max_executions,
                self._limits.until_violated,
            ),
            search=name,
            exhausted=finding.exhausted,
            decisions=decisions,
            stats=Stats(
                states=finding.states,
                transitions=finding.transitions,
                schedules=finding.schedules,
                live_runs=system.live_runs + (0 if together is None else together.live_runs),
                seconds=time.perf_counter() - self._limits.started,
                peak_rss_bytes=_peak_rss_bytes(),
            ),
            notes=tuple(self._notes()),
            outcomes=frozenset(self._judge.outcomes),
        )

    def _notes(self) -> Iterator[str]:
        scenario = self._system.scenario
        if self._known.history:
            yield (
                f"{self._known.history} may depend on the whole execution: every schedule was run live from its "
                "start, and nothing was learned or left out."
            )
        if scenario.faults.locked and not self._met_fault_point:
            yield (
                f"no locked fault was tried: faults are injected at each {scenario.faults_at}, and no client came to "
                "one. With faults_at='reachable' they are injected wherever SQLite asks for a lock."
            )

    def _explore(self, policy: Search) -> Finding:
        if isinstance(policy, Stateless):
            self._judge = policy.judge()
        product = self._system.product
        try:
            finding = policy.explore(product, self._judge, self._limits)
            if not self._system.symmetry.trivial and self._system.active().drew_randomness():
                raise NamesMatterError
            return finding
        except (OperationBoundError, StuckClientError) as error:
            return Finding(why_not=str(error))
        finally:
            self._met_fault_point = product.met_fault_point

    def _decide_all(self, finding: Finding) -> tuple[Decision, ...]:
        return tuple(self._decide(item, finding) for item in self._system.scenario.properties)

    def _decide(self, item: Property, finding: Finding) -> Decision:
        scenario = self._system.scenario
        expected = Verdict.VIOLATED if item.name in scenario.expect_violated else Verdict.HOLDS
        if item.kind is Kind.SOMETIMES and item.name in self._judge.witnessed:
            return Decision(item, Verdict.HOLDS, expected)
        if item.name in finding.examples:
            return evolve(self._confirm(item, finding), expected=expected)
        if not finding.exhausted:
            return Decision(item, Verdict.INCONCLUSIVE, expected, why=finding.why_not)
        if item.kind is Kind.SOMETIMES:
            why = f"no execution within the bounds ends so: {item.clause}"
            return Decision(item, Verdict.VIOLATED, expected, why=why)
        return Decision(item, Verdict.HOLDS, expected)

    # Counterexamples.

    def _confirm(self, item: Property, finding: Finding) -> Decision:
        """Shrink the example of a property, and run it live."""
        schedule = finding.examples[item.name]
        if not finding.minimal:
            schedule = Shrinker(schedule, lambda shorter, most: self._complete(shorter, item.name, most)).run()
        schedule = self._named(schedule, item.name)
        if schedule not in self._confirmed:
            self._confirmed[schedule] = run_live(self._system, schedule)
        taken = self._confirmed[schedule]
        breaches = self._judge.breaches(end_of(self._system, taken))
        if item.name not in breaches:
            return Decision(
                item,
                Verdict.INCONCLUSIVE,
                Verdict.HOLDS,
                why=f"schedule {schedule.token} breaks it in the learned product and not when run live",
            )
        own = {item.name: breaches[item.name]}
        why = breaches[item.name][0].why
        trace = trace_of(self._system.scenario, taken, own)
        counterexample = Counterexample(trace.schedule, trace, confirmed=True, why=why)
        return Decision(item, Verdict.VIOLATED, Verdict.HOLDS, why=why, counterexample=counterexample)

    def _named(self, schedule: Schedule, name: str) -> Schedule:
        """Return a schedule with interchangeable clients named so that it breaks a property."""
        if self._system.symmetry.trivial:
            return schedule
        product = self._system.product
        for renamed in self._system.symmetry.renamed(schedule):
            *_, last = [product.root(), *(taken.after for taken in product.walk(renamed.choices))]
            if name in self._judge.breaches(last):
                return renamed
        return schedule

    def _complete(self, schedule: Schedule, name: str, most: int) -> Schedule | None:
        """Follow a schedule, run on in order, and return the choices up to where a property is broken.

        Args:
            schedule: the choices to begin with.
            name: of the property.
            most: how many operations the whole may have.
        """
        product = self._system.product
        path: list[Choice] = []
        state = product.root()
        with contextlib.suppress(ScheduleMismatchError):
            for taken in product.walk(schedule.choices):
                path.append(taken.choice)
                state = taken.after
                if name in self._judge.broken(state):
                    return Schedule(tuple(path))
        return self._run_on(product, state, path, name, most)

    def _run_on(self, product: Product, state: State, path: list[Choice], name: str, most: int) -> Schedule | None:
        while len(path) < most and (choices := product.choices(state)):
            last = path[-1].client if path else 0
            same = [choice for choice in choices if choice.client == last]
            edge = product.run(state, (same or choices)[0])
            for operations, there in edge.moments:
                if name in self._judge.broken(there):
                    return Schedule((*path, *edge.choices(operations)))
            path += edge.choices()
            state = edge.after
        return None


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
