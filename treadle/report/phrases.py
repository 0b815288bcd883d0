"""What happened in one event, in words that the reader of a bug report understands at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from treadle.report.sql import NO_BREAK, count, literal, row
from treadle.values.fault import Fault, LockKind
from treadle.values.outcome import Crashed, Outcome
from treadle.values.schedule import letters
from treadle.values.trace import Change, Event, Trace

FAILED = "✗"
PUBLISHED = "▶"
ENDED = "■"
WAITS = "~"
ARROW = "→"

DIFFERENCES_MAX = 3
"""How many changed rows are shown with their values."""


def titles(clients: Sequence[str]) -> tuple[str, ...]:
    """Return for each client its letter, and its name if that is another one."""
    pairs = [(letters(at), name) for at, name in enumerate(clients)]
    return tuple(letter if letter == name else f"{letter} = {name}" for letter, name in pairs)


def unfinished(trace: Trace) -> list[str]:
    """Return the titles of the clients that have not finished."""
    pairs = zip(titles(trace.clients), trace.clients, strict=True)
    return [title for title, name in pairs if name in trace.unfinished]


def several(names: Sequence[str]) -> str:
    """Return names as one phrase: ``A``, ``A and B``, ``A, B and C``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def holders(event: Event, clients: Sequence[str]) -> str:
    """Return the letters of the clients that held the lock, as one phrase; empty if none is known."""
    found = [letters(clients.index(name)) if name in clients else "another" for name in event.holders]
    return several(found) if found else ""


def lock_label(event: Event, clients: Sequence[str], lock: str = "the lock") -> str:
    """Return why this client saw ``database is locked``, and what would or would not help.

    Args:
        event: what happened.
        clients: the names of all clients.
        lock: what the holders hold.
    """
    who = holders(event, clients)
    held = f"; {who} {'holds' if len(event.holders) == 1 else 'hold'} {lock}" if who else ""
    match event.lock_kind:
        case LockKind.UPGRADE:
            return f"upgrade: at once, a longer timeout cannot help{held}"
        case LockKind.SNAPSHOT:
            return "snapshot: at once, a longer timeout cannot help; another has committed since it read"
        case LockKind.NO_WAIT:
            return f"no-wait: at once, for the busy timeout is 0{held}"
        case LockKind.TIMEOUT:
            return f"timeout: waited for {who or 'the lock'} until the busy timeout expired"
        case LockKind.OUTSIDE if event.reachable:
            return "outside, injected; reachable: SQLite can answer so here"
        case LockKind.OUTSIDE:
            return "outside, injected; adversarial: SQLite would not answer so here"
        case None:
            return f"kind unknown{held}"


def failure(event: Event, clients: Sequence[str], lock: str = "the lock") -> str:
    """Return the error that the client saw; empty if it saw none."""
    seen = event.observation.failure if event.observation is not None else None
    if event.lock_kind is not None:
        message = seen.message if seen is not None else "database is locked"
        return f"{FAILED} {message} [{lock_label(event, clients, lock)}]"
    if seen is None:
        return ""
    return f"{FAILED} {seen.type}: {seen.message}"


def waiting(event: Event, clients: Sequence[str]) -> str:
    """Return for whom the client waits; empty if it does not."""
    return f"waits for {holders(event, clients) or 'the lock'}" if event.waits else ""


def crash(event: Event) -> str:
    """Return what a crash does; empty if there is none."""
    if event.fault is not Fault.CRASH:
        return ""
    return f"{FAILED} crash: the process dies, and what it has not committed is rolled back"


def published(changes: Sequence[Change]) -> str:
    """Return what an event made visible to everybody, as counts for each table; empty if nothing."""
    if not changes:
        return ""
    counts = Counter((change.table, _sign(change)) for change in changes)
    tables = ", ".join(f"{sign}{number:,}{NO_BREAK}{table}" for (table, sign), number in counts.items())
    return f"{PUBLISHED} published {count(len(changes), 'row')}: {tables}"


def _sign(change: Change) -> str:
    """Return + for a row that appeared, - for one that disappeared, ~ for one that changed."""
    if change.before is None:
        return "+"
    return "-" if change.after is None else "~"


def differences(changes: Sequence[Change]) -> list[str]:
    """Return what changed in rows that were there before, if that is little."""
    changed = [change for change in changes if change.before is not None and change.after is not None]
    return [_difference(change) for change in changed] if len(changed) <= DIFFERENCES_MAX else []


def _difference(change: Change) -> str:
    """Return the old and the new values of a row that its first column tells apart."""
    before, after = change.before or {}, change.after or {}
    identity = next((f" {name} {literal(value)}" for name, value in after.items()), "")
    values = [
        f"{name} {literal(before.get(name), limit=30)}{NO_BREAK}{ARROW}{NO_BREAK}{literal(value, limit=30)}"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return f"{change.table}{identity}: {', '.join(values)}"


def change(change: Change) -> str:
    """Return one committed change with all values."""
    match change.before, change.after:
        case None, after:
            return f"+ {change.table} {row(after)}"
        case before, None:
            return f"- {change.table} {row(before)}"
        case before, after:
            return f"~ {change.table} {row(before)} is now {row(after)}"


def ended(outcome: Outcome | None) -> str:
    """Return how the client ended; empty if it did not, or crashed, which is shown as that."""
    return f"{ENDED} {outcome}" if outcome is not None and not isinstance(outcome, Crashed) else ""
