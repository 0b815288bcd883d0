"""The timeline of a counterexample as one page for a browser, with no network."""

from __future__ import annotations

from treadle.report.brief import no_help, why_not_told
from treadle.report.lanes import lanes, template
from treadle.report.sql import count, page
from treadle.report.story import Story, story_of
from treadle.report.tracefile import Around, Case
from treadle.values.display import name, on_one_line, prose


def render_webpage(case: Case, around: Around) -> str:
    """Return the page; whatever is in a value is shown as text."""
    trace, item = case.trace, case.decision.property
    story = story_of(trace, [item.name])
    told = not why_not_told(case.counterexample.why, item.clause)
    text = template("timeline.html.jinja").render(
        scenario=name(case.scenario),
        property=name(item.name),
        clause=prose(item.clause),
        why=prose(case.counterexample.why) if told else "",
        about=_about(case),
        verdict=_verdict(story),
        token=trace.schedule.token,
        command=None if around.command is None else on_one_line(around.command),
        **lanes(trace, story.entries, f"{count(story.hidden, 'operation')} hidden."),
    )
    return page(text.split("\n")) + "\n"


def _about(case: Case) -> str:
    setting = case.trace.setting
    again = "run again live, with the same result" if case.counterexample.confirmed else "NOT confirmed live"
    if setting is None:
        return again
    return (
        f"SQLite {setting.sqlite_version}, journal mode {setting.journal}, transactions {setting.transactions}, "
        f"SQLAlchemy {setting.sqlalchemy_version}, Python {setting.python_version}; {again}"
    )


def _verdict(story: Story) -> list[str]:
    found = []
    for left in story.left:
        when = "there from the start" if left.number is None else f"made durable at {left.number}"
        found.append(f"Left: {left}, {when}")
    for late, commit in story.too_late.items():
        found.append(f"The ROLLBACK at {late} takes nothing back: {commit} is committed.")
    return [*found, " ".join(" ".join(no_help(story, 10_000)).split())] if story.at_once else found
