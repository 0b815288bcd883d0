"""Surroundings: what a client's process is, made deterministic, and led to the checked database.

All that is replaced here is replaced for good: the process was forked for one client, and ends with it. Random sources
are seeded with the client's name, so that clients differ where processes would, and each does again what it did.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import os
import random
import signal
import sqlite3
import sys
import threading
import time
import uuid
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.default import DefaultDialect

from treadle.application.files import KEPT, file_of, meant_by, options_of_uri, path_of_engine
from treadle.client.gate import Port, gate_of
from treadle.client.guard import Files, Guard, note_directories, note_starts, set_guard
from treadle.client.identity import Identity, install
from treadle.client.inherited import Inherited
from treadle.client.loading import unseeded
from treadle.client.opened import Library, Opened
from treadle.client.patching import redirect, replace_method
from treadle.client.recorder import NAMES, Recorded
from treadle.client.timekeeping import Timekeeper
from treadle.values.errors import TreadleError, UnsupportedOperationError
from treadle.values.instant import START

_LOOPS = "asyncio.base_events"
"""The module of which every event loop of Python is."""

_UUID_EPOCH = 0x01B21DD213814000
"""The start of 1970 in units of 100 ns since 1582."""

_UUID_SPREAD = 10**6
"""How far clients begin apart at most: a tenth of a second."""

_UUID_TIMES = ("_last_timestamp", "_last_timestamp_v6")

_USED_FIRST = {"anyio": ("anyio._backends._asyncio",)}
"""What packages load of their own when they are first used: nobody waits for it in each fresh process anew."""

Opens = Callable[[dict[str, Any]], Any]
"""Opens a connection to the checked database, given the options of ``sqlite3.connect``."""


class Inmate(Port, Protocol):
    """What runs."""

    def blame(self, misuse: TreadleError) -> None:
        """End the process, and the check with this error."""


class Surroundings:
    """What is around the clients of one scenario: settled once in a process, before its client begins.

    Attributes:
        timekeeper: the process's clock.
        path: of the application's database file, which stands for the checked database.
    """

    def __init__(self, engine: Engine, driver: ModuleType, library: Library) -> None:
        """Look for what leads to databases: before the process is forked, for to look at all touches all memory.

        Args:
            engine: the application's.
            driver: the module of its driver.
            library: the SQLite of that driver.
        """
        _load_what_is_used_first()
        self.path = path_of_engine(engine)
        self.timekeeper = Timekeeper(START)
        self._driver = driver
        self._library = library
        self._drivers = (sqlite3.connect, driver.connect)
        self._inherited = Inherited.of(driver, library)
        self._engines = tuple(self._inherited.engines)
        self._blame: Callable[[TreadleError], None] = _nobody
        self._opens: Opens | None = None
        self._entropy = random.Random("treadle")
        self._seeded: tuple[Any, ...] = ()
        self._unseeded = [each for each in unseeded() if type(each).getstate is random.Random.getstate]
        self._seeded_own: list[Any] = []
        self._identity: Identity | None = None
        self._sees_loops = False
        self._loops: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that were there before the process was forked."""
        return self._engines

    # Before it is known whose process this will be.

    def settle(self) -> None:
        """Make the process fit for clients, for good."""
        _silence()
        inherited = self._inherited
        inherited.note_engines()
        inherited.forget_pools()
        inherited.renew_pools_of_threads()
        sqlite = [engine for engine in inherited.engines if engine.dialect.name == "sqlite"]
        files = {self.path, *map(path_of_engine, sqlite), *(opened.path for opened in inherited.opened)} - {""}
        self._guard = Guard(Files(files), self._end_with, any_database=True, any_program=True, disarm=self._disarm)
        for opened in inherited.opened:
            if not self._is_own(meant_by(opened.path)):
                self._guard.lock_up(opened.connection, opened.path)
        for connection in inherited.in_memory:
            self._disarm(connection)
        self._keep_disarmed()
        self._lead_connect()
        self._lead_randomness()
        self._probe_apart()
        self._see_loops()
        self.timekeeper.install()
        # A pool logs each connection that cannot be reset: with faults at ROLLBACK, thousands.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL + 1)
        set_guard(self._guard)
        note_directories(self._guard)
        note_starts(self._guard)
        gc.freeze()  # what was there before is told from what was not

    def _disarm(self, connection: Any) -> None:
        """Let a connection in memory attach no file."""
        if isinstance(connection, self._driver.Connection):  # that of another driver has another SQLite
            self._library.refuse_attach(connection, self._guard.may_attach)

    def _keep_disarmed(self) -> None:
        """Let no connection lose what it was disarmed with when the application sets an authorizer of its own."""

        def set_authorizer(connection: Any, authorizer_callback: Any) -> None:
            def decides(action: int, *names: Any) -> int:
                if action == sqlite3.SQLITE_ATTACH and not self._guard.may_attach(names[0]):
                    return sqlite3.SQLITE_DENY
                return int(authorizer_callback(action, *names))

            original(connection, decides if authorizer_callback is not None else None)
            if authorizer_callback is None:
                self._disarm(connection)

        original = replace_method(self._driver.Connection, "set_authorizer", set_authorizer)

    def _lead_connect(self) -> None:
        """Let every name for ``connect`` lead to the checked database."""
        for original, puts in self._inherited.names:
            for put in puts:
                put(functools.partial(self._connect, original))

    def _lead_randomness(self) -> None:
        """Let every random source draw from what is seeded with the client's name."""
        entropy, seed = self._entropy, random.Random.seed

        def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
            seed(self, entropy.randbytes(32) if a is None else a, version)

        def drawn(size: int, /, flags: int = 0) -> bytes:  # noqa: ARG001  # as getrandom has it
            return entropy.randbytes(size)

        random.Random.seed = seeded  # type: ignore[method-assign]  # for good
        for name in ("urandom", "getrandom"):  # whatever they were imported as, as secrets and uuid do
            if hasattr(os, name):
                redirect(getattr(os, name), drawn)
        tls = sys.modules.get("_ssl")
        if tls is not None:
            redirect(tls.RAND_bytes, drawn)

    def forget_pools(self) -> None:
        """Let every engine open connections anew."""
        self._inherited.forget_pools()

    def reusable(self) -> bool:
        """Tell whether nothing shows that the process is another one than before its client ran."""
        return threading.active_count() == 1 and not self._may_have_loop()

    def _may_have_loop(self) -> bool:
        """Tell whether an event loop is open, as far as that is known: one that is left goes on with the next run."""
        if _LOOPS not in sys.modules:
            return False
        return not self._sees_loops or any(not loop.is_closed() for loop in self._loops)

    def _see_loops(self) -> None:
        """Know the event loops that will be made, if the module that makes them is there already."""
        module = sys.modules.get(_LOOPS)
        if module is None:
            return
        self._sees_loops, loops, make = True, self._loops, module.BaseEventLoop.__init__

        def made(loop: Any, *arguments: Any, **options: Any) -> None:
            make(loop, *arguments, **options)
            loops.add(loop)

        module.BaseEventLoop.__init__ = made

    def _probe_apart(self) -> None:
        """Let SQLAlchemy get to know SQLite on a database in memory.

        It looks at the first connection of every engine, once in a process: what SQLite is like there is the same
        everywhere, and to look at it is no part of what the application does.
        """
        probe = DefaultDialect.initialize
        connect = self._driver.Connection

        def initialize(dialect: DefaultDialect, connection: Connection) -> None:
            if dialect.name != "sqlite":
                probe(dialect, connection)
                return
            apart = connect(":memory:")
            proxy = type(connection.connection)(apart, None)  # type: ignore[call-arg]  # of SQLAlchemy's own for this
            probe(dialect, Connection(connection.engine, connection=proxy, _has_events=False, _allow_autobegin=False))
            apart.close()
            connection._dbapi_connection = None  # noqa: SLF001  # else SQLAlchemy would roll back what nobody began
            connection._Connection__can_reconnect = False  # type: ignore[attr-defined]  # noqa: SLF001  # likewise

        DefaultDialect.initialize = initialize  # type: ignore[method-assign, assignment]  # for good

    # For one client.

    def begin(self, client: Inmate, opens: Opens | None) -> None:
        """Let the process be a client's, from its start.

        Args:
            client: whose it is.
            opens: opens connections to the checked database; None for those of the gate.
        """
        self._blame = client.blame
        gate: Any = gate_of(self._driver)
        self._opens = opens or functools.partial(gate, client)
        self.timekeeper.restart()
        self._inherited.remembered.restore()
        self._seed(client.name)
        if self._identity is None:
            self._identity = install(client.name)
        for opened in self._inherited.opened:
            if self._is_own(meant_by(opened.path)):
                self._replace(opened)

    def be_warm(self) -> None:
        """Let each run find what modules remember now."""
        self._inherited.remembered.note()

    def _seed(self, name: str) -> None:
        random.seed(f"treadle:{name}")
        self._entropy.seed(f"treadle:entropy:{name}")
        for number, generator in enumerate(self._unseeded):
            generator.seed(f"treadle:{number}:{name}")
        self._seeded = random.getstate(), self._entropy.getstate(), self._apart(name)
        self._seeded_own = [generator.getstate() for generator in self._unseeded]

    @staticmethod
    def _apart(name: str) -> int:
        """Let the ids that are made of the time of day begin apart for clients that begin at the same time.

        ``uuid`` remembers the last time that it used, in units of 100 ns since 1582 (RFC 9562), and goes on from there.
        """
        last = time.time_ns() // 100 + _UUID_EPOCH + zlib.crc32(f"treadle:uuid:{name}".encode()) % _UUID_SPREAD
        for attribute in _UUID_TIMES:
            if hasattr(uuid, attribute):
                setattr(uuid, attribute, last)
        return last

    def drew(self) -> bool:
        """Tell whether the client has drawn from what is seeded with its name, or made of it."""
        if self._identity is not None and self._identity.looked:
            return True
        last = [getattr(uuid, attribute, self._seeded[2]) for attribute in _UUID_TIMES]
        if set(last) != {self._seeded[2]}:
            return True
        if [generator.getstate() for generator in self._unseeded] != self._seeded_own:
            return True
        return (random.getstate(), self._entropy.getstate()) != self._seeded[:2]

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep ids and random sources as they are over a fork, which seeds that of the process anew."""
        assert self._identity is not None
        states = random.getstate(), self._entropy.getstate()
        try:
            with self._identity.kept():
                yield
        finally:
            random.setstate(states[0])
            self._entropy.setstate(states[1])

    def _replace(self, opened: Opened) -> None:
        """Put a connection of the client where one was that the application had opened before."""
        assert self._opens is not None
        if opened.unknown:
            opened.put_refusal(self._driver, functools.partial(self._refuse_opened, opened))
        else:
            opened.put(self._driver, self._opens(opened.options()))
        self._guard.lock_up(opened.connection, opened.path)

    def _refuse_opened(self, opened: Opened) -> UnsupportedOperationError:
        return self._refused(
            f"a client uses a connection to {meant_by(opened.path)!r} that was opened before the check. In its place "
            f"one that is just like it is needed, and {opened.unknown} cannot be carried over. Let a TARGET of the "
            "command line import the module that opens it, or let the client open it in a function."
        )

    # Connecting.

    def _connect(self, original: Callable[..., Any], database: Any, *arguments: Any, **options: Any) -> Any:
        """Open a connection: to the checked database, or to one in memory."""
        options = dict(zip(NAMES, arguments, strict=False)) | options
        path = file_of(database, uri=bool(options.get("uri")))
        if not path:
            return original(database, **options)
        if not self._is_own(path):
            raise self._other_database(os.fsdecode(database), path)
        if original not in self._drivers:
            raise self._refused(
                f"a client connects to {os.fsdecode(database)!r} through {original.__module__!r}, and the scenario's "
                f"engine uses {self._driver.__name__!r}: one driver is checked. Let the engine use that module, as "
                "create_engine(..., module=...)."
            )
        if options.get("factory") not in {None, self._driver.Connection, Recorded}:
            raise self._refused(
                f"connect(factory={options['factory']!r}): connections of another class would bypass the gate. "
                "Leave the factory out for the check."
            )
        if self._opens is None:
            raise self._refused(f"connect({os.fsdecode(database)!r}): no client runs yet")
        asked = options_of_uri(database, uri=bool(options.get("uri")))
        unknown = next((pair for pair in asked.items() if pair not in KEPT), None)
        if unknown is not None:
            raise self._refused(
                f"connect({os.fsdecode(database)!r}): with {'='.join(unknown)!r} in a URI, SQLite locks or reads its "
                "file in another way, and that is not carried to the checked database. Leave it out for the check."
            )
        options.pop("factory", None)
        if asked.get("mode") == "ro":
            options["mode"] = "ro"
        return self._opens(options)

    def _is_own(self, path: str) -> bool:
        """Tell whether a path leads to the file that stands for the checked database, be it there or not."""
        if os.path.realpath(path) == os.path.realpath(self.path):
            return True
        try:
            return Path(path).samefile(self.path)
        except OSError:
            return False

    def _end_with(self, error: TreadleError) -> None:
        self._blame(error)

    def _other_database(self, name: str, path: str) -> UnsupportedOperationError:
        return self._refused(
            f"a client connects to {name!r}, and the scenario's database is {self.path!r}: one database is checked, "
            "because SQLite commits each file by itself, and nothing would take back what a run leaves in the other "
            "one. Give the scenario the engine that its clients use, as Database(..., engine=...), or lead both to one "
            "file for the check.",
            path,
        )

    def _refused(self, text: str, path: str = "") -> UnsupportedOperationError:
        """Return an error that the check ends with, whatever the client makes of it."""
        error = UnsupportedOperationError(text)
        error.path = path
        self._blame(error)
        return error

    def lock_up(self, connection: Any, path: str) -> None:
        """Let a connection do nothing any more."""
        self._guard.lock_up(connection, path)

    def opened(self, connect: Callable[[], Any]) -> Any:
        """Open a connection to the checked database for the checker itself; it can attach no other."""
        with self._guard.lifted():
            made = connect()
        self._disarm(made)
        return made


def _load_what_is_used_first() -> None:
    for package, modules in _USED_FIRST.items():
        if package in sys.modules:
            for module in modules:
                with contextlib.suppress(ImportError):
                    importlib.import_module(module)


def _nobody(_: TreadleError) -> None:
    """Blame nobody: the error is raised where it happens."""


def _silence() -> None:
    """Let nothing of the process reach the terminal, and nothing of the terminal the process."""
    gc.disable()  # what is garbage here is the parent's
    faulthandler = sys.modules.get("faulthandler")
    if faulthandler is not None:
        faulthandler.disable()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    if nothing > 2:  # noqa: PLR2004  # not one of those
        os.close(nothing)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115  # for good
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115  # likewise
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115  # likewise
    with contextlib.suppress(ValueError):  # only where the checker has the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)
