"""Interned operations and observations: one object for each distinct value, so that identity tells."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Protocol, TypeVar

from treadle.values.observation import Observation
from treadle.values.operation import Operation


class _Keyed(Protocol):
    @property
    def key(self) -> Hashable: ...


_Value = TypeVar("_Value", bound=_Keyed)


def _intern(table: weakref.WeakValueDictionary[Hashable, _Value], value: _Value) -> _Value:
    key = value.key
    found = table.get(key)
    if found is None:
        table[key] = found = value
    return found


_operations: weakref.WeakValueDictionary[Hashable, Operation] = weakref.WeakValueDictionary()
_observations: weakref.WeakValueDictionary[Hashable, Observation] = weakref.WeakValueDictionary()


def intern_operation(operation: Operation) -> Operation:
    """Return the one object that stands for all operations with this key."""
    return _intern(_operations, operation)


def intern_observation(observation: Observation) -> Observation:
    """Return the one object that stands for all observations with this key."""
    return _intern(_observations, observation)
