"""Surroundings: what a client sees of its process, made deterministic and its own.

While a check is under way, the clock stands still (and ``time.sleep`` moves the sleeping client's own clock),
random sources are seeded for each client, and each live client has its own connection pool. What belongs to a
client is swapped in when another client than the last one runs.
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import functools
import gc
import logging
import os
import random
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, Protocol, Self, TypeVar

import time_machine
from sqlalchemy import Engine, event
from sqlalchemy.pool import PoolProxiedConnection

from treadle.client.gate import Port, gate_of
from treadle.values.errors import StuckClientError, TreadleError, UnsupportedOperationError
from treadle.values.instant import START

_UUID_STATE = tuple(name for name in vars(uuid) if name.startswith(("_last_timestamp", "_last_counter")))


_IN_MEMORY = frozenset({":memory:", ""})
"""Names of databases that are private to a connection: they are the client's own affair."""

_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")


class Runner(Port, Protocol):
    """A live client, as its surroundings know it.

    Attributes:
        name: the client's.
        opens: opens its connections, given the options; None for those of the gate.
    """

    name: str
    opens: Callable[[dict[str, Any]], Any] | None

    def owns_thread(self) -> bool:
        """Tell whether the calling thread is the one that runs this client."""


class _Stuck(BaseException):
    """Thrown into a client that computes for too long."""


_RandomState = tuple[Any, ...]
"""What ``random.getstate`` returns: a version, 624 words with the position among them, and a spare number."""


@functools.lru_cache(maxsize=64)
def _seeded(name: str) -> _RandomState:
    """Return the state of the ``random`` module that a client starts with."""
    return random.Random(f"treadle:{name}").getstate()


def _moved(before: _RandomState, after: _RandomState) -> bool:
    """Tell whether something was drawn between two states.

    The position tells, but for multiples of 624 draws, after which all words are new; a few of them do then.
    """
    return bool(before[1][-1] != after[1][-1] or before[1][1:5] != after[1][1:5])


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Let no garbage be collected meanwhile: to go through all that is known takes long, and finds next to nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Belongings:
    """What belongs to one live client.

    Attributes:
        name: the client's.
        random_state: the state of its ``random`` module.
        uuid_state: what its ``uuid`` module remembers.
        pools: its connection pools.
        drew: it has used a random source, all of which are seeded with its name.
    """

    def __init__(self, name: str, engines: Iterable[Engine]) -> None:
        """Seed the random sources with the client's name, and start with cold pools."""
        self.name = name
        self.random_state = _seeded(name)
        self.uuid_state: dict[str, Any] = dict.fromkeys(_UUID_STATE)
        self.pools = {engine: engine.pool.recreate() for engine in engines}
        self.drew = False

    @functools.cached_property
    def entropy(self) -> random.Random:
        """What ``os.urandom`` draws from."""
        self.drew = True
        return random.Random(f"treadle:entropy:{self.name}")

    def put_away(self) -> None:
        """Take over what the process has now."""
        state = random.getstate()
        if _moved(self.random_state, state):
            self.random_state, self.drew = state, True
        for name in _UUID_STATE:
            value = self.uuid_state[name] = getattr(uuid, name)
            self.drew = self.drew or value is not None
        for engine in self.pools:
            self.pools[engine] = engine.pool

    def bring_out(self) -> None:
        """Let the process have what was put away."""
        random.setstate(self.random_state)
        for name, value in self.uuid_state.items():
            setattr(uuid, name, value)
        for engine, pool in self.pools.items():
            engine.pool = pool


def stuck_error(client: str, max_step_s: float) -> StuckClientError:
    """Return what to raise for a client that computed for too long."""
    return StuckClientError(
        f"client {client!r} computed for more than {max_step_s:g} s without asking its database "
        "anything: it loops, or waits for something that only another client could give (a lock or queue in "
        "Python memory is not shared between processes). Make it end, or raise the scenario's max_step_s."
    )


