"""The page about the fixes: pure functions from what was found to Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from model.backfill import ALGORITHMS
from properties.backfill.expectations import CIRCUMSTANCES
from properties.backfill.grid import folded, grid
from properties.backfill.parameters import JOURNALS, TRANSACTIONS, Parameters
from properties.backfill.recording import Cell, Record, Violation
from treadle.values.schedule import Schedule

SHIPPED = "shipped-3.3.2"
"""The fix that shipped."""

BROKEN = "shipped-3.2.2"
"""What it fixes."""

TITLES = {
    "default": "By default",
    "reachable": "With faults wherever SQLite itself can be locked, and nowhere else",
    "undisturbed": "Without faults",
    "alone": "One request",
    "rerun": "With history to run again",
    "crash": "With a crash",
}

HEAD = """\
# Which fix keeps what

<!-- Written by `python -m properties.backfill`: change properties/backfill/, not this file. -->

The [case study](case-study.md) starts from one bug report, and there are several ways to mend it. Each algorithm
was checked in every journal mode and every transaction mode of the driver, with SQLite {version}: {cells} searches,
all of them exhausted within their bounds.

By default that is {requests} requests for the same {runs} dates at the same time, and at most {locked} fault
`database is locked` in an execution, at a SAVEPOINT, at the first write after it, or at its RELEASE. The
other circumstances differ from that in what is said with them. The transaction modes are `legacy`, the driver's
default; `begin`, SQLAlchemy's recipe that always sends BEGIN; `immediate`, the same with BEGIN IMMEDIATE; and
`autocommit-off`, the driver's `autocommit=False` since Python 3.12.

A property that is violated has a schedule that shows it, confirmed by running it live on a fresh database. One
that is kept holds in every interleaving within these bounds, and nothing is said about larger ones.
"""

LEGEND = """\
`.` is kept in every mode. Otherwise the modes are named in which it is broken, in both journal modes if none is named.
"""

GLANCE = """\
How many of the {modes} modes break a property by default. Green is kept in every mode and under all circumstances,
red is broken in every mode, and *elsewhere* means under other circumstances only: a tooltip says which.
"""

REPLAY = """\
    treadle replay {token} properties.backfill:scenarios \\
        {parameters}
