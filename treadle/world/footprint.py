"""Footprints: what an operation asks for and lets go of, from which follows who can notice it.

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

docs/soundness.md argues what follows from that, and for which properties.
"""

from __future__ import annotations

from typing import NamedTuple

from treadle.values.fault import Placement
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.world.effects import Effects, SavepointAction
from treadle.world.holding import Holding, Lock, Posture, StopKind

_ENDS_TRANSACTION = frozenset({Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE})
_CONTROLS = frozenset({"isolation_level", "autocommit"})
"""The attributes of a connection that commit an open transaction when they are set."""


class Context(NamedTuple):
    """An operation that is about to be carried out, or to go on, and where: all that decides its footprint.

    Attributes:
        posture: what its connection holds.
        kind: what is asked.
        controls: it sets an attribute of the connection that may commit.
        effects: what its statement does; the shape of that.
        place: which open savepoint it names, the outermost one being 0; None if none.
    """

    posture: Posture
    kind: Kind
    controls: bool
    effects: Effects
    place: int | None


def context_of(held: Holding, operation: Operation, effects: Effects) -> Context:
    """Return the context of an operation.

    Args:
        held: what its connection holds before it.
        operation: the operation.
        effects: what its statement does, or that of its script which is next.
    """
    controls = operation.kind is Kind.CONFIGURE and operation.arguments[0] in _CONTROLS
    return Context(held.posture, operation.kind, controls, effects.shape, held.place_of(effects))


class Footprint(NamedTuple):
    """What an operation is to others.

    Attributes:
        takes: the lock that it asks for, if its connection does not have it already.
        lets_go: it may drop a lock that its connection holds, or commit.
        refusable: SQLite may answer that the database is locked, because of a process outside.
        local: no other client can notice it, or be noticed by it.
        opaque: SQLite could not say beforehand what it does.
        fault_point: a ``locked`` fault may be injected.
    """

    takes: Lock
    lets_go: bool
    refusable: bool
    local: bool
    opaque: bool
    fault_point: bool


def _releases(context: Context) -> bool:
    """Tell whether an operation is a RELEASE that would end the transaction."""
    released = context.effects.savepoint is SavepointAction.RELEASE and context.place == 0
    return released and context.posture.savepoint_began


def _commits(context: Context) -> bool:
    """Tell whether an operation may publish what its connection has written, and nothing else."""
    posture, kind, controls, effects, _ = context
    if posture.in_transaction:
        return kind is Kind.COMMIT or controls or (effects.ends and not effects.rolls_back) or _releases(context)
    return bool(posture.active)  # the end of an INSERT ... RETURNING outside a transaction


def _takes(context: Context) -> Lock:
    posture, kind, _, effects, _ = context
    wanted = Lock.WRITE if effects.writes else Lock.READ if effects.reads else Lock.NONE
    # A script goes on to compile its next statement; where that names nothing known, the schema is read anew.
    if kind is Kind.EXECUTESCRIPT or (effects.schema and not posture.schema_read):
        wanted = max(wanted, Lock.READ)
    return wanted if wanted > posture.lock else Lock.NONE


def _lets_go(context: Context) -> bool:
    posture, kind, controls, effects, _ = context
    if effects.writes and not posture.in_transaction:
        return True
    if posture.lock is Lock.NONE:
        return False
    if kind in _ENDS_TRANSACTION or controls or effects.ends or effects.may_roll_back or _releases(context):
        return True
    return posture.closed or (not posture.in_transaction and (bool(posture.active) or effects.reads))


def footprint_of(journal: str, placement: Placement, context: Context) -> Footprint:
    """Return the footprint of an operation.

    Args:
        journal: "wal" or "delete".
        placement: where ``locked`` faults are wanted.
        context: of the operation.
    """
    posture, _, _, effects, _ = context
    wal = journal == "wal"
    opaque = not effects.known
    waits = posture.call is not None and posture.call.kind is StopKind.WAITS
    takes, lets_go = _takes(context), _lets_go(context)
    if wal:
        noticed = takes is not Lock.NONE or (lets_go and (posture.lock >= Lock.WRITE or effects.writes))
        refusable = takes is Lock.WRITE
    else:
        noticed = takes is not Lock.NONE or lets_go
        refusable = takes is not Lock.NONE or (posture.lock >= Lock.WRITE and _commits(context))
    refusable = (refusable or opaque) and posture.lock is not Lock.EXCLUSIVE  # beside that one nobody has any lock
    fault_point = refusable if placement is Placement.REACHABLE else _is_wanted(placement, context)
    if posture.call is not None and posture.call.kind is StopKind.PAUSES:
        # Within a call only SQLite itself can refuse; with PENDING no reader can be let in who would make it do so.
        fault_point = fault_point and refusable and posture.lock is not Lock.PENDING
    return Footprint(
        takes,
        lets_go,
        refusable,
        not (noticed or opaque or waits),
        opaque,
        fault_point,
    )


def _is_wanted(placement: Placement, context: Context) -> bool:
    """Tell whether a placement that does not ask SQLite wants a fault at an operation."""
    posture, kind, controls, effects, _ = context
    if placement is Placement.STATEMENT:
        if kind in {Kind.COMMIT, Kind.ROLLBACK} or controls:
            return posture.in_transaction
        return kind in RUNS_SQL and (effects.touches_database or not effects.known)
    if kind not in RUNS_SQL:
        return False
    if effects.savepoint is not None:
        return effects.savepoint is not SavepointAction.ROLLBACK_TO
    return posture.first_write_due and (effects.writes or not effects.known)


class Footprints:
    """Tells what operations are to others, for each context once."""

    def __init__(self, journal: str, placement: Placement, *, local: bool = True) -> None:
        """Tell it for a scenario.

        Args:
            journal: its journal mode.
            placement: where ``locked`` faults are injected.
            local: operations can be local; otherwise, others may notice any of them.
        """
        self.journal = journal
        self._local = local
        self._placement = placement
        self._known: dict[Context, Footprint] = {}

    def of(self, held: Holding, operation: Operation, effects: Effects) -> Footprint:
        """Return what an operation is to others; the arguments are those of ``context_of``."""
        context = context_of(held, operation, effects)
        found = self._known.get(context)
        if found is None:
            found = footprint_of(self.journal, self._placement, context)
            found = self._known[context] = found if self._local else found._replace(local=False)
        return found
