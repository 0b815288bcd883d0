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
from treadle.world.holding import Holding, Lock, Posture
from treadle.world.reach import ANYWHERE


class Situation(NamedTuple):
    """An operation that is about to be carried out, and where: all that decides what it is to others.

    Attributes:
        posture: what its connection holds.
        kind: what is asked.
        effects: what its statement does; the shape of that.
        place: which open savepoint it names, the outermost one being 0; None if none.
    """

    posture: Posture
    kind: Kind
    effects: Effects
    place: int | None

    @property
    def releases(self) -> bool:
        """Whether it is a RELEASE that would end the transaction."""
        released = self.effects.savepoint is SavepointAction.RELEASE and self.place == 0
        return released and self.posture.savepoint_began


def situation_of(held: Holding, operation: Operation, effects: Effects) -> Situation:
    """Return the situation of an operation.

    Args:
        held: what its connection holds before it.
        operation: the operation.
        effects: what its statement does.
    """
    return Situation(held.posture, operation.kind, effects.shape, held.place_of(effects))


def _may_release(situation: Situation) -> bool:
    """Tell whether an operation may drop a lock that the connection holds."""
    posture, kind, effects, _ = situation
    if kind in {Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE, Kind.CONFIGURE, Kind.EXECUTESCRIPT}:
        return True
    if effects.ends or situation.releases:
        return True
    return (posture.closed or not posture.in_transaction) and bool(posture.active)


def is_local(journal: str, situation: Situation) -> bool:
    """Tell whether no other client can notice an operation, or be noticed by it.

    Args:
        journal: "wal" or "delete".
        situation: of the operation.
    """
    posture, kind, effects, _ = situation
    if kind is Kind.CONNECT:  # reads the schema, unless another client is about to commit
        return journal == "wal"
    if effects.far_reaching or not effects.known:
        return False
    if effects.writes and (posture.lock < Lock.WRITE or not posture.in_transaction):
        return False
    if effects.reads and posture.lock < Lock.READ:
        return False
    if _may_release(situation):
        return posture.lock is Lock.NONE or (posture.lock is Lock.READ and journal == "wal")
    return True


def acquires(journal: str, situation: Situation) -> bool:
    """Tell whether SQLite asks the file system for a lock, so that a process outside could make it fail.

    Args:
        journal: "wal" or "delete".
        situation: of the operation.
    """
    posture, kind, effects, _ = situation
    if effects.writes and posture.lock < Lock.WRITE:
        return True
    if journal == "wal":
        return False
    if effects.reads and posture.lock < Lock.READ:
        return True
    commits = kind is Kind.COMMIT or (effects.ends and not effects.rolls_back) or situation.releases
    return posture.lock is Lock.WRITE and posture.in_transaction and commits


def is_fault_point(placement: Placement, journal: str, situation: Situation) -> bool:
    """Tell whether a ``locked`` fault may be injected at an operation.

    Args:
        placement: where faults are wanted.
        journal: "wal" or "delete".
        situation: of the operation.
    """
    posture, kind, effects, _ = situation
    if placement is Placement.REACHABLE:
        return acquires(journal, situation)
    if placement is Placement.STATEMENT:
        if kind in {Kind.COMMIT, Kind.ROLLBACK}:
            return posture.in_transaction
        return kind in RUNS_SQL and (effects.touches_database or not effects.known)
    if kind not in RUNS_SQL:
        return False
    if effects.savepoint is not None:
        return effects.savepoint is not SavepointAction.ROLLBACK_TO
    return effects.writes and posture.first_write_due


def looks_at(journal: str, situation: Situation) -> frozenset[int] | None:
    """Return what a read looks at that takes a snapshot of its own and bars nobody, as the root pages; else None.

    In WAL mode nobody notices such a read, and it notices nothing but what was committed to just these pages.
    """
    posture, kind, effects, _ = situation
    lone = posture.lock is Lock.NONE and not posture.in_transaction and not posture.active
    reads = effects.reads and not (effects.writes or effects.setting or effects.far_reaching or effects.temporary)
    plain = kind is Kind.EXECUTE and reads and effects.known and ANYWHERE not in effects.reach.looked_at
    return effects.reach.looked_at if journal == "wal" and lone and plain else None


def sees_no_commits(posture: Posture, kind: Kind) -> bool:
    """Tell whether what others have committed makes no difference: a stale snapshot sees none of it, and bars writes.

    A script ends the transaction before it runs.

    Args:
        posture: what an operation's connection holds before it.
        kind: of the operation.
    """
    return posture.stale and posture.in_transaction and kind is not Kind.EXECUTESCRIPT


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


class Natures:
    """Tells what operations are to others, for each situation once."""

    def __init__(self, journal: str, placement: Placement) -> None:
        """Tell it for a scenario.

        Args:
            journal: its journal mode.
            placement: where ``locked`` faults are injected.
        """
        self.journal = journal
        self._placement = placement
        self._known: dict[Situation, Nature] = {}

    def of(self, held: Holding, operation: Operation, effects: Effects) -> Nature:
        """Return what an operation is to others; the arguments are those of ``situation_of``."""
        situation = situation_of(held, operation, effects)
        nature = self._known.get(situation)
        if nature is None:
            nature = self._known[situation] = self._nature_of(situation)
        return nature

    def _nature_of(self, situation: Situation) -> Nature:
        posture, kind, effects, _ = situation
        local = is_local(self.journal, situation)
        far = effects.far_reaching or not effects.known
        return Nature(
            local,
            acquires(self.journal, situation),
            is_fault_point(self._placement, self.journal, situation),
            far,
            local or (sees_no_commits(posture, kind) and not far),
            looks_at(self.journal, situation),
            effects.reach.looked_at,
            effects.reach.changed,
        )
