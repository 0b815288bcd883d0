"""Clients that do what a process may do, and what must be said of each.

Each case has one property, called ``asked``, and says which verdicts of it a user would accept; ``error`` stands for
one of Treadle's errors. Nothing else may come: no crash of the process that checks, no silence, no wait without end.
"""

from __future__ import annotations

import asyncio
import atexit
import builtins
import contextlib
import contextvars
import ctypes
import datetime as dt
import decimal
import enum
import faulthandler
import functools
import gc
import io
import itertools
import locale
import logging
import os
import queue
import random
import re
import resource
import secrets
import select
import signal
import socket
import sys
import threading
import time
import types
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from sqlalchemy import Engine, create_engine, update
from sqlalchemy import select as select_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from treadle import Client, Database, Scenario, View, at_end

engine = create_engine("sqlite:////nonexistent/application.db")


class Base(DeclarativeBase):
    """The tables."""


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    what: Mapped[str]


def _seed(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.add(Item(id=1, stock=10))


def sell() -> int:
    """Sell one, so that two may sell the same, and return the stock that was there."""
    with Session(engine) as session:
        item = session.get_one(Item, 1)
        seen = item.stock
        item.stock = seen - 1
        session.commit()
    return seen


def buy() -> None:
    """Buy one, in one statement."""
    with engine.begin() as connection:
        connection.execute(update(Item).values(stock=Item.stock - 1))


def stock() -> int:
    """Return the stock."""
    with engine.connect() as connection:
        return connection.execute(select_rows(Item.stock)).scalar_one()


def note(what: object, id_: int | None = None) -> None:
    """Write something down."""
    with Session(engine) as session, session.begin():
        session.add(Note(id=id_, what=str(what)))


# --- Cases -------------------------------------------------------------------------------------------

HOLDS = frozenset({"holds"})
VIOLATED = frozenset({"violated"})
NEVER_PASSES = frozenset({"inconclusive", "error"})
"""No verdict can be reached, and a user must be told."""

NEVER_HOLDS = frozenset({"violated", "inconclusive", "error"})
NEVER_VIOLATED = frozenset({"holds", "inconclusive", "error"})
ANY = frozenset({"holds", "violated", "inconclusive", "error"})


@frozen
class Case:
    """What two clients do, what is asked, and what may be said."""

    run: Callable[[], object]
    asked: Callable[[View], bool]
    wanted: frozenset[str]
    why: str
    within_s: float = 20.0
    clients: int = 2

    def scenario(self) -> Scenario:
        """Return what is checked."""
        return Scenario(
            "case",
            Database(Base.metadata, _seed, engine=engine),
            [Client(name, self.run) for name in ("Ann", "Bob")[: self.clients]],
            [at_end("what is asked", self.asked, name="asked")],
            max_step_s=1.0,
        )


CASES: dict[str, Case] = {}


def _every_sale_counts(view: View) -> bool:
    return bool(view.rows("item")[0]["stock"] == 10 - len(view.returned()))


def _all_return(view: View) -> bool:
    return len(view.returned()) == 2


def _nobody_raises(view: View) -> bool:
    return not view.raised()


def _both_say(value: object) -> Callable[[View], bool]:
    """Return a property: each client that returned has returned this."""
    return lambda view: all(said == value for said in view.returned().values())


def _say_the_same(view: View) -> bool:
    return len({repr(said) for said in view.returned().values()}) <= 1


def _say_different(view: View) -> bool:
    return len({repr(said) for said in view.returned().values()}) == len(view.returned())


def _is_true(view: View) -> bool:
    return all(said is True for said in view.returned().values())


def case(
    asked: Callable[[View], bool], wanted: frozenset[str], **options: Any
) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register what both clients run, under its own name."""

    def register(run: Callable[[], object]) -> Callable[[], object]:
        name = run.__name__.strip("_")
        assert name not in CASES
        CASES[name] = Case(run, asked, wanted, " ".join((run.__doc__ or "").split()), **options)
        return run

    return register


# --- Memory that processes do not share --------------------------------------------------------------


def _has_settings() -> None:
    with Session(engine) as session:
        missing = session.scalars(select_rows(Note)).first() is None
    if missing:
        note("settings")


_one_row_of_settings: Callable[[View], bool] = lambda view: len(view.rows("note")) <= 1  # noqa: E731  # named once
_cached_settings = functools.lru_cache(_has_settings)
_known: dict[str, bool] = {}


class _Lazy:
    made: object = None

    @functools.cached_property
    def settings(self) -> bool:
        _has_settings()
        return True


_lazy = _Lazy()


@case(_one_row_of_settings, VIOLATED)
def get_or_create_behind_lru_cache() -> None:
    """Two fresh processes both create; one process would not."""
    _cached_settings()
    buy()


@case(_one_row_of_settings, VIOLATED)
def get_or_create_behind_a_dict() -> None:
    """The same, with a dict of the module."""
    if "settings" not in _known:
        _has_settings()
        _known["settings"] = True
    buy()


@case(_one_row_of_settings, VIOLATED)
def get_or_create_behind_a_class_attribute() -> None:
    """The same, with an attribute of a class."""
    if _Lazy.made is None:
        _has_settings()
        _Lazy.made = True
    buy()


@case(_one_row_of_settings, VIOLATED)
def get_or_create_behind_a_cached_property() -> None:
    """The same, with an object of the module."""
    assert _lazy.settings
    buy()


_local = threading.local()


@case(_both_say(None), HOLDS)
def a_thread_local() -> object:
    """Nobody sees what another has left there."""
    buy()
    seen = getattr(_local, "seen", None)
    _local.seen = 1
    return seen


_registry = scoped_session(sessionmaker(engine))


@case(_every_sale_counts, VIOLATED)
def a_scoped_session() -> None:
    """A lost update through a session of the module, the usual style."""
    item = _registry.get_one(Item, 1)
    item.stock = item.stock - 1
    _registry.commit()


@case(_every_sale_counts, VIOLATED)
def a_scoped_session_that_is_removed() -> None:
    """The same, tidily."""
    item = _registry.get_one(Item, 1)
    item.stock = item.stock - 1
    _registry.commit()
    _registry.remove()


_lock = threading.Lock()


@case(_all_return, HOLDS)
def a_lock_that_is_never_released() -> None:
    """Each process has a lock of its own."""
    _lock.acquire()  # never released: that is the case
    buy()


@case(_every_sale_counts, VIOLATED)
def a_lock_around_a_sale() -> None:
    """A lock of the module keeps threads of one process apart, and not two processes."""
    with _lock:
        sell()


_counter = itertools.count(1)
_queue: queue.Queue[int] = queue.Queue()
_queue.put(1)


@case(_both_say(1), HOLDS)
def a_counter() -> int:
    """Each process counts from the start."""
    buy()
    return next(_counter)


@case(_nobody_raises, VIOLATED)
def a_counter_for_keys() -> None:
    """So two processes take the same key."""
    note("sold", next(_counter))


@case(_both_say(1), HOLDS)
def a_queue() -> int:
    """What is in a queue of the module is there for each."""
    buy()
    return _queue.get(timeout=1)


@case(_both_say("<seen 1>"), HOLDS)
def a_pool_of_threads_of_the_module() -> str:
    """Threads that the module has started are not there after a fork, and are started anew by who needs them."""
    buy()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: f"<seen {next(_counter)}>").result()


# --- What tells processes apart ----------------------------------------------------------------------


@case(_say_different, HOLDS)
def process_ids() -> int:
    """Two processes have two."""
    buy()
    return os.getpid()


@case(_nobody_raises, HOLDS)
def process_ids_as_keys() -> None:
    """The same in every run, or the check would not know the statement again."""
    note("sold", os.getpid())


@case(_is_true, HOLDS)
def a_process_and_its_parent() -> bool:
    """A process is not its own parent, and it is there."""
    buy()
    os.kill(os.getpid(), 0)
    return os.getpid() != os.getppid()


@case(_say_the_same, HOLDS)
def the_name_of_the_thread() -> str:
    """Each runs in the main thread of its process."""
    buy()
    return f"{threading.current_thread().name} {threading.current_thread() is threading.main_thread()}"


@case(_is_true, HOLDS)
def thread_ids() -> bool:
    """The main thread's id is the process's own on Linux."""
    buy()
    return threading.get_native_id() == os.getpid()


@case(_nobody_raises, HOLDS)
def uuid1_as_a_key() -> None:
    """Two processes never make the same one, and each makes the same in every run."""
    note(uuid.uuid1(), uuid.uuid1().int >> 66)


@case(_nobody_raises, HOLDS)
def uuid4_as_a_key() -> None:
    """Likewise."""
    note(uuid.uuid4(), uuid.uuid4().int >> 66)


@case(_nobody_raises, HOLDS)
def secrets_as_a_key() -> None:
    """Likewise."""
    note(secrets.token_hex(), secrets.randbits(60))


_last_ms = 0


def _ticket() -> int:
    """Return what packages like uuid6 do: a time that never stands still within one process."""
    global _last_ms  # noqa: PLW0603  # a package has it so
    _last_ms = max(time.time_ns() // 1_000_000, _last_ms + 1)
    return _last_ms


@case(lambda view: max((len(said) for said in view.returned().values()), default=2) == 2, HOLDS)
def tickets_of_the_module() -> set[int]:
    """A process's own never repeat."""
    buy()
    return {_ticket(), _ticket()}


_seeded = random.Random(7)


@case(_both_say(random.Random(7).random()), HOLDS)
def a_random_source_of_the_module() -> float:
    """It was seeded when the module was imported, so each draws the same."""
    buy()
    return _seeded.random()


@case(_both_say(random.Random(9).random()), HOLDS)
def random_seeded_in_the_client() -> float:
    """Who seeds, knows what is drawn."""
    buy()
    random.seed(9)
    return random.random()


@case(_say_different, HOLDS)
def random_that_nobody_seeded() -> float:
    """Two processes draw different numbers."""
    buy()
    return random.random()


# --- What a process changes of itself ----------------------------------------------------------------

_variable: contextvars.ContextVar[object] = contextvars.ContextVar("_variable", default=None)
_logger = logging.getLogger("shop")


def _set_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))


