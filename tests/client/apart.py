"""Run a function in a copy of this process, with a time limit, and keep the machine busy meanwhile."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

LIMIT_S = 20.0


def apart(function: Callable[[], Any], *, limit_s: float = LIMIT_S) -> Any:
    """Return what the function returns in a process of its own, which ends at once.

    Args:
        function: what to run; what it returns must be picklable.
        limit_s: how long it may take, in seconds.
    """
    reading, writing = os.pipe()
    pid = _fork()
    if pid == 0:
        _be(function, writing)
    os.close(writing)
    try:
        return _received(reading, limit_s)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep the machine busy: a thread that is woken then takes long to get a processor."""
    pids = []
    for _ in range(loops):
        pid = _fork()
        if pid == 0:
            signal.alarm(600)  # whatever becomes of the tests
            while True:
                pass
        pids.append(pid)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what runs the tests has threads, which no test needs
        return os.fork()


def _be(function: Callable[[], Any], writing: int) -> NoReturn:
    try:
        told = pickle.dumps((True, function()))
    except BaseException:  # noqa: BLE001  # the other process reports it
        told = pickle.dumps((False, traceback.format_exc()))
    try:
        os.write(writing, told)
    finally:
        os._exit(0)


def _received(reading: int, limit_s: float) -> Any:
    told = b""
    while select.select([reading], [], [], limit_s)[0]:
        part = os.read(reading, 65536)
        if not part:
            assert told, "the process died"
            worked, answer = pickle.loads(told)  # noqa: S301  # from a copy of this very process
            assert worked, answer
            return answer
        told += part
    raise AssertionError(f"nothing came within {limit_s:g} s")
