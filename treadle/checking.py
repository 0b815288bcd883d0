"""Checking a scenario, and replaying one schedule: what may be asked for, and what is taken for granted at first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from treadle.deciding import Challenges, Decider
from treadle.execution.confirmation import end_of, run_live
from treadle.execution.product import Product
from treadle.execution.symmetry import groups_of
from treadle.execution.system import Known, System, less_known
from treadle.execution.taken import Taken
from treadle.execution.tracing import trace_of
from treadle.judge import Judge
from treadle.parallel.crews import ADDRESS, WORKERS_MAX, crew_of
from treadle.parallel.part import Options
from treadle.parallel.together import Together, search_together
from treadle.scenario import Scenario
from treadle.search.exhaustive import Exhaustive
from treadle.search.interruption import Interruption
from treadle.search.memory import collection_paused, fair_share
from treadle.search.pct import Pct
from treadle.search.protocol import Limits, Progress, Search
from treadle.search.random import Random
from treadle.search.stateless import Stateless
from treadle.search.sweep import Sweep
from treadle.turn import turn
from treadle.values.allowed import MOST, listed, require_number, require_one_of, require_whole
from treadle.values.display import names as enumerated
from treadle.values.display import quoted
from treadle.values.errors import (
    ChallengeError,
    CheckInterrupted,
    NondeterminismError,
    ScheduleMismatchError,
    StuckClientError,
    UsageError,
)
from treadle.values.property import Kind
from treadle.values.record import parting
from treadle.values.schedule import Choice, Schedule, letters
from treadle.values.signals import OperationBoundError, SignalError
from treadle.values.trace import Trace
from treadle.values.verdict import Bounds, Decision, Result, Stats, Verdict
from treadle.world.patience import patience_of
from treadle.world.room import lacks_named

SEARCHES = ("exhaustive", "random", "pct", "sweep")
"""The search policies."""

REDUCTIONS = {
    "local": "local operations are taken together, without a scheduling point between them",
    "merge": "equal states are visited once",
    "symmetry": "states that differ only in what interchangeable clients are called are visited once",
    "memory": "what a stretch of operations did is not walked again from another state",
    "fork": "a client goes on from a copy of its process, and not from its start",
    "reuse": "a process runs its client again, until something speaks against it",
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
    challenge: float = 0.1,
    challenges: int = 20,
    live: bool = False,
    isolate: bool | None = None,
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
        seed: of the random numbers of a sampling search and of the challenges.
        workers: how many processes search, or the address of a Dask scheduler, as in ``tcp://host:8786``; there, one
            for each of its workers, and the scenario needs an ``origin``. Several find exactly what one finds, unless
            a bound stops them.
        challenge: after an exhaustive search, live executions must show nothing that it did not find. They may take
            this share of the time that the search took.
        challenges: how many there are in any case.
        live: run every schedule live, and learn nothing.
        isolate: give every run of a client a fresh process. By default, a process may run its client again until
            something shows that a run depends on what an earlier one left there; then the check starts over, isolated.
            With False, that is a ``NondeterminismError``.
        reduction: take local operations together and merge equal states. Without, every interleaving of
            every operation is walked to its end.
        without: the names of the ``REDUCTIONS`` that are switched off.
        progress: told how far the search is, now and then.

    Raises:
        UsageError: an argument is not allowed; or this is not the main thread, an event loop runs, or another check is
            under way.
        NondeterminismError: a client did not do again what it did before.
        ChallengeError: a live execution came to something that the search did not find.
        UnsupportedOperationError: a client did something that cannot be checked.
        PropertyError: a predicate failed, or returned no verdict.
        CheckInterrupted: Ctrl-C. Its ``result`` is what was decided by then.
    """
    _require_scenario(scenario)
    _require_options(search, max_states, max_seconds, max_executions, max_memory)
    _require_challenges(challenge, challenges, seed)
    _require_progress(progress)
    off = _switched_off(without, reduction=reduction)
    _require_workers(workers, search, off, live=live)

    interruption = Interruption()

    def run(known: Known) -> Result:
        limits = Limits(
            max_states,
            max_seconds,
            max_executions,
            until_violated,
            progress,
            max_memory=fair_share() if max_memory is None else max_memory,
            interruption=interruption,
        )
        merge = "merge" not in off and not known.history
        options = Options(
            local="local" not in off and not live,
            memory="memory" not in off,
            symmetry=known.names_alike and merge and not live and search == "exhaustive" and "symmetry" not in off,
            fork="fork" not in off,
            known=known,
        )
        together = None
        with contextlib.ExitStack() as stack:
            stack.enter_context(patience_of(scenario))
            if workers != 1 and not known.history:
                stack.enter_context(interruption.heeded())
                together = _search_together(scenario, workers, options, limits)
            system = stack.enter_context(options.system(scenario))
            if together is None:  # until now, there was nothing to be told
                stack.enter_context(interruption.heeded())
            policy: Search = Stateless(system, merge=merge)
            if not (live or known.history):
                policy = _policy(search, system, seed, merge=merge)
            decider = Decider(
                system, limits, seed, max_memory, known, Challenges(challenge, max(challenges, known.challenges))
            )
            result = decider.decide(policy, search, together=together)
        if interruption.asked:
            raise CheckInterrupted(result)
        return result

    # Until what was known is dropped, nothing is collected.
    with turn("check()", scenario.name), lacks_named(), collection_paused():
        return _start_over_if_needed(run, True if "reuse" in off else isolate)


