"""The report of one violated property in Markdown, ready to be pasted into an issue tracker."""

from __future__ import annotations

import re
from collections.abc import Sequence

from treadle.report.brief import no_help, render_story, why_not_told
from treadle.report.phrases import ARROW
from treadle.report.sql import count, literal, page
from treadle.report.story import Story, story_of
from treadle.report.timeline import render_timeline
from treadle.report.tracefile import Around, Case
from treadle.values.display import name, on_one_line, prose
from treadle.values.schedule import letters
from treadle.values.trace import Trace
from treadle.values.view import Row

_WIDTH = 100
"""The width of a transcript, in characters."""

_TRANSCRIPT_MAX = 40_000
"""The longest transcript, in characters; trackers take texts of 65,536."""

_STEPS_MAX = 60
"""How many entries a diagram has; trackers refuse to draw one that is long."""


def render_markdown(case: Case, around: Around) -> str:
    """Return the report."""
    trace, item = case.trace, case.decision.property
    story = story_of(trace, [item.name])
    transcript = _transcript(trace, item.name)
    return (
        page(
            [
                f"# {escaped(name(case.scenario))} breaks {escaped(name(item.name))}",
                "",
                *_facts(case, around),
                "",
                "## What happens",
                "",
                *fenced("text", [line.rstrip() for line in render_story(trace, story, 80)]),
                "",
                *fenced("mermaid", _diagram(trace, story)),
                "",
                "## What is left",
                "",
                *_left(story),
                *_also(case),
                *_help(story, around),
                "## Do it again",
                "",
                *_again(case, around),
                "<details><summary>Everything that was done</summary>",
                "",
                *fenced("text", transcript),
                "",
                "</details>",
            ]
        )
        + "\n"
    )


def _transcript(trace: Trace, item: str) -> list[str]:
    """Return everything that was done, if a tracker takes it."""
    text = render_timeline(trace, width=_WIDTH, verbose=True, properties=[item]).rstrip("\n")
    if len(text) > _TRANSCRIPT_MAX:
        return [f"{count(len(trace.events), 'operation')}: too many for an issue tracker. trace.json has them all."]
    return text.split("\n")


def _facts(case: Case, around: Around) -> list[str]:
    trace, item = case.trace, case.decision.property
    setting = trace.setting
    found = [("Expected", escaped(prose(item.clause)))]
    if not why_not_told(case.counterexample.why, item.clause):
        found.append(("Got", escaped(prose(case.counterexample.why))))
    found.append(
        ("Clients", ", ".join(f"{letters(at)} = {escaped(name(who))}" for at, who in enumerate(trace.clients)))
    )
    if setting is not None:
        found.append(("Database", f"SQLite {setting.sqlite_version}, journal mode `{setting.journal}`"))
        driver = f"Python {setting.python_version}, transactions `{setting.transactions}`"
        found.append(("Driver", f"{driver}, SQLAlchemy {setting.sqlalchemy_version}"))
    again = "run again live, with the same result" if case.counterexample.confirmed else "NOT confirmed live"
    found.append(("Found by", f"Treadle {around.treadle}; {again}"))
    return ["| | |", "|---|---|", *(f"| {label} | {text} |" for label, text in found)]


def _left(story: Story) -> list[str]:
    """Return the committed rows that show the violation, as tables."""
    found: list[str] = []
    tables: dict[str, list[tuple[Row, int | None]]] = {}
    for left in story.left:
        tables.setdefault(left.table, []).append((left.row, left.number))
    for table, rows in tables.items():
        columns = list(rows[0][0])
        found += [f"Committed in {code(table)}:", "", f"| made durable at | {' | '.join(map(code, columns))} |"]
        found.append(f"|---|{'---|' * len(columns)}")
        for row, number in rows:
            values = " | ".join(code(literal(row[column], limit=60)) if column in row else "" for column in columns)
            found.append(f"| {'from the start' if number is None else number} | {values} |")
        found.append("")
    if story.more:
        found += [f"and {count(story.more, 'more row')}", ""]
    for rollback, commit in story.too_late.items():
        found += [f"The ROLLBACK at {rollback} takes nothing back: {commit} is committed.", ""]
    return found or ["The property is about how the clients ended; no row shows it by itself.", ""]


def _also(case: Case) -> list[str]:
    if not case.others:
        return []
    lines = [
        f"- {code(other.property.name)}: {escaped(prose(other.counterexample.why))}"
        for other in case.others
        if other.counterexample is not None
    ]
    return ["The same schedule also breaks:", "", *lines, ""]


def _help(story: Story, around: Around) -> list[str]:
    found = [escaped(re.sub(r"^No help +", "Does not help: ", " ".join(line.split()))) for line in _joined(story)]
    if around.keeps:
        found.append(f"The property holds in: {', '.join(map(code, around.keeps))}.")
    return ["## What helps, and what does not", "", *(line for text in found for line in (text, ""))] if found else []


def _joined(story: Story) -> list[str]:
    lines = no_help(story, 10_000)
    return [" ".join(lines)] if lines else []


def _again(case: Case, around: Around) -> list[str]:
    found = []
    if around.script == "":
        found += ["Without the application, with nothing but Python:", "", "    python reproduce.py", ""]
    else:
        found += [f"There is no script for Python alone: {escaped(around.script)}.", ""]
    if around.command is not None:
        found += ["With the application and Treadle:", "", f"    {on_one_line(around.command)}", ""]
    return [*found, f"The schedule is {code(case.trace.schedule.token)}.", ""]


# --- The diagram -------------------------------------------------------------------------------------


def _diagram(trace: Trace, story: Story) -> list[str]:
    """Return a sequence diagram (https://mermaid.js.org/syntax/sequenceDiagram.html)."""
    found = ["sequenceDiagram"]
    found += [f"    participant {_party(at)} as {said(client)}" for at, client in enumerate(trace.clients)]
    found.append("    participant DB as SQLite")
    for entry in story.entries[:_STEPS_MAX]:
        party = _party(entry.client)
        more = [extra.render(20)[:60] for extra in entry.extras]
        given = [text for text in more if not text.startswith(ARROW)]
        text = " ".join(filter(None, [f"{entry.number}", entry.source, entry.statement[:60], *given]))
        if entry.statement:
            found.append(f"    {party}->>DB: {said(text)}")
            found += [f"    DB-->>{party}: {said(answer[1:].strip())}" for answer in more if answer not in given]
        found += [f"    Note over {party}: {said(note[:90])}" for note in entry.notes]
    if len(story.entries) > _STEPS_MAX:
        found.append(f"    Note over DB: {len(story.entries) - _STEPS_MAX} more")
    return found


def _party(client: int) -> str:
    return f"Client{letters(client)}"


def said(text: str) -> str:
    """Return a text as a diagram shows it: a code for each character that might mean something there."""
    return re.sub(r"[^\w .,=()'+*?/\\-]", lambda match: f"#{ord(match[0])};", on_one_line(text.replace("\u00a0", " ")))


# --- Markdown ----------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """Return prose in which nothing is markup."""
    shown = on_one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~@$])", r"\\\1", shown)


def code(text: str) -> str:
    """Return a text as code within a line, also in a table."""
    shown = on_one_line(text).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", shown)), default=0) + 1)
    pad = " " if "`" in shown or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def fenced(kind: str, lines: Sequence[str]) -> list[str]:
    """Return lines as a block of code, whatever is in them."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{kind}", *lines, fence]
