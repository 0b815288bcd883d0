"""The page on which a person drives the clients: from where they stand to HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from treadle.exploring.stepping import SEARCH_SECONDS, Found, Position, Standing
from treadle.report.entries import Entry, entries
from treadle.report.lanes import lanes, template
from treadle.report.phrases import FAILED, titles
from treadle.report.sql import count, page, shorten
from treadle.scenario import Scenario
from treadle.values.display import name, on_one_line, prose, said
from treadle.values.fault import Fault
from treadle.values.outcome import Outcome
from treadle.values.schedule import Choice, Fail, Schedule, Step, letters

_TEMPLATES = Path(__file__).parent / "templates"

_STATEMENT = 160
"""How much is shown of a statement, in characters."""

_OUTCOME = 320
"""How much is shown of how a client has ended, in characters; its lane has more."""

_KEYS = 26
"""So many clients have a key."""

_FOLDED = "What tells nothing, as connecting, fetching and closing, is left out."


@frozen
class Addresses:
    """The addresses of pages.

    Attributes:
        root: the path that all of them begin with; it has the secret in it.
    """

    root: str

    def of(self, schedule: Schedule) -> str:
        """Return where a schedule leads."""
        return f"{self.root}/{Schedule(schedule.choices)}"

    def doing(self, schedule: Schedule, what: str) -> str:
        """Return what leads there with one more choice, or to the search from there."""
        return f"{self.of(schedule)}/{what}"


def render_position(
    scenario: Scenario, at: Position, addresses: Addresses, command: str, found: Sequence[Found] | None = None
) -> str:
    """Return the page of a position; whatever is in a value is shown as text.

    Args:
        scenario: what is explored.
        at: the position.
        addresses: of other positions.
        command: what replays this one on the command line.
        found: the ways on to violations, if they were looked for.
    """
    trace = at.trace
    here = trace.schedule
    text = template("explore.html.jinja", _TEMPLATES).render(
        scenario=name(scenario.name),
        title=f"{' '.join(map(str, here.choices)) or 'start'}: {name(scenario.name)}",
        about=_about(scenario, at),
        drivers=[_driver(title, client, at, addresses) for title, client in _numbered(at)],
        start=addresses.of(Schedule()),
        back=addresses.of(at.back) if here.choices else None,
        find=addresses.doing(here, "find"),
        seconds=f"{SEARCH_SECONDS:g}",
        broken=[
            {"name": name(item), "whys": [prose(breach.why) for breach in breaches]}
            for item, breaches in trace.breaches.items()
        ],
        warning=_warning(at),
        found=None if found is None else [_found(one, here, addresses) for one in found],
        token=here.token,
        bare=str(Schedule(here.choices)),
        command=on_one_line(command),
        **lanes(trace, tuple(_told(at)), _FOLDED, at.start),
    )
    return page(text.split("\n")) + "\n"


def render_error(error: Exception, addresses: Addresses) -> str:
    """Return the page that says what went wrong."""
    text = template("error.html.jinja", _TEMPLATES).render(what=said(error), start=addresses.of(Schedule()))
    return page(text.split("\n")) + "\n"


def _about(scenario: Scenario, at: Position) -> str:
    database = scenario.database
    locked, crash = at.faults
    return (
        f"SQLite {database.driver.sqlite_version}, journal mode {database.journal}, transactions "
        f"{database.transactions}. {count(len(at.trace.events), 'operation')} so far, each run live on a real "
        f"database. Faults left: locked {locked}, crash {crash}."
    )


def _warning(at: Position) -> str:
    """Say what was not as the address asked for; an empty text if all was."""
    parting = at.trace.parting
    if parting is None:
        return ""
    if parting.misfit:
        return f"The schedule could be followed up to here only: {prose(parting.misfit)}."
    return (
        f"From choice {parting.number} on, something else is done than was recorded in this schedule: the code, the "
        "rows or a version has changed."
    )


# --- What may happen ---------------------------------------------------------------------------------


def _numbered(at: Position) -> Iterator[tuple[str, int]]:
    return ((title, client) for client, title in enumerate(titles(at.trace.clients)))


def _driver(title: str, client: int, at: Position, addresses: Addresses) -> dict[str, Any]:
    standing = at.clients[client]
    letter = letters(client)
    return {
        "title": title,
        "letter": letter,
        "state": _state(standing),
        "statement": "" if standing.operation is None else shorten(str(standing.operation), _STATEMENT),
        "outcome": "" if standing.outcome is None else _end(standing.outcome),
        "choices": [
            {
                "href": addresses.doing(at.trace.schedule, what),
                "label": label,
                "key": key if client < _KEYS else "",
                "kind": kind,
            }
            for what, label, key, kind in _choices(standing, letter)
        ],
    }


def _end(outcome: Outcome) -> str:
    return shorten(prose(str(outcome)), _OUTCOME)


def _state(standing: Standing) -> str:
    if standing.outcome is not None:
        return "has ended"
    if standing.waits:
        return "can try again" if _steps(standing.choices) else "waits for a lock, and for somebody to go on"
    return "is about to" if standing.taken else "has not started"


def _steps(choices: Sequence[Choice]) -> bool:
    return any(isinstance(choice, Step) for choice in choices)


def _choices(standing: Standing, letter: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield what may happen to a client: as it is spelled, in words, its key, and its kind."""
    for choice in standing.choices:
        match choice:
            case Step():
                yield letter, "Step", letter.lower(), "main"
                yield str(choice), "One operation", letter, ""
            case Fail(_, Fault.CRASH):
                yield str(choice), "Crash", "", "fault"
            case Fail():
                yield str(choice), "Time out" if standing.waits else "Fail: database is locked", "", "fault"


# --- What happened -----------------------------------------------------------------------------------


def _told(at: Position) -> Iterator[Entry]:
    """Yield the entries, each with the application's line and what is broken since."""
    found = entries(at.trace)
    ends = [entry.number for entry in found[1:]] + [len(at.trace.events) + 1]
    for entry, end in zip(found, ends, strict=False):  # where nothing is told, there is no end either
        source = at.trace.events[entry.number - 1].source
        notes = [
            f"{FAILED} {name(item)} is broken"
            for number in range(entry.number, end)
            for item in at.broken.get(number, ())
        ]
        yield evolve(entry, source="" if source is None else source.name, notes=(*entry.notes, *notes))


def _found(one: Found, here: Schedule, addresses: Addresses) -> dict[str, Any]:
    if one.way is None:
        where = "no way leads there" if one.settled else "none found before the search stopped"
        return {"name": name(one.name), "href": "", "text": where}
    choices = " ".join(map(str, one.way.choices))
    shortest = "" if one.settled else "; there may be a shorter way"
    return {
        "name": name(one.name),
        "href": addresses.of(Schedule((*here.choices, *one.way.choices))),
        "text": f"{count(len(one.way), 'more choice')}: {choices}{shortest}",
    }
