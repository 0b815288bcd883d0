"""Processes: live runs of clients, each in an operating-system process of its own, as the checker sees them.

A client stands for a process, so it has one: thread-locals, caches, locks, worker threads and whatever else lives in
a process are its own. It stops at each operation, until it is told what is to be observed. Where it has two ways on,
a copy of its process takes one of them, and the original stays where it is, for the other::

    this process       the client's process                        a copy of it
         │ ── start ────────▶ │
         │ ◀── SAVEPOINT ──── │ ── fork ─────────────────────────────────▶ │
         │ ── locked ────────────────────────────────────────────────────▶ │
         │ ◀─────────────────────────────────────── ROLLBACK ... 500 ───── │
         │ ── ok ───────────▶ │
         │ ◀── INSERT ... ─── │

What is known already need not be told step by step: observations go along with the operations that must have been
asked for, and the client's side compares.

Such a process never uses the checked database. It leaves by ``os._exit``, so that nothing is flushed, closed or
collected there (https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_).
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import select
import signal
import threading
import weakref
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

from attrs import frozen

from treadle.client.carrying import Spelled, operation_of, unpack_outcome
from treadle.values.display import names
from treadle.values.errors import NondeterminismError, StuckClientError, TreadleError, UnsupportedOperationError
from treadle.values.observation import Observation
from treadle.values.operation import Operation, OperationKey
from treadle.values.outcome import Outcome, ProcessEnded, Raised
from treadle.values.signals import CopyLostError
from treadle.values.source import Source

_DYING_S = 2.0
"""How long a process may take to die after its pipe was closed, in seconds."""

COPY = b""
"""What a client is sent instead of what it shall do, and the end of a pipe with it: for a copy of it."""

Known = tuple[OperationKey, Observation]
"""What a client must ask for, and what it is to observe then."""


# What a client tells.


@frozen
class Here:
    """A process is there, with this id."""

    pid: int


@frozen
class Asks:
    """The client asks for an operation.

    Attributes:
        operation: what it asks for.
        source: the line of the application that asks, where that is wanted.
    """

    operation: Spelled
    source: Source | None = None


@frozen
class Ended:
    """The client has ended.

    Attributes:
        outcome: how.
        drew: it has drawn from what is seeded with its name.
        reusable: nothing shows that its process is another one now than before.
    """

    outcome: bytes
    drew: bool
    reusable: bool


@frozen
class Left:
    """The client's process ends by itself, with an exit code."""

    code: int


@frozen
class Kept:
    """The client uses a connection that an earlier run of it has left open."""

    operation: str


@frozen
class Parted:
    """The client asks for something else than the known operation with this number."""

    number: int
    instead: Asks | Ended


@frozen
class Misused:
    """The client did something that cannot be checked."""

    error: TreadleError


@frozen
class Answered:
    """What a callable that stayed with the client returns, or raises."""

    value: Any
    failed: bool


# What it is told.


@frozen
class Follow:
    """Go on through what is known. What is to be observed next is told as an ``Observation``."""

    known: tuple[Known, ...]


@frozen
class Call:
    """Call a callable that stayed with the client."""

    number: int
    arguments: tuple[Any, ...]


@frozen
class Again:
    """Give up the run, and run again.

    Attributes:
        name: the client's.
        way: how connections are opened; None for those of the gate.
        answers: to give its answer is an operation of the client.
        call: what is run, if it is not the client of the process.
        warm: how connections are opened in a run before, of which nobody hears; None for no such run.
        sources: the line of the application that asks is told with each operation.
    """

    name: str
    way: Callable[[Any], Any] | None
    answers: bool
    call: bytes | None = None
    warm: Callable[[Any], Any] | None = None
    sources: bool = False


class PartedError(Exception):
    """A client does something else than what is known of it.

    Attributes:
        number: of the known operation, from 0.
        stop: what it does.
    """

    def __init__(self, number: int, stop: Operation | Outcome) -> None:
        super().__init__(number, stop)
        self.number = number
        self.stop = stop


class Lending:
    """What the processes of one fork server have lent, for SQL to call it back.

    Attributes:
        lenders: the processes that are kept for it.
        lost: why something could not be called back, or None.
    """

    def __init__(self) -> None:
        """Nothing is lent yet."""
        self.lenders: weakref.WeakSet[Process] = weakref.WeakSet()
        self.lost: TreadleError | None = None

    def close(self) -> None:
        """Keep no process any more."""
        for process in tuple(self.lenders):
            process.close()


class _Borrowed:
    """A callable that stayed with a client; its process is kept for as long as this is."""

    def __init__(self, process: Process, number: int) -> None:
        self._process = process
        self._number = number

    def __call__(self, *arguments: Any) -> Any:
        return self._process.call(self._number, arguments)

    def __del__(self) -> None:
        self._process.give_back()


