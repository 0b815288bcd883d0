"""Real executions: every client a thread with real connections, one at a time, and waiting that is real.

Nothing of the checker is used here. A client stops before each call of the driver, and goes on when it is its turn. If
SQLite would wait, it calls the busy handler, and there the thread stops, inside the call, with all that SQLite holds at
that moment. Its next turn is SQLite's next attempt, or the end of its patience.

The rules, in one place:

- a client stops before: connecting, executing, fetching and closing where a statement is under way (a cursor that is
  collected is closed), COMMIT and ROLLBACK of the driver, closing a connection, leaving a ``with`` block, setting
  ``isolation_level`` and ``autocommit``;
- also before each statement of a script, before each row of an ``executemany`` where no transaction is open (but for
  the first), and between a half-read statement that an ``execute`` drops and the statement that takes its place;
- a client that waits is able to go on after another one has made a call; an attempt that waits again is none;
- if all unfinished clients wait, the timeout of the longest waiter expires;
- what a client leaves open stays open until all have ended: nothing is collected meanwhile.

As a command it compares generated programs with the checker, see ``python -m tests.truth.real --help``.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import os
import random
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import define, field, frozen
from sqlalchemy import Engine, create_engine

from tests.truth.generator import Case, Program, play, spoken
from tests.truth.interface import Handle

_PATIENCE_S = 20.0
_MOST_STEPS = 2_000
_COLLECT_EVERY = 100

Ends = tuple[str | None, ...]
"""How each client has ended, None for one that has not."""


@frozen
class Content:
    """What is committed: everything that another connection can read.

    Attributes:
        tables: the rows of each table, in an order that says nothing, by name.
        header: user_version and application_id.
    """

    tables: tuple[tuple[str, tuple[tuple[Any, ...], ...]], ...]
    header: tuple[int, int]


@frozen
class Ran:
    """One execution.

    Attributes:
        schedule: which client made each step.
        ends: how each client ended.
        content: what was committed in the end.
        passed: each content with the ends so far, in the order in which they came about, where each client has ended
            as soon as it has made its last call.
        late: further ones, where some take longer to return after it. To return touches no database, so that all
            others do as they did.
    """

    schedule: tuple[int, ...]
    ends: Ends
    content: Content
    passed: tuple[tuple[Content, Ends], ...]
    late: tuple[tuple[Content, Ends], ...]


class BrokenError(Exception):
    """The executor itself failed."""


# One client.


class _Actor:
    """A client in a thread. It stands before a call or inside one that waits, and moves when it is told to."""

    def __init__(self, name: str, run: Callable[[], object]) -> None:
        self._run = run
        self._go = _signal()
        self._stopped = _signal()
        self._free = False
        self._expires = False
        self.waits = False
        self.over = False
        self.end: str | None = None
        self.connections: list[Any] = []
        self.handles: list[Handle] = []
        self.thread = threading.Thread(target=self._body, name=name, daemon=True)

    def start(self) -> None:
        """Run to the first call."""
        self.thread.start()
        self._await()

    def step(self, *, expires: bool) -> None:
        """Make the next call, or the next attempt at one that waits, or have its timeout expire."""
        self._expires = expires
        self._go.release()
        self._await()

    def _await(self) -> None:
        if not self._stopped.acquire(timeout=_PATIENCE_S):
            raise BrokenError(f"{self.thread.name} hangs")

    def _body(self) -> None:
        _local.actor = self
        try:
            end = f"returned {self._run()}"
        except Exception as error:  # noqa: BLE001  # however a client ends
            end = spoken(error)
        self.end = end
        self._stopped.release()
        self._go.acquire()
        self.over = True
        for connection in self.connections:
            with contextlib.suppress(Exception):
                connection.really_close()
        self.connections.clear()

    def _stop(self) -> None:
        self._stopped.release()
        self._go.acquire()

    def point(self) -> None:
        """Stop, and return when it is this client's turn."""
        if not self._free and self.end is None:
            self._stop()

    def wait(self) -> bool:
        """Stop inside SQLite, and return whether it shall try again."""
        if self._free or self.end is not None:
            return False
        self.waits = True
        self._stop()
        self.waits = False
        return not (self._expires or self._free)

    def finish(self) -> None:
        """Close what is open, and end the thread, wherever it stands."""
        self._free = True
        self._go.release()
        if self.end is None:  # something broke: it runs to its end, and stops there once
            self._stopped.acquire(timeout=_PATIENCE_S)
            self._go.release()
        self.thread.join(_PATIENCE_S)