def _of_umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _go_elsewhere() -> None:
    os.environ["TZ"] = "Asia/Tokyo" if time.tzname[0] == "UTC" else "UTC"
    time.tzset()


def _open_one() -> None:
    _left_open.append(os.open(os.devnull, os.O_RDONLY))


_CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "an environment variable": (lambda: os.environ.get("SHOP"), lambda: os.environ.update(SHOP="open")),
    "an environment variable that goes": (lambda: os.environ.get("HOME"), lambda: os.environ.pop("HOME", None)),
    "a context variable": (_variable.get, lambda: _variable.set(1)),
    "the directory": (lambda: Path.cwd().name, lambda: os.chdir("/")),
    "umask": (_of_umask, lambda: os.umask(0o77)),
    "a signal's handler": (
        lambda: signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL,
        lambda: signal.signal(signal.SIGUSR1, lambda *_: None),
    ),
    "the handler of Ctrl-C": (
        lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ),
    "the handler of SIGTERM": (
        lambda: signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    ),
    "the mask of signals": (
        lambda: sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}),
    ),
    "a handler of logs": (lambda: len(_logger.handlers), lambda: _logger.addHandler(logging.NullHandler())),
    "the level of logs": (lambda: _logger.level, lambda: _logger.setLevel(10)),
    "logging.disable": (lambda: logging.root.manager.disable, lambda: logging.disable(50)),
    "a filter of warnings": (lambda: warnings.filters[:2], lambda: warnings.simplefilter("ignore", ResourceWarning)),
    "decimal's precision": (lambda: decimal.getcontext().prec, lambda: setattr(decimal.getcontext(), "prec", 5)),
    "the locale": (lambda: locale.setlocale(locale.LC_ALL), lambda: locale.setlocale(locale.LC_ALL, "C")),
    "sys.path": (lambda: len(sys.path), lambda: sys.path.append("/nonexistent")),
    "a module that is imported late": (lambda: "wave" in sys.modules, lambda: __import__("wave")),
    "a module that goes": (lambda: "json.tool" in sys.modules, lambda: sys.modules.pop("json.tool", None)),
    "a builtin": (lambda: hasattr(builtins, "shop"), lambda: setattr(builtins, "shop", 1)),
    "print": (lambda: builtins.print.__name__, lambda: setattr(builtins, "print", len)),
    "time.sleep": (lambda: time.sleep.__name__, lambda: setattr(time, "sleep", len)),
    "the collector of garbage": (lambda: gc.get_threshold()[0], lambda: gc.set_threshold(5)),
    "the limit of recursion": (sys.getrecursionlimit, lambda: sys.setrecursionlimit(5000)),
    "the timeout of sockets": (socket.getdefaulttimeout, lambda: socket.setdefaulttimeout(3)),
    "the limit of open files": (lambda: resource.getrlimit(resource.RLIMIT_NOFILE), _set_limit),
    "stdout": (lambda: sys.stdout is sys.__stdout__, lambda: setattr(sys, "stdout", io.StringIO())),
    "stderr": (lambda: sys.stderr is sys.__stderr__, lambda: setattr(sys, "stderr", io.StringIO())),
    "stdin": (lambda: sys.stdin is sys.__stdin__, lambda: setattr(sys, "stdin", io.StringIO())),
    "a trace function": (lambda: sys.gettrace() is None, lambda: sys.settrace(lambda *_: None)),
    "a profile function": (lambda: sys.getprofile() is None, lambda: sys.setprofile(lambda *_: None)),
    "faulthandler": (faulthandler.is_enabled, lambda: faulthandler.enable(sys.__stderr__ or 2)),
    "the loop of events": (
        lambda: asyncio._get_running_loop() is None,
        lambda: asyncio._set_running_loop(asyncio.new_event_loop()),
    ),
    "the zone of time": (lambda: time.tzname, _go_elsewhere),
    "an open file": (lambda: len(_left_open), _open_one),
    "niceness": (lambda: os.nice(0), lambda: os.nice(1)),
}
"""What a client reads, and then changes, of its process: the other reads the same, and so does who checks."""

