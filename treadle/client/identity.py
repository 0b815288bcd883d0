"""Identity: what a client sees of its process and its threads, the same in every run.

The process id is made from the client's name, so that two clients differ. Threads are numbered in the order in which
they first ask who they are, which a thread of ``threading`` does before ``start`` returns: from 1 for ``get_ident``,
and from the process id for ``get_native_id``, as on Linux.

What talks to the operating system about this process (``os.kill``, ``os.getpgid`` and their like,
``signal.pthread_kill``, ``time.pthread_getcpuclockid``) and to the interpreter about its threads
(``sys._current_frames``) takes these ids and gives them. psutil is told the real process id when it asks by itself, and
trio, which gives names to threads, their real ids.

Left as they are: ids that C code asks for by itself (the text of sqlite3's error about another thread, the owner that a
lock shows, ``PyThreadState_SetAsyncExc``, faulthandler), and the ids of process groups and of child processes. The name
of a file in ``/proc`` with this process id, and ``psutil.Process(os.getpid())``, find nothing.
"""

from __future__ import annotations

import _thread
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from types import FrameType
from typing import Any

from treadle.client.patching import copy_of, redirect, replace_method
from treadle.client.quiescence import real_ident

_LOWEST = 1000
_HIGHEST = 4_194_304
"""Process ids are between these: Linux gives none that is higher, and the lowest to programs of its own."""

_PARENT = 999
"""The process id of whoever started the client, which is alive."""

_UPKEEP = frozenset({"asyncio", "logging", "tempfile", "threading"})
"""Packages that ask who they are and show it to nobody, or write it to a log."""

_REAL = frozenset({"psutil"})
"""Packages that ask in order to ask the operating system more."""

_NAMES_THREADS = frozenset({"trio"})
"""Packages that give the id of a thread to C code, which takes it for where the thread is in memory."""

_ABOUT_PROCESSES = (
    "getpgid",
    "getsid",
    "kill",
    "pidfd_open",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setparam",
    "sched_setscheduler",
    "setpgid",
)
"""Functions of ``os`` whose first argument is a process id."""

real_pid = copy_of(os.getpid)
"""What the operating system knows this process by."""

_real_parent = copy_of(os.getppid)


def install(seed_name: str) -> Identity:
    """Give this process, and its one thread, the ids of a client, for good.

    No import must be under way in the process: it would not be known by its own thread any more.

    Args:
        seed_name: the client's name; two names have the same process id in one case of four million.
    """
    identity = Identity(seed_name)
    identity.take_over()
    return identity


