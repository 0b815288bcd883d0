"""Numbers that modules remember from one call to the next: the last time that an id was made of, a counter.

A generator of ids keeps its last time in its module, and goes on from there; so does whatever counts with ``global``.
In a process that runs its client again, each run is to find there what a fresh process would. Only numbers are put
back: what a module keeps in objects stays, and shows as another operation; then the check starts over, isolated.
"""

from __future__ import annotations

import dis
import sys
import types
from typing import Any

_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]
_NUMBERS = frozenset({int, float})
_NOT_THEIRS = frozenset({"treadle", *sys.stdlib_module_names})
"""Packages whose numbers are left: the checker's, and Python's own, of which ``uuid`` is seen to elsewhere."""


def _namespaces() -> dict[int, dict[str, Any]]:
    """Return what modules have, by its id, with the names of what may be a number there: None may become one."""
    found = {}
    for name, module in tuple(sys.modules.items()):
        if isinstance(module, types.ModuleType) and name.partition(".")[0] not in _NOT_THEIRS:
            found[id(vars(module))] = vars(module)
    return found


def _may_be_number(value: Any) -> bool:
    return value is None or type(value) in _NUMBERS


def _stored(code: types.CodeType) -> set[str]:
    """Return the globals that a function assigns to."""
    if _STORE_GLOBAL not in code.co_code[::2]:
        return set()
    return {step.argval for step in dis.get_instructions(code) if step.opcode == _STORE_GLOBAL}


class Remembered:
    """The numbers that modules remember, as they were when they were noted."""

    def __init__(self, functions: list[types.FunctionType]) -> None:
        """Find and note them.

        Args:
            functions: all that there are.
        """
        namespaces = _namespaces()
        names = {
            place: {name for name, value in tuple(namespace.items()) if _may_be_number(value)}
            for place, namespace in namespaces.items()
        }
        self._places: dict[tuple[int, str], dict[str, Any]] = {}
        for function in functions:
            place = id(function.__globals__)
            known = names.get(place)
            if known and not known.isdisjoint(function.__code__.co_names):
                for name in _stored(function.__code__) & known:
                    self._places[place, name] = namespaces[place]
        self._values: dict[tuple[int, str], Any] = {}
        self.note()

    def note(self) -> None:
        """Let what there is now be what each run finds."""
        self._values = {key: namespace.get(key[1]) for key, namespace in self._places.items()}

    def restore(self) -> None:
        """Put back what was noted, where a number has come in its place."""
        for key, namespace in self._places.items():
            value, now = self._values[key], namespace.get(key[1])
            if now is not value and type(now) in _NUMBERS and _may_be_number(value):
                namespace[key[1]] = value