_left_open: list[object] = []
_at_end: list[int] = []


def _leaves(name: str) -> Callable[[], object]:
    read, change = _CHANGES[name]

    def run() -> object:
        buy()
        seen = read()
        change()
        return seen

    return run


def state_of_the_process() -> dict[str, str]:
    """Return what the process that checks must find unchanged, as text."""
    return {name: repr(read()) for name, (read, _) in _CHANGES.items()} | {
        "the directory": str(Path.cwd()),
        "what ran at its end": str(_at_end),
        "threads": str(threading.active_count()),
        "the timer": repr(signal.getitimer(signal.ITIMER_REAL)),
        "the handler of alarms": repr(signal.getsignal(signal.SIGALRM)),
    }


_OURS = frozenset({"the handler of Ctrl-C", "the handler of SIGTERM", "time.sleep"})
"""What the checker may have changed of a client's process, alike for all."""

for _name, (_read, _) in _CHANGES.items():
    CASES[f"it changes {_name}"] = Case(
        _leaves(_name),
        _say_the_same if _name in _OURS else _both_say(_read()),
        HOLDS,
        "What a process changes of itself is its own.",
    )


@case(_nobody_raises, HOLDS)
def what_runs_at_its_end() -> None:
    """A function for the end of the process is of that process."""
    buy()
    atexit.register(_at_end.append, 1)


