"""Faults: what the outside may do to a client, where, and how often."""

from __future__ import annotations

import enum

from attrs import field, frozen

from treadle.values.allowed import whole


class Fault(enum.StrEnum):
    """What may be done to a client."""

    LOCKED = "locked"
    """An operation fails with ``database is locked``: a process outside holds the lock, or a wait timed out."""

    CRASH = "crash"
    """The client's process dies: its connections vanish and its open transactions roll back."""

    __hash__ = str.__hash__  # an enumeration's own is written in Python


class Placement(enum.StrEnum):
    """Where ``locked`` faults are injected."""

    REACHABLE = "reachable"
    """Operations at which SQLite itself could answer SQLITE_BUSY, since they acquire a lock."""

    SAVEPOINT = "savepoint"
    """Each SAVEPOINT, the first write after it, and its RELEASE."""

    STATEMENT = "statement"
    """Every statement, COMMIT and ROLLBACK included."""


class LockKind(enum.StrEnum):
    """Why a client saw ``database is locked``."""

    UPGRADE = "upgrade"
    """At once: the connection was reading and asked to write; a longer timeout cannot help."""

    SNAPSHOT = "snapshot"
    """At once: the connection read a snapshot that is no longer the newest; a longer timeout cannot help."""

    TIMEOUT = "timeout"
    """After waiting for another client for as long as the connection's busy timeout."""

    NO_WAIT = "no-wait"
    """At once: another client held the lock, and the connection's busy timeout is 0."""

    OUTSIDE = "outside"
    """Injected: a process outside the scenario held the lock."""


@frozen
class FaultBudget:
    """How many faults of each kind one execution may contain."""

    locked: int = field(default=0, validator=whole(least=0))
    crash: int = field(default=0, validator=whole(least=0))
