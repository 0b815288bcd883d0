"""Results in brief: one line for each scenario, and one counterexample for what is not as expected.

::

    create-backfill/flush  9 hold; all 2,345 schedules, 0.4 s            one line says what was decided
      known  never-partial  1 turn  t2.A12.493awvc9                      one for each violation that is expected
    ✗ all-or-nothing  NOT as expected                                    one story for what is not: the author's first
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from treadle.report.layout import Page, legend, lines
from treadle.report.phrases import FAILED, several, unfinished
from treadle.report.sql import NO_BREAK, count, page, shorten, together, wrap
from treadle.report.story import Story, story_of
from treadle.report.timeline import WIDTH, render_timeline
from treadle.values.display import name as spelled
from treadle.values.display import prose
from treadle.values.schedule import letters
from treadle.values.trace import Trace
from treadle.values.verdict import Counterexample, Decision, Result, Verdict

Command = Callable[[str], str]
"""Takes a schedule token; returns what the reader can run to replay it."""

_LABEL = 8
"""The characters that a label takes below a timeline, with the gap after it."""

_LEFT_MAX = 3
"""How many of the rows are shown that show how a property is broken."""


# --- One line for each scenario ----------------------------------------------------------------------


def render_line(result: Result, *, width: int = WIDTH) -> str:
    """Return what was decided of one scenario: a line, and one for each verdict that needs one.

    Args:
        result: what was decided.
        width: of the text, in characters.
    """
    found = wrap(f"{spelled(result.scenario)}  {_tally(result)}", width, indent="    ")
    for decision in result.decisions:
        found += _verdict(decision, result, width)
    found += _undecided(result, width)
    found += [f"  note   {shorten(prose(note), width - 14)} (-v)" for note in result.notes]
    return page(found) + "\n"


def _tally(result: Result) -> str:
    kinds = {
        "violated, NOT as expected": [_surprises(one) and one.verdict is Verdict.VIOLATED for one in result.decisions],
        "hold, NOT as expected": [_surprises(one) and one.verdict is Verdict.HOLDS for one in result.decisions],
        "inconclusive": [one.verdict is Verdict.INCONCLUSIVE for one in result.decisions],
        "violated, as expected": [one.as_expected and one.verdict is Verdict.VIOLATED for one in result.decisions],
        "hold": [one.as_expected and one.verdict is Verdict.HOLDS for one in result.decisions],
    }
    decided = "; ".join(f"{sum(those)} {_plural(kind, sum(those))}" for kind, those in kinds.items() if any(those))
    seconds = f"{result.stats.seconds:.1f}{NO_BREAK}s"
    return f"{decided}; {_searched(result)}, {seconds}"


def _plural(kind: str, times: int) -> str:
    return kind.replace("hold", "holds") if times == 1 else kind


def _searched(result: Result) -> str:
    """Return how much was searched."""
    stats = result.stats
    if result.search != "exhaustive":
        return f"sampled {count(stats.schedules, 'execution')}"
    if not result.exhausted:
        return f"NOT exhausted, {count(stats.schedules, 'schedule')}"
    return f"all {count(stats.schedules, 'schedule')}"


def _surprises(decision: Decision) -> bool:
    """Return whether something was decided, and it is not what the scenario expects."""
    return decision.verdict is not Verdict.INCONCLUSIVE and not decision.as_expected


def _verdict(decision: Decision, result: Result, width: int) -> list[str]:
    """Return the line of a violation, or of what holds though it was expected to be violated; nothing of any other."""
    item, example = spelled(decision.property.name), decision.counterexample
    if _surprises(decision):
        what = decision.verdict if decision.why == "" or example is not None else f"{decision.verdict}: {decision.why}"
        start = f"  {FAILED} {item}  {prose(what)}, NOT as expected"
        return wrap(start, width, indent=" " * 4)
    if decision.verdict is not Verdict.VIOLATED:
        return []
    known = [one for one in result.decisions if one.verdict is Verdict.VIOLATED and one.as_expected]
    start = f"  known  {item.ljust(max(len(spelled(one.property.name)) for one in known))}"
    if example is None:
        return wrap(f"{start}  {prose(decision.why)}", width, indent=" " * 9)
    size = _size(example)
    longest = max(len(_size(one.counterexample)) for one in known if one.counterexample is not None)
    line = f"{start}  {size.ljust(longest)}  {example.schedule.token}"
    return [line] if len(line) <= width else [f"{start}  {size}", f"         {example.schedule.token}"]


def _size(example: Counterexample) -> str:
    faults = f", {count(example.faults, 'fault')}" if example.faults else ""
    return f"{count(len(example.schedule), 'turn')}{faults}"


def _undecided(result: Result, width: int) -> list[str]:
    """Return what is inconclusive, each reason once."""
    reasons: dict[str, list[str]] = {}
    for decision in result.decisions:
        if decision.verdict is Verdict.INCONCLUSIVE:
            reasons.setdefault(decision.why, []).append(spelled(decision.property.name))
    everything = len(result.decisions)
    return [
        line
        for why, items in reasons.items()
        for line in wrap(
            f"  ?  {'all' if len(items) == everything > 1 else several(items)} inconclusive: {prose(why)}",
            width,
            indent=" " * 5,
        )
    ]


# --- Counterexamples ---------------------------------------------------------------------------------


@frozen
class Case:
    """A counterexample, with all decisions that it explains, in the order of the scenario's properties."""

    counterexample: Counterexample
    decisions: tuple[Decision, ...]