def _signal() -> threading.Lock:
    """Return a lock that one thread acquires when another has released it."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class _Local(threading.local):
    """Who runs in this thread."""

    actor: _Actor | None = None


_local = _Local()


# The driver's connections and cursors, with a stop before each call.


@frozen
class _Classes:
    connection: type[Any]
    cursor: type[Any]


@functools.cache
def _classes(driver: ModuleType) -> _Classes:  # noqa: C901  # two classes, made for a driver
    class Cursor(driver.Cursor):  # type: ignore[name-defined, misc]  # the base is a value
        """A cursor; ``_reads`` has its statement while that is under way.

        The driver's own methods have no frames that could keep a cursor alive in a traceback; so these let go of it.
        """

        _reads: frozenset[int] = frozenset()

        @contextlib.contextmanager
        def _call(self, *, every: bool = False, autocommit: bool = False) -> Iterator[None]:
            """Make a call that starts statements; stop before all of them, or before those of an executemany."""
            connection = self.connection
            actor, handle = connection.actor, connection.handle
            actor.point()
            stops = bool(self._reads)
            others = (frozenset() if connection.closed else handle.under_way()) - self._reads
            if not (every or autocommit or stops):
                yield from self._made(handle, others)
                return
            first = True

            def before_statement() -> None:
                nonlocal first
                handle.refresh()
                if every or (first and stops) or (not first and autocommit and handle.in_autocommit()):
                    actor.point()
                first = False

            if not connection.closed:
                handle.trace(before_statement)
            try:
                yield from self._made(handle, others)
            finally:
                if not connection.closed:
                    handle.trace(None)

        def _made(self, handle: Handle, others: frozenset[int]) -> Iterator[None]:
            try:
                yield
            finally:
                if not self.connection.closed:
                    handle.refresh()
                    self._reads = handle.under_way() - others

        def execute(self, *arguments: Any) -> Any:
            try:
                with self._call():
                    return super().execute(*arguments)
            finally:
                del self, arguments

        def executemany(self, *arguments: Any) -> Any:
            try:
                with self._call(autocommit=True):
                    return super().executemany(*arguments)
            finally:
                del self, arguments

        def executescript(self, *arguments: Any) -> Any:
            try:
                with self._call(every=True):
                    return super().executescript(*arguments)
            finally:
                del self, arguments

        @contextlib.contextmanager
        def _fetch(self) -> Iterator[None]:
            if self._reads:
                self.connection.actor.point()
            try:
                yield
            finally:
                if self._reads and not self.connection.closed:
                    self._reads &= self.connection.handle.under_way()

        def fetchone(self) -> Any:
            try:
                with self._fetch():
                    return super().fetchone()
            finally:
                del self

        def fetchmany(self, *arguments: Any, **options: Any) -> Any:
            try:
                with self._fetch():
                    return super().fetchmany(*arguments, **options)
            finally:
                del self

        def fetchall(self) -> Any:
            try:
                with self._fetch():
                    return super().fetchall()
            finally:
                del self

        def __next__(self) -> Any:
            try:
                with self._fetch():
                    return super().__next__()
            finally:
                del self

        def close(self) -> None:
            if self._reads:
                self.connection.actor.point()
                self._reads = frozenset()
            super().close()

        def __del__(self) -> None:
            if self._reads:
                self._reads = frozenset()
                if _local.actor is not None:
                    _local.actor.point()

    class Connection(driver.Connection):  # type: ignore[name-defined, misc]  # the base is a value
        """A connection."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            assert _local.actor is not None, "connect in the thread of a client"
            self.actor: _Actor = _local.actor
            self.closed = False
            self._leaving = False
            self.actor.point()
            super().__init__(*arguments, **options)
            self.handle = Handle(driver, self, self.actor.wait)
            self.actor.handles.append(self.handle)
            self.actor.connections.append(self)

        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or Cursor)

        def execute(self, *arguments: Any) -> Any:
            return self.cursor().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            return self.cursor().executemany(*arguments)

        def executescript(self, *arguments: Any) -> Any:
            return self.cursor().executescript(*arguments)

        def commit(self) -> None:
            self._point()
            super().commit()

        def rollback(self) -> None:
            self._point()
            if not self.actor.over:  # else a pool is being collected
                super().rollback()

        def close(self) -> None:
            self.actor.point()
            self.really_close()

        def really_close(self) -> None:
            super().close()
            self.closed = True

        def __exit__(self, *arguments: object) -> Any:
            self.actor.point()
            self._leaving = True
            try:
                return super().__exit__(*arguments)
            finally:
                self._leaving = False

        def _point(self) -> None:
            if not self._leaving:  # some drivers call these methods there, and some what is behind them
                self.actor.point()

        @property
        def isolation_level(self) -> Any:
            return super().isolation_level

        @isolation_level.setter
        def isolation_level(self, level: Any) -> None:
            self.actor.point()
            driver.Connection.isolation_level.__set__(self, level)

        if hasattr(driver.Connection, "autocommit"):

            @property
            def autocommit(self) -> Any:
                return super().autocommit

            @autocommit.setter
            def autocommit(self, value: Any) -> None:
                self.actor.point()
                driver.Connection.autocommit.__set__(self, value)

    return _Classes(Connection, Cursor)


