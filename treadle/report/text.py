"""The result of a check as text: what was decided, within which bounds, and how it can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from attrs import frozen

from treadle.report.brief import render_replayed
from treadle.report.matrix import render_matrices
from treadle.report.phrases import several, titles, unfinished
from treadle.report.sql import NO_BREAK, count, number, page, wrap
from treadle.report.timeline import WIDTH, render_timeline
from treadle.values.display import name as spelled
from treadle.values.display import names as enumerated
from treadle.values.display import prose
from treadle.values.property import Kind
from treadle.values.schedule import Schedule
from treadle.values.trace import Parting, Trace
from treadle.values.verdict import Counterexample, Decision, Result, Verdict

Command = Callable[[str], str]
"""Takes a schedule token; returns what the reader can run to replay it."""

_TEXT_MIN = 28
"""The narrowest room in which a sentence is wrapped, in characters."""


def render_result(result: Result, *, width: int = WIDTH, command: Command | None = None) -> str:
    """Return a result as text, with a timeline for each distinct counterexample.

    What is not as expected stands first, and the smallest counterexample before larger ones.

    Args:
        result: what was decided.
        width: of the text, in characters.
        command: takes a schedule token and returns what the reader can run to replay it.
    """
    title = f"{spelled(result.scenario)}: {standing(result)}"
    parts = [title, "=" * min(len(title), width), *_facts(result, width), "", *_decisions(result, width)]
    for case in _cases(result):
        parts += ["", *_case(case, result, width, command)]
    return page(parts) + "\n"


def render_replay(
    trace: Trace,
    broken: Sequence[str],
    expected: Collection[str],
    *,
    width: int = WIDTH,
    verbose: bool = False,
) -> str:
    """Return a replayed schedule as text: what it breaks, and its story.

    Args:
        trace: what happened.
        broken: the names of the properties that it breaks.
        expected: the names of the properties that are expected to be violated.
        width: of the text, in characters.
        verbose: show everything in full, and not the story.
    """
    head = [*wrap(f"{spelled(trace.scenario)}: {_found(trace, broken, expected)}", width), *_replay_facts(trace, width)]
    if verbose:
        shown = render_timeline(trace, width=width, verbose=True, properties=broken)
    else:
        shown = render_replayed(trace, broken, width=width)
    return page([*head, ""]) + "\n" + shown


def replay_exit_code(trace: Trace, broken: Collection[str], expected: Collection[str]) -> int:
    """Return the exit code of a replay.

    3 if it is not what the token recorded; else 1 if a property is broken that is not expected to be violated; else 0
    if one is that is. If nothing is broken, 0 only for an execution that has finished, and is known to be what the
    token recorded; else 3.

    Args:
        trace: what happened.
        broken: the names of the properties that it breaks.
        expected: the names of the properties that are expected to be violated.
    """
    if trace.parting is not None:
        return _EXIT_CODES["inconclusive"]
    if not set(broken) <= set(expected):
        return _EXIT_CODES["NOT as expected"]
    decided = broken or (trace.as_recorded and not trace.unfinished)
    return _EXIT_CODES["as expected" if decided else "inconclusive"]


def _found(trace: Trace, broken: Sequence[str], expected: Collection[str]) -> str:
    """Return what a replay shows, as the rest of a sentence."""
    marked = ", ".join(
        f"{spelled(name)} ({'as expected' if name in expected else 'NOT as expected'})" for name in broken
    )
    if trace.parting is not None:
        what = "can be followed no further" if trace.parting.misfit else "is not what the token recorded"
        return f"inconclusive, this schedule {what}{f'; what it does now breaks {marked}' if marked else ''}"
    if marked:
        return f"this schedule breaks {marked}"
    if trace.unfinished:
        return f"inconclusive, this schedule ends before {several(unfinished(trace))} did"
    if not trace.as_recorded:
        return "inconclusive, this schedule breaks nothing, and what its token was written for is not known"
    return "this schedule breaks no property"


_CHANGED = "the code has changed, or what it runs on (data, parameters, SQLAlchemy, SQLite, Python): check it again"
_BARE = "a token of version t1 does not tell what was done when it was written"


def _replay_facts(trace: Trace, width: int) -> list[str]:
    """Return the token of what was done, where that parts from what was recorded, and what was not looked at."""
    # Tokens are to be copied, and so never broken over two lines.
    schedules = [f"{'schedule':<9} {trace.schedule.token}"]
    found = []
    if trace.replayed is not None and trace.parting is not None:
        schedules = [f"{'token':<9} {trace.replayed.token}", f"{'is now':<9} {trace.schedule.token}"]
        found += _fact("parts at", _where(trace.replayed, trace.parting), width)
    if trace.replayed is not None and not trace.as_recorded:
        found += _fact("note", _CHANGED if trace.replayed.digests else _BARE, width)
    if trace.unfinished:
        what = f"not finished: {several(unfinished(trace))}; properties of the end were not looked at"
        found += _fact("note", what, width)
    return [*schedules, *found]


def _where(replayed: Schedule, parting: Parting) -> str:
    events = range(parting.first, parting.last + 1)
    numbers = {0: "nothing below", 1: f"{parting.first} below"}.get(
        len(events), f"{parting.first} to {parting.last} below"
    )
    choice = replayed.choices[parting.number - 1]
    why = prose(parting.misfit) or "something else is done than the token recorded"
    return f"choice {parting.number} of {len(replayed)}, {choice} ({numbers}): {why}"


def render_summary(results: Sequence[Result], *, width: int = WIDTH) -> str:
    """Return a matrix of scenarios that were checked in several modes, one line for each result, and one for all."""
    names = max((len(spelled(result.scenario)) for result in results), default=0)
    stands = max((len(standing(result)) for result in results), default=0)
    lines = []
    for result in sorted(results, key=_rank_of_result):
        start = f"{standing(result).ljust(stands)}  {spelled(result.scenario).ljust(names)}  "
        lines += wrap(start + _tally(result), width, indent=_indent(start, width))
    return _with_matrices(results, [*lines, _totals(results)])


def render_totals(results: Sequence[Result]) -> str:
    """Return a matrix of scenarios that were checked in several modes, and one line for all results."""
    return _with_matrices(results, [_totals(results)])


def _totals(results: Sequence[Result]) -> str:
    seconds = sum(result.stats.seconds for result in results)
    kinds = [standing(result) for result in results]
    totals = ", ".join(f"{kinds.count(kind)} {kind}" for kind in _STANDINGS if kind in kinds)
    return f"{count(len(results), 'scenario')} in {seconds:.1f} s: {totals or 'nothing was decided'}"


def _with_matrices(results: Sequence[Result], lines: Sequence[str]) -> str:
    matrices = render_matrices(results)
    return (f"{matrices}\n" if matrices else "") + page(lines) + "\n"


_ORDER = (Verdict.VIOLATED, Verdict.INCONCLUSIVE, Verdict.HOLDS)
"""The more important verdicts first."""

_STANDINGS = ("NOT as expected", "inconclusive", "as expected")
_EXIT_CODES = dict(zip(_STANDINGS, (1, 3, 0), strict=True))
_URGENCY = (0, 3, 1)


def standing(result: Result) -> str:
    """Return whether a result is as the scenario expects, in words."""
    if any(_surprises(decision) for decision in result.decisions):
        return _STANDINGS[0]
    return _STANDINGS[1] if result.inconclusive else _STANDINGS[2]


def exit_code(results: Sequence[Result]) -> int:
    """Return the exit code: 1 if a verdict is not as expected, else 3 if one is inconclusive, else 0."""
    return max((_EXIT_CODES[standing(result)] for result in results), key=_URGENCY.index, default=0)


def _surprises(decision: Decision) -> bool:
    """Return whether something was decided, and it is not what the scenario expects."""
    return decision.verdict is not Verdict.INCONCLUSIVE and not decision.as_expected


def _rank_of_result(result: Result) -> int:
    """Return where a result stands in a summary: the important ones last, nearest to the prompt."""
    return -_STANDINGS.index(standing(result))


def _tally(result: Result) -> str:
    verdicts = [decision.verdict for decision in result.decisions]
    counts = [(verdict, verdicts.count(verdict)) for verdict in _ORDER if verdict in verdicts]
    decided = ", ".join(
        f"{times} hold" if verdict is Verdict.HOLDS and times > 1 else f"{times} {verdict}" for verdict, times in counts
    )
    done = "exhausted" if result.exhausted else "not exhausted"
    schedules = f", {number(result.stats.schedules)} schedules" if result.stats.schedules else ""
    return f"{decided}; {done}{schedules}, {result.stats.seconds:.1f}{NO_BREAK}s"


# --- What was checked --------------------------------------------------------------------------------


def _challenged(result: Result) -> str:
    """Return how many live executions showed nothing that was not found."""
    count = result.stats.challenges
    return f"; {count} live execution{'s' * (count != 1)} met nothing else" if count else ""


def _facts(result: Result, width: int) -> list[str]:
    bounds = result.bounds
    limits = [
        f"faults locked={bounds.faults.locked} crash={bounds.faults.crash}",
        f"locked at: {bounds.faults_at}",
        *([f"at most {number(bounds.max_states)} states"] if bounds.max_states is not None else []),
        *([f"at most {_seconds(bounds.max_seconds)} s"] if bounds.max_seconds is not None else []),
        *([f"at most {count(bounds.max_executions, 'execution')}"] if bounds.max_executions is not None else []),
        *([f"at most {number((bounds.max_memory + 2**19) // 2**20)} MiB"] if bounds.max_memory is not None else []),
        *(["until something is violated"] if bounds.until_violated else []),
    ]
    database = f"SQLite {result.sqlite_version}, journal {result.journal}, transactions {result.transactions}"
    facts = {
        "database": database,
        "clients": ", ".join(titles(result.clients)),
        "bounds": ", ".join(limits),
        "search": f"{result.search}, {'exhausted' if result.exhausted else 'NOT exhausted'}{_challenged(result)}",
        "explored": _explored(result),
    }
    found = [line for name, fact in facts.items() for line in _fact(name, fact, width)]
    return found + [line for note in result.notes for line in _fact("note", prose(note), width)]


_EXACT_S = 10**300
"""Up to here a whole number is one that a float can be."""


def _seconds(bound: float) -> str:
    """Return a number of seconds, which may be a whole number of any size."""
    return number(bound) if isinstance(bound, int) and bound > _EXACT_S else f"{bound:g}"


def _explored(result: Result) -> str:
    stats = result.stats
    what = "standing for" if result.search == "exhaustive" else "in"
    kind = "schedule" if result.search == "exhaustive" else "execution"
    cost = f"{count(stats.live_runs, 'live run')}; {stats.seconds:.2f}{NO_BREAK}s"
    memory = f", {stats.peak_rss_bytes / 1e6:,.0f}{NO_BREAK}MB" if stats.peak_rss_bytes else ""
    return (
        f"{number(stats.states)} states and {number(stats.transitions)} transitions, {what} "
        f"{number(stats.schedules)} {kind}{'s' * (stats.schedules != 1)}; {cost}{memory}"
    )


# --- What was decided --------------------------------------------------------------------------------


def _decisions(result: Result, width: int) -> list[str]:
    ordered = sorted(result.decisions, key=_rank)
    verdicts = max(len(_verdict(decision)) for decision in ordered)
    names = max(len(spelled(decision.property.name)) for decision in ordered)
    found = []
    told: set[str] = set()
    for decision in ordered:
        start = f"{_verdict(decision).ljust(verdicts)}  {spelled(decision.property.name).ljust(names)}  "
        indent = _indent(start, width)
        found += wrap(start + _clause(decision), width, indent=indent)
        if decision.why and decision.counterexample is None:
            if decision.why in told:
                found += wrap(f"{indent}for the same reason", width, indent=indent)
                continue
            told.add(decision.why)
            found += wrap(f"{indent}because {prose(decision.why)}", width, indent=indent)
    return found


def _indent(start: str, width: int) -> str:
    """Return how far the lines after the first are indented: below the text, if that leaves room for it."""
    return " " * (len(start) if width - len(start) >= _TEXT_MIN else 6)


def _clause(decision: Decision) -> str:
    """Return the clause; one that only has to be possible says so."""
    clause = prose(decision.property.clause)
    return f"(sometimes) {clause}" if decision.property.kind is Kind.SOMETIMES else clause


def _verdict(decision: Decision) -> str:
    """Return the verdict, and whether it was expected where that matters."""
    if _surprises(decision):
        return f"{decision.verdict}, NOT as expected"
    if decision.verdict is Verdict.VIOLATED:
        return f"{decision.verdict}, as expected"
    return str(decision.verdict)


def _rank(decision: Decision) -> tuple[bool, int, bool]:
    """Return where a decision stands: the more important, the earlier."""
    witness = decision.property.kind is Kind.SOMETIMES
    return (not _surprises(decision), _ORDER.index(decision.verdict), witness)


# --- How it goes wrong -------------------------------------------------------------------------------


@frozen
class _Case:
    """A counterexample, with all decisions that it explains."""

    counterexample: Counterexample
    decisions: tuple[Decision, ...]


def _cases(result: Result) -> list[_Case]:
    """Return the distinct counterexamples: first what was not expected, then by size."""
    found: dict[str, list[Decision]] = {}
    for decision in sorted(result.decisions, key=_rank):
        if decision.counterexample is not None:
            found.setdefault(decision.counterexample.schedule.token, []).append(decision)
    cases = [
        _Case(decisions[0].counterexample, tuple(decisions))
        for decisions in found.values()
        if decisions[0].counterexample is not None
    ]
    return sorted(cases, key=_size)


def _size(case: _Case) -> tuple[bool, int, int]:
    schedule = case.counterexample.schedule
    surprising = any(_surprises(decision) for decision in case.decisions)
    return (not surprising, schedule.faults, len(case.counterexample.trace.events))


def _case(case: _Case, result: Result, width: int, command: Command | None) -> list[str]:
    example = case.counterexample
    names = [decision.property.name for decision in case.decisions]
    title = f"How {spelled(result.scenario)} breaks {enumerated(names)}"
    confirmed = "confirmed live" if example.confirmed else "NOT confirmed live"
    size = f"{count(len(example.schedule), 'choice')}, {count(example.faults, 'fault')}, {confirmed}"
    facts = [("schedule", example.schedule.token), ("size", size)]
    if command is not None:
        facts.append(("replay", command(example.schedule.token)))
    found = [*wrap(title, width), "-" * min(len(title), width)]
    # These two are to be copied, so they are never broken over two lines.
    found += [f"{name:<9} {fact}" for name, fact in facts]
    for at, decision in enumerate(case.decisions):
        found += _fact("breaks", f"{spelled(decision.property.name)}: {prose(decision.property.clause)}", width)
        if at + 1 == len(case.decisions) or _why(case.decisions[at + 1]) != _why(decision):
            found += _fact("why", prose(_why(decision)), width)
    timeline = render_timeline(example.trace, width=width, properties=names)
    return [*found, "", *timeline.rstrip("\n").split("\n")]


def _why(decision: Decision) -> str:
    return decision.counterexample.why if decision.counterexample is not None else ""


def _fact(name: str, fact: str, width: int) -> list[str]:
    return wrap(f"{name:<9} {fact}", width, indent=" " * 10)
