"""The inside of a client's process: the client runs here, and the port that its connections talk to.

The client's code runs as it is. Each operation goes over the pipe, and the thread that asked for it waits for what is
to be observed; other threads of the client go on until they wait for that one. While it waits, the process can be
copied, callables that were registered for SQL can be called, and the run can be given up for another one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from treadle.client.answers import settled
from treadle.client.carrying import Lent, pack_outcome, pack_payload, spelled, unpack_call
from treadle.client.identity import real_pid
from treadle.client.patching import copy_of, redirect
from treadle.client.process import (
    COPY,
    Again,
    Answered,
    Asks,
    Call,
    Ended,
    Follow,
    Here,
    Kept,
    Known,
    Left,
    Misused,
    Parted,
    received_end,
)
from treadle.client.surroundings import Opens, Surroundings
from treadle.client.threads import Threads
from treadle.client.whereabouts import whereabouts
from treadle.interning import the_operation
from treadle.turn import misused_turn
from treadle.values.errors import ForeignThreadError, TreadleError
from treadle.values.observation import Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.values.outcome import Outcome, Raised, Returned

_exit = os._exit

_PATIENCE = 100
"""How often a run that is given up may catch its exception and go on before its process is."""

_QUIET = frozenset({Kind.CLOSE, Kind.CLOSE_CURSOR, Kind.ROLLBACK})
"""What code that cleans up calls; once a run is over, these do nothing."""

Way = Callable[["Run"], Opens]
"""How a client's connections are opened; called in its process. It must pickle."""


class _GivenUp(BaseException):
    """Thrown into a client whose run is not needed any more."""


class Inside:
    """A client in its process.

    Attributes:
        surroundings: what it runs in; settled.
        current: the run that is under way.
    """

    def __init__(self, run: Callable[[], object], pipe: Connection, surroundings: Surroundings) -> None:
        """Prepare; nothing of the client happens yet.

        Args:
            run: what it does.
            pipe: to the checker.
            surroundings: what it runs in; settled.
        """
        self.surroundings = surroundings
        self._call = run
        self._pipe = pipe
        self._pid = real_pid()
        self._copies: list[int] = []
        self._lent: list[Callable[..., Any]] = []
        self._is_warm = False
        self.current: Run | None = None

    def live(self, order: Again) -> NoReturn:
        """Run the client to its end, and then again for as long as that is wanted.

        Args:
            order: how it is to run first.
        """
        self.tell(Here(self._pid))
        os._exit = self._leave  # type: ignore[assignment]  # for good
        self._protect_pipe()
        try:
            again: Again | None = order
            while again is not None:
                call = self._call if again.call is None else unpack_call(again.call, self.surroundings.engines)
                if again.warm is not None and not self._is_warm:
                    self._warm_up(call, again)
                again = Run(self, again.name).live(call, again)
        except TreadleError as error:  # it is not the client's
            self.tell(Misused(error))
        finally:
            _exit(1)

    def _warm_up(self, call: Callable[[], object], order: Again) -> None:
        """Run the client once, alone, on a database of its own."""
        self._is_warm = True
        run = Run(self, order.name)
        assert order.warm is not None
        self.surroundings.begin(run, order.warm(run))
        with contextlib.suppress(BaseException):  # how it ends is nobody's business
            call()
        run.finish()
        self.surroundings.be_warm()

    # What goes over the pipe.

    def tell(self, told: object) -> None:
        """Tell the checker something."""
        try:
            self._pipe.send_bytes(pickle.dumps(told, pickle.HIGHEST_PROTOCOL))
        except OSError:  # nobody needs the run any more
            _exit(0)

    def heard(self) -> object:
        """Wait for what the checker says; if it does not need the process any more, this is the end."""
        while True:
            try:
                message = self._pipe.recv_bytes()
            except (OSError, EOFError):
                _exit(0)
            if message == COPY:
                with contextlib.suppress(OSError):  # there are too many files: it cannot be copied
                    self._split(received_end(self._pipe))
                continue
            told = pickle.loads(message)  # noqa: S301  # from the process that this one was
            if not isinstance(told, Call):
                return told
            self.tell(self._called(told))

    def lend(self, function: Callable[..., Any]) -> Lent:
        """Keep a callable, in this run and in later ones, for SQL to call it back."""
        self._lent.append(function)
        return Lent(len(self._lent) - 1)

    def _called(self, call: Call) -> Answered:
        try:
            return Answered(self._lent[call.number](*call.arguments), failed=False)
        except Exception as error:  # noqa: BLE001  # SQLite makes an error of its own of it
            return Answered(repr(error), failed=True)

    def _split(self, end: Connection) -> None:
        """Copy this process; the copy talks over another pipe."""
        self._copies[:] = [pid for pid in self._copies if not _has_ended(pid)]
        pid = None
        if threading.active_count() == 1:  # of several threads, a copy has one
            with contextlib.suppress(OSError), self.surroundings.kept():  # there may be too many processes
                pid = os.fork()
        if pid == 0:
            self._pipe.close()
            self._pipe, self._pid = end, real_pid()
            self._copies.clear()
            self.tell(Here(self._pid))
            return
        if pid is not None:
            self._copies.append(pid)
        end.close()

    def _protect_pipe(self) -> None:
        """Let a client that closes all that it finds open, as daemons do, not close the pipe."""
        close = copy_of(os.close)

        def close_one(fd: int, /) -> None:
            if fd == self._pipe.fileno():
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            close(fd)

        def close_range(fd_low: int, fd_high: int, /) -> None:
            pipe = self._pipe.fileno()
            closes(fd_low, min(fd_high, pipe))
            closes(max(fd_low, pipe + 1), fd_high)

        closes = redirect(os.closerange, close_range)
        redirect(os.close, close_one)

    def is_here(self) -> bool:
        """Tell whether this is the client's process, and not one that it has started itself."""
        return bool(real_pid() == self._pid)

    def _leave(self, code: int) -> NoReturn:
        """Stand for ``os._exit``."""
        if self.is_here():
            self.tell(Left(code))
        _exit(code)


