"""The past of a connection: what it has to do again to hold what it holds.

What an operation does depends on its own connection, on what is committed and on the locks of others. So to execute
it in a state, none of what other connections did needs to be done again, as long as they hold no lock that matters:
a connection at rest, brought through its own past, with what was committed where it took its snapshot, is the same to
SQLite. What it sees on the way must be what it saw before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from treadle.values.observation import Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.world.content import Content
from treadle.world.effects import Effects
from treadle.world.holding import Holding
from treadle.world.state import Book

_ENDS_READING = frozenset({Kind.FETCHALL, Kind.CLOSE_CURSOR})
"""After these, nothing is left of a statement that only reads."""

_PLAIN = frozenset({Kind.EXECUTE, Kind.EXECUTEMANY, Kind.FETCHONE, Kind.FETCHMANY, *_ENDS_READING})


class Done(NamedTuple):
    """One thing that a connection did.

    Attributes:
        operation: what was asked of it.
        seen: what came of it.
        snapshot: what was committed, if it took its snapshot then.
    """

    operation: Operation
    seen: Observation
    snapshot: Content | None


def past_of(held: Holding, book: Book, effects_of: Callable[[Operation], Effects], journal: str) -> list[Done] | None:
    """Return what a connection at rest has to do to hold something; None if that cannot be told.

    Args:
        held: what it is to hold.
        book: where its log is.
        effects_of: tells what a statement does to locks.
        journal: the journal mode.
    """
    if held.pinned:
        return None
    deeds = _logged(held, book)
    if deeds is None:
        return None
    found: list[Done] = []
    locked = in_transaction = False
    place = 0
    while place < len(deeds):
        deed = deeds[place]
        effects = effects_of(deed.operation)
        if not _is_plain(deed, effects):
            return None
        looks = effects.reads or effects.writes
        if looks and deed.snapshot is None and not (locked and in_transaction) and not _was_barred(deed):
            return None  # it saw what was committed then, and the log does not tell what that was
        passing = _passing(deeds, place) if locked and in_transaction and effects.only_reads else 0
        if passing:
            place += passing
            continue
        if _was_barred(deed):
            did_nothing = in_transaction and deed.seen.in_transaction and deed.operation.kind is Kind.EXECUTE
            if not did_nothing or journal != "wal":  # where readers bar a COMMIT, it bars new readers then
                return None
        else:
            found.append(deed)
        locked = locked or deed.snapshot is not None
        in_transaction = deed.seen.in_transaction
        place += 1
    return found


def _logged(held: Holding, book: Book) -> list[Done] | None:
    """Return what was done since the connection held nothing; None if something outside was part of it."""
    deeds: list[Done] = []
    log = held.log
    while log:
        earlier, operation, *entry = book.last(log)
        if not isinstance(operation, Operation):
            return None  # it waited
        seen, snapshot, outside = entry
        if outside:
            return None
        assert isinstance(earlier, int)
        assert isinstance(seen, Observation)
        assert snapshot is None or isinstance(snapshot, Content)
        deeds.append(Done(operation, seen, snapshot))
        log = earlier
    deeds.reverse()
    return deeds


def _is_plain(deed: Done, effects: Effects) -> bool:
    """Tell whether an operation commits nothing, and changes nothing but the transaction of its connection."""
    if deed.operation.kind not in _PLAIN or not effects.known:
        return False
    if effects.ends or effects.setting or effects.temporary or effects.far_reaching or effects.session_functions:
        return False
    return deed.seen.in_transaction or deed.operation.kind not in RUNS_SQL or effects.only_reads


def _was_barred(deed: Done) -> bool:
    """Tell whether another connection was in the way, so that the operation did nothing."""
    return deed.seen.failure is not None and deed.seen.failure.busy


def _passing(deeds: list[Done], place: int) -> int:
    """Return how many operations from a statement on are the statement and all that is fetched of it; 0 if unclear."""
    operation = deeds[place].operation
    if operation.kind is not Kind.EXECUTE or deeds[place].seen.failure is not None:
        return 0
    for count, (later, seen, _) in enumerate(deeds[place + 1 :], 2):
        if not later.goes_on_with(operation) or seen.failure is not None:
            return 0
        if later.kind in _ENDS_READING:
            return count
    return 0
