"""What happened in one event, in words that the reader of a bug report understands at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from treadle.report.sql import NO_BREAK, count, row
from treadle.values.fault import Fault, LockKind
from treadle.values.outcome import Outcome
from treadle.values.schedule import letters
from treadle.values.trace import Change, Event

FAILED = "✗"
PUBLISHED = "▶"
ENDED = "■"
WAITS = "~"


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
    return f"{WAITS} waits for {holders(event, clients) or 'the lock'}" if event.waits else ""


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
    """Return how the client ended; empty if it did not."""
    return f"{ENDED} {outcome}" if outcome is not None else ""
