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
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import compress
from types import ModuleType
from typing import Any

from attrs import define, field
from sqlalchemy import Engine

from treadle.client.carrying import HEAP_TYPE
from treadle.client.opened import Library, Opened, Put, attached_to
from treadle.client.patching import redirect
from treadle.client.remembered import Remembered

_Defaults = dict[int, list[types.FunctionType]]
"""Functions, by the ids of the tuples that are the defaults of their parameters."""


def _instances(*kinds: type[Any]) -> list[Any]:
    """Return the objects of some types, subtypes included.

    The garbage collector knows who refers to a type: its instances do, and one pass in C finds them all. Those of types
    that are not made while Python runs do not.
    """
    wanted = set(kinds)
    for kind in wanted.copy():
        _add_subclasses(kind, wanted)
    if all(kind.__flags__ & HEAP_TYPE for kind in wanted):
        return [each for each in gc.get_referrers(*wanted) if type(each) in wanted]
    things = gc.get_objects()
    return list(compress(things, map(wanted.__contains__, map(type, things))))


def _add_subclasses(kind: type[Any], found: set[type[Any]]) -> None:
    for each in type.__subclasses__(kind):
        found.add(each)
        _add_subclasses(each, found)


def _slots(thing: Any) -> Iterator[str]:
    for kind in type(thing).__mro__:
        names = vars(kind).get("__slots__", ())
        yield from (names,) if isinstance(names, str) else names


def _places(holder: Any, targets: dict[int, Any], functions: _Defaults) -> Iterator[tuple[int, Put]]:
    """Yield which of the targets a holder refers to, each with how to put something else there.

    Args:
        holder: what refers to some of them.
        targets: by their ids.
        functions: by the ids of what their parameters have as defaults.
    """
    if isinstance(holder, (dict, list)):
        pairs = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
        yield from [(id(value), partial(holder.__setitem__, key)) for key, value in pairs if id(value) in targets]
    elif isinstance(holder, types.CellType):
        yield id(holder.cell_contents), partial(setattr, holder, "cell_contents")
    elif isinstance(holder, tuple):
        for function in functions.get(id(holder), ()):
            yield from [(id(each), partial(_put_default, function, each)) for each in holder if id(each) in targets]
    elif type(holder) is partial and id(holder.func) in targets:
        yield id(holder.func), partial(_put_function, holder)
    elif isinstance(holder, types.BuiltinFunctionType):
        if id(holder.__self__) in targets:
            yield id(holder.__self__), partial(_lead_method, holder)
    elif not isinstance(holder, types.FunctionType):
        values = [(name, id(getattr(holder, name, None))) for name in _slots(holder)]
        yield from [(value, partial(setattr, holder, name)) for name, value in values if value in targets]


def _put_default(function: types.FunctionType, target: Any, value: Any) -> None:
    defaults = function.__defaults__ or ()
    function.__defaults__ = tuple(value if item is target else item for item in defaults)


def _lead_method(holder: Any, value: Any) -> None:
    """Let a method that somebody took from an object (``run = connection.execute``) be that of another object."""
    redirect(holder, getattr(value, holder.__name__))


def _put_function(holder: partial[Any], value: Any) -> None:
    holder.__setstate__((value, holder.args, holder.keywords, vars(holder)))  # type: ignore[attr-defined]  # as pickle does


def references(targets: list[Any], beside: Iterable[Any]) -> dict[int, list[Put]]:
    """Return how to put something else wherever objects are referred to, by the ids of these.

    The heap is gone through once for all of them: that of a test runner has a million objects.

    Args:
        targets: the objects.
        beside: what refers to some of them and shall go on doing so.
    """
    asked = tuple(targets)  # refers to them as well
    apart = {id(targets), id(asked), *map(id, beside)}
    holders = [holder for holder in gc.get_referrers(*asked) if id(holder) not in apart]
    functions: _Defaults = {}
    tuples = [holder for holder in holders if type(holder) is tuple]
    for function in gc.get_referrers(*tuples) if tuples else ():
        if type(function) is types.FunctionType:
            functions.setdefault(id(function.__defaults__), []).append(function)
    known = {id(target): target for target in targets}
    puts: dict[int, list[Put]] = {id(target): [] for target in targets}
    for holder in holders:
        for target, put in _places(holder, known, functions):
            puts[target].append(put)
    return puts


