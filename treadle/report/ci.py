"""What a continuous integration service is told: annotations at source lines, and a summary of the job.

GitHub's and those that do as it does ask for it by environment variables:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treadle.report.brief import is_quiet, keepers
from treadle.report.durable import Commits, offending, shown_by
from treadle.report.markdown import code, escaped, render_markdown
from treadle.report.sql import page
from treadle.report.tracefile import Around, Case, cases_in
from treadle.values.display import name, prose
from treadle.values.source import Source
from treadle.values.verdict import Result

_CASES_MAX = 5
"""How many reports a summary has: a service takes a megabyte."""


def unexpected(results: Sequence[Result]) -> list[Case]:
    """Return the violated properties that are not expected to be."""
    return [case for result in results for case in cases_in(result) if not case.decision.as_expected]


def blamed(case: Case) -> Source | None:
    """Return the line that made durable what breaks a property, or else the last one of the application."""
    trace = case.trace
    commits = offending(Commits(trace), shown_by(case.breaches))
    lines = [event.source for event in trace.events if event.number in commits and event.source is not None]
    lines = lines or [event.source for event in trace.events if event.source is not None]
    return lines[-1] if lines else None


def workflow_commands(results: Sequence[Result]) -> Iterator[str]:
    """Yield a workflow command for each violation that is not expected."""
    for case in unexpected(results):
        source, item = blamed(case), case.decision.property
        where = "" if source is None else f"file={_property(source.file)},line={source.line},"
        title = _property(f"{name(case.scenario)} breaks {name(item.name)}")
        yield f"::error {where}title={title}::{_data(prose(case.counterexample.why))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def render_summary_of_job(results: Sequence[Result]) -> str:
    """Return what was decided in Markdown: a line for each scenario, and the report of what is not as expected."""
    lines = ["### Treadle", "", "| scenario | |", "|---|---|"]
    for result in results:
        stands = "as expected" if is_quiet(result) else "inconclusive" if result.as_expected else "NOT as expected"
        lines.append(f"| {code(name(result.scenario))} | {escaped(stands)} |")
    cases = unexpected(results)
    text = page([*lines, ""]) + "\n"
    for case in cases[:_CASES_MAX]:
        around = Around(script="--report writes one", keeps=keepers(results, case.decision.property.name))
        text += render_markdown(case, around)
    return text
