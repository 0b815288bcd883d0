"""Results in a notebook: a table of the verdicts, and the timeline of a counterexample as a page within the page."""

from __future__ import annotations

import html

from treadle.report.sql import count, page
from treadle.report.tracefile import Around, Case, cases_in
from treadle.report.webpage import render_webpage
from treadle.values.display import beginning, name, prose
from treadle.values.property import Kind, Property
from treadle.values.verdict import Counterexample, Decision, Result, Verdict

_WHY_MAX = 300
"""How much is shown of a reason, in characters."""


def render_picture(value: object) -> str | None:
    """Return a result or a counterexample as HTML; None of any other value."""
    match value:
        case Result():
            return _result(value)
        case Counterexample():
            return _frame(_alone(value))
        case _:
            return None


def _result(result: Result) -> str:
    found = cases_in(result)
    surprising = [case for case in found if not case.decision.as_expected]
    searched = "all" if result.exhausted else "NOT exhausted:"
    caption = (
        f"{name(result.scenario)}: {searched} {count(result.stats.schedules, 'schedule')}, {result.stats.seconds:.1f} s"
    )
    table = page(
        [
            f"<table><caption>{html.escape(caption)}</caption>",
            "<tr><th>property</th><th>verdict</th><th></th></tr>",
            *map(_decision, result.decisions),
            "</table>",
        ]
    )
    return f"{table}\n{''.join(map(_frame, (surprising or found)[:1]))}"


def _decision(decision: Decision) -> str:
    example = decision.counterexample
    why = prose(decision.why if example is None else example.why)
    stands = "" if decision.as_expected else ", NOT as expected"
    cells = (name(decision.property.name), f"{decision.verdict}{stands}", beginning(why)[:_WHY_MAX])
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _frame(case: Case) -> str:
    """Return the timeline as a page that can reach neither the notebook nor the network."""
    title = html.escape(f"Timeline: {name(case.scenario)} breaks {name(case.decision.property.name)}")
    inside = html.escape(render_webpage(case, Around()))
    style = "width: 100%; height: 40rem; border: 1px solid #8888"
    return f'<iframe title="{title}" sandbox="allow-scripts" style="{style}" srcdoc="{inside}"></iframe>'


def _alone(example: Counterexample) -> Case:
    """Return a counterexample with as much of its property as its trace tells."""
    broken = next((item for item, breaches in example.trace.breaches.items() if breaches), "counterexample")
    item = Property(broken, example.why, Kind.ALWAYS, bool)
    decision = Decision(item, Verdict.VIOLATED, Verdict.HOLDS, counterexample=example)
    return Case(example.trace.scenario, decision, example)
