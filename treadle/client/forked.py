"""Forked continuations: live runs that go on in a process of their own, from where another one stands.

A coroutine cannot be copied, but a process can. Where a client has two ways on, a forked copy takes one of them, and
the original stays where it is, for the other::

    ... ── SAVEPOINT ──ok─────▶ (the original)            INSERT ...
               └──locked──▶ (a forked copy, over a pipe)  ROLLBACK ── returned 500

So a fault at each of n places of a run costs n short continuations, and not n runs from the start. ``fork`` copies
memory lazily (https://man7.org/linux/man-pages/man2/fork.2.html); it costs some milliseconds, as long as a replay of
some dozens of operations.

A copy holds client code alone: it never uses a database, for operations go over the pipe to the process that has
one, and it leaves by ``os._exit``, so that nothing is flushed, closed or collected there
(https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_).
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import threading
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, NoReturn

from treadle.client.coroutine import Coroutine
from treadle.client.surroundings import stuck_error
from treadle.interning import the_operation
from treadle.values.errors import TreadleError
from treadle.values.observation import Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Outcome, Raised
from treadle.values.signals import ForkLostError

_TASKS = Path("/proc/self/task")
"""Where Linux lists the threads of this process, those included that Python did not start."""

_GRACE_S = 1.0
"""How much longer than its parent a copy waits before it takes itself for stuck, in seconds."""

_parents_ends: set[Connection] = set()
"""This process's ends of the pipes to its copies. A copy closes them, or it would keep the others alive."""


_ending: set[int] = set()
"""The process ids of copies that were told to end. To take their memory apart costs them milliseconds."""


def wait_for_ended(*, all_of_them: bool = True) -> None:
    """Wait for copies that were told to end, so that nothing is left of them.

    Args:
        all_of_them: otherwise, only for those that have ended already.
    """
    for pid in tuple(_ending):
        try:
            ended, _ = os.waitpid(pid, 0 if all_of_them else os.WNOHANG)
        except OSError:  # somebody else has waited for it
            ended = pid
        if ended:
            _ending.discard(pid)


def can_fork() -> bool:
    """Tell whether this process can be forked safely: it has one thread, and the platform has ``os.fork``.

    A lock that another thread holds would stay locked in the copy for ever, so that Python warns of it since 3.12
    (https://docs.python.org/3/library/os.html#os.fork).
    """
    if not hasattr(os, "fork") or threading.active_count() > 1:
        return False
    try:
        return sum(1 for _ in _TASKS.iterdir()) == 1
    except OSError:
        return True


class Forked:
    """One live run of a client, from some point on, in a process of its own.

    It is used as a ``Coroutine`` is. What cannot be told over a pipe (a result that cannot be pickled, a function to
    register, an error of the check) is a ``ForkLostError``: then the run must be repeated in this process.
    """

    def __init__(self, coroutine: Coroutine, max_step_s: float) -> None:
        """Copy a run; the original stays where it is.

        Args:
            coroutine: a run that waits to be resumed.
            max_step_s: how long it may compute between two operations, in seconds.

        Raises:
            OSError: the process cannot be copied.
        """
        self._name = coroutine.name
        self._max_step_s = max_step_s
        coroutine.put_away()  # to fork reseeds the random source of the process
        wait_for_ended(all_of_them=False)
        here, there = Pipe()
        try:
            pid = os.fork()
        except OSError:
            here.close()
            there.close()
            raise
        if pid == 0:
            _live_as_copy(coroutine, max_step_s, here, there)
        there.close()
        _parents_ends.add(here)
        self._pid = pid
        self._pipe = here

    def resume(self, observation: Observation) -> Operation | Outcome:
        """Go on with an observation, to the next operation or the end.

        Raises:
            ForkLostError: what came next cannot be told over a pipe, or the copy died.
            StuckClientError: it computed for too long.
        """
        try:
            self._pipe.send_bytes(pickle.dumps(observation, pickle.HIGHEST_PROTOCOL))
            if not self._answers():
                self.abandon()
                raise stuck_error(self._name, self._max_step_s)
            stop = _unpacked(self._pipe.recv_bytes())
        except (OSError, EOFError) as error:
            self.abandon()
            raise ForkLostError from error
        if not isinstance(stop, Operation):
            self.abandon()
        if stop is None:
            raise ForkLostError
        return stop

    def _answers(self) -> bool:
        """Wait for an answer, for as long as a client may compute."""
        waiting = select.poll()  # its time-out is counted by the operating system, whose clock nobody replaced
        waiting.register(self._pipe.fileno(), select.POLLIN)
        return bool(waiting.poll(self._max_step_s * 1000))

    def abandon(self) -> None:
        """End the copy, wherever it is; ``wait_for_ended`` waits for that."""
        if self._pipe.closed:
            return
        _parents_ends.discard(self._pipe)
        self._pipe.close()
        with contextlib.suppress(OSError):  # it has ended already
            os.kill(self._pid, signal.SIGKILL)
        _ending.add(self._pid)