# --- How a process ends ------------------------------------------------------------------------------


@case(lambda view: view.rows("item")[0]["stock"] == 8, ANY - {"violated"})
def os_exit_0() -> None:
    """What was committed before stays, and nothing ends the check without a word."""
    buy()
    os._exit(0)


@case(lambda view: view.rows("item")[0]["stock"] == 10, ANY - {"violated"})
def os_exit_0_within_a_transaction() -> None:
    """What was not committed goes."""
    with engine.begin() as connection:
        connection.execute(update(Item).values(stock=0))
        os._exit(0)


@case(_all_return, NEVER_HOLDS)
def os_exit_3() -> None:
    """That is no success."""
    buy()
    os._exit(3)


@case(_all_return, NEVER_HOLDS)
def os_exit_in_a_thread() -> None:
    """It ends the whole process."""
    buy()
    thread = threading.Thread(target=os._exit, args=(3,))
    thread.start()
    thread.join()


@case(_all_return, NEVER_HOLDS)
def os_abort() -> None:
    """A process that dies is told of."""
    buy()
    os.abort()


def _dies_by(number: signal.Signals) -> Callable[[], object]:
    def run() -> None:
        buy()
        os.kill(os.getpid(), number)
        time.sleep(1)

    return run


for _signal in (signal.SIGKILL, signal.SIGTERM, signal.SIGALRM, signal.SIGSEGV, signal.SIGPIPE, signal.SIGHUP):
    # Python ignores SIGPIPE, so nothing comes of that one.
    CASES[f"it kills itself by {_signal.name}"] = Case(
        _dies_by(_signal),
        _all_return,
        HOLDS if _signal is signal.SIGPIPE else NEVER_HOLDS,
        "It is told what happened to a process, and the process that checks lives on.",
    )