class Surroundings:
    """The process around the clients of one scenario; a context manager.

    One is in use at a time in a process: it replaces functions of ``time``, ``os`` and ``random``.

    Attributes:
        context: the context variables that clients start with.
        randomness_used: the names of the clients that drew from a random source seeded with their name, as far as
            what belongs to them was put away: those may differ from a client that runs the same code.
        max_step_s: how long a client may compute between two operations, in seconds.
        answers: to give its answer is an operation of a client, its last one.
    """

    _in_use = threading.Lock()

    def __init__(self, engine: Engine, driver: Any, max_step_s: float, *, answers: bool = False) -> None:
        """Prepare for the clients of an application with this engine.

        Args:
            engine: the application's.
            driver: the module of its driver.
            max_step_s: how long a client may compute between two operations, in seconds.
            answers: to give its answer is an operation of a client, its last one.
        """
        self.answers = answers
        self._driver = driver
        self.context = contextvars.copy_context()
        self.randomness_used: set[str] = set()
        self._engine = engine
        self._pools = {engine: engine.pool}  # the application's own
        self.max_step_s = max_step_s
        self._path = engine.dialect.create_connect_args(engine.url)[0][0]
        self._runner: Runner | None = None
        self._owner: Belongings | None = None
        self._resumed_at = 0.0
        self._stuck = False
        self._interrupted = False
        self._template: Callable[[dict[str, Any]], Any] | None = None
        self._stack = contextlib.ExitStack()
        self._depth = 0

    def belongings(self, name: str) -> Belongings:
        """Return what a new live run of this client starts with."""
        return Belongings(name, self._pools)

    # Entering and leaving.

    def __enter__(self) -> Self:
        """Take over the process; nested entries do nothing."""
        self._depth += 1
        if self._depth > 1:
            return self
        if not Surroundings._in_use.acquire(blocking=False):
            self._depth -= 1
            raise TreadleError(
                "another check is under way in this process: checks replace the clock and the random sources, so "
                "one runs at a time. Run them one after another, or in processes of their own."
            )
        with contextlib.ExitStack() as stack:
            stack.callback(Surroundings._in_use.release)
            self._replace_functions(stack)
            event.listen(Engine, "do_connect", self._connect)
            stack.callback(event.remove, Engine, "do_connect", self._connect)
            self._pools = {engine: engine.pool for engine in self._pools}
            stack.callback(self._give_pools_back)
            stack.callback(random.setstate, random.getstate())
            # A pool logs each connection that cannot be reset: with faults at ROLLBACK, thousands.
            pools = logging.getLogger("sqlalchemy.pool")
            stack.callback(pools.setLevel, pools.level)
            pools.setLevel(logging.CRITICAL + 1)
            for name in _UUID_STATE:
                stack.callback(setattr, uuid, name, getattr(uuid, name))
            stack.enter_context(collection_paused())
            self._set_watchdog(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Give the process back."""
        self._depth -= 1
        if self._depth == 0:
            self.put_away()
            self._stack.close()

    def _replace_functions(self, stack: contextlib.ExitStack) -> None:
        own = threading.get_ident()  # other threads have nothing to do with clients: an event loop, a watchdog
        self._stop_clock(stack, own)
        sleep, urandom = time.sleep, os.urandom

        def virtual_sleep(seconds: float, /) -> None:
            if self._runner is None or threading.get_ident() != own:
                sleep(seconds)
            else:
                self._runner.clock_s += seconds
                self._set_clock(self._runner.clock_s)

        def seeded_urandom(size: int, /) -> bytes:
            idle = self._runner is None and self._template is None
            if self._owner is None or idle or threading.get_ident() != own:
                return urandom(size)
            return self._owner.entropy.randbytes(size)

        drivers = dict.fromkeys((sqlite3, sqlite3.dbapi2, self._driver))
        connect = {module: module.connect for module in drivers}

        def guarded_connect(module: Any, database: Any, *arguments: Any, **options: Any) -> Any:
            path = os.fspath(database) if isinstance(database, (str, os.PathLike)) else database
            if self._runner is None or path in _IN_MEMORY:
                return connect[module](database, *arguments, **options)
            names = ("timeout", "detect_types", "isolation_level", "check_same_thread", "factory")
            return self._gate(os.path.abspath(path), dict(zip(names, arguments, strict=False)) | options)  # noqa: PTH100  # as SQLAlchemy does

        raw_connection = Engine.raw_connection

        # An event would tell the same, but one listener makes SQLAlchemy look for others at every statement.
        def noted_connection(engine: Engine) -> PoolProxiedConnection:
            self._note_engine(engine)
            return raw_connection(engine)

        for module, name, value in (
            *((module, "connect", functools.partial(guarded_connect, module)) for module in drivers),
            (time, "sleep", virtual_sleep),
            (os, "urandom", seeded_urandom),
            (random, "_urandom", seeded_urandom),
            (Engine, "raw_connection", noted_connection),
        ):
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)

    def _give_pools_back(self) -> None:
        """Leave engines as they were, and without connections of clients."""
        for engine, pool in self._pools.items():
            engine.pool = pool

    def _stop_clock(self, stack: contextlib.ExitStack, own: int) -> None:
        """Let the clock stand still for one thread; for others it goes on, or what they wait for would never come."""
        lag_ns = time.time_ns() - time.monotonic_ns()
        traveller = time_machine.travel(START, tick=False)
        clock: Any = traveller.start()
        stack.callback(traveller.stop)
        still = clock.time_ns
        clock.time_ns = lambda: still() if threading.get_ident() == own else lag_ns + time.monotonic_ns()
        self._clock, self._now_s = clock, 0.0

    def _set_clock(self, seconds: float) -> None:
        self._clock.move_to(START + dt.timedelta(seconds=seconds))
        self._now_s = seconds

    def _set_watchdog(self, stack: contextlib.ExitStack) -> None:
        """Interrupt a client that computes for too long; only the main thread can be interrupted."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)
            stack.callback(signal.signal, signal.SIGINT, signal.default_int_handler)
        if signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            return
        signal.signal(signal.SIGALRM, self._watch)
        stack.callback(signal.signal, signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
        stack.callback(signal.setitimer, signal.ITIMER_REAL, 0.0)

    def _watch(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        if self._runner is not None and time.perf_counter() - self._resumed_at > self.max_step_s:
            self._stuck = True
            raise _Stuck

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Answer Ctrl-C: a client that runs is let run to its next operation, for else it would clean up as itself."""
        if self._runner is None or self._interrupted:
            signal.default_int_handler(signum, frame)
        self._interrupted = True

    # Connections.

    @contextlib.contextmanager
    def opening(self, connect: Callable[[dict[str, Any]], Any]) -> Iterator[None]:
        """Let connections that are opened outside clients be opened by this function, from a fresh pool."""
        self._template = connect
        self._swap(self.belongings("the database's seed"))
        try:
            yield
        finally:
            self._engine.pool.dispose()
            self._template = None

    def _connect(self, dialect: Any, record: object, positional: list[Any], options: dict[str, Any]) -> Any:
        """Answer SQLAlchemy's do_connect event: whose connection is wanted?"""
        del record
        if dialect.name != "sqlite" or (self._runner is None and self._template is None):
            return None
        path = positional[0] if positional else options.get("database", "")
        return None if path in _IN_MEMORY else self._gate(path, options)

    def _gate(self, path: str, options: dict[str, Any]) -> Any:
        """Open a connection to the checked database, for the client that runs or for the template."""
        if path != self._path:
            raise self._refused(
                f"a client connects to {path!r}, and the scenario's database is {self._path!r}: one database is "
                "checked. Give the scenario the engine that its clients use, as Database(..., engine=...)."
            )
        if options.get("factory") is not None:
            raise self._refused(
                f"connect(factory={options['factory']!r}): connections of another class would bypass the gate. "
                "Leave the factory out for the check."
            )
        if self._runner is not None:
            opens = self._runner.opens
            return gate_of(self._driver)(self._runner, options) if opens is None else opens(options)
        assert self._template is not None
        return self._template(options)

    def _refused(self, text: str) -> UnsupportedOperationError:
        """Return an error that the check ends with, whatever the client makes of it."""
        error = UnsupportedOperationError(text)
        self.blame(error)
        return error

    def _note_engine(self, engine: Engine) -> None:
        """Give another engine of the checked database, which a client is about to use, a pool of the client's own."""
        if self._runner is None or self._owner is None or engine in self._owner.pools:
            return
        if any(engine.pool is known.pool for known in self._owner.pools):  # a known one, with execution options
            return
        if engine.dialect.name == "sqlite" and engine.dialect.create_connect_args(engine.url)[0][:1] == [self._path]:
            self._pools.setdefault(engine, engine.pool)
            engine.pool = self._owner.pools[engine] = engine.pool.recreate()

    # Running clients.

    def run(
        self, runner: Runner, belongings: Belongings, stretch: Callable[[_Given], _Answer], given: _Given
    ) -> _Answer:
        """Run one stretch of a client, in that client's surroundings.

        Args:
            runner: the client.
            belongings: what belongs to it.
            stretch: what to run.
            given: the argument of that.

        Raises:
            StuckClientError: it computed for too long.
        """
        if self._owner is not belongings:
            self._swap(belongings)
        if runner.clock_s != self._now_s:
            self._set_clock(runner.clock_s)
        before, self._runner = self._runner, runner
        self._resumed_at = time.perf_counter()
        try:
            answer = stretch(given)
        except _Stuck:
            assert self._stuck
        finally:
            self._runner = before
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt
        if self._stuck:  # also if the client caught it, and went on to clean up
            self._stuck = False
            raise stuck_error(runner.name, self.max_step_s)
        return answer

    def _swap(self, belongings: Belongings) -> None:
        self.put_away()
        belongings.bring_out()
        self._owner = belongings

    def put_away(self) -> None:
        """Take what belongs to the client that ran last out of the process."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.put_away()
            if owner.drew:
                self.randomness_used.add(owner.name)

    def drew_randomness(self) -> bool:
        """Tell whether some client drew from a random source that is seeded with its name."""
        self.put_away()
        return bool(self.randomness_used)

    def is_running(self, runner: Runner) -> bool:
        """Tell whether this client's code is what runs now, in this thread."""
        return self._runner is runner and runner.owns_thread()

    def runner_name(self) -> str | None:
        """Return the name of the client that runs now."""
        return None if self._runner is None else self._runner.name

    def blame(self, misuse: TreadleError) -> None:
        """Let the client that runs now fail with this error when it stops next."""
        if self._runner is not None:
            self._runner.blame(misuse)
