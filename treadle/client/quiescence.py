"""Quiescence: whether the other Python threads of this process sleep until something wakes them.

A thread that waits for the interpreter's lock (the GIL) sleeps as well, and must not be taken for one that waits for
something else. Linux tells of each thread whether it sleeps, and how often it has stopped running (proc(5),
``/proc/self/task/TID/status``). One look at all others is this::

    before   for each thread:  state, number of switches
    after    for each thread:  does it stand in a system call?  (``.../syscall``)  state, number of switches

and they all sleep if each slept before and after, and none has a new switch. That is sound:

- A thread with the same number of switches that stands in a system call afterwards has not run in between, since it
  would have had to stop running again.
- Each of these files is read without the GIL. To give it up wakes one of those that wait for it
  (``pthread_cond_signal`` wakes at least one), and who is woken counts as running from that moment, however long it
  takes to get a processor. So if some thread waited for the GIL, the first read of the second part would have woken
  one: it would be seen running, or with a new switch.
- So between the two parts none ran, and none waited for the GIL. Whoever could wake one of them slept too, so it is
  still so when the thread that looks has the GIL again.
- That needs a look at all of them: one that is known to wait (see ``timekeeping``) may wait for the GIL too, and be
  woken instead of another. Whether it is known to wait must not change meanwhile, or it ran: ``changes`` tells.
- A thread that pauses between two looks of its own sleeps until its clock wakes it, be it during the last read: it
  says so for as long as it sleeps, which is asked between the two parts, when it is in the sleep that both see.
- A thread that is about to begin or about to end counts as running: from before it is started until Linux lists it no
  more.

What comes from outside of the process wakes a thread at any time: a socket, a child process, the timeout of C code.

Threads that Python has not started (those of a numerical library) are not looked at until they ask something.
Where there is no ``/proc`` (macOS), threads are taken to sleep when for some milliseconds, in which everybody may
have the GIL, their Python code does not move: that is right unless the machine is too busy to run a thread for so
long.
"""

from __future__ import annotations

import _thread
import functools
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import attrs

from treadle.client.patching import copy_of, redirect

real_ident = copy_of(_thread.get_ident)
"""What the interpreter knows the calling thread by."""

_real_native_id = copy_of(_thread.get_native_id)
_real_frames = copy_of(sys._current_frames)  # noqa: SLF001  # the only way to see where other threads are
_real_sleep = copy_of(time.sleep)

_TASKS = Path("/proc/self/task")

_FOREVER_S = 1_000_000.0
"""How long a thread may run before it must let others run: threads change where one waits, and nowhere else."""

_STATE = b"\nState:\t"
_SWITCHES = b"\nvoluntary_ctxt_switches"
_SLEEPING = b"S"
_READ_BYTES = 4096

_PAUSE_S = 20e-6
_LONGEST_PAUSE_S = 1e-3

_LOOKS = 5
_LOOK_S = 2e-3
"""Where there is no ``/proc``: how often to look at the others, and how long to wait in between, in seconds."""

_Glance = tuple[bool, bytes]
"""Whether a thread sleeps, and how often it has stopped running, as Linux writes it."""


@attrs.define(eq=False)
class Member:
    """A Python thread of this process.

    Attributes:
        number: its place in the order in which they were started, from 1.
        ident: what the interpreter knows it by.
        thread: the object that stands for it, if it has one.
        status: the open file that tells whether it sleeps; None where there is none.
        call: the open file that tells in which system call; None where there is none.
        pausing: it sleeps, by the real clock, and goes on by itself.
    """

    number: int
    ident: int
    thread: threading.Thread | None
    status: int | None
    call: int | None
    pausing: bool = False

    @property
    def name(self) -> str:
        """What the application calls it."""
        return f"thread {self.number}" if self.thread is None else self.thread.name

    def glance(self) -> _Glance | None:
        """Look at it; None where it is no more."""
        if self.status is None:
            return None
        try:
            told = os.pread(self.status, _READ_BYTES, 0)
        except ProcessLookupError:
            return None
        place = told.find(_STATE) + len(_STATE)
        return told[place : place + 1] == _SLEEPING, told[told.rfind(_SWITCHES) :]

    def stands(self) -> bool:
        """Tell whether it stands in a system call, as far as Linux tells."""
        if self.call is None:
            return True
        try:
            return os.pread(self.call, _READ_BYTES, 0)[:1].isdigit()
        except OSError:
            return True

    def forget(self) -> None:
        """Close its files."""
        for file in (self.status, self.call):
            if file is not None:
                os.close(file)
        self.status = self.call = None