@case(_all_return, ANY - {"holds"})
def it_interrupts_itself() -> None:
    """SIGINT to itself is a KeyboardInterrupt of the client, and not of the user."""
    buy()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


@case(_all_return, NEVER_HOLDS)
def it_stops_itself() -> None:
    """A process that is stopped is stuck."""
    buy()
    os.kill(os.getpid(), signal.SIGSTOP)


@case(_all_return, NEVER_HOLDS)
def it_becomes_another_program() -> None:
    """What comes after execv is no client."""
    buy()
    os.execv("/bin/true", ["true"])  # noqa: S606  # that is the case


@case(_all_return, NEVER_HOLDS)
def a_crash_in_c() -> None:
    """A segmentation fault."""
    buy()
    ctypes.string_at(0)


@case(_all_return, NEVER_HOLDS)
def one_dies_where_the_other_was_first() -> int:
    """It dies in some executions only."""
    seen = sell()
    if seen < 10:
        os.abort()
    return seen


@case(_both_say("too deep"), HOLDS)
def a_recursion_error_in_c() -> str:
    """It is an exception as any."""
    buy()
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    try:
        repr(deep)
    except RecursionError:
        return "too deep"
    return "not deep enough"


@case(_all_return, NEVER_HOLDS)
def a_stack_that_overflows() -> None:
    """With no limit of recursion left, C's own stack is what ends."""
    buy()
    sys.setrecursionlimit(10**8)

    def deeper(function: object) -> None:
        sorted([1], key=lambda _: deeper(function))  # type: ignore[arg-type, return-value]

    deeper(deeper)


@case(_all_return, HOLDS)
def sys_exit() -> None:
    """A process that ends with exit code 0 has done what it was asked to."""
    buy()
    with contextlib.suppress(SystemExit):
        sys.exit(0)


@case(lambda view: view.rows("item")[0]["stock"] == 8, HOLDS)
def sys_exit_0() -> None:
    """The same, to the end."""
    buy()
    sys.exit()


@case(_nobody_raises, NEVER_HOLDS)
def sys_exit_with_a_message() -> None:
    """That is exit code 1."""
    buy()
    sys.exit("sold out")


@case(_all_return, HOLDS)
def sys_exit_in_a_thread() -> None:
    """It ends the thread."""
    buy()
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()


# --- What does not end -------------------------------------------------------------------------------


def _never_ends(run: Callable[[], object]) -> Callable[[], object]:
    """Register what is stuck: it is told within seconds."""
    return case(_all_return, NEVER_PASSES, within_s=12.0)(run)


@_never_ends
def a_loop() -> None:
    """In Python."""
    buy()
    while True:
        pass


@_never_ends
def a_loop_in_c() -> None:
    """Where no signal's handler in Python ever runs."""
    buy()
    sum(itertools.repeat(1))


@_never_ends
def a_regular_expression() -> None:
    """Where none runs either."""
    buy()
    re.match(r"(a+)+$", "a" * 60 + "b")


@_never_ends
def a_loop_before_anything() -> None:
    """Before its first operation."""
    while True:
        pass


@_never_ends
def a_loop_that_swallows_everything() -> None:
    """Whatever is raised in it."""
    buy()
    while True:
        with contextlib.suppress(BaseException):
            while True:
                pass


@_never_ends
def a_loop_that_no_signal_reaches() -> None:
    """It ignores what asks it to end, and blocks the rest."""
    buy()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass


@_never_ends
def a_loop_in_a_session_of_its_own() -> None:
    """It has left the group of the process that checks."""
    buy()
    os.setsid()
    while True:
        pass


@_never_ends
def a_lock_that_it_has() -> None:
    """It waits for itself."""
    buy()
    own = threading.Lock()
    own.acquire()  # twice: that is the case
    own.acquire()


@_never_ends
def an_event_that_nobody_sets() -> None:
    """What would set it is in no other process."""
    buy()
    threading.Event().wait()


@_never_ends
def a_queue_that_nobody_fills() -> None:
    """Likewise."""
    buy()
    queue.Queue[int]().get()


@_never_ends
def a_pipe_that_nobody_writes() -> None:
    """Likewise."""
    buy()
    reading, _writing = os.pipe()
    os.read(reading, 1)


@_never_ends
def a_select_without_end() -> None:
    """Likewise."""
    buy()
    reading, _writing = os.pipe()
    select.select([reading], [], [])


