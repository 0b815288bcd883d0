"""The loading of application code, which may connect to its database then: it gets an empty one that is private.

What is loaded keeps its connections, and whatever it has bound to ``connect``. In a client's process they are led to
the checked database (``treadle.client.inherited``).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import random
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from treadle.application.copying import is_read
from treadle.application.files import file_of, stand_ins
from treadle.client.guard import Files, Guard, add_guard, guarded
from treadle.client.recorder import NAMES, Recorded
from treadle.values.errors import UnsupportedOperationError

RefuseAttach = Callable[[Any, Callable[[str | None], bool]], None]
"""Is given a connection, and what tells whether it may attach a file."""

_under_way: list[Loading] = []

_unseeded: list[weakref.ref[random.Random]] = []
"""The generators that were made while something was loaded, and seeded by the system: in each process with its own."""


class Loading:
    """What connected while something was loaded.

    Attributes:
        files: the databases that were meant.
        refused: what could not be led elsewhere.
    """

    def __init__(self) -> None:
        """Nothing has connected yet."""
        self.files: list[str] = []
        self.refused: list[UnsupportedOperationError] = []

    def may_attach(self, file: str | None) -> bool:
        """Tell whether a connection may attach a database: what SQL names cannot be led elsewhere."""
        if file is not None and not file_of(file, uri=True):
            return True
        name = "a file" if file is None else repr(file)
        self.refused.append(
            UnsupportedOperationError(
                f"ATTACH of {name} while the application is loaded: it would open that file, and the application's "
                "own files are never opened. One database is checked; leave the statement out for the check."
            )
        )
        return False

    def stand_in(self, path: str) -> str:
        """Return the private file that stands for a file."""
        self.files.append(path)
        for private, meant in stand_ins.items():
            if meant == path:
                return private
        private = str(_directory() / f"{len(stand_ins)}.db")
        stand_ins[private] = path
        return private


@functools.cache
def _directory() -> Path:
    made = Path(tempfile.mkdtemp(prefix="treadle-loading-"))
    atexit.register(_remove, made, os.getpid())
    return made


def _remove(directory: Path, pid: int) -> None:
    if os.getpid() == pid:  # and not a process that was forked from it
        shutil.rmtree(directory, ignore_errors=True)


def _led(original: Callable[..., Any], module: Any, database: Any, *arguments: Any, **options: Any) -> Any:
    """Connect to what stands for a file; once all is loaded, as the module does then."""
    if not _under_way:
        connect = module.connect
        return connect(database, *arguments, **options)
    path = file_of(database, uri=bool(options.get("uri")))
    if not path or path in stand_ins:
        return original(database, *arguments, **options)
    options.pop("uri", None)
    given = dict(zip(NAMES, arguments, strict=False)) | options
    if given.get("factory") in {None, sqlite3.Connection}:
        given["factory"] = Recorded
    return original(_under_way[-1].stand_in(path), **given)


class _Allowed:
    """What may be opened while an application is loaded: what stands for its files, and what is just being copied."""

    def __contains__(self, path: object) -> bool:
        """Tell whether a file may be opened."""
        return path in stand_ins or is_read(path)


def unseeded() -> list[random.Random]:
    """Return the generators of random numbers that what was loaded has made without a seed, in their order."""
    return [generator for each in _unseeded if (generator := each()) is not None]


def _note_seed(seed: Callable[..., None], generator: random.Random, a: Any = None, version: int = 2) -> None:
    seed(generator, a, version)
    _unseeded[:] = [each for each in _unseeded if each() not in {None, generator}]
    if a is None:
        _unseeded.append(weakref.ref(generator))


@contextlib.contextmanager
def _seeds_noted() -> Iterator[None]:
    """Know which generators are made without a seed meanwhile."""
    seed = random.Random.seed

    def noted(generator: random.Random, a: Any = None, version: int = 2) -> None:
        _note_seed(seed, generator, a, version)

    random.Random.seed = noted  # type: ignore[method-assign, assignment]  # put back below
    try:
        yield
    finally:
        random.Random.seed = seed  # type: ignore[method-assign]  # as it was


@contextlib.contextmanager
def loading(refuse_attach: RefuseAttach) -> Iterator[Loading]:
    """Let what is loaded meanwhile connect to private files only.

    Args:
        refuse_attach: lets a connection attach only what is allowed.

    Raises:
        UnsupportedOperationError: it opens a database by a name that cannot be led elsewhere, or tried to.
    """
    found = Loading()
    modules = (sqlite3, sqlite3.dbapi2)
    originals = [module.connect for module in modules]

    def disarm(connection: Any) -> None:
        if isinstance(connection, sqlite3.Connection):  # that of another driver has another SQLite
            refuse_attach(connection, found.may_attach)

    guard = Guard(Files(()), lambda _: None, any_database=True, but=_Allowed(), disarm=disarm)
    _under_way.append(found)
    try:
        with guarded(guard), _seeds_noted():
            for module, original in zip(modules, originals, strict=True):
                module.connect = functools.partial(_led, original, module)  # type: ignore[attr-defined]  # put back below
            yield found
        if found.refused:
            raise found.refused[0]
    finally:
        for module, original in zip(modules, originals, strict=True):
            module.connect = original  # type: ignore[attr-defined]  # as it was
        _under_way.remove(found)


_for_good: list[bool] = []


def be_a_program() -> None:
    """Let what is protected in this process be so until it has ended: it does nothing but check."""
    _for_good.append(True)


def protect(paths: Collection[str]) -> None:
    """Let nothing in this process open these files any more, also when it ends, if it does nothing but check."""
    if paths and _for_good:
        add_guard(Guard(Files(paths), lambda _: None))
