"""Timekeeping: one clock for all that tells the time or waits for it, in a process that belongs to one client.

The clock stands still. It moves when nothing else in the process can happen: then it moves to the earliest end of all
waits with a timeout, and that thread goes on. So to sleep for an hour takes no time, code that gives up after two
seconds gives up, and a wait that another thread satisfies takes none of the client's time.

Threads take turns, and change only where one waits. A thread that has to wait writes down how to tell that its wait is
over, and until when it waits, and is then the watch: when all others sleep, it lets one of those who wait go on::

    thread 1   ── runs ── queue.put ── ask the database ── runs ── join(): the watch; thread 2's wait is over ──▶ sleeps
    thread 2   sleeps in queue.get() ───────────────────────────────────────────────────────────────────────────▶ runs
    thread 3   sleeps in time.sleep(5) until nobody's wait is over; then it is five seconds later

First go those whose wait is over, in the order in which they began; then a thread that settles, which is about to ask;
then the one whose timeout ends first, and of several that end at once the one that began first. Nearly always all but
the watch wait so, and nothing else is to be found out. If not (a thread begins, ends, or waits in C code), the watch
looks until it sleeps (see ``quiescence``); while a thread asks the database, nobody goes on. A process with one thread
does none of this: its clock moves at once.

The clock's unit is 2**-22 seconds, about a quarter of a microsecond, and a timeout is rounded up to it. The seconds
since 1970 and the uptime are then exact as floats, and so are their differences: as on a real clock, who slept for 0.1
seconds never finds that less have passed.

Covered: all of ``time`` and ``datetime``, whenever and under whatever name it was imported, and what is listed in
``waits``. Processor time stands still for good: a client computes in no time.

Not covered: C code that reads the clock or waits by itself (uvloop, the timeout of a socket, ``signal.alarm``), locks
between processes, the times of files, and a method that was taken from a lock before ``install`` (``take =
lock.acquire``; a condition with its own re-entrant lock does). Where a wait has a timeout, what another process or the
network would have brought comes too late: nobody waits for it. A thread that neither waits nor asks (``while not done:
pass``) never lets another go on.
"""

from __future__ import annotations

import _thread
import datetime as dt
import enum
import itertools
import math
import operator
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import time_machine

from treadle.client.patching import redirect
from treadle.client.quiescence import Census, Member
from treadle.client.waits import replace_waits

_TICKS_PER_S = 2**22
"""The finest unit in which the seconds since 1970 are exact as a float, until 2038."""

_NS_PER_S = 10**9
_UPTIME_S = 2**20
"""What the clocks say that count from when the machine was started: about twelve days, as caches expect it."""

_COMPUTED_NS = _NS_PER_S
"""What the clocks say that count processor time."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_WALL_CLOCKS = ("CLOCK_REALTIME", "CLOCK_TAI")
_COMPUTED_CLOCKS = ("CLOCK_PROCESS_CPUTIME_ID", "CLOCK_THREAD_CPUTIME_ID", "CLOCK_PROF", "CLOCK_VIRTUAL")
_COARSE_WALL_CLOCK = 5
"""Linux's CLOCK_REALTIME_COARSE, which Python does not name."""

_real_acquire = _thread.LockType.acquire


class Answer(enum.Enum):
    """How a wait ended: what is waited for has come, or the time is over, or nobody else could bring it."""

    OVER = enum.auto()
    LATE = enum.auto()
    ALONE = enum.auto()


@attrs.define(eq=False)
class Waiting:
    """A wait.

    Attributes:
        member: the thread that waits.
        deadline: when it ends, in ticks; None for never.
        number: its place in the order in which waits began.
        is_over: tells whether what it waits for has come; called by any thread.
        of_files: what it waits for may come from outside of the process.
        is_last: it is over when no other is.
        bell: a lock that its thread sleeps on.
        answer: how it ended; None while it lasts.
        before: who was the watch when it began.
    """

    member: Member
    deadline: int | None
    number: int
    is_over: Callable[[], bool]
    of_files: bool = False
    is_last: bool = False
    bell: Any = attrs.field(factory=_thread.allocate_lock)
    answer: Answer | None = None
    before: Waiting | None = None

    def __attrs_post_init__(self) -> None:
        """Let the first to sleep on the bell sleep."""
        self.bell.acquire(False)  # noqa: FBT003  # as locks have it

    def ring(self) -> None:
        """Wake its thread, or let it not fall asleep."""
        if self.bell.locked():
            self.bell.release()