@_never_ends
def a_socket_that_nobody_calls() -> None:
    """Likewise."""
    buy()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.accept()


@_never_ends
def a_future_that_nobody_fulfils() -> None:
    """Likewise."""
    buy()

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    asyncio.run(wait())


@_never_ends
def a_signal_that_nobody_sends() -> None:
    """Likewise."""
    buy()
    signal.pause()


@_never_ends
def a_thread_that_does_not_end() -> None:
    """It is waited for."""
    buy()
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    thread.join()


@case(_all_return, HOLDS)
def a_thread_that_is_left() -> None:
    """A daemon that goes on ends with the process."""
    buy()
    threading.Thread(target=threading.Event().wait, daemon=True).start()


@case(_all_return, NEVER_VIOLATED, within_s=12.0)
def a_thread_that_is_left_and_no_daemon() -> None:
    """Python would wait for it."""
    buy()
    threading.Thread(target=threading.Event().wait).start()


@case(_all_return, HOLDS)
def a_long_sleep() -> None:
    """Time passes when nothing else can."""
    buy()
    time.sleep(1_000_000)
    buy()


# --- What is raised ----------------------------------------------------------------------------------


class SoldOutError(Exception):
    """Its arguments are not those that it was made of."""

    def __init__(self, item: int, *, stock: int) -> None:
        super().__init__(f"item {item} is sold out")
        self.item = item
        self.stock = stock


class HoldsLockError(Exception):
    """It has what cannot leave its process."""

    def __init__(self, stock: int) -> None:
        super().__init__("sold out")
        self.stock = stock
        self.lock = threading.Lock()


class _Rude(BaseException):
    """It is no Exception."""


class Tampered(Exception):  # noqa: N818  # the same
    """Whoever makes it again makes another."""

    def __reduce__(self) -> tuple[type[ValueError], tuple[str]]:
        """Say that it is something else."""
        return ValueError, ("tampered",)


def _raises(make: Callable[[], BaseException]) -> Callable[[], object]:
    def run() -> int:
        seen = sell()
        if seen < 10:
            raise make()
        return seen

    return run


def _local_error() -> type[Exception]:
    class LocalError(Exception):
        pass

    return LocalError


def _with_note() -> Exception:
    error = ValueError("x")
    error.add_note("a note")
    return error


_Local = _local_error()

_RAISED: dict[str, tuple[Callable[[], BaseException], Callable[[Any], bool], frozenset[str]]] = {
    "ValueError": (lambda: ValueError("x"), lambda error: error.args == ("x",), VIOLATED),
    "asyncio.CancelledError": (asyncio.CancelledError, lambda e: isinstance(e, asyncio.CancelledError), VIOLATED),
    "GeneratorExit": (GeneratorExit, lambda error: isinstance(error, GeneratorExit), VIOLATED),
    "KeyboardInterrupt": (KeyboardInterrupt, lambda error: isinstance(error, KeyboardInterrupt), VIOLATED),
    "StopIteration": (lambda: StopIteration(1), lambda error: error.value == 1, VIOLATED),
    "a BaseException of its own": (_Rude, lambda error: isinstance(error, _Rude), VIOLATED),
    "ExceptionGroup": (
        lambda: ExceptionGroup("x", [ValueError("y"), KeyError("z")]),
        lambda error: [type(one) for one in error.exceptions] == [ValueError, KeyError],
        VIOLATED,
    ),
    "BaseExceptionGroup": (
        lambda: BaseExceptionGroup("x", [_Rude()]),
        lambda error: isinstance(error.exceptions[0], _Rude),
        VIOLATED,
    ),
    "pytest.fail's": (lambda: pytest.fail.Exception("x"), lambda e: isinstance(e, pytest.fail.Exception), VIOLATED),
    "MemoryError": (MemoryError, lambda error: isinstance(error, MemoryError), VIOLATED),
    "SystemExit 3": (lambda: SystemExit(3), lambda error: error.code == 3, VIOLATED),
    "one whose arguments differ": (
        lambda: SoldOutError(1, stock=0),
        lambda error: isinstance(error, SoldOutError) and (error.item, error.stock) == (1, 0),
        VIOLATED,
    ),
    "one with notes": (_with_note, lambda error: error.__notes__ == ["a note"], VIOLATED),
    "a local class": (lambda: _Local("x"), lambda error: isinstance(error, _Local), VIOLATED),
    "one with a lock": (
        lambda: HoldsLockError(3),
        lambda error: isinstance(error, HoldsLockError) and error.stock == 3,
        NEVER_HOLDS,
    ),
    "one that is made again as another": (Tampered, lambda error: isinstance(error, Tampered), NEVER_HOLDS),
    "UnicodeDecodeError": (
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
        lambda error: error.object == b"\xff",
        VIOLATED,
    ),
    "OSError": (lambda: FileNotFoundError(2, "x", "y"), lambda e: (e.errno, e.filename) == (2, "y"), VIOLATED),
}


