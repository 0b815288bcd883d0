"""Interned operations and observations: one object for each distinct value, so that identity tells."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from treadle.values.observation import Failure, Observation, ObservationKey, observation_key
from treadle.values.operation import Kind, Operation, OperationKey, operation_key

_operations: dict[OperationKey, Operation] = {}
_observations: dict[ObservationKey, Observation] = {}
_users = [0]


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep what is interned until nobody is in here any more."""
    _users[0] += 1
    try:
        yield
    finally:
        _users[0] -= 1
        if not _users[0]:
            forget()


def forget() -> None:
    """Forget what is interned, in a process that compares nothing."""
    _operations.clear()
    _observations.clear()


def intern_operation(operation: Operation) -> Operation:
    """Return the one object that stands for all operations with this key."""
    return _operations.setdefault(operation.key, operation)


def intern_observation(observation: Observation) -> Observation:
    """Return the one object that stands for all observations with this key."""
    return _observations.setdefault(observation.key, observation)


def the_operation(
    kind: Kind, connection: int, cursor: int | None, sql: str | None, arguments: Any, *, clock_s: float, payload: Any
) -> Operation:
    """Return the one operation with these attributes; most are met again and again, and not made anew.

    The payload is no part of what makes an operation: that of the last one stands, which is carried out next.
    """
    key = operation_key(kind, connection, cursor, sql, arguments, clock_s=clock_s)
    found = _operations.get(key)
    if found is None:
        found = _operations[key] = Operation(kind, connection, cursor, sql, arguments, clock_s, payload, key=key)
    elif payload is not None:
        object.__setattr__(found, "payload", payload)
    return found


def the_observation(
    rows: Any, rowcount: int, lastrowid: int | None, description: Any, failure: Failure | None, *, in_transaction: bool
) -> Observation:
    """Return the one observation with these attributes; most are met again and again, and not made anew."""
    key = observation_key(rows, rowcount, lastrowid, description, failure, in_transaction=in_transaction)
    found = _observations.get(key)
    if found is None:
        found = _observations[key] = Observation(
            rows, rowcount, lastrowid, description, failure, in_transaction, key=key
        )
    return found