@frozen
class _RealPlace:
    """Opens connections of a driver to one file."""

    driver: ModuleType
    path: Path

    def connect(self, **options: Any) -> Any:
        """Open a connection."""
        return self.driver.connect(self.path, factory=_classes(self.driver).connection, **options)

    def engine(self, *, connect_args: dict[str, Any], **options: Any) -> Engine:
        """Make an engine."""
        arguments = {**connect_args, "factory": _classes(self.driver).connection}
        return create_engine(f"sqlite:///{self.path}", module=self.driver, connect_args=arguments, **options)


# One execution.


@define
class _Execution:
    """One execution on a fresh file, step by step."""

    _bench: Bench
    _actors: list[_Actor]
    _observer: Any
    _waiting: list[int] = field(factory=list)  # the longest first
    _able_again: set[int] = field(factory=set)
    _schedule: list[int] = field(factory=list)
    _version: int = -1
    _content: Content = Content((), (0, 0))
    _passed: dict[tuple[Content, Ends], None] = field(factory=dict)
    _late: dict[tuple[Content, Ends], None] = field(factory=dict)
    _dawdlers: set[int] = field(factory=set)  # may not have returned yet; when a timeout expires, all have

    def able(self) -> list[int]:
        """Return the clients that can make a step."""
        alive = [place for place, actor in enumerate(self._actors) if actor.end is None]
        return [place for place in alive if place not in self._waiting or place in self._able_again] or self._waiting[
            :1
        ]

    def step(self, place: int) -> None:
        """Let a client make a step, and look at what is there then."""
        actor = self._actors[place]
        waited = place in self._waiting
        expires = waited and place not in self._able_again
        if expires:
            self._dawdlers.clear()
        actor.step(expires=expires)
        if actor.end is not None:
            self._dawdlers.add(place)
        self._schedule.append(place)
        self._able_again.discard(place)
        if len(self._schedule) > _MOST_STEPS:
            raise BrokenError("an execution has no end")
        if not (waited and actor.waits and not expires):  # more than an attempt in vain
            self._able_again |= set(self._waiting) - {place}
        if waited and not (actor.waits and not expires):
            self._waiting.remove(place)
        if actor.waits and place not in self._waiting:
            self._waiting.append(place)
        self.observe()

    @property
    def ends(self) -> Ends:
        """How each client has ended so far."""
        return tuple(actor.end for actor in self._actors)

    def observe(self) -> None:
        """Note what is committed, and how clients have ended."""
        try:
            ((version,),) = self._observer.execute("PRAGMA data_version")
            if version != self._version:
                self._content = _content(self._observer)
                self._version = version
        except self._bench.driver.OperationalError as error:
            # PENDING is held: nothing new can have been committed.
            if "locked" not in str(error):
                raise
        ends = self.ends
        self._passed[self._content, ends] = None
        for count in range(1, 1 + len(self._dawdlers)):
            for some in itertools.combinations(sorted(self._dawdlers), count):
                late = tuple(None if place in some else end for place, end in enumerate(ends))
                self._late[self._content, late] = None

    def ran(self) -> Ran:
        """Return what happened, at the end."""
        late = tuple(pair for pair in self._late if pair not in self._passed)
        return Ran(tuple(self._schedule), self.ends, self._content, tuple(self._passed), late)