class Census:
    """The Python threads of this process.

    Attributes:
        changes: how often a thread began, or began or ceased to be exempt.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._members: dict[int, Member] = {}
        self._numbers = itertools.count(1)
        self.changes = 0
        self._starting: set[int] = set()
        self._gone: list[Member] = []
        self._looks = 0
        self._told = False

    def install(self) -> None:
        """Count threads from now on, for good, also in copies of this process; this thread is the only one so far."""
        own = self._enter(next(self._numbers), threading.main_thread())
        self._told = own.status is not None and _SWITCHES in os.pread(own.status, _READ_BYTES, 0)
        sys.setswitchinterval(_FOREVER_S)
        for name in ("start_new_thread", "start_new", "start_joinable_thread"):
            if hasattr(_thread, name):
                self._follow(getattr(_thread, name))
        os.register_at_fork(after_in_child=self._begin_again)

    def _follow(self, builtin: Any) -> None:
        """Note each thread that this function starts before it begins."""

        def start(function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
            number = next(self._numbers)
            self._starting.add(number)
            self.changes += 1
            try:
                return original(functools.partial(self._run, number, function), *arguments, **options)
            except BaseException:
                self._starting.discard(number)
                raise

        original = redirect(builtin, start)

    def _run(self, number: int, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
        """Be a thread."""
        owner = getattr(function, "__self__", None)
        self._enter(number, owner if isinstance(owner, threading.Thread) else None)
        self._starting.discard(number)
        return function(*arguments, **options)

    def _enter(self, number: int, thread: threading.Thread | None) -> Member:
        folder = _TASKS / str(_real_native_id())
        ident = real_ident()
        member = Member(number, ident, thread, _opened(folder / "status"), _opened(folder / "syscall"))
        if ident in self._members:  # that thread has ended, and its ident was given to this one
            self._gone.append(self._members[ident])
        self._members[ident] = member
        self.changes += 1
        return member

    def _begin_again(self) -> None:
        """Be in a copy of the process: of all threads, it has this one."""
        own = self._members.get(real_ident())
        for member in (*self._members.values(), *self._gone):
            member.forget()
        self._members.clear()
        self._gone.clear()
        self._looks = 0
        self._starting.clear()
        self._numbers = itertools.count(1)
        self._enter(next(self._numbers), None if own is None else own.thread)

    def this(self) -> Member:
        """Return the calling thread; one that Python did not start is known from now on."""
        found = self._members.get(real_ident())
        return self._enter(next(self._numbers), None) if found is None else found

    def all_known(self, exempt: Container[int]) -> bool:
        """Tell whether there is no other thread than those whose sleep is known.

        Args:
            exempt: the idents of these.
        """
        return not self._starting and not self._watched(exempt)

    def alone(self) -> bool:
        """Tell whether this process has one Python thread, as far as is known without a look."""
        return len(self._members) == 1 and not self._starting

    def all_sleep(self, exempt: Container[int]) -> bool:
        """Tell whether all other threads sleep, and none of them waits for the GIL.

        Args:
            exempt: the idents of threads whose sleep is known. It may change while others run, and so do ``changes``.
        """
        changes = self.changes
        self._looks += 1
        try:
            saw = not self._starting and (self._saw_all_sleep(exempt) if self._told else self._are_still(exempt))
            return saw and not self._starting and changes == self.changes
        finally:
            self._looks -= 1
            if not self._looks:  # or another thread might read a file that is closed, and opened as another
                while self._gone:
                    self._gone.pop().forget()

    def _saw_all_sleep(self, exempt: Container[int]) -> bool:
        """Tell whether two looks at all others saw them sleep, and in the same sleep."""
        watched = self._watched(())  # also those: one of them may wait for the GIL, and be woken instead of another
        before = [member.glance() for member in watched]
        if any(glance is not None and not glance[0] for glance in before) or self._some_pause(exempt):
            return False
        for member, glance in zip(watched, before, strict=True):
            if glance is None:
                self._leave(member)
            elif not member.stands() or member.glance() != glance:
                return False
        return True

    def _some_pause(self, exempt: Container[int]) -> bool:
        return any(member.pausing for member in self._watched(exempt))

    def pauses(self) -> Callable[[], None]:
        """Return a function that lets others have the GIL for a moment, each time for longer."""
        own = self.this()
        lengths = (min(_PAUSE_S * 1.5**number, _LONGEST_PAUSE_S) for number in itertools.count())

        def pause() -> None:
            own.pausing = True
            try:
                _real_sleep(next(lengths))
            finally:
                own.pausing = False

        return pause

    def _watched(self, exempt: Container[int]) -> list[Member]:
        own = real_ident()
        return [member for member in self._members.values() if member.ident != own and member.ident not in exempt]

    def _leave(self, member: Member) -> None:
        self._gone.append(member)
        if self._members.get(member.ident) is member:
            del self._members[member.ident]

    def _are_still(self, exempt: Container[int]) -> bool:
        """Tell, without ``/proc``, whether the others do not move."""
        watched = self._watched(exempt)
        places = _places()
        for _ in range(_LOOKS if watched else 0):
            _real_sleep(_LOOK_S)
            if _places() != places or self._some_pause(exempt):
                return False
        for member in watched:
            if member.ident not in places:
                self._leave(member)
        return True


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _places() -> dict[int, tuple[int, int]]:
    """Return where the Python code of each other thread is."""
    # No name for all of them: this frame is among them, and a cycle would keep alive what stands on the others.
    return {ident: (id(frame), frame.f_lasti) for ident, frame in _real_frames().items() if ident != real_ident()}