def cases_of(result: Result, wanted: Callable[[Decision], bool]) -> list[Case]:
    """Return the distinct counterexamples of some properties, that of the author's first property first.

    What else the same schedule breaks is named with it, wanted or not.

    Args:
        result: what was decided.
        wanted: tells of which properties.
    """
    shown: dict[str, list[Decision]] = {}
    for decision in result.decisions:
        if decision.counterexample is not None and wanted(decision):
            shown.setdefault(decision.counterexample.schedule.token, []).append(decision)
    cases = []
    for token, decisions in shown.items():
        others = [
            other
            for other in result.decisions
            if other not in decisions
            and other.counterexample is not None
            and other.counterexample.schedule.token == token
        ]
        example = decisions[0].counterexample
        assert example is not None
        cases.append(Case(example, (*decisions, *others)))
    return cases


def render_examples(
    result: Result,
    *,
    only: str | None = None,
    expected: bool = False,
    width: int = WIDTH,
    command: Command | None = None,
    verbose: bool = False,
) -> str:
    """Return a counterexample for each verdict that is not as expected; empty if there is none.

    Args:
        result: what was decided.
        only: the name of the one property whose counterexample is shown, expected or not.
        expected: show the first counterexample of a property that is expected to be violated, if there is no other.
        width: of the text, in characters.
        command: takes a schedule token and returns what the reader can run to replay it.
        verbose: show each step, and not the story.
    """
    if only is not None:
        cases = cases_of(result, lambda decision: decision.property.name == only)
    else:
        cases = cases_of(result, _surprises)
        if not cases and expected:
            cases = cases_of(result, lambda decision: decision.verdict is Verdict.VIOLATED)[:1]
    found: list[str] = []
    for case in cases:
        found += [*([""] if found else []), *_case(case, result, width, command, verbose=verbose)]
    return page(found) + "\n" if found else ""


def _case(case: Case, result: Result, width: int, command: Command | None, *, verbose: bool) -> list[str]:
    example, first = case.counterexample, case.decisions[0]
    trace = example.trace
    story = story_of(trace, [first.property.name])
    stands = "as expected" if first.as_expected else "NOT as expected"
    sign = "Known:" if first.as_expected else FAILED
    found = wrap(f"{sign} {spelled(first.property.name)}: {prose(first.property.clause)}", width, indent="  ")
    if not why_not_told(example.why, first.property.clause):
        found += wrap(f"  Broken: {prose(example.why)}", width, indent="    ")
    again = "run again live: the same" if example.confirmed else "NOT confirmed live"
    faults = count(example.faults, "injected fault") if example.faults else "no injected fault"
    found += wrap(
        f"  {spelled(result.scenario)}, {stands}; {count(len(example.schedule), 'turn')}, {faults}; {again}",
        width,
        indent="    ",
    )
    if verbose:
        found += ["", *render_timeline(trace, width=width, properties=()).rstrip("\n").split("\n"), ""]
    else:
        found += ["", *render_story(trace, story, width)]
    found += _left(story, trace, width)
    for other in case.decisions[1:]:
        found += _labelled("Also", f"{spelled(other.property.name)}: {_why(other)}", width)
    found += no_help(story, width)
    if command is not None:
        found.append(f"  {'Replay'.ljust(_LABEL)}{command(example.schedule.token)}")
    else:
        found.append(f"  {'Token'.ljust(_LABEL)}{example.schedule.token}")
    return found