def _none_such(told: Callable[[Any], bool]) -> Callable[[View], bool]:
    return lambda view: not any(told(error) for error in view.raised().values())


for _name, (_make, _told, _wanted) in _RAISED.items():
    CASES[f"it raises {_name}"] = Case(
        _raises(_make), _none_such(_told), _wanted, "A predicate sees what was raised as it was raised."
    )


@case(_none_such(lambda error: error.orig.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"), VIOLATED)
def an_integrity_error() -> None:
    """With SQLite's code."""
    note("sold", 1)


@case(_none_such(lambda error: isinstance(error.__cause__, IntegrityError)), VIOLATED)
def a_chain_of_causes() -> None:
    """In the application's own clothes."""
    try:
        note("sold", 1)
    except IntegrityError as error:
        raise SoldOutError(1, stock=0) from error


# --- What is returned --------------------------------------------------------------------------------


class _Colour(enum.Enum):
    RED = 1


@frozen
class _Receipt:
    stock: int


def _local_class() -> type[Any]:
    class LocalReceipt:
        def __init__(self, stock: int) -> None:
            self.stock = stock

    return LocalReceipt


_LocalReceipt = _local_class()
_MISSING = object()


def _number() -> Iterator[int]:
    yield 1


def _cycle() -> list[object]:
    made: list[object] = []
    made.append(made)
    return made


def _opened() -> object:
    return Path(os.devnull).open(encoding="ascii")


class _Changed:
    """Whoever makes it again makes another."""

    def __reduce__(self) -> tuple[type[dict[str, int]], tuple[()]]:
        return dict, ()


_RETURNED: dict[str, tuple[Callable[[], object], Callable[[Any], bool], frozenset[str]]] = {
    "a function": (lambda: lambda: 1, callable, HOLDS),
    "a generator": (_number, lambda value: isinstance(value, types.GeneratorType), NEVER_VIOLATED),
    "a lock": (threading.Lock, lambda value: hasattr(value, "acquire"), NEVER_VIOLATED),
    "a module": (lambda: os, lambda value: value is os, NEVER_VIOLATED),
    "a class": (lambda: _Receipt, lambda value: value is _Receipt, HOLDS),
    "a local class's object": (
        lambda: _LocalReceipt(3),
        lambda value: isinstance(value, _LocalReceipt) and value.stock == 3,
        HOLDS,
    ),
    "a sentinel": (lambda: _MISSING, lambda value: value is _MISSING, NEVER_VIOLATED),
    "None, True and Ellipsis": (
        lambda: (None, True, ...),
        lambda value: value[0] is None and value[1] is True and value[2] is ...,
        HOLDS,
    ),
    "an enum's member": (lambda: _Colour.RED, lambda value: value is _Colour.RED, HOLDS),
    "a frozen object": (lambda: _Receipt(3), lambda value: value == _Receipt(3), HOLDS),
    "what is made again as another": (_Changed, lambda value: isinstance(value, _Changed), NEVER_VIOLATED),
    "a cycle": (_cycle, lambda value: value[0] is value, HOLDS),
    "megabytes": (lambda: "x" * 2_000_000, lambda value: len(value) == 2_000_000, HOLDS),
    "an exception": (lambda: SoldOutError(1, stock=0), lambda value: value.item == 1, HOLDS),
    "dates and decimals": (
        lambda: (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), decimal.Decimal("1.10")),
        lambda value: (value[0].year, str(value[1])) == (2020, "1.10"),
        HOLDS,
    ),
    "sets and bytes": (lambda: ({1, 2}, frozenset({3}), b"\0"), lambda value: value[0] == {1, 2}, HOLDS),
    "a session": (lambda: Session(engine), lambda value: isinstance(value, Session), NEVER_VIOLATED),
    "an open file": (_opened, lambda value: not value.closed, NEVER_VIOLATED),
    "itself": (lambda: _RETURNED["itself"][0], callable, HOLDS),
}


def _returns(make: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        buy()
        return make()

    return run


def _all_are(told: Callable[[Any], bool]) -> Callable[[View], bool]:
    return lambda view: all(told(value) for value in view.returned().values())


def _blind(make: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        sell()
        return make()

    return run


for _name, (_value, _told, _wanted) in _RETURNED.items():
    CASES[f"it returns {_name}"] = Case(
        _returns(_value), _all_are(_told), _wanted, "A predicate sees what was returned as it was returned."
    )
    CASES[f"it returns {_name}, and nobody looks"] = Case(
        _blind(_value), _every_sale_counts, VIOLATED, "What is returned stands in the way of no verdict."
    )


@case(_all_are(lambda value: (value.id, value.stock) == (1, 9) or value.stock == 8), HOLDS)
def a_row_object() -> Item:
    """Of the mapped class, detached."""
    buy()
    with Session(engine, expire_on_commit=False) as session:
        return session.get_one(Item, 1)


@case(_all_are(lambda value: value.id == 1), HOLDS)
def a_row() -> object:
    """Of SQLAlchemy's own."""
    buy()
    with Session(engine) as session:
        return session.execute(select_rows(Item.id, Item.stock)).one()


# --- What else a process has -------------------------------------------------------------------------


class _TimeoutError(Exception):
    """What the client's own alarm raises."""


def _ring(*_: object) -> None:
    raise _TimeoutError


@case(_every_sale_counts, VIOLATED)
def an_alarm_that_does_not_ring() -> None:
    """The usual way to bound a call."""
    signal.signal(signal.SIGALRM, _ring)
    signal.alarm(30)
    try:
        sell()
    finally:
        signal.alarm(0)


@case(_both_say("too long"), NEVER_VIOLATED)
def an_alarm_that_rings() -> str:
    """It ends what would not end."""
    buy()
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        while True:
            pass
    except _TimeoutError:
        return "too long"


@case(_every_sale_counts, NEVER_HOLDS)
def an_alarm_that_is_left() -> None:
    """It rings when the client has returned."""
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    with contextlib.suppress(_TimeoutError):
        sell()


@case(_all_return, NEVER_VIOLATED)
def it_closes_all_descriptors() -> None:
    """As a daemon does."""
    buy()
    os.closerange(3, 1024)
    buy()


@case(_all_return, HOLDS)
def it_closes_its_streams() -> None:
    """As a daemon does too."""
    buy()
    for number in (0, 1, 2):
        os.close(number)
    buy()


@case(_all_return, HOLDS)
def it_turns_its_streams_elsewhere() -> None:
    """And this."""
    buy()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    buy()


@case(_every_sale_counts, VIOLATED)
def it_prints_megabytes() -> None:
    """More than any pipe keeps."""
    for _ in range(3):
        print("x" * 1_000_000)
        sys.stderr.write("y" * 1_000_000)
    sell()
    print("x" * 1_000_000)


@case(_both_say(""), HOLDS)
def it_reads_its_input() -> str:
    """There is none."""
    buy()
    return sys.stdin.read()


@case(_both_say("no input"), HOLDS)
def it_asks() -> str:
    """Nobody answers."""
    buy()
    try:
        return input()
    except EOFError:
        return "no input"


@case(_both_say(b""), HOLDS)
def it_reads_descriptor_0() -> bytes:
    """There is none there either."""
    buy()
    return os.read(0, 10)


@case(_every_sale_counts, VIOLATED)
def it_collects_garbage() -> None:
    """As often as it can."""
    gc.set_threshold(1)
    sell()
    gc.collect()


@case(_every_sale_counts, VIOLATED)
def it_dumps_its_stack() -> None:
    """As a watchdog asks for."""
    faulthandler.dump_traceback_later(60)
    sell()
    faulthandler.cancel_dump_traceback_later()


@case(_every_sale_counts, VIOLATED)
def it_runs_a_loop_of_events() -> None:
    """With threads for what blocks."""

    async def work() -> None:
        await asyncio.to_thread(sell)

    asyncio.run(work())


@case(_every_sale_counts, VIOLATED)
def it_works_in_a_thread() -> None:
    """Whose result it waits for."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(sell).result()


@case(_every_sale_counts, VIOLATED)
def it_has_little_memory() -> None:
    """A limit that it sets itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, hard))
    sell()
