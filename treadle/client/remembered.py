"""Numbers that modules remember from one call to the next: the last time that an id was made of, a counter.

A generator of ids keeps its last time in its module, and goes on from there; so does whatever counts with ``global``.
In a process that runs its client again, each run is to find there what a fresh process would. Only numbers are put
back: what a module keeps in objects stays, and shows as another operation; then the check starts over, isolated.
"""

from __future__ import annotations

import dis
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]
_NUMBERS = frozenset({int, float})
_NOT_THEIRS = frozenset({"treadle", *sys.stdlib_module_names})
"""Packages whose numbers are left: the checker's, and Python's own, of which ``uuid`` is seen to elsewhere."""


_DECORATORS_MOST = 20
"""How many decorators of a function are looked below."""


def _modules() -> list[types.ModuleType]:
    """Return the modules of which numbers may be put back; cffi's libraries only say that they are modules."""
    return [
        module
        for name, module in tuple(sys.modules.items())
        if issubclass(type(module), types.ModuleType) and name.partition(".")[0] not in _NOT_THEIRS
    ]


def _may_be_number(value: Any) -> bool:
    return value is None or type(value) in _NUMBERS


def _stored(code: types.CodeType) -> set[str]:
    """Return the globals that a function assigns to."""
    if _STORE_GLOBAL not in code.co_code[::2]:
        return set()
    return {step.argval for step in dis.get_instructions(code) if step.opcode == _STORE_GLOBAL}


def _codes(module: types.ModuleType) -> Iterator[types.CodeType]:
    """Yield the code of a module's functions, and of the methods of its classes."""
    namespace = vars(module)
    for value in tuple(namespace.values()):
        own = issubclass(type(value), type) and value.__module__ == module.__name__
        for held in tuple(vars(value).values()) if own else (value,):
            for function in _functions(held):
                if function.__globals__ is namespace:
                    yield function.__code__


def _functions(value: Any) -> Iterator[types.FunctionType]:
    """Yield what a value is as a function, below what decorates it."""
    kind = type(value)  # and not its class, which an object that stands for another would answer for
    if issubclass(kind, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from _functions(part)
        return
    for _ in range(_DECORATORS_MOST):
        if type(value) is types.FunctionType:
            yield value
        try:
            value = object.__getattribute__(value, "__wrapped__")
        except AttributeError:
            return


def _assigned(code: types.CodeType, names: set[str]) -> set[str]:
    """Return those of some globals that code assigns to, or code inside it does."""
    found = set() if names.isdisjoint(code.co_names) else _stored(code) & names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= _assigned(inner, names)
    return found


_known: weakref.WeakKeyDictionary[types.ModuleType, set[str]] = weakref.WeakKeyDictionary()
"""What modules were found to remember: to look for it takes long, and they have all their code when they are loaded."""


def _remembered_by(module: types.ModuleType) -> set[str]:
    """Return the globals of a module that may be numbers, and that its own functions assign to."""
    if module in _known:
        return _known[module]
    names = {name for name, value in tuple(vars(module).items()) if _may_be_number(value)}
    found: set[str] = set()
    for code in _codes(module) if names else ():
        found |= _assigned(code, names)
    if module.__name__ != "__main__":  # which may still grow
        _known[module] = found
    return found


class Remembered:
    """The numbers that modules remember, as they were when they were noted."""

    def __init__(self) -> None:
        """Find and note them."""
        self._places = {
            (id(vars(module)), name): vars(module) for module in _modules() for name in _remembered_by(module)
        }
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