"""

Column = tuple[str, str]
"""A journal mode and a transaction mode."""

COLUMNS: tuple[Column, ...] = tuple((journal, mode) for journal in JOURNALS for mode in TRANSACTIONS)


def page(record: Record) -> str:
    """Return the page."""
    parts = [
        HEAD.format(
            version=record.sqlite_version,
            cells=len(record.found),
            requests=Parameters().requests,
            runs=Parameters().runs,
            locked=Parameters().locked,
        ),
        "## At a glance\n",
        GLANCE.format(modes=len(COLUMNS)),
        _glance(record),
        "## The properties\n",
        _table(["property", "clause"], [[f"`{name}`", clause] for name, clause in record.clauses.items()]),
        "## What is broken where\n",
        LEGEND,
        *(_matrix(record, name) for name in CIRCUMSTANCES),
        "## What the shipped fix still breaks\n",
        _list(_shipped(record)),
        "## What each algorithm keeps\n",
        _list(_verdicts(record)),
        "## What was not seen\n",
        "Where something never happened, a property that is about it says nothing.\n",
        _list(_unseen(record)),
        "## Every violation\n",
        "The same schedule under the same algorithm stands once, with all that it shows.\n",
        *(_violations(record, name) for name in ALGORITHMS),
        "## How it goes wrong\n",
        "The smallest execution for each distinct cause, over all algorithms.\n",
        *_timelines(record),
    ]
    return "\n".join(parts)


# --- Where --------------------------------------------------------------------------------------------


def where(columns: Collection[Column], of: Collection[Column] = COLUMNS) -> str:
    """Return some of the journal and transaction modes in words.

    Args:
        columns: the modes; at least one.
        of: all that there are.
    """
    if set(columns) == set(of):
        return "every mode"
    journals = {journal for journal, _ in of}
    if len({journal for journal, _ in columns}) == 1 and len(journals) > 1:
        (journal,) = {journal for journal, _ in columns}
        if {mode for _, mode in columns} == {mode for _, mode in of}:
            return f"every mode ({journal})"
    found = []
    for mode in dict.fromkeys(mode for _, mode in of):
        mine = [journal for journal, other in columns if other == mode]
        if mine:
            found.append(mode if set(mine) == journals else f"{mode} ({', '.join(sorted(mine))})")
    return ", ".join(found)


def _broken(record: Record, circumstances: str, algorithm: str, name: str) -> list[Column]:
    return [
        (journal, mode)
        for journal, mode in COLUMNS
        if name in record.violated(Cell(circumstances, algorithm, journal, mode))
    ]


def _given(circumstances: str) -> str:
    given = CIRCUMSTANCES[circumstances]
    return " ".join(f"-p {name}={value}" for name, value in given.items())


# --- Tables -------------------------------------------------------------------------------------------


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _list(sentences: Iterable[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def _glance(record: Record) -> str:
    broken = {
        (circumstances, algorithm, name): len(_broken(record, circumstances, algorithm, name))
        for circumstances in CIRCUMSTANCES
        for algorithm in ALGORITHMS
        for name in record.clauses
    }
    return grid(list(record.clauses), broken, len(COLUMNS))


def _matrix(record: Record, circumstances: str) -> str:
    lines = []
    for algorithm in ALGORITHMS:
        cells = [_broken(record, circumstances, algorithm, name) for name in record.clauses]
        lines.append([f"`{algorithm}`", *(f"**{where(cell)}**" if cell else "." for cell in cells)])
    head = ["", *(f"`{name}`" for name in record.clauses)]
    given = _given(circumstances)
    return f"### {TITLES[circumstances]}\n\n{f'`{given}`' if given else 'The default bounds.'}\n\n{_table(head, lines)}"


def _violations(record: Record, algorithm: str) -> str:
    same: dict[tuple[str, str], list[Violation]] = {}
    for cell, violations in record.found.items():
        for violation in violations if cell.algorithm == algorithm else ():
            if violation.token:
                same.setdefault((_choices(violation.token), violation.why), []).append(violation)
    if not same:
        return f"### Violations of {algorithm}\n\nNone.\n"
    lines = [
        [
            ", ".join(f"`{name}`" for name in dict.fromkeys(item.name for item in group)),
            "; ".join(_places(group)),
            f"`{token}`",
            why,
        ]
        for (token, why), group in same.items()
    ]
    table = _table(["property", "where", "schedule", "why"], lines)
    return f"### Violations of {algorithm}\n\n{folded(f'{len(lines)} schedules', table)}"


def _choices(token: str) -> str:
    """Return a token that tells nothing but the choices: what is done under them differs between the modes."""
    return Schedule(Schedule.parse(token).choices).token


def _places(group: Sequence[Violation]) -> list[str]:
    found = []
    for circumstances in CIRCUMSTANCES:
        columns = {(item.cell.journal, item.cell.mode) for item in group if item.cell.circumstances == circumstances}
        if columns:
            found.append(f"{circumstances}: {where(columns)}")
    return found


# --- Sentences ----------------------------------------------------------------------------------------


def _shipped(record: Record) -> list[str]:
    sentences = []
    for name in record.clauses:
        places = {
            circumstances: columns
            for circumstances in CIRCUMSTANCES
            if (columns := _broken(record, circumstances, SHIPPED, name))
        }
        before = any(_broken(record, circumstances, BROKEN, name) for circumstances in CIRCUMSTANCES)
        if places:
            spoken = "; ".join(f"{circumstances}: {where(columns)}" for circumstances, columns in places.items())
            again = "still broken" if before else f"broken, and not by `{BROKEN}`"
            example = _smallest(
                item for cell in record.found for item in record.found[cell] if _is(item, SHIPPED, name)
            )
            sentences.append(f"`{name}` is {again} ({spoken}). For example, {example.why}.")
        elif before:
            sentences.append(f"`{name}` is mended: `{BROKEN}` breaks it, and `{SHIPPED}` does not.")
    for name in record.clauses:
        mended = {
            circumstances: columns
            for circumstances in CIRCUMSTANCES
            if (
                columns := [
                    column
                    for column in _broken(record, circumstances, BROKEN, name)
                    if column not in _broken(record, circumstances, SHIPPED, name)
                ]
            )
        }
        if mended:
            spoken = "; ".join(f"{circumstances}: {where(columns)}" for circumstances, columns in mended.items())
            sentences.append(f"It mends `{name}` ({spoken}).")
    return sentences


def _is(violation: Violation, algorithm: str, name: str) -> bool:
    return bool(violation.token) and (violation.cell.algorithm, violation.name) == (algorithm, name)


def _verdicts(record: Record) -> list[str]:
    sentences = []
    for algorithm in ALGORITHMS:
        clean = [
            column
            for column in COLUMNS
            if not any(_names(record, Cell(circumstances, algorithm, *column)) for circumstances in CIRCUMSTANCES)
        ]
        broken = dict.fromkeys(
            name
            for name in record.clauses
            if any(_broken(record, circumstances, algorithm, name) for circumstances in CIRCUMSTANCES)
        )
        spoken = ", ".join(f"`{name}`" for name in broken)
        if not broken:
            sentence = f"`{algorithm}` keeps every property, under all circumstances, in every mode."
        elif clean:
            kept = f"`{algorithm}` keeps every property, under all circumstances, in {where(clean)}"
            sentence = f"{kept}; it breaks {spoken} elsewhere."
        else:
            sentence = f"`{algorithm}` breaks something in every mode: {spoken}."
        default = [column for column in COLUMNS if not _names(record, Cell("default", algorithm, *column))]
        if default and default != clean:
            sentence += f" By default it keeps every property in {where(default)}."
        sentences.append(sentence)
    return sentences


def _names(record: Record, cell: Cell) -> list[str]:
    return [name for name in record.violated(cell) if name in record.clauses]


def _unseen(record: Record) -> list[str]:
    unseen: dict[tuple[str, str], list[Violation]] = {}
    for violations in record.found.values():
        for violation in violations:
            if not violation.token:
                unseen.setdefault((violation.cell.algorithm, violation.why), []).append(violation)
    return [f"`{algorithm}` ({'; '.join(_places(group))}): {why}." for (algorithm, why), group in unseen.items()]


# --- Timelines ----------------------------------------------------------------------------------------


def cause(violation: Violation) -> tuple[str, str]:
    """Return what a violation has in common with others of the same cause: property and reason, without details."""
    why = re.sub(r" ?\([^()]*\)", "", violation.why)
    why = re.sub(r"^request [A-Z] .*?\b(crashed|got 50\d)\b.*, and one of them left", r"request A \1, but left", why)
    why = re.sub(r"\bbackfill \d+( of (request [A-Z]|a request that failed))?", "backfill N", why)
    why = re.sub(
        r"\b(request|order) [A-Z](, [A-Z])*\b|^[A-Z]\b|\b[A-Z](?= (succeeded|refused|failed|is|gets|got)\b)", "X", why
    )
    why = re.sub(r"\d{4}-\d\d-\d\d(, )?", "", why)
    why = re.sub(r"left .*", "left rows", why)
    why = re.sub(r"the rows of .* would", "rows would", why)
    why = re.sub(r"\b\d+ of its\b", "some of its", why)
    why = re.sub(r"\bgot 50\d\b", "got 50x", why)
    return violation.name, " ".join(why.split())


def _size(violation: Violation) -> tuple[int, int, int]:
    return (violation.faults, violation.events, list(CIRCUMSTANCES).index(violation.cell.circumstances))


def _smallest(violations: Iterable[Violation]) -> Violation:
    return min(violations, key=_size)


def _timelines(record: Record) -> list[str]:
    causes: dict[tuple[str, str], list[Violation]] = {}
    for violations in record.found.values():
        for violation in violations:
            if violation.token:
                causes.setdefault(cause(violation), []).append(violation)
    shown: dict[tuple[Cell, str], list[tuple[Violation, list[Violation]]]] = {}
    for group in causes.values():
        example = _smallest(group)
        shown.setdefault((example.cell, example.token), []).append((example, group))
    return [
        _timeline(number, examples)
        for number, examples in enumerate(sorted(shown.values(), key=lambda group: _size(group[0][0])), start=1)
    ]


def _timeline(number: int, examples: Sequence[tuple[Violation, Sequence[Violation]]]) -> str:
    first, _ = examples[0]
    names = ", ".join(dict.fromkeys(example.name for example, _ in examples))
    lines = [f"### {number}: {names}", ""]
    for example, group in examples:
        algorithms = [name for name in ALGORITHMS if any(item.cell.algorithm == name for item in group)]
        lines.append(f"- `{example.name}`: {example.why}. Shown by {', '.join(f'`{name}`' for name in algorithms)}.")
    parameters = " ".join(f"-p {name}={value}" for name, value in first.cell.parameters.items())
    lines += ["", REPLAY.format(token=first.token, parameters=parameters)]
    shown = ["```text", first.timeline.rstrip("\n")]
    for example, _ in examples:
        shown += ["", example.breach.rstrip("\n")]
    return "\n".join([*lines, folded("What happens", "\n".join([*shown, "```"]))])
