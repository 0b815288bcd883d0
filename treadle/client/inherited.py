"""What a client's process inherits that leads to a database: names, pools, open connections.

The process is forked from one that has loaded the application, and with it come the pools of its engines, connections
that its modules have opened, and whatever was bound to ``sqlite3.connect`` early. None of that may lead to the
application's own file. So each reference is made to lead through the gate; and what cannot be reached so is refused
when it is used (``treadle.client.guard``).
"""

from __future__ import annotations

import gc
import sqlite3
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

from attrs import define, field
from sqlalchemy import Engine

_Put = Callable[[Any], None]
"""Puts something else where a reference was found."""


def _of(things: list[Any], kind: type[Any]) -> list[Any]:
    """Return the objects of a type, subtypes included: each type is looked at once, and not each object."""
    kinds = {found for found in set(map(type, things)) if issubclass(found, kind)}
    return [thing for thing in things if type(thing) in kinds]


def _slots(thing: Any) -> Iterator[str]:
    for kind in type(thing).__mro__:
        names = vars(kind).get("__slots__", ())
        yield from (names,) if isinstance(names, str) else names


def _places(target: Any, holder: Any) -> Iterator[_Put]:
    """Return how to put something else where a holder refers to an object."""
    if isinstance(holder, (dict, list)):
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        yield from [partial(holder.__setitem__, key) for key, value in pairs if value is target]
    elif isinstance(holder, types.CellType):
        yield partial(setattr, holder, "cell_contents")
    elif isinstance(holder, tuple):
        yield from [partial(_put_default, function, target) for function in _with_defaults(holder)]
    elif type(holder) is partial and holder.func is target:
        yield partial(_put_function, holder)
    elif not isinstance(holder, types.FunctionType):
        yield from [partial(setattr, holder, name) for name in _slots(holder) if getattr(holder, name, 0) is target]


def _with_defaults(defaults: tuple[Any, ...]) -> list[types.FunctionType]:
    """Return the functions whose parameters have these defaults."""
    functions = [holder for holder in gc.get_referrers(defaults) if isinstance(holder, types.FunctionType)]
    return [function for function in functions if function.__defaults__ is defaults]


def _put_default(function: types.FunctionType, target: Any, value: Any) -> None:
    defaults = function.__defaults__ or ()
    function.__defaults__ = tuple(value if item is target else item for item in defaults)


def _put_function(holder: partial[Any], value: Any) -> None:
    holder.__setstate__((value, holder.args, holder.keywords, vars(holder)))  # type: ignore[attr-defined]  # as pickle does


def references(target: Any, beside: Iterable[Any]) -> list[_Put]:
    """Return how to put something else wherever an object is referred to.

    Args:
        target: the object.
        beside: what refers to it and shall go on doing so.
    """
    apart = {id(holder) for holder in beside}
    holders = [holder for holder in gc.get_referrers(target) if id(holder) not in apart]
    return [put for holder in holders for put in _places(target, holder)]


@define(eq=False)
class Opened:
    """A connection that was open before the process was forked.

    Attributes:
        connection: the driver's.
        path: of its database file.
        puts: put another connection wherever this one is referred to.
    """

    connection: Any
    path: str
    puts: list[_Put]

    def options(self) -> dict[str, Any]:
        """Return the options with which it may have been opened."""
        connection = self.connection
        options = {"isolation_level": connection.isolation_level}
        if hasattr(connection, "autocommit"):
            options["autocommit"] = connection.autocommit
        return options


def _other_drivers() -> Iterator[Callable[..., Any]]:
    """Yield what opens connections in modules that are like ``sqlite3``."""
    for module in tuple(sys.modules.values()):
        names = vars(module) if isinstance(module, types.ModuleType) else {}
        if "sqlite_version" in names and isinstance(names.get("connect"), types.BuiltinFunctionType):
            yield names["connect"]


@define(eq=False)
class Inherited:
    """What this process has, found by going through all its objects once.

    Attributes:
        engines: of SQLAlchemy.
        names: the functions that open connections, each with what is bound to it.
        opened: connections that lead to files.
        in_memory: connections that do not.
    """

    engines: list[Engine]
    names: list[tuple[Callable[..., Any], list[_Put]]]
    opened: list[Opened]
    in_memory: list[Any] = field(factory=list)
    _kept: list[Any] = field(factory=list)

    @classmethod
    def of(cls, driver: ModuleType, path_of: Callable[[Any], str]) -> Inherited:
        """Look around.

        Args:
            driver: as ``sqlite3``.
            path_of: tells the file of a connection, or an empty text.
        """
        things = gc.get_objects()
        engines = [engine for engine in _of(things, Engine) if "pool" in vars(engine)]
        functions = {sqlite3.connect, driver.connect, *_other_drivers()}
        found = cls(engines, [(function, references(function, (functions,))) for function in functions], [])
        for connection in _of(things, driver.Connection):
            path = path_of(connection)
            if not path:
                found.in_memory.append(connection)
            else:
                found.opened.append(Opened(connection, path, references(connection, (things, found, found.opened))))
        return found

    def note_engines(self) -> None:
        """Know the engines that will be made, too."""
        make = Engine.__init__

        def made(engine: Engine, *arguments: Any, **options: Any) -> None:
            make(engine, *arguments, **options)
            self.engines.append(engine)

        Engine.__init__ = made  # type: ignore[method-assign, assignment]  # for good

    def forget_pools(self) -> None:
        """Let every engine open connections anew.

        https://docs.sqlalchemy.org/en/20/core/pooling.html#using-connection-pools-with-multiprocessing-or-os-fork
        """
        for engine in self.engines:
            self._kept.append(engine.pool)  # what is in it stays open: closing would touch the file
            engine.dispose(close=False)
