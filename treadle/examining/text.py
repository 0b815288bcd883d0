"""An examination as text: what was seen, and the settings that it suggests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treadle.examining.examination import Examination, Patient
from treadle.report.sql import count, page, wrap
from treadle.scenario import TRANSACTIONS
from treadle.values.display import name, names, quoted

_LABEL = 15
_LONG_S = 600
_SHORT_S = 1.0
_SHOWN = 3


def render_examination(examination: Examination, *, width: int) -> str:
    """Return an examination as text.

    Args:
        examination: what was seen.
        width: of the text, in characters.
    """
    scenario = examination.scenario
    title = name(scenario.name)
    lines = [title, "=" * min(len(title), width)]
    lines += _entry("database", quoted(examination.path), width)
    lines += _entry("content", _content(examination), width)
    lines += _entry("journal", scenario.database.journal, width)
    for place, patient in enumerate(examination.patients):
        if any(_same(other, patient) for other in examination.patients[:place]):
            continue
        lines += ["", f"{names(other.name for other in examination.patients if _same(other, patient))}, run alone"]
        for label, text in _seen(patient):
            lines += _entry(f"  {label}", text, width)
    lines += ["", *_entry("search", _estimate(examination), width)]
    for suggestion in _suggestions(examination) or ["nothing: the defaults fit"]:
        lines += _entry("suggested", suggestion, width)
    return page(lines) + "\n"


def _same(one: Patient, other: Patient) -> bool:
    """Tell whether two clients run the same function, which was run once for both."""
    return one is other or (one.noted is not None and one.noted is other.noted)


def _entry(label: str, text: str, width: int) -> list[str]:
    found = wrap(text, width - _LABEL)
    return [f"{label:<{_LABEL}}{found[0]}", *[" " * _LABEL + line for line in found[1:]]]


def _content(examination: Examination) -> str:
    database = examination.scenario.database
    made = "made by the schema" + (" and the seed" if database.seed is not None else "")
    return made if database.copy is None else f"copied from the file, {len(database.copy.content):,} bytes"


def _seen(patient: Patient) -> Iterator[tuple[str, str]]:
    """Yield what was seen of a client, as pairs of a label and a text."""
    if patient.stopped:
        yield "stopped", patient.stopped
    noted, sight = patient.noted, patient.sight
    if noted is not None:
        yield "operations", f"{len(patient.operations)}; others may come in between at {patient.points} of them"
        times = (
            f" (busy timeout {', '.join(f'{each:g} s' for each in patient.timeouts_s)})" if patient.connections else ""
        )
        yield "connections", f"{patient.connections}{times}"
        if patient.statements:
            yield "transactions", patient.transactions
        if patient.pragmas:
            yield "PRAGMAs", "; ".join(patient.pragmas)
        yield "changes", "what is in the database" if noted.changes else "nothing in the database"
        yield "time", f"{noted.seconds * 1000:,.0f} ms with the start of its process"
        slept = max((operation.clock_s for operation in patient.operations), default=0.0)
        if slept >= _SHORT_S:
            yield "waited", f"{slept:g} s by the client's own clock, which takes no time"
    if sight is not None:
        yield from _in_process(patient)


def _in_process(patient: Patient) -> Iterator[tuple[str, str]]:
    sight = patient.sight
    assert sight is not None
    for label, number, thing in (
        ("threads", sight.threads, "thread started"),
        ("event loops", sight.loops, "event loop made"),
        ("engines", sight.engines, "engine made"),
    ):
        if number:
            yield label, f"{number} {thing}"
    for source in dict.fromkeys(asked.source for asked in sight.asked):
        each = [f"{asked.what} at {asked.where}" for asked in sight.asked if asked.source == source]
        yield source, "; ".join(each)
    if sight.configures:
        yield "mappers", "configured when it used a mapped class first"
    if sight.imported:
        yield "imports", f"{count(len(sight.imported), 'module')}, as {names(_shown(sight.imported))}"
    if sight.changed:
        yield "shared state", f"{names(sight.changed)} changed in the process, which another run in it would see"
    yield "ended", f"it raised {sight.raised}" if sight.raised else "it returned"


def _shown(modules: Sequence[str]) -> list[str]:
    """Return some of the names of modules, the innermost first."""
    return sorted(modules, key=lambda module: (-module.count("."), module))[:_SHOWN]


def _estimate(examination: Examination) -> str:
    estimate = examination.estimate
    if estimate is None:
        return "no estimate, because not every client could be run"
    return (
        "an estimate, from the operations of each client and the time of a run: up to "
        f"{count(estimate.states, 'state')}, {_time(estimate.least_s)} to {_time(estimate.most_s)} for an exhaustive "
        "search"
    )


def _time(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{max(seconds, 0.1):.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004  # two digits
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.0f} h"


def _suggestions(examination: Examination) -> list[str]:
    """Return the settings that follow from what was seen."""
    database, patients = examination.scenario.database, examination.patients
    found = []
    ways = {patient.transactions for patient in patients if patient.noted is not None and patient.transactions}
    if len(ways) == 1 and ways <= set(TRANSACTIONS) and ways != {database.transactions}:
        found.append(f"Database(..., transactions={ways.pop()!r}), as the clients begin their transactions")
    pragmas = [pragma.lower() for patient in patients for pragma in patient.pragmas]
    if database.journal != "wal" and any("journal_mode" in pragma and "wal" in pragma for pragma in pragmas):
        found.append("Database(..., journal='wal'), as the clients set it")
    raising = [patient.name for patient in patients if patient.sight is not None and patient.sight.raised]
    if raising:
        found.append(f"what {names(raising)} needs to succeed, as rows of a seed; or may_fail={raising!r}")
    elif not any(patient.noted is not None and patient.noted.changes for patient in patients):
        found.append("rows for the clients to work on, by a seed or a copied database: none changed anything")
    if any(patient.sight is not None and patient.sight.changed for patient in patients):
        found.append("--isolate, if the check says that runs depend on one another")
    if any(patient.sight is not None and patient.sight.imported for patient in patients):
        found.append(
            "to import what the clients import where they are defined: else each process does it by itself, and what "
            "depends on addresses in memory may come in another order"
        )
    estimate = examination.estimate
    if estimate is not None and estimate.most_s > _LONG_S:
        found.append("fewer clients or rows first; then --workers N, or --search pct --max-seconds 60 for a sample")
    return found