_pipes: set[Connection] = set()
"""This process's ends of the pipes to clients. What is forked here closes them, or a client would wait for ever."""


def keep_from_forks(pipe: Connection) -> None:
    """Let no process that is forked here have an end of a pipe."""
    _pipes.add(pipe)


def close_pipes() -> None:
    """Close what a forked process has of the pipes of the one that it is a copy of."""
    for pipe in _pipes:
        pipe.close()
    _pipes.clear()


os.register_at_fork(after_in_child=close_pipes)


def received_end(pipe: Connection) -> Connection:
    """Return the end of a pipe that is sent over another one.

    Raises:
        OSError: this process may open no more files.
    """
    try:
        return Connection(recv_handle(pipe))
    except RuntimeError as error:  # it came without what it was to bring
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error


def stuck_error(client: str, max_step_s: float) -> StuckClientError:
    """Return what to raise for a client that computed for too long."""
    return StuckClientError(
        f"client {client!r} computed for more than {max_step_s:g} s without asking its database "
        "anything: it loops, or waits for something that only another client could give (a lock or queue in "
        f"Python memory is not shared between processes){_or_for_a_thread()}. Make it end, or raise the scenario's "
        "max_step_s."
    )


def _or_for_a_thread() -> str:
    """Return the threads of this process, as something that a client may wait for in vain: a fork has none of them."""
    here = {threading.main_thread(), threading.current_thread()}
    absent = sorted(thread.name for thread in threading.enumerate() if thread not in here)
    if not absent:
        return ""
    return (
        f", or for a thread that was started before the check, of which a client's process has none: {names(absent)}. "
        "Let the application start it when it is first needed, or the client do so"
    )


