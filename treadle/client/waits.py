"""Waits: what Python code can wait for, replaced by attempts that do not wait.

A replacement tries without waiting, and when that fails it asks when to try again; who answers knows the other
threads and the time (see ``timekeeping``). Whether it is worth a try is seen without trying, by any thread::

    lock                 whether it is locked
    SimpleQueue          whether it is empty
    thread               whether it has ended
    files                whether ``poll`` would return at once

Conditions, events, semaphores, barriers, queues, futures, timers and event loops are made of these.
"""

from __future__ import annotations

import _queue
import _thread
import functools
import select
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from treadle.client.patching import redirect, replace_method


class Patience(Protocol):
    """Who knows when to try."""

    def attempts(
        self, timeout_s: float | None, is_over: Callable[[], bool], *, of_files: bool = False
    ) -> Iterator[bool]:
        """Yield whenever it is worth an attempt, and whether that is to wait for as long as it takes."""


def replace_waits(patience: Patience) -> None:
    """Replace, for good, what waits for locks, queues, threads and files.

    Args:
        patience: says when to try.
    """
    for name in ("acquire", "acquire_lock"):
        _replace_acquire(patience, _thread.LockType, name, _is_free)
        if hasattr(_thread.RLock, name):
            _replace_acquire(patience, _thread.RLock, name, _is_free_reentrant)
    _replace_restore(_thread.RLock)
    if hasattr(_thread, "_ThreadHandle"):  # from 3.13 on; until then, to join a thread is to wait for a lock
        _replace_join(patience, _thread._ThreadHandle)  # noqa: SLF001  # what threading itself uses
    _replace_get(patience, _queue.SimpleQueue)
    _replace_select(patience)
    if hasattr(select, "epoll"):  # before poll, whose original it keeps
        _replace_epoll(patience, select.epoll)
    if hasattr(select, "poll"):
        _replace_poll(patience, type(select.poll()))
    if hasattr(select, "kqueue"):
        _replace_kqueue(patience, select.kqueue)


def _is_countable(timeout: Any) -> bool:
    """Tell whether a timeout is one that can be counted; for others, the original has an error."""
    return isinstance(timeout, (int, float)) and 0 <= timeout <= threading.TIMEOUT_MAX


# Locks.


def _replace_acquire(patience: Patience, owner: type, name: str, is_free: Callable[[Any], bool]) -> None:
    original = owner.__dict__[name]

    def acquire(self: Any, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002  # as the original has it
        if not blocking or not (timeout == -1 or _is_countable(timeout)):
            return original(self, blocking, timeout)  # type: ignore[no-any-return]  # it is a built-in method
        if original(self, False):  # noqa: FBT003
            return True
        tries = patience.attempts(None if timeout == -1 else timeout, functools.partial(is_free, self))
        return any(original(self, at_length) for at_length in tries)

    def enter(self: Any) -> bool:
        return original(self, False) or acquire(self)  # noqa: FBT003

    replace_method(owner, name, acquire)
    if name == "acquire":
        replace_method(owner, "__enter__", enter)


def _is_free(lock: Any) -> bool:
    return not lock.locked()


_shown = _thread.RLock.__repr__


def _is_free_reentrant(lock: Any) -> bool:
    return _shown(lock).startswith("<unlocked")  # before Python 3.14, there is no other way to see it


def _replace_restore(owner: type) -> None:
    """Replace what a condition does when it has been notified."""
    original, release = owner.__dict__["_acquire_restore"], owner.__dict__["release"]

    def acquire_restore(self: Any, state: Any, /) -> None:
        self.acquire()
        release(self)
        original(self, state)  # at once, for nobody else had a chance

    replace_method(owner, "_acquire_restore", acquire_restore)


# Threads and queues.


def _replace_join(patience: Patience, owner: type) -> None:
    original = owner.__dict__["join"]

    def join(self: Any, timeout: float | None = None, /) -> None:
        if timeout is not None and timeout < 0:
            timeout = None
        for at_length in patience.attempts(timeout, self.is_done):
            if at_length or self.is_done():  # to join for no time would sleep, by the real clock
                original(self)
                return

    replace_method(owner, "join", join)


def _replace_get(patience: Patience, owner: type) -> None:
    original = owner.__dict__["get"]

    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002  # as the original has it
        if not block or not (timeout is None or _is_countable(timeout)):
            return original(self, block, timeout)
        for at_length in patience.attempts(timeout, lambda: not self.empty()):
            if at_length or not self.empty():
                return original(self, at_length)
        raise _queue.Empty

    replace_method(owner, "get", get)


# Files.


def _replace_select(patience: Patience) -> None:
    def replacement(read: Any, write: Any, special: Any, timeout: float | None = None, /) -> Any:
        if not (timeout is None or _is_countable(timeout)):
            return original(read, write, special, timeout)
        files = list(read), list(write), list(special)
        look = functools.partial(_has_result, original, *files, 0)
        for at_length in patience.attempts(timeout, look, of_files=True):
            found = original(*files, None if at_length else 0)
            if any(found):
                return found
        return [], [], []

    original = redirect(select.select, replacement)


def _replace_poll(patience: Patience, owner: type) -> None:
    original = owner.__dict__["poll"]

    def poll(self: Any, timeout: float | None = None, /) -> Any:
        timeout_s = _seconds(timeout, 1000)
        look = functools.partial(_has_result, original, self, 0)
        for at_length in patience.attempts(timeout_s, look, of_files=True):
            found = original(self, None if at_length else 0)
            if found:
                return found
        return []

    replace_method(owner, "poll", poll)


def _replace_epoll(patience: Patience, owner: type) -> None:
    original, look_at = owner.__dict__["poll"], type(select.poll()).__dict__["poll"]

    def has_some(self: Any) -> bool:
        """Tell whether there are events, and leave them there."""
        look = select.poll()
        look.register(self.fileno(), select.POLLIN)
        return bool(look_at(look, 0))

    def poll(self: Any, timeout: float | None = None, maxevents: int = -1) -> Any:
        timeout_s = _seconds(timeout, 1)
        look = functools.partial(_has_result, has_some, self)
        for at_length in patience.attempts(timeout_s, look, of_files=True):
            found = original(self, None if at_length else 0, maxevents)
            if found:
                return found
        return []

    replace_method(owner, "poll", poll)


def _replace_kqueue(patience: Patience, owner: Any) -> None:
    original = owner.__dict__["control"]

    def control(self: Any, changes: Any, maximum: int, timeout: float | None = None, /) -> Any:
        if maximum == 0 or not (timeout is None or _is_countable(timeout)):
            return original(self, changes, maximum, timeout)
        look = functools.partial(_has_result, select.select, [self], [], [], 0)
        for at_length in patience.attempts(timeout, look, of_files=True):
            found = original(self, changes, maximum, None if at_length else 0)
            changes = None  # they are made
            if found:
                return found
        return []

    replace_method(owner, "control", control)


def _seconds(timeout: float | None, parts: int) -> float | None:
    """Return a timeout in seconds, where a negative one has no end."""
    return None if timeout is None or timeout < 0 else timeout / parts


def _has_result(look: Callable[..., Any], *arguments: Any) -> bool:
    """Tell whether a look brings a result or an error: the thread that waits must see either."""
    try:
        found = look(*arguments)
    except (OSError, ValueError, TypeError):
        return True
    return any(found) if isinstance(found, tuple) else bool(found)