class Run:
    """One run of a client, and the port of its connections.

    Attributes:
        name: the client's.
        over: it has ended, or was given up.
        at_end: called when it is over, to close what it has left open.
    """

    def __init__(self, inside: Inside, name: str) -> None:
        """Prepare a run of the client with this name, in its process."""
        self.name = name
        self.over = False
        self.at_end: Callable[[], None] = _nothing
        self._inside = inside
        self._clock = inside.surroundings.timekeeper
        self._threads = Threads(self._clock)
        self._known: deque[Known] = deque()
        self._followed = 0
        self._numbers: set[int] = set()
        self._kept: set[object] = set()
        self._again: Again | None = None
        self._caught = 0
        self._tells_sources = False

    @property
    def clock_s(self) -> float:
        """The client's time, in seconds since it started."""
        return self._clock.now_s

    def live(self, call: Callable[[], object], order: Again) -> Again | None:
        """Run the client to its end, or until it is given up; return how it is to run again.

        Args:
            call: what it does.
            order: how it is to run.
        """
        inside = self._inside
        inside.current = self
        self._tells_sources = order.sources
        inside.surroundings.begin(self, None if order.way is None else order.way(self))
        try:
            outcome = self._outcome(call)
            misuse = self._threads.finish()
            if misuse is not None:
                self.blame(misuse)
            if order.answers:
                self._observation(the_operation(Kind.ANSWER, 0, None, None, (), clock_s=self.clock_s, payload=None))
            self._tell_end(outcome)
            del outcome
            while self._again is None:
                told = inside.heard()
                self._again = told if isinstance(told, Again) else None
        except _GivenUp:
            pass
        self.finish()
        return self._again

    def finish(self) -> None:
        """Leave nothing open."""
        self.over = True
        self._kept.clear()
        self.at_end()
        self._inside.surroundings.forget_pools()

    def _outcome(self, call: Callable[[], object]) -> Outcome:
        try:
            returned = settled(call())
        except BaseException as error:  # noqa: BLE001  # whatever the client raises is its outcome
            self._end_child()
            self._require_no_check()
            if self._again is not None:
                raise _GivenUp from None
            _forget_frames(error)
            return Raised(error)  # type: ignore[arg-type]  # likewise
        self._end_child()
        self._require_no_check()
        if self._again is not None:
            raise _GivenUp
        return Returned(returned)

    def _require_no_check(self) -> None:
        """End the check if the client has asked for another one."""
        misuse = misused_turn()
        if misuse is not None:
            self.blame(misuse)

    def _end_child(self) -> None:
        """End a process that the client has forked: what it does is not asked for."""
        if not self._inside.is_here():
            _exit(0)

    def _tell_end(self, outcome: Outcome) -> None:
        surroundings = self._inside.surroundings
        drew = surroundings.drew()  # before anything is packed: that may draw, too
        ended = Ended(pack_outcome(outcome), drew, surroundings.reusable())
        self._inside.tell(Parted(self._followed, ended) if self._known else ended)

    # What connections call.

    def ask(self, operation: Operation) -> Observation:
        """Let the checker carry out an operation, and return what is to be observed."""
        inside = self._inside
        if not inside.is_here():
            _exit(1)  # a process that the client has started: it has no client's connection
        if self.over or self._again is not None:
            return self._unheard(operation)
        try:
            self._threads.before_asking()
            try:
                return self._observation(operation)
            finally:
                self._threads.after_asking()
        except ForeignThreadError as misuse:
            self.blame(misuse)

    def _unheard(self, operation: Operation) -> Observation:
        """Return what code that cleans up sees; anything else is thrown out again."""
        if self.over and self._inside.current is not self and operation.kind not in _QUIET:
            self._inside.tell(Kept(str(operation)))
            _exit(0)
        self._caught += not self.over
        if self._caught > _PATIENCE:
            _exit(0)
        if operation.kind in RUNS_SQL and not self.over:
            raise _GivenUp
        return Observation()

    def _observation(self, operation: Operation) -> Observation:
        inside = self._inside
        if self._known:
            key, observation = self._known.popleft()
            if key == operation.key:
                self._followed += 1
                return observation
            self._known.clear()
            inside.tell(Parted(self._followed, self._asks(operation)))
        else:
            inside.tell(self._asks(operation))
        while True:
            told = inside.heard()
            if isinstance(told, Observation):
                return told
            if isinstance(told, Follow):
                self._known.extend(told.known)
                self._followed = 0
                return self._observation(operation)
            if isinstance(told, Again):
                self._again = told
                raise _GivenUp

    def _asks(self, operation: Operation) -> Asks:
        return Asks(self._spelled(operation), whereabouts(Run.live.__code__) if self._tells_sources else None)

    def _spelled(self, operation: Operation) -> Any:
        payload = operation.payload
        if operation.kind is Kind.CONFIGURE and isinstance(payload, tuple):
            payload = pack_payload(operation.arguments[0], payload, self._inside.lend)
        return spelled(operation, payload)

    def blame(self, misuse: TreadleError) -> NoReturn:
        """End the process, and the check with this error."""
        self._inside.tell(Misused(misuse))
        _exit(1)

    def vanish(self) -> NoReturn:
        """End the process without a word."""
        _exit(0)

    def opened(self, connect: Callable[[], Any]) -> Any:
        """Open a connection to the checked database for the checker itself; it can attach no other."""
        return self._inside.surroundings.opened(connect)

    def lock_up(self, connection: Any) -> None:
        """Let a connection of an earlier run do nothing any more."""
        self._inside.surroundings.lock_up(connection, "the database of an earlier request")

    def listening(self) -> bool:
        """Tell whether the client is still running."""
        return not self.over and self._again is None

    def take_number(self) -> int:
        """Return the lowest connection number that is free, and take it."""
        number = 0
        while number in self._numbers:
            number += 1
        self._numbers.add(number)
        return number

    def free_number(self, number: int) -> None:
        """Give a connection number back."""
        self._numbers.discard(number)

    def keep(self, connection: object) -> None:
        """Keep an open connection alive, as the cycle does that a real one is in."""
        self._kept.add(connection)

    def let_go(self, connection: object) -> None:
        """Keep a connection no more."""
        self._kept.discard(connection)


def _nothing() -> None:
    """Close nothing."""


def _has_ended(pid: int) -> bool:
    try:
        return bool(os.waitpid(pid, os.WNOHANG)[0])
    except OSError:  # somebody else has waited for it
        return True


def _forget_frames(error: BaseException) -> None:
    """Drop the tracebacks of an exception and its causes, so that their frames let go of what they hold."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = None
        queue += [link.__cause__, link.__context__]
