"""The engines that are loaded, and the files that they and open connections lead to."""

from __future__ import annotations

import contextlib
import inspect
import os
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from attrs import frozen
from sqlalchemy import Engine, MetaData

from treadle.application.files import meant_by, path_of_engine
from treadle.application.metadata import found_at, loaded

OWN = f"{os.sep}treadle{os.sep}"
"""Where the files of engines seem to be that are made here."""

_DEPTH = 5
"""How far from a function an engine may be: a registry has a sessionmaker, that has arguments, and these the engine."""


@frozen
class Place:
    """A database file that something leads to.

    Attributes:
        path: of the file, absolute.
        engine: leads to it; None where only a connection of the driver does.
    """

    path: str
    engine: Engine | None


def name_of_engine(engine: Engine) -> str:
    """Return where an engine is found, as ``module:attribute``; an empty text if nothing leads there."""
    return found_at(lambda thing: "" if thing is engine or _attribute_of(thing, "sync_engine") is engine else None)


def _attribute_of(thing: Any, name: str) -> Any:
    """Return an attribute of an asynchronous engine; None of anything else, which is asked nothing."""
    return getattr(thing, name, None) if str(type(thing).__module__).startswith("sqlalchemy.ext.asyncio") else None


def places() -> tuple[Place, ...]:
    """Return the database files that what is loaded leads to, each once."""
    return _distinct([*loaded(Engine), *loaded(sqlite3.Connection)])


def places_near(functions: Sequence[Callable[..., Any]]) -> tuple[Place, ...]:
    """Return the database files that functions are near to: what their own modules lead to."""
    return _distinct(near(functions, (Engine, sqlite3.Connection)))


def metadata_near(functions: Sequence[Callable[..., Any]]) -> list[MetaData]:
    """Return the metadata with tables that functions are near to."""
    return [found for found in near(functions, (MetaData,)) if found.tables]


def _distinct(things: Iterable[Any]) -> tuple[Place, ...]:
    found: dict[str, Place] = {}
    for thing in things:
        path = _path_of(thing)
        if path and not path.startswith(OWN):
            place = Place(path, thing if isinstance(thing, Engine) else None)
            real = os.path.realpath(path)
            if real not in found or found[real].engine is None:
                found[real] = place
    return tuple(found[path] for path in sorted(found))


def _path_of(thing: Any) -> str:
    """Return the file that an engine or a connection leads to; an empty text for none, or where it does not tell."""
    with contextlib.suppress(Exception):  # an engine may be half made, and a connection closed or another thread's
        if isinstance(thing, Engine):
            return path_of_engine(thing) if thing.dialect.name == "sqlite" and "pool" in vars(thing) else ""
        rows = thing.execute("PRAGMA database_list").fetchall()
        return meant_by(str(next(tuple(row)[2] for row in rows if tuple(row)[1] == "main")))
    return ""


def near(functions: Sequence[Callable[..., Any]], kinds: tuple[type[Any], ...]) -> list[Any]:
    """Return the objects of some types that functions are near to, each once, the nearest first.

    Args:
        functions: of the application.
        kinds: the types.
    """
    packages = {_package(function) for function in functions}
    found: dict[int, Any] = {}
    seen: set[int] = set()
    level: list[Any] = list(functions)
    for _ in range(_DEPTH):
        following: list[Any] = []
        for inner in (inner for thing in level for inner in _has(thing, packages)):
            if id(inner) not in seen:
                seen.add(id(inner))
                following.append(inner)
                if issubclass(type(inner), kinds):
                    found[id(inner)] = inner
        level = following
    return list(found.values())


def _package(thing: Any) -> str:
    """Return the package that a function or a module is of."""
    while isinstance(thing, partial):
        thing = thing.func
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    return str(name).partition(".")[0]


def _has(thing: Any, packages: Container[str]) -> list[Any]:
    """Return what an object has; nothing of one that stands for another, and cannot say for which."""
    with contextlib.suppress(Exception):  # such an object may raise whatever it likes
        return list(_inside(thing, packages))
    return []


def _inside(thing: Any, packages: Container[str]) -> Iterator[Any]:
    """Yield what an object has, without running any of its code; of modules and functions only those of packages."""
    if isinstance(thing, ModuleType):
        yield from list(vars(thing).values()) if _package(thing) in packages else ()
    elif inspect.ismethod(thing):
        yield from (thing.__func__, thing.__self__)
    elif inspect.isfunction(thing):
        if _package(thing) in packages:
            yield from list(thing.__globals__.values())
        yield from [cell.cell_contents for cell in thing.__closure__ or () if _is_full(cell)]
        yield from [*(thing.__defaults__ or ()), *vars(thing).values()]
    elif isinstance(thing, partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, dict):
        yield from list(thing.values())
    elif not isinstance(thing, (str, bytes, int, float, type(None))):
        with contextlib.suppress(TypeError):
            yield from list(vars(thing).values())
        inner = _attribute_of(thing, "sync_engine")
        yield from () if inner is None else (inner,)


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
