"""What a connection holds: its lock, its transaction, and how it came to them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from attrs import define

from treadle.world.effects import Effects


class Lock(enum.IntEnum):
    """The strongest lock that a connection holds.

    In WAL mode READ pins a snapshot and WRITE is the write lock, and there are no others. In rollback-journal mode
    READ is SHARED and WRITE is RESERVED; with PENDING and EXCLUSIVE nobody can begin to read
    (https://www.sqlite.org/lockingv3.html).
    """

    NONE = 0
    READ = 1
    WRITE = 2
    PENDING = 3
    EXCLUSIVE = 4

    __hash__ = int.__hash__  # an enumeration's own is written in Python

    def __str__(self) -> str:
        """Return the word for reports, which tell readers from writers."""
        return min(self, Lock.WRITE).name.lower()


class StopKind(enum.Enum):
    """Why a call of the driver has stopped before it was done."""

    WAITS = "waits"
    """SQLite waits for a lock, and holds what it holds meanwhile."""

    PAUSES = "pauses"
    """Another statement of the same call is about to begin."""

    DRAWS = "draws"
    """The driver wants the next row of parameters of an executemany."""

    __hash__ = object.__hash__  # an enumeration's own is written in Python


class Stop(NamedTuple):
    """Where a call has stopped.

    Attributes:
        kind: why.
        sql: the statement that is to go on; None for a call without SQL.
    """

    kind: StopKind
    sql: str | None


@define(eq=False)
class Posture:
    """What one connection holds, whatever led to it. Interned by the world's book: identity tells.

    Attributes:
        lock: the strongest lock it holds, as SQLite says.
        in_transaction: whether it is in a transaction, as SQLite says.
        savepoints: how many savepoints are open.
        savepoint_began: the outermost savepoint is what began the transaction, so its RELEASE commits.
        first_write_due: a savepoint was opened and nothing was written since.
        active: the numbers of cursors whose statements are under way, as SQLite says.
        kept: the numbers of cursors that keep a statement that is not under way, for which their connection would
            outlive its end.
        stale: others have committed since it took its snapshot, so that in WAL mode it cannot write any more. The
            committed content does not tell: a commit may change nothing, or change something back.
        closed: its client has closed it; it is gone, and its transaction with it, when nothing is active any more.
        schema_read: it has read the schema.
        call: where a call of the driver on it has stopped, if one has.
    """

    lock: Lock = Lock.NONE
    in_transaction: bool = False
    savepoints: int = 0
    savepoint_began: bool = False
    first_write_due: bool = False
    active: frozenset[int] = frozenset()
    kept: frozenset[int] = frozenset()
    stale: bool = False
    closed: bool = False
    schema_read: bool = False
    call: Stop | None = None

    @property
    def reads_snapshot(self) -> bool:
        """Whether it pins a snapshot that a commit of others makes stale."""
        return self.lock is Lock.READ and not self.stale

    @property
    def free(self) -> bool:
        """Whether it has no lock, and nothing is open but perhaps a transaction."""
        statements = self.active or self.kept or self.closed or self.call is not None
        return self.lock is Lock.NONE and not self.savepoints and not statements


UNOPENED = Posture()
"""What a connection holds that was not opened yet."""


class Holding:
    """What one connection holds, and how it came to that. Interned by the world's book: identity tells.

    Attributes:
        posture: what it holds.
        lock: the strongest lock it holds.
        names: the names of its open savepoints, in lower case, outermost first.
        busy_timeout_ms: how long SQLite would wait for a lock.
        settings: which settings were made, as a number of the world's book.
        log: how it came to hold this, as a number of the world's book; 0 when it holds nothing.
        pinned: something was done that a fresh connection could not be given again; the log is kept for ever.
    """

    __slots__ = ("busy_timeout_ms", "lock", "log", "names", "pinned", "posture", "settings")

    def __init__(
        self,
        posture: Posture,
        names: tuple[str, ...],
        busy_timeout_ms: int,
        settings: int,
        log: int,
        *,
        pinned: bool,
    ) -> None:
        """Make a holding; only a book does, but for that of connections that are not open."""
        self.posture = posture
        self.lock = posture.lock
        self.names = names
        self.busy_timeout_ms = busy_timeout_ms
        self.settings = settings
        self.log = log
        self.pinned = pinned

    def place_of(self, effects: Effects) -> int | None:
        """Return which of its open savepoints a statement names, the outermost one being 0; None if none."""
        if effects.savepoint is None or effects.name not in self.names:
            return None
        return len(self.names) - 1 - self.names[::-1].index(effects.name)


Locks = tuple[Lock, ...]
"""Locks that connections hold; sorted. Whose they are decides nothing."""

NO_LOCKS: Locks = ()
"""Nobody holds a lock."""


def locks_of(holdings: Iterable[Holding]) -> Locks:
    """Return the locks that are among what connections hold."""
    found = [held.lock for held in holdings if held.lock]
    return tuple(sorted(found)) if found else NO_LOCKS