# In the copy.


def _live_as_copy(coroutine: Coroutine, max_step_s: float, theirs: Connection, own: Connection) -> NoReturn:
    """Answer observations with what the client does next, until it ends or nobody asks any more."""
    try:
        gc.disable()  # what is garbage here is the parent's
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its copies
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for end in (theirs, *_parents_ends):
            end.close()
        going = True
        while going:
            observation = pickle.loads(own.recv_bytes())  # noqa: S301  # from the process that this one was
            signal.setitimer(signal.ITIMER_REAL, max_step_s + _GRACE_S)
            packed, going = _packed(_resumed(coroutine, observation))
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            own.send_bytes(packed)
    finally:
        os._exit(0)


def _resumed(coroutine: Coroutine, observation: Observation) -> Operation | Outcome | None:
    """Return what the client does next; None where the parent must find out by itself."""
    try:
        return coroutine.resume(observation)
    except TreadleError:  # a replay raises it where it belongs
        return None


# What goes over the pipe.

_SPELLED = 7
"""How many values an operation is sent as; an outcome is sent as fewer."""

_Links = tuple[int | None, int | None, bool]
"""For an exception: which of the others are its cause and its context, and whether the context is not to be shown."""


def _packed(stop: Operation | Outcome | None) -> tuple[bytes, bool]:
    """Return a stop as bytes, and whether it is an operation. What would not come out as it was is packed as None."""
    if isinstance(stop, Operation) and stop.kind is Kind.CONFIGURE and stop.payload is not None:
        stop = None  # a function to register lives here
    try:
        if isinstance(stop, Operation):
            return pickle.dumps(_spelled(stop), pickle.HIGHEST_PROTOCOL), True
        packed = pickle.dumps((stop, *_chain(stop)), pickle.HIGHEST_PROTOCOL)
        if stop is None or _same(stop, _unpacked(packed)):
            return packed, False
    except Exception:  # noqa: BLE001, S110  # values of the client's own classes, which may raise whatever they like
        pass
    return pickle.dumps((None, [], [])), False


def _spelled(operation: Operation) -> tuple[Any, ...]:
    """Return an operation as plain values, which is what most stops are: they are packed faster than it is."""
    called = operation.kind.value, operation.connection, operation.cursor, operation.sql
    return (*called, operation.arguments, operation.clock_s, operation.payload)


def _same(stop: Outcome, copied: Any) -> bool:
    if isinstance(stop, Raised):
        return isinstance(copied, Raised) and type(copied.exception) is type(stop.exception) and copied == stop
    return type(copied) is type(stop) and bool(copied.key == stop.key)


def _chain(stop: Operation | Outcome | None) -> tuple[list[BaseException], list[_Links]]:
    """Return the exceptions that belong to an outcome, and how they hang together: pickle drops that."""
    errors: list[BaseException] = [stop.exception] if isinstance(stop, Raised) else []
    places = {id(error): place for place, error in enumerate(errors)}

    def place_of(error: BaseException | None) -> int | None:
        if error is None:
            return None
        if id(error) not in places:
            places[id(error)] = len(errors)
            errors.append(error)
        return places[id(error)]

    links = [(place_of(error.__cause__), place_of(error.__context__), error.__suppress_context__) for error in errors]
    return errors, links


def _unpacked(packed: bytes) -> Operation | Outcome | None:
    answer = pickle.loads(packed)  # noqa: S301  # from a copy of this very process
    if len(answer) == _SPELLED:
        kind, connection, cursor, sql, arguments, clock_s, payload = answer
        return the_operation(Kind(kind), connection, cursor, sql, arguments, clock_s=clock_s, payload=payload)
    stop: Outcome | None
    stop, errors, links = answer
    for error, (cause, context, suppresses) in zip(errors, links, strict=True):
        error.__cause__ = None if cause is None else errors[cause]
        error.__context__ = None if context is None else errors[context]
        error.__suppress_context__ = suppresses
    return stop