def _other_drivers() -> Iterator[Callable[..., Any]]:
    """Yield what opens connections in modules that are like ``sqlite3``."""
    for module in tuple(sys.modules.values()):
        names = vars(module) if issubclass(type(module), types.ModuleType) else {}
        if "sqlite_version" in names and isinstance(names.get("connect"), types.BuiltinFunctionType):
            yield names["connect"]


def _connection_of(cursor: Any) -> Any:
    try:
        return cursor.connection
    except Exception:  # noqa: BLE001  # it was never initialised, and each Python says so in its own way
        return None


@define(eq=False)
class Inherited:
    """What this process has, found by going through all its objects once.

    Attributes:
        engines: of SQLAlchemy.
        names: the functions that open connections, each with what is bound to it.
        opened: connections that lead to files.
        in_memory: connections that do not.
        remembered: the numbers that modules remember.
        pools: of threads.
    """

    engines: list[Engine]
    names: list[tuple[Callable[..., Any], list[Put]]]
    opened: list[Opened]
    in_memory: list[Any]
    remembered: Remembered
    pools: list[ThreadPoolExecutor]
    _made: list[weakref.ref[Engine]] = field(factory=list)
    _kept: list[Any] = field(factory=list)

    @classmethod
    def of(cls, driver: ModuleType, library: Library) -> Inherited:
        """Look around.

        Args:
            driver: as ``sqlite3``.
            library: its SQLite.
        """
        found = _instances(Engine, driver.Connection, driver.Cursor, ThreadPoolExecutor)
        engines = [each for each in found if isinstance(each, Engine) and "pool" in vars(each)]
        cursors = [each for each in found if isinstance(each, driver.Cursor)]
        connections = [each for each in found if isinstance(each, driver.Connection)]
        paths = [library.filename(each) or attached_to(driver, each) for each in connections]
        in_memory = [each for each, path in zip(connections, paths, strict=True) if not path]
        functions = list({sqlite3.connect, driver.connect, *_other_drivers()})
        targets = [*functions, *compress(connections, paths), *cursors]
        puts = references(targets, (found, functions, connections, in_memory, cursors))
        opened = [Opened(each, path, puts[id(each)]) for each, path in zip(connections, paths, strict=True) if path]
        for each in opened:
            each.cursors += [(one, puts[id(one)]) for one in cursors if _connection_of(one) is each.connection]
            each.look(driver, library)
        names = [(function, puts[id(function)]) for function in functions]
        pools = [each for each in found if isinstance(each, ThreadPoolExecutor)]
        return cls(engines, names, opened, in_memory, Remembered(), pools)

    def note_engines(self) -> None:
        """Know the engines that will be made, too."""

        def make(kind: type[Engine], *_: Any, **__: Any) -> Engine:
            engine = object.__new__(kind)
            self._made.append(weakref.ref(engine, self._made.remove))
            return engine

        # Not __init__: SQLAlchemy reads there which arguments create_engine may pass on.
        Engine.__new__ = make  # type: ignore[assignment]  # for good

    def renew_pools_of_threads(self) -> None:
        """Let pools whose threads stayed in the process that this one is a copy of start threads here."""
        for pool in self.pools:
            pool._threads.clear()  # type: ignore[attr-defined]  # noqa: SLF001  # they are not here
            pool._idle_semaphore = threading.Semaphore(0)  # noqa: SLF001  # nor does one of them wait for work

    def forget_pools(self) -> None:
        """Let every engine open connections anew.

        https://docs.sqlalchemy.org/en/20/core/pooling.html#using-connection-pools-with-multiprocessing-or-os-fork
        """
        first = not self._kept
        for engine in self.engines:
            if first:
                self._kept.append(engine.pool)  # what is in it stays open: closing would touch the file
            engine.dispose(close=False)
        for made in tuple(self._made):
            engine_made = made()
            if engine_made is not None and "pool" in vars(engine_made):  # not one that shares the pool of another
                engine_made.dispose(close=False)
