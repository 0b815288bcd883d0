"""Which operations another client can notice: commutation decided by locks, never by tables.

SQLite locks the whole file, so two operations commute unless one changes a lock, a snapshot or committed content
that the other can see. An operation that none can see is *local*: it needs no scheduling point. This is the
independence relation of partial-order reduction (Godefroid, "Partial-Order Methods for the Verification of
Concurrent Systems", 1996, chapter 3), and a client whose next operation is local is a persistent set by itself.

What can be seen, by journal mode (https://www.sqlite.org/wal.html, https://www.sqlite.org/lockingv3.html):

====================  =============================  =================================
an operation that     in WAL mode                    in rollback-journal mode
====================  =============================  =================================
takes a snapshot      sees what was committed        also blocks a COMMIT
drops a snapshot      is seen by nobody              also unblocks a COMMIT
takes the write lock  is seen by writers             is seen by writers
drops the write lock  is seen by all                 is seen by all
====================  =============================  =================================
"""

from __future__ import annotations

from typing import NamedTuple

from treadle.values.fault import Placement
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.world.effects import Effects, SavepointAction
from treadle.world.holding import Lock, Posture
from treadle.world.reach import ANYWHERE


def _may_release(posture: Posture, operation: Operation, effects: Effects) -> bool:
    """Tell whether an operation may drop a lock that the connection holds."""
    kind = operation.kind
    if kind in {Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE, Kind.CONFIGURE, Kind.EXECUTESCRIPT}:
        return True
    if effects.ends or posture.releases(effects):
        return True
    return (posture.closed or not posture.in_transaction) and bool(posture.active)


def is_local(journal: str, posture: Posture, operation: Operation, effects: Effects) -> bool:
    """Tell whether no other client can notice an operation, or be noticed by it.

    Args:
        journal: "wal" or "delete".
        posture: what the operation's connection holds before it.
        operation: the operation.
        effects: what its statement does.
    """
    if operation.kind is Kind.CONNECT:  # reads the schema, unless another client is about to commit
        return journal == "wal"
    if effects.far_reaching or not effects.known:
        return False
    if effects.writes and (posture.lock < Lock.WRITE or not posture.in_transaction):
        return False
    if effects.reads and posture.lock < Lock.READ:
        return False
    if _may_release(posture, operation, effects):
        return posture.lock is Lock.NONE or (posture.lock is Lock.READ and journal == "wal")
    return True


def acquires(journal: str, posture: Posture, operation: Operation, effects: Effects) -> bool:
    """Tell whether SQLite asks the file system for a lock, so that a process outside could make it fail.

    Args:
        journal: "wal" or "delete".
        posture: what the operation's connection holds before it.
        operation: the operation.
        effects: what its statement does.
    """
    if effects.writes and posture.lock < Lock.WRITE:
        return True
    if journal == "wal":
        return False
    if effects.reads and posture.lock < Lock.READ:
        return True
    return (
        posture.lock is Lock.WRITE
        and posture.in_transaction
        and (
            operation.kind is Kind.COMMIT or (effects.ends and not _rolls_back(operation)) or posture.releases(effects)
        )
    )


def _rolls_back(operation: Operation) -> bool:
    return operation.sql is not None and operation.sql.lstrip().upper().startswith("ROLLBACK")


def is_fault_point(
    placement: Placement, journal: str, posture: Posture, operation: Operation, effects: Effects
) -> bool:
    """Tell whether a ``locked`` fault may be injected at an operation.

    Args:
        placement: where faults are wanted.
        journal: "wal" or "delete".
        posture: what the operation's connection holds before it.
        operation: the operation.
        effects: what its statement does.
    """
    if placement is Placement.REACHABLE:
        return acquires(journal, posture, operation, effects)
    if placement is Placement.STATEMENT:
        if operation.kind in {Kind.COMMIT, Kind.ROLLBACK}:
            return posture.in_transaction
        return operation.kind in RUNS_SQL and (effects.touches_database or not effects.known)
    if operation.kind not in RUNS_SQL:
        return False
    if effects.savepoint is not None:
        return effects.savepoint[0] is not SavepointAction.ROLLBACK_TO
    return effects.writes and posture.first_write_due


class Nature(NamedTuple):
    """What an operation is to others.

    Attributes:
        local: no other client can notice it, or be noticed by it.
        acquires: SQLite asks the file system for a lock.
        fault_point: a ``locked`` fault may be injected.
        far: what it does may depend on more than its connection, the locks of others, and what is committed.
        blind: what it does does not depend on what is committed, and does not change that.
        looks_at: for a read with a snapshot of its own that bars nobody, the root pages of the tables and indexes
            that it looks at; else None.
        reads: the root pages of those that its statement looks at, whatever else it does.
        changes: the root pages of those that it may change.
    """

    local: bool
    acquires: bool
    fault_point: bool
    far: bool
    blind: bool
    looks_at: frozenset[int] | None
    reads: frozenset[int]
    changes: frozenset[int]


def looks_at(journal: str, posture: Posture, operation: Operation, effects: Effects) -> frozenset[int] | None:
    """Return what a read looks at that takes a snapshot of its own and bars nobody, as the root pages; else None.

    In WAL mode nobody notices such a read, and it notices nothing but what was committed to just these pages.
    """
    lone = posture.lock is Lock.NONE and not posture.in_transaction and not posture.active
    reads = effects.reads and not (effects.writes or effects.setting or effects.far_reaching or effects.temporary)
    plain = operation.kind is Kind.EXECUTE and reads and effects.known and ANYWHERE not in effects.reach.looked_at
    return effects.reach.looked_at if journal == "wal" and lone and plain else None


def sees_no_commits(posture: Posture, operation: Operation) -> bool:
    """Tell whether what others have committed makes no difference: a stale snapshot sees none of it, and bars writes.

    A script ends the transaction before it runs.

    Args:
        posture: what the operation's connection holds before it.
        operation: the operation.
    """
    return posture.stale and posture.in_transaction and operation.kind is not Kind.EXECUTESCRIPT


def nature_of(journal: str, posture: Posture, operation: Operation, effects: Effects, placement: Placement) -> Nature:
    """Return what an operation is to others; the arguments are those of the functions above."""
    local = is_local(journal, posture, operation, effects)
    far = effects.far_reaching or not effects.known
    return Nature(
        local,
        acquires(journal, posture, operation, effects),
        is_fault_point(placement, journal, posture, operation, effects),
        far,
        local or (sees_no_commits(posture, operation) and not far),
        looks_at(journal, posture, operation, effects),
        effects.reach.looked_at,
        effects.reach.changed,
    )