def _content(observer: Any) -> Content:
    names = [name for (name,) in observer.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    tables = tuple(
        (name, tuple(sorted(observer.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)))
        for name in sorted(names)
    )
    ((version,),) = observer.execute("PRAGMA user_version")
    ((application,),) = observer.execute("PRAGMA application_id")
    return Content(tables, (version, application))


Decide = Callable[[list[int]], int]
"""Chooses one of the clients that are able."""


@frozen
class Bench:
    """Where one database is made and executed on, again and again."""

    driver: ModuleType
    path: Path
    template: bytes
    clients: tuple[Callable[[_RealPlace], object], ...]

    def run(self, decide: Decide) -> Ran:
        """Run all clients once."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(self.template)
        observer = self.driver.connect(self.path, timeout=0, isolation_level=None)
        place = _RealPlace(self.driver, self.path)
        actors = [
            _Actor(f"client {number}", functools.partial(client, place)) for number, client in enumerate(self.clients)
        ]
        execution = _Execution(self, actors, observer)
        try:
            execution.observe()
            for actor in actors:
                actor.start()
            execution.observe()
            while able := execution.able():
                execution.step(decide(able))
            return execution.ran()
        finally:
            for actor in actors:
                if actor.thread.ident is not None:
                    actor.finish()
            observer.close()


@contextlib.contextmanager
def bench(
    schema: tuple[str, ...],
    clients: tuple[Callable[[_RealPlace], object], ...],
    *,
    journal: str = "wal",
    driver: ModuleType = sqlite3,
) -> Iterator[Bench]:
    """Make a database, and a place to execute on it; nothing is collected meanwhile.

    Args:
        schema: the statements that make the database.
        clients: each is given what opens connections.
        journal: wal or delete.
        driver: ``sqlite3`` or ``pysqlite3``.
    """
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # in memory, if there is such a place
    with tempfile.TemporaryDirectory(dir=memory) as directory, _uncollected(), _one_processor():
        path = Path(directory) / "real.db"
        connection = driver.connect(path, isolation_level=None)
        connection.execute(f"PRAGMA journal_mode = {journal}")
        for statement in schema:
            connection.execute(statement)
        connection.close()  # the last one: all is in the one file
        yield Bench(driver, path, path.read_bytes(), clients)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _one_processor() -> Iterator[None]:
    """Keep this thread, and those it starts, on one processor: to hand on a turn is then ten times faster."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before) if os.getpid() % 2 else max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# Many executions.


@define
class Explored:
    """What executions showed, each with the first schedule that did.

    Attributes:
        complete: these are all interleavings.
        executions: how many there were.
        ends: how clients ended, with what was committed in the end.
        passed: what was committed, with how clients had ended by then, each as soon as it had made its last call.
        late: likewise, where some took longer; may have pairs of ``passed``.
    """

    complete: bool = False
    executions: int = 0
    ends: dict[tuple[Ends, Content], tuple[int, ...]] = field(factory=dict)
    passed: dict[tuple[Content, Ends], tuple[int, ...]] = field(factory=dict)
    late: dict[tuple[Content, Ends], tuple[int, ...]] = field(factory=dict)

    def add(self, ran: Ran) -> None:
        """Add an execution."""
        self.executions += 1
        self.ends.setdefault((ran.ends, ran.content), ran.schedule)
        for pair in ran.passed:
            self.passed.setdefault(pair, ran.schedule)
        for pair in ran.late:
            self.late.setdefault(pair, ran.schedule)


def explore(place: Bench, most: int, seed: int = 0) -> Explored:
    """Execute all interleavings if there are not too many, or some of them.

    Args:
        place: what to execute.
        most: how many executions.
        seed: which ones.

    A third of the executions go on where an earlier one could have gone elsewhere; when there is no such place left,
    all interleavings were executed. Of those, every other one rarely leaves the client that it is at.
    """
    explored = Explored()
    todo: list[tuple[int, ...]] = [()]
    dice = random.Random(seed)
    with _little_garbage():
        while todo and explored.executions < most:
            spot = dice.randrange(len(todo))
            todo[spot], todo[-1] = todo[-1], todo[spot]
            explored.add(_run_from(place, todo, dice))
            if explored.executions % _COLLECT_EVERY == 0:
                gc.collect()  # sessions are in cycles, and there are many of them
    explored.complete = not todo
    return explored


@contextlib.contextmanager
def _little_garbage() -> Iterator[None]:
    """Let the collection of garbage not go through all that a test runner has, and leave none behind."""
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


def _run_from(place: Bench, todo: list[tuple[int, ...]], dice: random.Random) -> Ran:
    prefix = todo.pop()
    path: list[int] = []
    restless = dice.choice((1.0, 0.15))

    def decide(able: list[int]) -> int:
        if len(path) < len(prefix):
            choice = prefix[len(path)]
            if choice not in able:
                raise BrokenError(f"{place.clients} do not do again what they did along {prefix}")
        else:
            stays = path and path[-1] in able and dice.random() >= restless
            choice = path[-1] if stays else dice.choice(able)
            todo.extend((*path, other) for other in able if other != choice)
        path.append(choice)
        return choice

    return place.run(decide)


def client_of(case: Case, position: int) -> Callable[[Any], str]:
    """Return the client of a case that plays its program at a place."""
    return functools.partial(_play, case.programs[position], position, case.busy_timeout_ms / 1000)


def _play(program: Program, position: int, timeout_s: float, place: Any) -> str:
    return play(place, program, position, timeout_s)


def explore_case(case: Case, most: int, seed: int = 0, driver: ModuleType = sqlite3) -> Explored:
    """Execute a generated case.

    Args:
        case: what to execute.
        most: how many executions.
        seed: which ones, if there are more.
        driver: ``sqlite3`` or ``pysqlite3``.
    """
    clients = tuple(client_of(case, position) for position in range(len(case.programs)))
    with bench(case.schema, clients, journal=case.journal, driver=driver) as place:
        return explore(place, most, seed)


def rerun(case: Case, schedule: tuple[int, ...], driver: ModuleType = sqlite3) -> Ran:
    """Execute a generated case along a schedule, for a look at it."""
    clients = tuple(client_of(case, position) for position in range(len(case.programs)))
    with bench(case.schema, clients, journal=case.journal, driver=driver) as place:
        steps = iter(schedule)

        def decide(able: list[int]) -> int:
            choice = next(steps, able[0])
            return choice if choice in able else able[0]

        return place.run(decide)


# The command.


def main() -> None:
    """Compare generated programs with the checker, and print one line for each mismatch."""
    from tests.truth.commands import main as command  # what follows imports the checker

    command()


if __name__ == "__main__":
    main()