def _search_together(scenario: Scenario, workers: int | str, options: Options, limits: Limits) -> Together:
    try:
        with crew_of(scenario, workers) as crew:
            groups = groups_of(scenario.clients, symmetry=options.symmetry)
            return search_together(crew, options, groups, limits)
    except (OperationBoundError, StuckClientError) as error:  # before anything was found
        return Together.nothing(str(error))


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
        UsageError: this is not the main thread, an event loop runs, or a check is under way.
    """
    _require_scenario(scenario)
    schedule = Schedule.parse(token)
    require_clients(scenario, schedule)

    def run(known: Known, *, forced: bool = False) -> Trace:
        with patience_of(scenario), System(scenario, known) as system:
            judge = Judge(scenario, system.sequel, system.serial, ends_visible=known.ends_visible or forced)
            judge.start(system.product.root())
            return followed(system, judge, schedule)[1]

    with turn("replay()", scenario.name), lacks_named():
        trace = _start_over_if_needed(run)
        if trace.parting is not None:
            # Whether to answer is an operation follows from the properties, of which there may have been others.
            for visible in (False, True):
                other = _start_over_if_needed(partial(_run_showing, run, visible))
                if other.parting is None:
                    return other
        return trace


def require_clients(scenario: Scenario, schedule: Schedule) -> None:
    """Check that a scenario has all clients that a schedule names.

    Raises:
        ScheduleMismatchError: it has not.
    """
    names = tuple(client.name for client in scenario.clients)
    last = max((choice.client for choice in schedule.choices), default=0)
    if last >= len(names):
        raise ScheduleMismatchError(
            f"token {quoted(schedule.token)} has choices for client {letters(last)}, and there are only {len(names)} "
            f"clients: {enumerated(names)}. Replay it on the scenario it was found in, with the same parameters."
        )


def followed(system: System, judge: Judge, schedule: Schedule) -> tuple[list[Taken], Trace]:
    """Run a schedule live as far as it can be followed; return what was taken, and what happened."""
    scenario = system.scenario
    fit, misfit = _fitting(system.product, schedule, tuple(client.name for client in scenario.clients))
    taken = run_live(system, fit)
    trace = trace_of(scenario, taken, judge.breaches(end_of(system, taken)), system.setting())
    return taken, evolve(trace, replayed=schedule, parting=parting(schedule, trace, misfit))


def broken_by(trace: Trace, scenario: Scenario) -> list[str]:
    """Return the names of the properties that an execution breaks; not being a witness breaks nothing."""
    breakable = {item.name for item in scenario.properties if item.kind is not Kind.SOMETIMES}
    return [name for name, breaches in trace.breaches.items() if breaches and name in breakable]


def undecided(scenario: Scenario, why: str, options: Mapping[str, Any]) -> Result:
    """Return the result of a check that came to nothing: every property is inconclusive.

    Args:
        scenario: what was to be checked.
        why: the reason.
        options: those of ``check``.
    """
    decisions = [
        Decision(
            item,
            Verdict.INCONCLUSIVE,
            Verdict.VIOLATED if item.name in scenario.expect_violated else Verdict.HOLDS,
            why=why,
        )
        for item in scenario.properties
    ]
    return Result(
        scenario=scenario.name,
        clients=tuple(client.name for client in scenario.clients),
        journal=scenario.database.journal,
        transactions=scenario.database.transactions,
        sqlite_version=scenario.database.driver.sqlite_version,
        bounds=Bounds(
            scenario.faults,
            scenario.faults_at,
            options.get("max_states"),
            options.get("max_seconds"),
            options.get("max_executions"),
            options.get("until_violated", False),
            options.get("max_memory"),
        ),
        search=options.get("search", SEARCHES[0]),
        exhausted=False,
        decisions=tuple(decisions),
        stats=Stats(),
    )


def _run_showing(run: Callable[..., Trace], visible: bool, known: Known) -> Trace:  # noqa: FBT001  # a value
    return run(evolve(known, ends_visible=visible), forced=True)


def _fitting(product: Product, schedule: Schedule, names: tuple[str, ...]) -> tuple[Schedule, str]:
    """Return how far a schedule can be followed, and why no further; an empty text if it can to its end."""
    path: list[Choice] = []
    state = product.root()
    try:
        for choice in schedule.choices:
            idle = False
            for taken in product.walk((choice,), state):
                if idle and taken.after == taken.before:  # It tried again already, and goes on waiting.
                    return Schedule(tuple(path)), f"client {quoted(names[choice.client])} waits until another goes on"
                idle = taken.after == taken.before
                path.append(taken.choice)
                state = taken.after
    except ScheduleMismatchError:
        return Schedule(tuple(path)), f"client {quoted(names[choice.client])} has finished by then"
    except OperationBoundError as error:
        return Schedule(tuple(path)), str(error)
    return Schedule(tuple(path)), ""


def _start_over_if_needed(run: Callable[[Known], _Answer], isolate: bool | None = None) -> _Answer:  # noqa: FBT001  # a value
    """Run, taking for granted what makes a check fast; what turns out not to be so is not taken for granted again."""
    known = Known(isolated=bool(isolate))
    while True:
        try:
            return run(known)
        except (SignalError, NondeterminismError, ChallengeError) as error:
            if isolate is False and not isinstance(error, SignalError):
                raise
            known = less_known(known, error)


def _require_scenario(scenario: object) -> None:
    if not isinstance(scenario, Scenario):
        raise UsageError(f"{quoted(scenario)} is no Scenario. Build one with treadle.Scenario(...).")


def _require_options(
    search: str,
    max_states: int | None,
    max_seconds: float | None,
    max_executions: int | None,
    max_memory: int | None,
) -> None:
    require_one_of("search", search, SEARCHES)
    for name, value in (("max_states", max_states), ("max_executions", max_executions)):
        if value is not None:
            require_whole(name, value, least=1, remedy="Leave it out for no bound.")
    if max_seconds is not None:
        require_number("max_seconds", max_seconds, above_zero=True, remedy="Leave it out for no bound.")
    if max_memory is not None:
        require_whole("max_memory", max_memory, least=1, most=MOST**2, remedy="Leave it out for the default.")


def _require_challenges(share: float, least: int, seed: int) -> None:
    require_number("challenge", share, remedy="It is a share of the time of the search, as 0.1.")
    require_whole("challenges", least, least=0, remedy="It is a number of executions; leave it out for 20.")
    require_whole("seed", seed, least=-MOST, remedy="Leave it out for 0.")


def _require_progress(progress: object) -> None:
    if progress is not None and not callable(progress):
        raise UsageError(
            f"progress={quoted(progress)}: it must be a callable, which is given a Progress now and then. Leave it "
            "out, or pass a function."
        )


def _require_workers(workers: int | str, search: str, off: frozenset[str], *, live: bool) -> None:
    if isinstance(workers, str):
        right = ADDRESS.fullmatch(workers) is not None
    else:
        right = isinstance(workers, int) and not isinstance(workers, bool) and 1 <= workers <= WORKERS_MAX
    if not right:
        raise UsageError(
            f"workers={quoted(workers)}: it must be a number of processes, from 1 to {WORKERS_MAX:,}, or the address "
            "of a Dask scheduler, as 'tcp://localhost:8786'. Leave the option out for one process."
        )
    if workers != 1 and (search != "exhaustive" or live or "merge" in off):
        raise UsageError(
            f"workers={quoted(workers)}: several processes share an exhaustive search that merges equal states, and "
            "nothing else. Leave the option out, or the one that contradicts it."
        )


def _switched_off(without: Collection[str], *, reduction: bool) -> frozenset[str]:
    names = (without,) if isinstance(without, str) else listed("without", without)
    for name in names:
        require_one_of("without", name, REDUCTIONS)
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
