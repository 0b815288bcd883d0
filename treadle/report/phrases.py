"""What happened in one event, in words that the reader of a bug report understands at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from treadle.report.sql import NO_BREAK, count, literal, row
from treadle.values.canonical import canonical, digest
from treadle.values.display import ELLIPSIS, FULL, USUAL, how_long, name, prose
from treadle.values.fault import Fault, LockKind
from treadle.values.outcome import Crashed, Outcome
from treadle.values.schedule import letters
from treadle.values.trace import Change, Event, Trace

FAILED = "✗"
PUBLISHED = "▶"
ENDED = "■"
WAITS = "~"
ARROW = "→"
STAYS = "◀"

_VALUE = 30
"""How much is shown of a value that changed, in characters."""

DIFFERENCES_MAX = 3
"""How many changed rows are shown with their values."""


def titles(clients: Sequence[str]) -> tuple[str, ...]:
    """Return for each client its letter, and its name if that is another one."""
    pairs = [(letters(at), name(client)) for at, client in enumerate(clients)]
    return tuple(letter if letter == spelled else f"{letter} = {spelled}" for letter, spelled in pairs)


def unfinished(trace: Trace) -> list[str]:
    """Return the titles of the clients that have not finished."""
    pairs = zip(titles(trace.clients), trace.clients, strict=True)
    return [title for title, client in pairs if client in trace.unfinished]


def several(names: Sequence[str]) -> str:
    """Return names as one phrase: ``A``, ``A and B``, ``A, B and C``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def holders(event: Event, clients: Sequence[str]) -> str:
    """Return the letters of the clients that held the lock, as one phrase; empty if none is known."""
    found = [letters(clients.index(client)) if client in clients else "another" for client in event.holders]
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
        message = prose(seen.message) if seen is not None else "database is locked"
        return f"{FAILED} {message} [{lock_label(event, clients, lock)}]"
    if seen is None:
        return ""
    return f"{FAILED} {name(seen.type)}: {prose(seen.message)}"


def refusal(event: Event, clients: Sequence[str], lock: str = "the lock") -> str:
    """Return the error that the client saw in few words; empty if it saw none."""
    if event.lock_kind is None:
        return failure(event, clients, lock)
    who = holders(event, clients)
    held = f"; {who} {'holds' if len(event.holders) == 1 else 'hold'} {lock}" if who else ""
    match event.lock_kind:
        case LockKind.SNAPSHOT | LockKind.UPGRADE:
            why = f"{event.lock_kind}, refused at once{held}"
        case LockKind.NO_WAIT:
            why = f"no-wait, for the busy timeout is 0{held}"
        case LockKind.TIMEOUT:
            why = f"timeout, after waiting for {who or 'the lock'}"
        case LockKind.OUTSIDE:
            why = f"injected, {'as SQLite can answer' if event.reachable else 'though SQLite would not answer so'} here"
    return f"{FAILED} database is locked: {why}"


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
    tables = ", ".join(f"{sign}{number:,}{NO_BREAK}{name(table)}" for (table, sign), number in counts.items())
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
    identity = next((f" {name(column)} {literal(value)}" for column, value in after.items()), "")
    changed = [column for column, value in after.items() if before.get(column) != value]
    shown = changed if len(changed) <= USUAL.most_items else changed[: USUAL.items]
    values = [_values(column, before.get(column), after[column]) for column in shown]
    if len(shown) < len(changed):
        values.append(f"{ELLIPSIS} {how_long(len(changed), 'value')}")
    return f"{name(change.table)}{identity}: {', '.join(values)}"


def _values(column: str, old: object, new: object) -> str:
    """Return an old and a new value; where what is shown of both is the same, with digests that differ."""
    was, now = literal(old, limit=_VALUE), literal(new, limit=_VALUE)
    if was == now:
        was, now = (f"{text} {digest(canonical(value))}" for text, value in ((was, old), (now, new)))
    return f"{name(column)} {was}{NO_BREAK}{ARROW}{NO_BREAK}{now}"


BRIEFLY_MAX = 3
"""How many rows that were published are named in a story."""


def briefly_published(changes: Sequence[Change]) -> str:
    """Return what an event published: the keys of few rows with what changed, or how many there are."""
    if len(changes) <= BRIEFLY_MAX:
        return f"{PUBLISHED} {', '.join(map(_briefly, changes))}"
    counts = Counter((change.table, _sign(change)) for change in changes)
    tables = ", ".join(f"{sign}{number:,}{NO_BREAK}{name(table)}" for (table, sign), number in counts.items())
    return f"{PUBLISHED} {count(len(changes), 'row')}: {tables}"


def _briefly(change: Change) -> str:
    """Return one change: the row's table and key, and what is new in it."""
    if change.before is not None and change.after is not None:
        return _difference(change)
    row = change.after if change.after is not None else change.before
    key = next((f"{NO_BREAK}{literal(value, limit=_VALUE)}" for value in (row or {}).values()), "")
    return f"{_sign(change)}{name(change.table)}{key}"


def change(change: Change) -> str:
    """Return one committed change with all values."""

    def shown(values: object) -> str:
        return row(values, measure=FULL)

    table = name(change.table)
    match change.before, change.after:
        case None, after:
            return f"+ {table} {shown(after)}"
        case before, None:
            return f"- {table} {shown(before)}"
        case before, after:
            return f"~ {table} {shown(before)} is now {shown(after)}"


_ENDED_MAX = 100
"""How much is shown in a story of how a client ended, in characters."""


def briefly_ended(outcome: Outcome | None) -> str:
    """Return how the client ended, or the beginning of that."""
    text = ended(outcome)
    return text if len(text) <= _ENDED_MAX else f"{text[:_ENDED_MAX]}{ELLIPSIS}"


def ended(outcome: Outcome | None) -> str:
    """Return how the client ended; empty if it did not, or crashed, which is shown as that."""
    return f"{ENDED} {outcome}" if outcome is not None and not isinstance(outcome, Crashed) else ""
