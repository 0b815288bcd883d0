"""Checking a scenario: search, judge, shrink, confirm, decide. And replaying one schedule."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from attrs import define, evolve, field

from treadle.client.surroundings import collection_paused
from treadle.execution.confirmation import end_of, run_live, spot_check
from treadle.execution.relived import Relived
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
from treadle.search.following import Follower
from treadle.search.interruption import Interruption
from treadle.search.memory import fair_share, peak
from treadle.search.pct import Pct
from treadle.search.protocol import Finding, Limits, Progress, Search, untried
from treadle.search.random import Random
from treadle.search.smaller import seek_smaller
from treadle.search.sweep import Sweep
from treadle.shrinking import Shrinker, size
from treadle.values.errors import CheckInterrupted, StuckClientError, UsageError
from treadle.values.outcome import is_success
from treadle.values.property import Kind, Property
from treadle.values.schedule import Schedule
from treadle.values.signals import LogsNeededError, NamesMatterError, OperationBoundError
from treadle.values.trace import Trace
from treadle.values.verdict import Bounds, Counterexample, Decision, Result, Stats, Verdict

SEARCHES = ("exhaustive", "random", "pct", "sweep")
"""The search policies."""

REDUCTIONS = {
    "local": "local operations are taken together, without a scheduling point between them",
    "constants": "a read of what no client changes is a local operation, in WAL mode",
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
    max_memory: int | None = None,
    until_violated: bool = False,
    seed: int = 0,
    workers: int | str = 1,
    live: bool = False,
    reduction: bool = True,
    without: Collection[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Decide which properties of a scenario hold.

    What a search found before it was stopped by a bound, or by Ctrl-C, is made smaller and confirmed all the same; that
    may take a quarter of the time again. A second Ctrl-C stops at once.

    Args:
        scenario: what is checked.
        search: one of ``SEARCHES``.
        max_states: stop after this many states; what was not violated by then is inconclusive.
        max_seconds: stop after this many seconds; likewise.
        max_executions: stop after this many executions; likewise. A random or PCT search samples 1000 by default.
        max_memory: stop when the process and those that search with it have this much resident memory, in bytes;
            likewise. On a Dask cluster it is for each process by itself. By default half of the memory of the machine,
            or of what the process is allowed to have, if that is less.
        until_violated: stop as soon as a violation is found; what else there is to find is inconclusive.
        seed: of the random numbers of a sampling search and of the spot checks.
        workers: how many processes search, or the address of a Dask scheduler, as in ``tcp://host:8786``; there, one
            for each of its workers, and the scenario needs an ``origin``. Several find exactly what one finds, unless
            a bound stops them.
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
        CheckInterrupted: Ctrl-C. Its ``result`` is what was decided by then.
    """
    if not isinstance(scenario, Scenario):
        raise UsageError(f"{scenario!r} is no Scenario. Build one with treadle.Scenario(...).")
    _require_options(search, max_states, max_seconds, max_executions, max_memory)
    off = _switched_off(without, reduction=reduction)
    _require_workers(workers, search, off, live=live)

    interruption = Interruption()

    def run(*, keep_logs: bool, interchangeable: bool) -> Result:
        limits = Limits(
            max_states,
            max_seconds,
            max_executions,
            until_violated,
            progress,
            max_memory=fair_share() if max_memory is None else max_memory,
            interruption=interruption,
        )
        symmetry = interchangeable and search == "exhaustive" and not off & {"symmetry", "merge"}
        options = Options(
            local="local" not in off,
            constants="constants" not in off,
            memory="memory" not in off,
            symmetry=symmetry,
            fork="fork" not in off,
            keep_logs=keep_logs,
        )
        together = None
        with contextlib.ExitStack() as stack:
            if workers != 1:
                stack.enter_context(interruption.heeded())
                together = _search_together(scenario, workers, options, limits, seed)
            system = stack.enter_context(options.system(scenario))
            stack.enter_context(system.active())
            if together is None:  # until now, there was nothing to be told
                stack.enter_context(interruption.heeded())
            policy = _policy(search, system, seed, merge="merge" not in off)
            result = _Check(system, limits, seed, max_memory).decide(policy, search, live=live, together=together)
        if interruption.asked:
            raise CheckInterrupted(result)
        return result

    with collection_paused():  # until what was known is dropped
        return _start_over_if_needed(run)


def _search_together(scenario: Scenario, workers: int | str, options: Options, limits: Limits, seed: int) -> Together:
    try:
        with crew_of(scenario, workers) as crew:
            groups = groups_of(scenario.clients, symmetry=options.symmetry)
            return search_together(crew, options, groups, limits, seed)
    except (OperationBoundError, StuckClientError) as error:  # before anything was found
        return Together.nothing(str(error))


