"""Threads: which of a client's threads may ask the database, and when.

A client is one actor, and what it asks comes in one order. So a thread that is about to ask first settles: all others
run until each of them sleeps, and those whose wait is over go on and sleep again (see ``timekeeping``). Then:

- Threads that the client waits for (of a pool, of ``asyncio.to_thread``, of aiosqlite) ask for it, one at a time: who
  waits for them sleeps.
- If another thread comes to ask meanwhile, neither waits for the other, and both could come first: an error. It is
  found in each run, whoever comes first, for the first to come waits until the other has come, or sleeps.
- A thread that goes on after the client's function has ended must not ask any more. When the function has ended, the
  others run until they sleep, and the clock moves to the end of each wait with a timeout, once for each thread: a
  worker that had nothing to do for too long then ends, and is no error; one that asks is one, and so is one that waits
  for the time again, since nobody knows when it would ask. Workers that wait for work without a timeout are none.
"""

from __future__ import annotations

from typing import NoReturn

from treadle.client.quiescence import Member
from treadle.client.timekeeping import Timekeeper
from treadle.values.errors import ForeignThreadError


class Threads:
    """The threads of a client's process, as far as they ask the database.

    Attributes:
        misuse: what was wrong, once it was; it stays, and so the client can only end.
    """

    def __init__(self, timekeeper: Timekeeper) -> None:
        """Look after the threads of this process.

        Args:
            timekeeper: its clock, installed or to be installed before the client runs.
        """
        self.misuse: ForeignThreadError | None = None
        self._keeper = timekeeper
        self._census = timekeeper.census
        self._asking: Member | None = None
        self._nested = 0
        self._ended = False

    def before_asking(self) -> None:
        """Let others run until they sleep; the calling thread is about to ask the database something.

        Raises:
            ForeignThreadError: another thread is about to ask, too, or the client's function has ended.
        """
        if self._census.alone() and self.misuse is None and not self._ended:
            return
        own = self._census.this()
        if self.misuse is not None:
            self._fail()
        if self._asking is own:  # a cursor is collected while this thread lets others run
            self._nested += 1
            return
        if self._ended:
            self.misuse = _outlived(own)
            self._fail()
        if self._asking is not None:
            self.misuse = _two_at_once(self._asking, own)
            self._fail()
        self._asking = own
        self._keeper.settle()
        if self.misuse is not None:
            self._fail()
        self._keeper.held = True

    def after_asking(self) -> None:
        """Let the clock go: the calling thread has its answer.

        Raises:
            ForeignThreadError: another thread was about to ask meanwhile.
        """
        if self._asking is None:
            return
        if self._nested:
            self._nested -= 1
            return
        self._asking = None
        self._keeper.held = False
        if self.misuse is not None:
            self._fail()

    def finish(self) -> ForeignThreadError | None:
        """Tell what is wrong with the threads that outlive the client's function, which has ended.

        It is called in the thread that ran that function. Afterwards, the process is to end.

        Returns:
            The error, if one is known now or was before.
        """
        self._ended = True
        if self.misuse is None and self._asking is not None:
            self.misuse = _outlived(self._asking)
        if self.misuse is None and not self._census.alone():
            self._let_time_pass()
        return self.misuse

    def _let_time_pass(self) -> None:
        """Let each wait with a timeout end, once for each thread."""
        waited: set[Member] = set()
        self._keeper.settle()
        while self.misuse is None and self._keeper.pending():
            wait = self._keeper.pending()[0]
            if wait.member in waited:
                self.misuse = _outlived(wait.member)
                return
            waited.add(wait.member)
            self._keeper.expire(wait)
            self._keeper.settle()

    def _fail(self) -> NoReturn:
        assert self.misuse is not None
        raise self.misuse


def _two_at_once(one: Member, other: Member) -> ForeignThreadError:
    first, second = sorted((one, other), key=_number)
    return ForeignThreadError(
        f"threads {first.name!r} and {second.name!r} are about to ask the database at once, and neither waits for the "
        "other: a client asks one thing at a time, so that its operations have an order. Make them two clients, or let "
        "one wait for the other (join(), result(), await) before it asks."
    )


def _outlived(member: Member) -> ForeignThreadError:
    return ForeignThreadError(
        f"thread {member.name!r} goes on after the client's function has ended, and asks the database or waits for a "
        "time to come: a client is what its function does until it returns. Wait for it (join(), result(), "
        "shutdown(), cancel()), or make it a client of its own."
    )


def _number(member: Member) -> int:
    return member.number
