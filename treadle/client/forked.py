"""Forked runs: live runs that go on in a process of their own, and are copied there where they have two ways on.

A coroutine cannot be copied, but a process can. Where a client has two ways on, a forked copy takes one of them, and
the original stays where it is, for the other::

    this process       a process for the run                       a copy of that process
         │ ── fork ─────────▶ │
         │ ◀── SAVEPOINT ──── │ ── fork ─────────────────────────────────▶ │
         │ ── locked ────────────────────────────────────────────────────▶ │
         │ ◀─────────────────────────────────────── ROLLBACK ... 500 ───── │
         │ ── ok ───────────▶ │
         │ ◀── INSERT ... ─── │

So a fault at each of n places of a run costs n short continuations, and not n runs from the start. The run itself
goes on in a process, too, which has the client's memory and none of what the checker learns meanwhile: ``fork`` copies
memory lazily (https://man7.org/linux/man-pages/man2/fork.2.html), but each page that either of the two then writes to
is copied at once, and this process writes to many.

Such a process holds client code alone: it never uses a database, for operations go over a pipe to the process that
has one, and it leaves by ``os._exit``, so that nothing is flushed, closed or collected there
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
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import Any, NoReturn

from treadle.client.coroutine import Coroutine
from treadle.client.surroundings import Surroundings, stuck_error
from treadle.interning import forget, the_operation
from treadle.values.errors import TreadleError
from treadle.values.observation import Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Outcome, Raised
from treadle.values.signals import ForkLostError

_TASKS = Path("/proc/self/task")
"""Where Linux lists the threads of this process, those included that Python did not start."""

_GRACE_S = 1.0
"""How much longer than its parent a forked run waits before it takes itself for stuck, in seconds."""

_SPLIT = b""
"""What a forked run is sent instead of an observation, and the end of a pipe with it, to be copied."""

_pipes: dict[Connection, int] = {}
"""This process's ends of the pipes to forked runs, each with the process id of the run that was forked here: of that
run itself, or of the one that it is a copy of. What is forked here closes them, or it would keep others alive."""

_ending: set[int] = set()
"""The process ids of runs forked here that were told to end, as all their copies were. To take their memory apart costs
them milliseconds, and each waits for its copies."""


def wait_for_ended(*, all_of_them: bool = True) -> None:
    """Wait for forked runs that were told to end, so that nothing is left of them and of their copies.

    Args:
        all_of_them: otherwise, only for those that have ended already.
    """
    for pid in tuple(_ending):
        if _has_ended(pid, 0 if all_of_them else os.WNOHANG):
            _ending.discard(pid)


def _has_ended(pid: int, options: int) -> bool:
    try:
        return bool(os.waitpid(pid, options)[0])
    except OSError:  # somebody else has waited for it
        return True


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

    def __init__(
        self, name: str, surroundings: Surroundings, pipe: Connection, ancestor: int, pid: int | None = None
    ) -> None:
        """Stand for a forked run.

        Args:
            name: the client's.
            surroundings: what it runs in.
            pipe: this process's end of the pipe to it.
            ancestor: the process id of the run that was forked from this process.
            pid: its own, if it is known yet.
        """
        self._name = name
        self._surroundings = surroundings
        self._pipe = pipe
        self._ancestor = ancestor
        self._pid = pid
        _pipes[pipe] = ancestor

    @classmethod
    def of(cls, coroutine: Coroutine, surroundings: Surroundings) -> Forked:
        """Copy a run of this process; the original stays where it is.

        Args:
            coroutine: a run that waits to be resumed.
            surroundings: what it runs in.

        Raises:
            OSError: the process cannot be copied.
        """
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
            for end in (here, *_pipes):
                end.close()
            _live_apart(coroutine, surroundings.max_step_s, there)
        there.close()
        return cls(coroutine.name, surroundings, here, pid, pid)

    def copy(self) -> Forked:
        """Copy the run, which waits to be resumed; the original stays where it is.

        If its process cannot be copied, that shows when the copy is resumed, as a ``ForkLostError``.

        Raises:
            OSError: its process is gone, or no pipe can be made.
        """
        here, there = Pipe()
        with there:
            try:
                self._pipe.send_bytes(_SPLIT)
                send_handle(self._pipe, there.fileno(), None)
            except OSError:
                here.close()
                raise
        return Forked(self._name, self._surroundings, here, self._ancestor)

    def resume(self, observation: Observation) -> Operation | Outcome:
        """Go on with an observation, to the next operation or the end.

        Raises:
            ForkLostError: what came next cannot be told over a pipe, or the process died.
            StuckClientError: it computed for too long.
        """
        try:
            self._pipe.send_bytes(pickle.dumps(observation, pickle.HIGHEST_PROTOCOL))
            if self._pid is None:
                self._pid = int.from_bytes(self._received())
            drew, stop = _unpacked(self._received())
        except (OSError, EOFError) as error:
            self.abandon()
            raise ForkLostError from error
        except BaseException:
            self._kill()
            raise
        if drew:
            self._surroundings.randomness_used.add(self._name)
        if not isinstance(stop, Operation):
            self.abandon()
        if stop is None:
            raise ForkLostError
        return stop

    def _received(self) -> bytes:
        """Wait for an answer, for as long as a client may compute."""
        waiting = select.poll()  # its time-out is counted by the operating system, whose clock nobody replaced
        waiting.register(self._pipe.fileno(), select.POLLIN)
        if not waiting.poll(self._surroundings.max_step_s * 1000):
            raise stuck_error(self._name, self._surroundings.max_step_s)
        return self._pipe.recv_bytes()

    def _kill(self) -> None:
        """End a run that computes: its process id is its own, for it has not ended yet."""
        if self._pid is not None:
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
        self.abandon()

    def abandon(self) -> None:
        """Let a run that waits to be resumed end; ``wait_for_ended`` waits for that."""
        if self._pipe.closed:
            return
        del _pipes[self._pipe]
        self._pipe.close()
        if self._ancestor not in _pipes.values():
            _ending.add(self._ancestor)


# In its process.


def _live_apart(coroutine: Coroutine, max_step_s: float, pipe: Connection) -> NoReturn:
    """Be the process of a run: answer observations until the run ends, or nobody asks any more."""
    copies: list[int] = []
    try:
        gc.disable()  # what is garbage here is the parent's
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for all
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        _answer(coroutine, max_step_s, pipe, copies)
    finally:
        for pid in copies:  # they are asked by the same process, which waits for this one
            _has_ended(pid, 0)
        os._exit(0)


def _answer(coroutine: Coroutine, max_step_s: float, pipe: Connection, copies: list[int]) -> None:
    """Answer observations with what the client does next, and whether it has drawn random numbers.

    Args:
        coroutine: the run.
        max_step_s: how long it may compute between two operations, in seconds.
        pipe: where observations come from.
        copies: the process ids of copies of this process that may be there still.
    """
    going = True
    with contextlib.suppress(OSError, EOFError):
        while going:
            message = pipe.recv_bytes()
            if message == _SPLIT:
                pipe = _split(coroutine, pipe, copies)
                continue
            forget()  # nobody compares operations here
            observation = pickle.loads(message)  # noqa: S301  # from the process that this one was
            signal.setitimer(signal.ITIMER_REAL, max_step_s + _GRACE_S)
            packed, going = _packed(_resumed(coroutine, observation), drew=coroutine.drew())
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            pipe.send_bytes(packed)
        pipe.close()


def _split(coroutine: Coroutine, pipe: Connection, copies: list[int]) -> Connection:
    """Copy this process; return where observations come from, here and there."""
    coroutine.put_away()  # as where it came from
    end = Connection(recv_handle(pipe))
    copies[:] = [pid for pid in copies if not _has_ended(pid, os.WNOHANG)]
    try:
        pid = os.fork() if can_fork() else None
    except OSError:  # there are too many processes, or too little memory
        pid = None
    if pid == 0:
        pipe.close()
        copies.clear()
        end.send_bytes(os.getpid().to_bytes(8))
        return end
    if pid is not None:
        copies.append(pid)
    end.close()
    return pipe


def _resumed(coroutine: Coroutine, observation: Observation) -> Operation | Outcome | None:
    """Return what the client does next; None where the parent must find out by itself."""
    try:
        return coroutine.resume(observation)
    except TreadleError:  # a replay raises it where it belongs
        return None


# What goes over the pipe.

_SPELLED = 8
"""How many values an operation is sent as; an outcome is sent as fewer."""

_Links = tuple[int | None, int | None, bool]
"""For an exception: which of the others are its cause and its context, and whether the context is not to be shown."""


def _packed(stop: Operation | Outcome | None, *, drew: bool) -> tuple[bytes, bool]:
    """Return a stop as bytes, and whether it is an operation. What would not come out as it was is packed as None.

    Args:
        stop: what the client does next.
        drew: it has drawn random numbers.
    """
    if isinstance(stop, Operation) and stop.kind is Kind.CONFIGURE and stop.payload is not None:
        stop = None  # a function to register lives here
    try:
        if isinstance(stop, Operation):
            return pickle.dumps((drew, *_spelled(stop)), pickle.HIGHEST_PROTOCOL), True
        packed = pickle.dumps((drew, stop, *_chain(stop)), pickle.HIGHEST_PROTOCOL)
        if stop is None or _same(stop, _unpacked(packed)[1]):
            return packed, False
    except Exception:  # noqa: BLE001, S110  # values of the client's own classes, which may raise whatever they like
        pass
    return pickle.dumps((drew, None, [], [])), False


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

    links = []
    for error in errors:  # which grow
        links.append((place_of(error.__cause__), place_of(error.__context__), error.__suppress_context__))
        for member in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            place_of(member)
    return errors, links


def _unpacked(packed: bytes) -> tuple[bool, Operation | Outcome | None]:
    answer = pickle.loads(packed)  # noqa: S301  # from a copy of this very process
    if len(answer) == _SPELLED:
        drew, kind, connection, cursor, sql, arguments, clock_s, payload = answer
        return drew, the_operation(Kind(kind), connection, cursor, sql, arguments, clock_s=clock_s, payload=payload)
    stop: Outcome | None
    drew, stop, errors, links = answer
    for error, (cause, context, suppresses) in zip(errors, links, strict=True):
        error.__cause__ = None if cause is None else errors[cause]
        error.__context__ = None if context is None else errors[context]
        error.__suppress_context__ = suppresses
    return drew, stop