class Timekeeper:
    """The clock of a client's process.

    Attributes:
        census: the threads of the process.
        waiting: the waits that last, by the ident of the thread.
        held: nobody may go on, and the clock must not move: a thread asks the database something.
    """

    def __init__(self, start: dt.datetime) -> None:
        """Set the clock.

        Args:
            start: the instant at which the client starts.
        """
        self.census = Census()
        self.waiting: dict[int, Waiting] = {}
        self.held = False
        self._start_ns = (start - _EPOCH) // dt.timedelta(microseconds=1) * 1000
        self._start = start
        self._ticks = 0
        self._numbers = itertools.count(1)
        self._watch: Waiting | None = None

    # The clock.

    @property
    def now_s(self) -> float:
        """How long ago the client started, in seconds."""
        return self._ticks / _TICKS_PER_S

    @now_s.setter
    def now_s(self, seconds: float) -> None:
        self.advance_to(seconds)

    def advance_to(self, seconds: float) -> None:
        """Move the clock; a clock never goes back.

        Args:
            seconds: since the client started.
        """
        self._advance(_ticks_of(seconds))

    def restart(self) -> None:
        """Set the clock back to the start, in a process of one thread in which nobody is in the middle of anything."""
        self._ticks = 0

    def _advance(self, ticks: int) -> None:
        self._ticks = max(self._ticks, ticks)

    def _passed_ns(self) -> int:
        return self._ticks * _NS_PER_S // _TICKS_PER_S

    def _wall_ns(self) -> int:
        return self._start_ns + self._passed_ns()

    def _uptime_ns(self) -> int:
        return _UPTIME_S * _NS_PER_S + self._passed_ns()

    def _wall_s(self) -> float:
        return self._start_ns / _NS_PER_S + self._ticks / _TICKS_PER_S

    def _uptime_s(self) -> float:
        return _UPTIME_S + self._ticks / _TICKS_PER_S

    # Taking over the process.

    def install(self) -> None:
        """Let this process have this clock, for good. It has one thread; what it runs next is the client."""
        self.census.install()
        self._replace_clocks()
        redirect(time.sleep, self._sleep)
        replace_waits(self)
        os.register_at_fork(after_in_child=self._begin_again)

    def _begin_again(self) -> None:
        """Be in a copy of the process, which has one thread."""
        self.waiting.clear()
        self._watch = None
        self.held = False

    def _replace_clocks(self) -> None:
        traveller: Any = time_machine.travel(self._start, tick=False).start()  # knows datetime, from C
        traveller.time_ns = self._wall_ns
        tells: dict[str, Callable[[], float]] = {
            "time": self._wall_s,
            "time_ns": self._wall_ns,
            "monotonic": self._uptime_s,
            "monotonic_ns": self._uptime_ns,
            "perf_counter": self._uptime_s,
            "perf_counter_ns": self._uptime_ns,
            "process_time": lambda: _COMPUTED_NS / _NS_PER_S,
            "process_time_ns": lambda: _COMPUTED_NS,
            "thread_time": lambda: _COMPUTED_NS / _NS_PER_S,
            "thread_time_ns": lambda: _COMPUTED_NS,
        }
        for name, tell in tells.items():
            if hasattr(time, name):
                redirect(getattr(time, name), tell)
        self._replace_clocks_with_numbers()
        self._replace_texts()

    def _replace_clocks_with_numbers(self) -> None:
        wall = {getattr(time, name) for name in _WALL_CLOCKS if hasattr(time, name)} | {_COARSE_WALL_CLOCK}
        computed = {getattr(time, name) for name in _COMPUTED_CLOCKS if hasattr(time, name)}

        def clock_gettime(clk_id: int, /) -> float:
            known(clk_id)
            if clk_id in wall:
                return self._wall_s()
            return _COMPUTED_NS / _NS_PER_S if clk_id in computed or clk_id < 0 else self._uptime_s()

        def clock_gettime_ns(clk_id: int, /) -> int:
            known(clk_id)
            if clk_id in wall:
                return self._wall_ns()
            return _COMPUTED_NS if clk_id in computed or clk_id < 0 else self._uptime_ns()

        known = redirect(time.clock_gettime, clock_gettime)  # raises for those that do not exist
        redirect(time.clock_gettime_ns, clock_gettime_ns)

    def _replace_texts(self) -> None:
        def ctime(seconds: float | None = None, /) -> str:
            return str(real_ctime(self._wall_s() if seconds is None else seconds))

        def asctime(*parts: Any) -> str:
            return str(real_asctime(*(parts or (time.localtime(),))))

        real_ctime, real_asctime = redirect(time.ctime, ctime), redirect(time.asctime, asctime)

    def _sleep(self, seconds: float, /) -> None:
        length_s = seconds if isinstance(seconds, float) else operator.index(seconds)
        if math.isnan(length_s):
            raise ValueError("Invalid value NaN (not a number)")
        if length_s < 0:
            raise ValueError("sleep length must be non-negative")
        if length_s > threading.TIMEOUT_MAX:
            raise OverflowError("timestamp out of range for platform time_t")
        self._wait(self._ticks + _ticks_of(length_s), next(self._numbers), _never)

    # Waiting.

    def attempts(
        self, timeout_s: float | None, is_over: Callable[[], bool], *, of_files: bool = False
    ) -> Iterator[bool]:
        """Yield whenever it is worth an attempt to get something, until the time is over.

        What is yielded tells whether the attempt is to wait for as long as it takes, by the means of the operating
        system: there is nobody else who could do anything.

        Args:
            timeout_s: how long to wait, in seconds; None for as long as it takes.
            is_over: tells whether an attempt is worth it; called by any thread.
            of_files: what is waited for may come from outside of the process.
        """
        deadline = None if timeout_s is None else self._ticks + _ticks_of(timeout_s)
        yield False
        if timeout_s == 0:
            return
        number = next(self._numbers)
        answer = Answer.OVER
        while answer is Answer.OVER:
            answer = self._wait(deadline, number, is_over, of_files=of_files)
            if answer is not Answer.LATE:
                yield answer is Answer.ALONE
        while answer is Answer.ALONE:  # a wait for files may end with none, where a signal came
            yield True

    def settle(self) -> None:
        """Let others go on, one after the other, until all sleep and nobody's wait is over."""
        if not self.census.alone():
            self._wait(None, next(self._numbers), _never, is_last=True)

    def _wait(
        self,
        deadline: int | None,
        number: int,
        is_over: Callable[[], bool],
        *,
        of_files: bool = False,
        is_last: bool = False,
    ) -> Answer:
        """Wait; return how that ended."""
        if self.census.alone():
            if deadline is None:
                return Answer.ALONE
            self._advance(deadline)
            return Answer.LATE
        wait = Waiting(self.census.this(), deadline, number, is_over, of_files=of_files, is_last=is_last)
        outer = self.waiting.get(wait.member.ident)  # what is collected, or a signal's handler, may wait within a wait
        self._begin(wait)
        try:
            self._sleep_until_answered(wait)
        finally:
            if self.waiting.get(wait.member.ident) is wait:  # a signal's handler has raised
                self._end(wait)
            if outer is not None:
                self._begin(outer)
        assert wait.answer is not None
        return wait.answer

    def _begin(self, wait: Waiting) -> None:
        """Let this thread count as waiting, and be the watch: it is the last one that ran."""
        wait.before = self._watch
        self.waiting[wait.member.ident] = self._watch = wait
        self.census.changes += 1

    def _end(self, wait: Waiting) -> None:
        """Let its thread count as running; somebody else must be the watch, for it may come to wait in C code."""
        del self.waiting[wait.member.ident]
        self.census.changes += 1
        if self._watch is wait:
            before = wait.before  # who has not even noticed, mostly
            is_there = before is not None and self.waiting.get(before.member.ident) is before
            self._watch = before if is_there else min(self.waiting.values(), key=_began, default=None)
            if self._watch is not None:
                self._watch.ring()

    def _sleep_until_answered(self, wait: Waiting) -> None:
        while wait.answer is None:
            if self._watch is wait:
                self._be_the_watch(wait)
            else:
                _real_acquire(wait.bell)

    def _be_the_watch(self, wait: Waiting) -> None:
        """Let somebody go on whenever all others sleep, until another thread begins to wait, and is the watch."""
        pause = None
        while self._watch is wait and wait.answer is None:
            if self._others_sleep() and self._decide():
                pause = None
            else:
                pause = pause or self.census.pauses()
                pause()

    def _others_sleep(self) -> bool:
        return not self.held and (self.census.all_known(self.waiting) or self.census.all_sleep(self.waiting))

    def _decide(self) -> bool:
        """Let somebody go on, where all others sleep; tell whether there was anybody."""
        if self.held:
            return False
        waits = sorted(self.waiting.values(), key=_began)
        over = next((wait for wait in waits if wait.is_over()), None) or next((w for w in waits if w.is_last), None)
        if over is not None:
            self._answer(over, Answer.OVER)
            return True
        pending = self.pending()
        if pending:
            self.expire(pending[0])
            return True
        files = [wait for wait in waits if wait.of_files]
        for wait in files:
            self._answer(wait, Answer.ALONE)
        return bool(files)

    def pending(self) -> list[Waiting]:
        """Return the waits with a timeout, in the order in which they end."""
        return sorted((wait for wait in self.waiting.values() if wait.deadline is not None), key=_ends)

    def expire(self, wait: Waiting) -> None:
        """Move the clock to the end of a wait, and let its thread go on."""
        assert wait.deadline is not None
        self._advance(wait.deadline)
        self._answer(wait, Answer.LATE)

    def _answer(self, wait: Waiting, answer: Answer) -> None:
        wait.answer = answer
        self._end(wait)
        wait.ring()


def _ticks_of(seconds: float) -> int:
    return math.ceil(seconds * _TICKS_PER_S)


def _began(wait: Waiting) -> int:
    return wait.number


def _ends(wait: Waiting) -> tuple[float, int]:
    return math.inf if wait.deadline is None else wait.deadline, wait.number


def _never() -> bool:
    return False