def replay(scenario: Scenario, token: str) -> Trace:
    """Run one schedule live, on a fresh database, and return what happened.

    Args:
        scenario: what the schedule belongs to.
        token: the schedule's token.

    Raises:
        TokenError: the token is malformed.
        ScheduleMismatchError: the schedule does not fit the scenario.
    """
    schedule = Schedule.parse(token)

    def run(*, keep_logs: bool, interchangeable: bool) -> Trace:
        del interchangeable  # nothing is merged here
        with System(scenario, keep_logs=keep_logs) as system, system.active():
            judge = Judge(scenario, system.sequel, system.serial)
            judge.start(system.product.root())
            taken = run_live(system, schedule)
            return trace_of(scenario, taken, judge.breaches(end_of(system, taken)))

    return _start_over_if_needed(run)


def _start_over_if_needed(run: Callable[..., _Answer]) -> _Answer:
    """Run without logs of what is over and with interchangeable clients; otherwise if that turns out to be wrong."""
    keep_logs, interchangeable = False, True
    while True:
        try:
            return run(keep_logs=keep_logs, interchangeable=interchangeable)
        except LogsNeededError:
            keep_logs = True
        except NamesMatterError:
            interchangeable = False


def _require_options(
    search: str,
    max_states: int | None,
    max_seconds: float | None,
    max_executions: int | None,
    max_memory: int | None,
) -> None:
    if search not in SEARCHES:
        raise UsageError(f"search={search!r}: it must be one of {', '.join(SEARCHES)}. Choose one of these.")
    for name, value in (
        ("max_states", max_states),
        ("max_seconds", max_seconds),
        ("max_executions", max_executions),
        ("max_memory", max_memory),
    ):
        if value is None:
            continue
        whole = name != "max_seconds"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not value > 0:
            kind = "whole number" if whole else "number"
            raise UsageError(
                f"{name}={value!r}: a bound must be a {kind} greater than zero. Leave it out for "
                f"{'the default' if name == 'max_memory' else 'no bound'}."
            )


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
    _max_memory: int | None
    _judge: Judge = field(init=False)
    _vacuous: str = field(init=False, default="")
    _witnessed: frozenset[str] = field(init=False, default=frozenset())
    _grown: bool = field(init=False, default=False)
    _met_fault_point: bool = field(init=False, default=False)
    _untried: set[tuple[int, str]] = field(init=False, factory=set)
    _confirmed: dict[Schedule, list[Taken]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        system = self._system
        self._judge = Judge(system.scenario, system.sequel, system.serial, system.symmetry)

    def decide(self, policy: Search, name: str, *, live: bool, together: Together | None) -> Result:
        """Search, unless several processes did, and return all verdicts."""
        system, scenario = self._system, self._system.scenario
        if together is None:
            finding = self._explore(policy, live=live)
        else:
            finding = together.finding
            self._met_fault_point = together.met_fault_point
            self._untried = together.untried
            self._judge.start(system.product.root())
            self._judge.witnessed |= together.witnessed
            self._judge.outcomes |= together.outcomes
        # What is looked at from here on is for the reader, and is no part of the search.
        self._witnessed, outcomes = frozenset(self._judge.witnessed), frozenset(self._judge.outcomes)
        self._vacuous = self._why_vacuous(finding, together)
        if name == "exhaustive":
            self._make_smaller(finding)
        decisions = self._decide_all(finding, spot_checked=together is not None)
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
                self._max_memory,
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
                peak_rss_bytes=peak(),
            ),
            notes=tuple(self._notes(name, finding)),
            outcomes=outcomes,
        )

    def _notes(self, search: str, finding: Finding) -> Iterator[str]:
        scenario = self._system.scenario
        larger = sorted(set(finding.examples) - finding.minimal)
        if larger and search == "exhaustive":
            yield f"the search stopped early: of {', '.join(larger)} there may be smaller counterexamples than these."
        if scenario.faults.locked and self._untried:
            client, operation = min(self._untried)
            points = f"{len(self._untried)} lock point{'s' * (len(self._untried) > 1)}"
            yield (
                f"{points} that SQLite itself could refuse got no fault, since faults are injected at each "
                f"{scenario.faults_at} (first: {operation} of {scenario.clients[client].name}). "
                "faults_at='reachable', or --faults-at reachable, tries them."
            )
        elif scenario.faults.locked and not self._met_fault_point:
            yield (
                f"no locked fault was tried: faults are injected at each {scenario.faults_at}, and no client came to "
                "one. With faults_at='reachable' they are injected wherever SQLite asks for a lock."
            )

    def _explore(self, policy: Search, *, live: bool) -> Finding:
        relived = Relived(self._system) if live else None
        try:
            product = self._system.product if relived is None else relived.product()
            try:
                finding = policy.explore(product, self._judge, self._limits)
            finally:
                self._met_fault_point = product.met_fault_point
                self._untried = untried(product)
            self._require_nameless()
            return finding
        except (OperationBoundError, StuckClientError) as error:
            return Finding(why_not=str(error))
        finally:
            if relived is not None:
                relived.close()

    # Passes that prove nothing.

    def _why_vacuous(self, finding: Finding, together: Together | None) -> str:
        """Return why what was asked of some client has not been tried at all, or an empty text."""
        if not (finding.exhausted or self._witnessed):  # nothing would hold
            return ""
        system = self._system
        succeeded = self._judge.succeeded if together is None else together.succeeded
        names = [client.name for client in system.scenario.clients]
        failures = {name: self._failure_alone(name) for name in names if name not in succeeded}
        silent = [name for name in system.silent_clients() if together is None or name in together.silent]
        for name in names:
            failure = failures.get(name, "")
            if failure and name in system.scenario.may_fail:
                continue
            if name in silent:
                finding.exhausted = False
                finding.why_not = finding.why_not or (
                    f"client {name!r} ran no statement on the checked database, and {failure or 'came to its end'}: "
                    "does it use the scenario's engine?"
                )
                return finding.why_not
            if failure:
                return (
                    f"client {name!r} never succeeds, not even alone: it {failure}. So what is asked of it has not "
                    f"been tried. Mend it, or say in the scenario that it need not succeed: may_fail=[{name!r}]"
                )
        return ""

    def _failure_alone(self, name: str) -> str:
        """Return how a client fails that runs alone, without faults; an empty text if it does not."""
        try:
            outcome = self._system.serial((name,)).outcomes[name]
        except (OperationBoundError, StuckClientError) as error:
            return f"did not come to an end ({error})"
        return "" if is_success(outcome) else str(outcome)

    def _require_nameless(self) -> None:
        if not self._system.symmetry.trivial and self._system.active().drew_randomness():
            raise NamesMatterError

    def _make_smaller(self, finding: Finding) -> None:
        """Look for smaller examples than those of a search that stopped early."""
        names = set(finding.examples) - finding.minimal
        if names:
            system = self._system
            limits = self._limits.afterwards(finding.states)
            found, settled = seek_smaller(system.product, self._judge, system.symmetry, names, limits)
            self._require_nameless()
            for name in names & set(found):
                finding.examples[name] = min(finding.examples[name], found[name], key=size)
            finding.minimal |= names & settled

    def _decide_all(self, finding: Finding, *, spot_checked: bool) -> tuple[Decision, ...]:
        if finding.exhausted and not spot_checked:
            if self._limits.interruption.asked:
                finding.why_not = "the check was interrupted before what it learned was compared with live executions"
            else:
                finding.why_not = spot_check(self._system, random.Random(self._seed))  # for choices, not for secrets
            finding.exhausted = not finding.why_not
        return tuple(self._decide(item, finding) for item in self._system.scenario.properties)

    def _decide(self, item: Property, finding: Finding) -> Decision:
        scenario = self._system.scenario
        expected = Verdict.VIOLATED if item.name in scenario.expect_violated else Verdict.HOLDS
        if item.kind is Kind.SOMETIMES and item.name in self._witnessed:
            return self._holds(item, expected)
        if item.name in finding.examples:
            return evolve(self._confirm(item, finding), expected=expected)
        if not finding.exhausted:
            return Decision(item, Verdict.INCONCLUSIVE, expected, why=finding.why_not)
        if item.kind is Kind.SOMETIMES:
            why = f"no execution within the bounds ends so: {item.clause}"
            return Decision(item, Verdict.VIOLATED, expected, why=why)
        return self._holds(item, expected)

    def _holds(self, item: Property, expected: Verdict) -> Decision:
        """Return that a property holds, unless what was asked has not been tried."""
        if self._vacuous:
            return Decision(item, Verdict.INCONCLUSIVE, expected, why=self._vacuous)
        return Decision(item, Verdict.HOLDS, expected)

    # Counterexamples.

    def _confirm(self, item: Property, finding: Finding) -> Decision:
        """Shrink the example of a property, and run it live."""
        schedule = finding.examples[item.name]
        if item.name not in finding.minimal:
            follower = Follower(self._system.product, self._judge, item.name)
            schedule = Shrinker(schedule, follower.complete).run()
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
        counterexample = Counterexample(schedule, trace_of(self._system.scenario, taken, own), confirmed=True, why=why)
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