def why_not_told(why: str, clause: str) -> bool:
    """Tell whether a reason says no more than the clause: the predicate tells only that it is not so."""
    return why.endswith(clause)


def _why(decision: Decision) -> str:
    return prose(decision.counterexample.why) if decision.counterexample is not None else ""


def render_story(trace: Trace, story: Story, width: int) -> list[str]:
    """Return the story of a trace as lines: a column for each client, what the signs mean, and what is hidden."""
    last = trace.events[-1].number if trace.events else 0
    body = lines(Page(width, trace.clients, last, dense=True), story.entries)
    missing = unfinished(trace)
    found = [
        *body,
        *(wrap(f"  here it ends; not finished: {', '.join(missing)}", width, indent="    ") if missing else []),
    ]
    found.append("")
    hidden = [f"{count(story.hidden, 'operation')} hidden (-v)"] if story.hidden else []
    found += [f"  {line}" for line in together([*legend(story.entries, body, dense=True), *hidden], width - 2)]
    return found


def _left(story: Story, trace: Trace, width: int) -> list[str]:
    """Return the committed rows that show the breach, with what made them durable."""
    found = []
    for left in story.left[:_LEFT_MAX]:
        text = str(left)
        if left.number is not None:
            text += f", made durable at {left.number}"
            text += "".join(
                f"; {letters(trace.events[rollback - 1].client)}'s ROLLBACK takes nothing back"
                for rollback, commit in story.too_late.items()
                if commit == left.number
            )
        found += _labelled("Left", text, width)
    more = len(story.left) + story.more - _LEFT_MAX
    if more > 0:
        found += _labelled("", f"and {count(more, 'more row')}", width)
    return found


def no_help(story: Story, width: int) -> list[str]:
    """Return what does not help, where that follows from the kinds of refusals."""
    if not story.at_once:
        return []
    kinds = several(sorted({str(kind) for kind in story.at_once.values()}))
    numbers = several([str(place) for place in story.at_once])
    verb = "is" if len(story.at_once) == 1 else "are"
    return _labelled("No help", f"a longer busy timeout: {numbers} {verb} refused at once ({kinds})", width)


def _labelled(label: str, text: str, width: int) -> list[str]:
    return wrap(f"  {label.ljust(_LABEL)}{text}", width, indent=" " * (2 + _LABEL))


# --- Replays -----------------------------------------------------------------------------------------


def render_replayed(trace: Trace, broken: Sequence[str], *, width: int = WIDTH) -> str:
    """Return the story of a replayed schedule, and how it breaks properties.

    Args:
        trace: what happened.
        broken: the names of the properties that it breaks.
        width: of the text, in characters.
    """
    story = story_of(trace, broken)
    found = [*render_story(trace, story, width), ""]
    for item in broken:
        breaches = trace.breaches[item]
        for breach in breaches[:_LEFT_MAX]:
            found += wrap(f"{spelled(item)} is broken: {prose(breach.why)}", width, indent="  ")
        if len(breaches) > _LEFT_MAX:
            found.append(f"{spelled(item)} is broken in {count(len(breaches) - _LEFT_MAX, 'more way')}.")
    found += [*_left(story, trace, width), *no_help(story, width)]
    return page(found).rstrip("\n") + "\n"


# --- All together ------------------------------------------------------------------------------------


def is_quiet(result: Result) -> bool:
    """Tell whether a result needs no look: every verdict is as expected, and none is inconclusive."""
    return result.as_expected and not result.inconclusive


def keepers(results: Sequence[Result], name: str) -> tuple[str, ...]:
    """Return the names of the scenarios in which a property holds."""
    return tuple(
        result.scenario
        for result in results
        for decision in result.decisions
        if decision.property.name == name and decision.verdict is Verdict.HOLDS
    )
