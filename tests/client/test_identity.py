from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.client.apart import apart
from treadle.client import identity
from treadle.client.identity import Identity
from treadle.client.quiescence import real_ident
from treadle.client.timekeeping import Timekeeper
from treadle.values.instant import START


def as_client(function: Callable[[Identity], Any], name: str = "alice") -> Any:
    """Return what a function returns in a process that has a client's ids."""

    def run() -> Any:
        Timekeeper(START).install()
        return function(identity.install(name))

    return apart(run)


def who() -> tuple[int, int, int | None, int | None]:
    """Return the ids of the calling thread, asked for in two ways."""
    thread = threading.current_thread()
    return threading.get_ident(), threading.get_native_id(), thread.ident, thread.native_id


def test_two_clients_have_two_process_ids_in_all_runs() -> None:
    """The process id is a function of the client's name."""

    def client(ids: Identity) -> Any:
        return os.getpid(), os.getppid(), ids.pid

    first, second, other = as_client(client), as_client(client), as_client(client, "bob")

    assert first == second
    assert first[0] == first[2]
    assert first[0] != other[0]
    assert first[1] == other[1]


def test_threads_are_numbered_in_their_order() -> None:
    """No number is given twice, and the same thread has the same numbers in all runs."""

    def client(ids: Identity) -> Any:
        with ThreadPoolExecutor(2) as pool:
            seen = [who(), pool.submit(who).result(), pool.submit(who).result()]
        for _ in range(3):
            thread = threading.Thread(target=lambda: seen.append(who()))
            thread.start()
            thread.join()
        seen.append(asyncio.run(asyncio.to_thread(who)))
        return [
            (ident, native - ids.pid, known, (native_known or 0) - ids.pid)
            for ident, native, known, native_known in seen
        ]

    numbers = [1, 2, 2, 3, 4, 5, 6]
    assert [(number, number - 1, number, number - 1) for number in numbers] == as_client(client)


def test_signals_reach_the_process_and_its_threads() -> None:
    """What takes an id takes those that the client knows."""

    def client(ids: Identity) -> Any:
        noted: list[str] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: noted.append("process"))
        signal.signal(signal.SIGUSR2, lambda number, frame: noted.append("thread"))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
        return noted, os.getpgid(os.getpid()) == os.getpgid(0), threading.get_ident() in sys._current_frames()

    assert (["process", "thread"], True, True) == as_client(client)


def test_a_child_of_the_client_is_who_the_client_was_told() -> None:
    """Its process id is the one that fork returned, and its parent is the client."""

    def client(ids: Identity) -> Any:
        reading, writing = os.pipe()
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            os.write(writing, repr((os.getpid(), os.getppid() == parent, who()[0])).encode())
            os._exit(0)
        return os.read(reading, 100).decode() == repr((child, True, 1)), os.waitpid(child, 0)[0] == child

    assert (True, True) == as_client(client)


def test_threads_are_still_known_to_threading() -> None:
    """The main thread is the main thread, and whoever has ended is no more."""

    def client(ids: Identity) -> Any:
        thread = threading.Thread(target=who, name="other")
        thread.start()
        names = {each.name for each in threading.enumerate()}
        thread.join()
        lock = threading.RLock()
        with lock, lock:
            owned = lock._is_owned()  # type: ignore[attr-defined]
        alone = [each.name for each in threading.enumerate()]
        return names - {"other"}, alone, threading.current_thread() is threading.main_thread(), owned

    assert ({"MainThread"}, ["MainThread"], True, True) == as_client(client)


def test_who_looks_at_a_process_id_is_noted() -> None:
    """The application does; logging and threads do not."""

    def client(ids: Identity) -> Any:
        logging.LogRecord("x", 1, "x", 1, "x", None, None)
        thread = threading.Thread(target=threading.get_ident)
        thread.start()
        thread.join()
        asyncio.run(asyncio.sleep(1))
        before = ids.looked
        os.getpid()
        return before, ids.looked

    def other_client(ids: Identity) -> Any:
        before = ids.looked
        assert threading.current_thread().native_id is not None
        return before, ids.looked

    assert (False, True) == as_client(client)
    assert (False, True) == as_client(other_client)


def test_what_c_code_takes_for_an_address_is_one() -> None:
    """The clock of a thread is asked of the system by its id; trio gives a thread its name by it."""

    def client(ids: Identity) -> Any:
        clocks: list[int] = []
        thread = threading.Thread(target=lambda: clocks.append(time.pthread_getcpuclockid(threading.get_ident())))
        thread.start()
        thread.join()
        own = threading.current_thread()
        asked_by_trio = eval("own.ident", {"__name__": "trio._core", "own": own})  # noqa: S307  # as code of that module
        return len(clocks), own.ident, asked_by_trio == real_ident()

    assert (1, 1, True) == as_client(client)
