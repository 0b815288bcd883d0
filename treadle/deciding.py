"""Deciding: search, judge, shrink, confirm, challenge; and what follows for each property."""

from __future__ import annotations

import time
from collections.abc import Iterator

from attrs import define, evolve, field, frozen

from treadle.execution.confirmation import end_of, run_live
from treadle.execution.modes import journal_of, transactions_of
from treadle.execution.system import Known, System
from treadle.execution.taken import Taken
from treadle.execution.tracing import trace_of
from treadle.judge import Judge
from treadle.parallel.together import Together
from treadle.search.challenge import Challenger
from treadle.search.following import Follower
from treadle.search.memory import peak
from treadle.search.protocol import Finding, Limits, Search
from treadle.search.smaller import seek_smaller
from treadle.search.stateless import Stateless
from treadle.shrinking import Shrinker, size
from treadle.values.display import name as spelled
from treadle.values.display import names as enumerated
from treadle.values.display import quoted
from treadle.values.errors import StuckClientError
from treadle.values.outcome import is_success
from treadle.values.property import Kind, Property
from treadle.values.schedule import Schedule
from treadle.values.signals import NamesMatterError, OperationBoundError
from treadle.values.verdict import Bounds, Counterexample, Decision, Result, Stats, Verdict


@frozen
class Challenges:
    """How much a finished search is challenged.

    Attributes:
        share: of the time that the search took.
        least: how many executions in any case.
    """

    share: float = 0.1
    least: int = 20


@define
class Decider:
    """Searches, judges, shrinks, confirms and challenges; and then decides."""

    _system: System
    _limits: Limits
    _seed: int
    _max_memory: int | None
    _known: Known
    _challenges: Challenges
    _challenged: int = field(init=False, default=0)
    _judge: Judge = field(init=False)
    _vacuous: str = field(init=False, default="")
    _witnessed: frozenset[str] = field(init=False, default=frozenset())
    _grown: bool = field(init=False, default=False)
    _met_fault_point: bool = field(init=False, default=False)
    _untried: set[tuple[int, str]] = field(init=False, factory=set)
    _confirmed: dict[Schedule, list[Taken]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        system = self._system
        self._judge = Judge(
            system.scenario,
            system.sequel,
            system.serial,
            system.symmetry,
            ends_visible=system.shows_ends,
        )

    def decide(self, policy: Search, name: str, *, together: Together | None) -> Result:
        """Search, unless several processes did, and return all verdicts."""
        system, scenario = self._system, self._system.scenario
        if together is None:
            finding = self._explore(policy)
        else:
            finding = together.finding
            self._met_fault_point = together.met_fault_point
            self._untried = together.untried
            self._judge.start(system.product.root())
            self._judge.witnessed |= together.witnessed
            self._judge.outcomes |= together.outcomes
            self._judge.met |= together.met
        self._verify(finding)
        # What is looked at from here on is for the reader, and is no part of the search.
        self._witnessed, outcomes = frozenset(self._judge.witnessed), frozenset(self._judge.outcomes)
        self._vacuous = self._why_vacuous(finding, together)
        if name == "exhaustive":
            self._make_smaller(finding)
        decisions = self._decide_all(finding)
        return Result(
            scenario=scenario.name,
            clients=tuple(client.name for client in scenario.clients),
            journal=journal_of(system.roots, scenario.database.journal),
            transactions=transactions_of(system.roots, scenario.database.transactions),
            sqlite_version=scenario.database.driver.sqlite_version,
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
                challenges=self._challenged,
            ),
            notes=tuple(self._notes(name, finding)),
            outcomes=outcomes,
        )

    def _notes(self, search: str, finding: Finding) -> Iterator[str]:
        scenario = self._system.scenario
        if self._known.history:
            yield (
                f"{self._known.history} may depend on the whole execution: every schedule was run live from its "
                "start, and nothing was learned or left out."
            )
        larger = sorted(set(finding.examples) - finding.minimal)
        if larger and search == "exhaustive":
            yield f"the search stopped early: of {enumerated(larger)} there may be smaller counterexamples than these."
        if scenario.faults.locked and self._untried:
            client, operation = min(self._untried)
            points = f"{len(self._untried)} lock point{'s' * (len(self._untried) > 1)}"
            yield (
                f"{points} that SQLite itself could refuse got no fault, since faults are injected at each "
                f"{scenario.faults_at} (first: {operation} of {spelled(scenario.clients[client].name)}). "
                "faults_at='reachable', or --faults-at reachable, tries them."
            )
        elif scenario.faults.locked and not self._met_fault_point:
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
            self._require_nameless()
            return finding
        except (OperationBoundError, StuckClientError) as error:
            return Finding(why_not=str(error))
        finally:
            self._met_fault_point = product.met_fault_point
            self._untried = product.untried

    def _verify(self, finding: Finding) -> None:
        """Let fresh processes do what was learned in others."""
        try:
            self._system.verify()
        except StuckClientError as error:
            finding.exhausted = False
            finding.why_not = finding.why_not or str(error)

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
                finding.why_not = finding.why_not or self._why_silent(name, failure)
                return finding.why_not
            if failure:
                return (
                    f"client {quoted(name)} never succeeds, not even alone: it {failure}. So what is asked of it has "
                    "not been tried. Mend it, or say in the scenario that it need not succeed: "
                    f"may_fail=[{quoted(name)}]"
                )
        return ""

    def _why_silent(self, name: str, failure: str) -> str:
        """Return how a client ended that never ran a statement, and what that may mean."""
        if failure:
            return (
                f"client {quoted(name)} ran no statement on the checked database: it {failure}. Mend that first; what "
                "is asked of it has not been tried."
            )
        end = self._system.serial((name,)).outcomes[name]
        return (
            f"client {quoted(name)} ran no statement on the checked database: it {end} without one. Let it use "
            "the scenario's engine, or connect to the file of that engine."
        )

    def _failure_alone(self, name: str) -> str:
        """Return how a client fails that runs alone, without faults; an empty text if it does not."""
        try:
            outcome = self._system.serial((name,)).outcomes[name]
        except (OperationBoundError, StuckClientError) as error:
            return f"did not come to an end ({error})"
        return "" if is_success(outcome) else str(outcome)

    def _require_nameless(self) -> None:
        if not self._system.symmetry.trivial and self._system.drew:
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
            finding.minimal |= names & settled & set(found)

    def _decide_all(self, finding: Finding) -> tuple[Decision, ...]:
        if finding.exhausted:
            self._challenge(finding)
        return tuple(self._decide(item, finding) for item in self._system.scenario.properties)

    def _challenge(self, finding: Finding) -> None:
        """Run executions that the search must have found."""
        interruption = self._limits.interruption
        challenger = Challenger(self._system, self._judge, frozenset(finding.examples), self._seed)
        seconds = self._limits.seconds * self._challenges.share
        met = challenger.run(seconds=seconds, least=self._challenges.least, interruption=interruption)
        self._challenged = met.count
        finding.why_not = met.why_not
        if interruption.asked:
            finding.why_not = "the check was interrupted before what it found was challenged by live executions"
        finding.exhausted = not finding.why_not

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
        trace = trace_of(self._system.scenario, taken, own, self._system.setting())
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