class Process:
    """A process of a client, with one live run at a time.

    Attributes:
        name: the client's.
        used: it has run the client before.
        reusable: nothing shows that it is another one than before it ran.
        source: the line of the application that asked for the last operation, where that is told.
    """

    def __init__(
        self,
        name: str,
        max_step_s: float | None,
        note_drawing: Callable[[str], None],
        why_not: Callable[[], TreadleError] | None = None,
        lending: Lending | None = None,
    ) -> None:
        """Make a pipe for a run; ``there`` is the end that belongs to the client's process.

        Args:
            name: the client's.
            max_step_s: how long it may compute between two operations, in seconds; None for any time.
            note_drawing: told the name when the client has drawn from what is seeded with it.
            why_not: returns why no process was started; None for one that is to be a copy.
            lending: what SQL calls back in the server's processes.
        """
        self.name = name
        self._max_step_s = max_step_s
        self._note_drawing = note_drawing
        self._why_not = why_not
        self._lending = Lending() if lending is None else lending
        self._lent = 0
        self._is_needed = True
        self.used = False
        self.reusable = True
        self.source: Source | None = None
        self._pid: int | None = None
        self._again: Again | None = None
        self._pipe, self.there = Pipe()
        keep_from_forks(self._pipe)

    # Going on.

    def first(self) -> Operation | Outcome:
        """Return what the client does first.

        Raises:
            TreadleError: it did something that cannot be checked.
        """
        if self._again is not None:
            again, self._again = self._again, None
            return self._go(again)
        return self._stop()

    def run_again(self, again: Again) -> None:
        """Let the client run from its start, in the same process; ``first`` tells what it does."""
        self.used, self._again = True, again

    def resume(self, observation: Observation) -> Operation | Outcome:
        """Go on with an observation, to the next operation or the end.

        Raises:
            CopyLostError: this was to be a copy, and could not be made.
            TreadleError: the client did something that cannot be checked.
        """
        return self._go(observation)

    def follow(self, known: Iterable[Known]) -> Operation | Outcome:
        """Go on through what is known.

        Args:
            known: the operations that the client must ask for, the one where it stands first, each with what is to
                be observed.

        Raises:
            PartedError: it asks for something else.
            CopyLostError: this was to be a copy, and could not be made.
            TreadleError: the client did something that cannot be checked.
        """
        return self._go(Follow(tuple(known)))

    def _go(self, told: Observation | Follow | Again) -> Operation | Outcome:
        with contextlib.suppress(OSError):  # it has ended, and what it said last says why
            self._pipe.send_bytes(pickle.dumps(told, pickle.HIGHEST_PROTOCOL))
        return self._stop()

    def call(self, number: int, arguments: tuple[Any, ...]) -> Any:
        """Call a callable that stayed with the client, which waits meanwhile.

        Args:
            number: of the callable.
            arguments: plain values.
        """
        try:
            self._pipe.send_bytes(pickle.dumps(Call(number, arguments), pickle.HIGHEST_PROTOCOL))
            answer = self._told()
        except (OSError, EOFError, TreadleError) as error:
            self._lending.lost = error if isinstance(error, TreadleError) else self._lost()
            raise
        assert isinstance(answer, Answered)
        if answer.failed:
            raise RuntimeError(answer.value)
        return answer.value

    def _lost(self) -> TreadleError:
        return UnsupportedOperationError(
            f"client {self.name!r} gave SQLite a function of its own, and its process had ended when SQL was to call "
            "it. Register it as deterministic, or let the client not end its process."
        )

    def give_back(self) -> None:
        """Keep the process no more for one of those that it has lent."""
        self._lent -= 1
        if not (self._lent or self._is_needed):
            self.close()

    def _stop(self) -> Operation | Outcome:
        try:
            told = self._told()
            if isinstance(told, Here):
                self._pid = told.pid
                told = self._told()
        except (OSError, EOFError):
            if self._pid is None:
                self.abandon()
                if self._why_not is None:
                    raise CopyLostError from None
                raise self._why_not() from None
            told = None
        return self._understood(told)

    def _understood(self, told: Any) -> Operation | Outcome:
        if isinstance(told, Parted):
            raise PartedError(told.number, self._understood(told.instead))
        if isinstance(told, Kept):
            self.abandon()
            raise NondeterminismError(
                self.name, 1, "a connection of this run", f"one of an earlier run: {told.operation}"
            )
        if isinstance(told, Misused):
            self.abandon()
            raise told.error
        if isinstance(told, Asks):
            self.source = told.source
            return operation_of(told.operation, self._borrow)
        if isinstance(told, Ended):
            self.reusable = told.reusable
            if told.drew:
                self._note_drawing(self.name)
            return unpack_outcome(told.outcome)
        if isinstance(told, Left):
            self.abandon()
            return Raised(SystemExit(told.code))  # type: ignore[arg-type]  # it ends a process as an exception does
        if self._pid is not None and not _wait_for_end(self._pid, _DYING_S):
            self.kill()
            raise UnsupportedOperationError(
                f"client {self.name!r} goes on, and does not answer: it replaced its program (exec), or closed files "
                "that it had not opened. Leave that out of what is checked."
            )
        self.abandon()
        return Raised(ProcessEnded("the client's process ended before the client did: it was killed, or left Python"))

    def _borrow(self, number: int) -> Callable[..., Any]:
        self._lent += 1
        self._lending.lenders.add(self)
        return _Borrowed(self, number)

    def _told(self) -> Any:
        """Wait for what the client tells, for as long as it may compute."""
        waiting = select.poll()
        waiting.register(self._pipe.fileno(), select.POLLIN)
        if not waiting.poll(None if self._max_step_s is None else self._max_step_s * 1000):
            assert self._max_step_s is not None
            self.kill()
            if self.used:  # it may wait for what an earlier run has left
                raise NondeterminismError(self.name, 1, "an operation or an end", f"neither in {self._max_step_s:g} s")
            raise stuck_error(self.name, self._max_step_s)
        return pickle.loads(self._pipe.recv_bytes())  # noqa: S301  # from a copy of this very process

    # Copying and ending.

    def copy(self) -> Process:
        """Copy the run, which waits to be resumed; the original stays where it is.

        If its process cannot be copied, that shows when the copy is resumed, as a ``CopyLostError``.
        """
        copy = Process(self.name, self._max_step_s, self._note_drawing, lending=self._lending)
        copy.used = self.used
        with copy.there, contextlib.suppress(OSError):
            self._pipe.send_bytes(COPY)
            send_handle(self._pipe, copy.there.fileno(), None)
        return copy

    def kill(self) -> None:
        """End the process at once, as a crash does, and wait until all that it held is let go of."""
        if self._pid is not None:
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
            _wait_for_end(self._pid)
        self.close()

    @property
    def gone(self) -> bool:
        """Whether the process has ended, or was told to, or is kept only for what it has lent."""
        return self._pipe.closed or not self._is_needed

    def abandon(self) -> None:
        """Let a run that waits to be resumed end, and its process once nothing is called back there."""
        self._is_needed = False
        if not self._lent:
            self.close()

    def close(self) -> None:
        """Let the process end, whatever it has lent."""
        self._is_needed = False
        if not self._pipe.closed:
            _pipes.discard(self._pipe)
            self._pipe.close()

    def __del__(self) -> None:
        """Let the run end."""
        self.close()


def _wait_for_end(pid: int, seconds: float | None = None) -> bool:
    """Wait until a process is dead, whoever's child it is; tell whether it is, as far as that can be told."""
    if not hasattr(os, "pidfd_open"):
        return True
    try:
        watched = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        waiting = select.poll()
        waiting.register(watched, select.POLLIN)
        return bool(waiting.poll(None if seconds is None else seconds * 1000))
    finally:
        os.close(watched)