class Identity:
    """Who the client's process is.

    Attributes:
        pid: its process id, as the client sees it.
        looked: the application has asked for the process id, or for the native id of a thread, which is made from it.
    """

    def __init__(self, seed_name: str) -> None:
        """Choose the ids; ``install`` gives them to the process."""
        self.pid = _LOWEST + zlib.crc32(f"treadle:{seed_name}".encode()) % (_HIGHEST - _LOWEST)
        self.looked = False
        self._parent = _PARENT
        self._real_ids: dict[int, int] = {}
        self._own = threading.local()  # an ident may be given again when a thread has ended; this is not
        self._numbers = itertools.count(1)
        self._real_idents: dict[int, int] = {}

    def take_over(self) -> None:
        """Give this process the ids."""
        self._real_ids = {self.pid: real_pid(), self._parent: _real_parent()}
        self._replace_processes()
        self._replace_threads()
        os.register_at_fork(after_in_child=self._be_a_child)

    # Processes.

    def _replace_processes(self) -> None:
        redirect(os.getpid, self._getpid)
        redirect(os.getppid, lambda: self._parent)
        for name in _ABOUT_PROCESSES:
            if hasattr(os, name):
                self._translate(getattr(os, name))

    def _getpid(self) -> int:
        package = _package(sys._getframe(1))  # noqa: SLF001  # the only way to see who asks
        if package in _REAL:
            return self._real_ids[self.pid]
        self._note(package)
        return self.pid

    def _note(self, package: str) -> None:
        self.looked = self.looked or package not in _UPKEEP

    def _translate(self, builtin: Any) -> None:
        def replacement(pid: int, /, *arguments: Any, **options: Any) -> Any:
            return original(self._real_ids.get(pid, pid), *arguments, **options)

        original = redirect(builtin, replacement)

    def _be_a_child(self) -> None:
        """Be a process that the client has forked: it has the process id that the client was told."""
        self._parent, self.pid = self.pid, real_pid()
        self._real_ids = {self.pid: self.pid, self._parent: _real_parent()}

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the ids over a fork: what is forked meanwhile is a copy of the client, and no child of it."""
        pid, parent = self.pid, self._parent
        try:
            yield
        finally:
            self.pid, self._parent = pid, parent
            self._real_ids = {pid: real_pid(), parent: _real_parent()}

    # Threads.

    def _replace_threads(self) -> None:
        thread = threading.current_thread()
        active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]  # noqa: SLF001  # by old ids
        del active[thread.ident or 0]
        redirect(_thread.get_ident, self._get_ident)
        redirect(_thread.get_native_id, self._get_native_id)
        thread._set_ident()  # type: ignore[attr-defined]  # noqa: SLF001  # as it does after a fork
        thread._set_native_id()  # type: ignore[attr-defined]  # noqa: SLF001
        active[thread.ident or 0] = thread
        self._note_who_reads_native_ids()
        self._tell_who_names_threads()
        self._replace_frames()
        if hasattr(_thread, "_ThreadHandle"):  # from 3.13 on, threading compares it with get_ident()
            self._replace_handles(_thread._ThreadHandle)  # noqa: SLF001  # what threading itself uses
        if hasattr(signal, "pthread_kill"):
            self._replace_pthread_kill()
        if hasattr(time, "pthread_getcpuclockid"):
            self._replace_clocks_of_threads()

    def _number(self) -> int:
        try:
            return self._own.number  # type: ignore[no-any-return]  # set below
        except AttributeError:
            number = self._own.number = next(self._numbers)
            self._real_idents[number] = real_ident()
            return number

    def _get_ident(self) -> int:
        return self._number()

    def _get_native_id(self) -> int:
        self._note(_package(sys._getframe(1)))  # noqa: SLF001  # as above
        return self.pid + self._number() - 1

    def _note_who_reads_native_ids(self) -> None:
        def native_id(thread: threading.Thread) -> int | None:
            self._note(_package(sys._getframe(1)))  # noqa: SLF001  # as above
            return original(thread)  # type: ignore[no-any-return]  # it is a property's

        original: Any = vars(threading.Thread)["native_id"].fget
        threading.Thread.native_id = property(native_id)  # type: ignore[assignment]  # for good

    def _tell_who_names_threads(self) -> None:
        def ident(thread: threading.Thread) -> int | None:
            known: int | None = original(thread)
            if known is not None and _package(sys._getframe(1)) in _NAMES_THREADS:  # noqa: SLF001  # as above
                return self._real_idents.get(known, known)
            return known

        original: Any = vars(threading.Thread)["ident"].fget
        threading.Thread.ident = property(ident)  # type: ignore[assignment]  # for good

    def _replace_clocks_of_threads(self) -> None:
        def pthread_getcpuclockid(thread_id: int, /) -> int:
            return int(clock_of(self._real_idents.get(thread_id, thread_id)))

        clock_of = redirect(time.pthread_getcpuclockid, pthread_getcpuclockid)

    def _replace_frames(self) -> None:
        def translated(found: dict[int, Any]) -> dict[int, Any]:
            return {self._seen_as(ident): value for ident, value in found.items()}

        frames = redirect(sys._current_frames, lambda: translated(frames()))  # noqa: SLF001
        exceptions = redirect(sys._current_exceptions, lambda: translated(exceptions()))  # noqa: SLF001

    def _replace_handles(self, owner: type) -> None:
        original = owner.__dict__["ident"]
        replace_method(owner, "ident", property(lambda handle: self._seen_as(original.__get__(handle))))

    def _seen_as(self, real: int) -> int:
        """Return what the client knows a thread by: the last one that has had this ident."""
        return {known: number for number, known in self._real_idents.items()}.get(real, real)

    def _replace_pthread_kill(self) -> None:
        def pthread_kill(thread_id: int, signalnum: int, /) -> None:
            kill(self._real_idents.get(thread_id, thread_id), signalnum)

        kill = redirect(signal.pthread_kill, pthread_kill)


def _package(frame: FrameType) -> str:
    """Return the package whose code runs in a frame."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
