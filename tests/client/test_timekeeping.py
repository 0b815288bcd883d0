from __future__ import annotations

import asyncio
import concurrent.futures
import datetime as dt
import functools
import gc
import hashlib
import os
import queue
import select
import selectors
import socket
import threading
import time
import warnings
from collections.abc import Callable
from datetime import datetime
from time import monotonic, perf_counter_ns, sleep
from typing import Any

import pytest

from tests.client.apart import apart, busy
from treadle.client.patching import copy_of
from treadle.client.timekeeping import Timekeeper
from treadle.values.instant import START

REPETITIONS = 10
"""How often each test of several threads is run."""

real_clock = copy_of(time.perf_counter)
early_now, early_utcnow, early_today = datetime.now, datetime.utcnow, dt.date.today
early_lock, early_reentrant, early_queue = threading.Lock(), threading.RLock(), queue.SimpleQueue[int]()
early_event, early_condition = threading.Event(), threading.Condition()


def timed(function: Callable[[Timekeeper], Any]) -> Any:
    """Return what a function returns in a process with a clock of its own; it must take next to no real time."""

    def run() -> Any:
        gc.disable()  # what is garbage here may wait when it is collected
        keeper = Timekeeper(START)
        keeper.install()
        return function(keeper)

    return apart(run)


def repeated(function: Callable[[Timekeeper], Any]) -> Any:
    """Return what a function always returns, though the machine has other things to do."""
    with busy(2):
        results = [timed(function) for _ in range(REPETITIONS)]
    assert [results[0]] * REPETITIONS == results
    return results[0]


def passed(since: float = 2**20) -> float:
    """Return how much time has passed for the client, by a clock that was imported early."""
    return monotonic() - since


# Telling the time.


def test_all_clocks_tell_the_same() -> None:
    """Whatever tells the time tells that of the client, also where it was imported early."""

    def client(keeper: Timekeeper) -> Any:
        sleep(90.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            utcnow = early_utcnow().replace(tzinfo=dt.UTC)
        start = START.timestamp()
        walls = {
            "time": time.time() - start,
            "time_ns": time.time_ns() / 1e9 - start,
            "clock_gettime": time.clock_gettime(time.CLOCK_REALTIME) - start,
            "clock_gettime_ns": time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9 - start,
            "now": (early_now(dt.UTC) - START).total_seconds(),
            "today": (datetime.today().astimezone() - START).total_seconds(),  # what is tested
            "utcnow": (utcnow - START).total_seconds(),
        }
        uptimes = {
            "monotonic": monotonic(),
            "monotonic_ns": time.monotonic_ns() / 1e9,
            "perf_counter": time.perf_counter(),
            "perf_counter_ns": perf_counter_ns() / 1e9,
            "clock_gettime": time.clock_gettime(time.CLOCK_MONOTONIC),
            "clock_gettime_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e9,
            "loop": asyncio.new_event_loop().time(),
            "threading": threading._time(),  # type: ignore[attr-defined]
        }
        texts = time.ctime(), time.asctime(), time.strftime("%H:%M:%S"), str(early_today())
        return walls, uptimes, texts, time.gmtime()[:6] == time.localtime()[:6], keeper.now_s

    walls, uptimes, texts, same, now_s = timed(client)

    assert dict.fromkeys(walls, 90.5) == walls
    assert dict.fromkeys(uptimes, 2**20 + 90.5) == uptimes
    assert ("Thu Jan  1 00:01:30 2026", "Thu Jan  1 00:01:30 2026", "00:01:30", "2026-01-01") == texts
    assert same
    assert 90.5 == now_s


def test_processor_time_stands_still() -> None:
    """A client computes in no time."""

    def client(keeper: Timekeeper) -> Any:
        def told() -> Any:
            numbers = (time.CLOCK_PROCESS_CPUTIME_ID, time.CLOCK_THREAD_CPUTIME_ID)
            return (
                *(time.process_time(), time.process_time_ns(), time.thread_time(), time.thread_time_ns()),
                *(time.clock_gettime(number) for number in numbers),
            )

        before = told()
        sleep(3)
        return before == told()

    assert timed(client)


def test_a_clock_that_does_not_exist_raises() -> None:
    """Errors are those of Python."""

    def client(keeper: Timekeeper) -> Any:
        with pytest.raises(OSError, match="Invalid argument"):
            time.clock_gettime(77)
        with pytest.raises(ValueError, match="non-negative"):
            sleep(-1)
        with pytest.raises(ValueError, match="NaN"):
            sleep(float("nan"))
        with pytest.raises(OverflowError):
            sleep(float("inf"))
        with pytest.raises(TypeError):
            sleep("1")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout"):
            early_lock.acquire(False, 3)
        with pytest.raises(ValueError, match="timeout"):
            early_queue.get(timeout=-1)
        return keeper.now_s

    assert 0.0 == timed(client)


def test_who_waits_never_finds_that_less_has_passed() -> None:
    """Differences of times are never shorter than the wait, as on a real clock."""

    def client(keeper: Timekeeper) -> Any:
        short = []
        for number in range(1, 2000):
            length_s = number / 1000
            wall, uptime, deadline, moment = time.time(), monotonic(), monotonic() + length_s, early_now()
            sleep(length_s)
            late = [time.time() - wall, monotonic() - uptime, (early_now() - moment).total_seconds()]
            short += [length_s for length in late if not length_s <= length < length_s + 2e-6]
            short += [length_s] * (monotonic() < deadline)
        return short

    assert [] == timed(client)


def test_the_clock_can_be_moved_forward_only() -> None:
    """What the checker knows to take time can be added."""

    def client(keeper: Timekeeper) -> Any:
        keeper.advance_to(5)
        keeper.now_s = 3
        return keeper.now_s, passed()

    assert (5.0, 5.0) == timed(client)


def test_a_copy_of_a_process_with_a_clock_has_it() -> None:
    """The clock may be installed once, in the process that clients are forked from."""

    def client(keeper: Timekeeper) -> Any:
        def copied() -> bytes:
            reading, writing = os.pipe()
            if os.fork() == 0:
                thread = threading.Thread(target=sleep, args=(4,))
                thread.start()
                thread.join()
                own = keeper.census.this()
                os.write(writing, repr((keeper.now_s, own.number, own.name)).encode())
                os._exit(0)
            return os.read(reading, 100)

        return copied(), copied(), keeper.now_s

    assert (b"(4.0, 1, 'MainThread')", b"(4.0, 1, 'MainThread')", 0.0) == timed(client)


# One thread.


HOPELESS: dict[str, Any] = {
    "sleep": None,
    "early lock": False,
    "lock": False,
    "event": False,
    "condition": False,
    "semaphore": False,
    "barrier": threading.BrokenBarrierError,
    "queue": queue.Empty,
    "full queue": queue.Full,
    "simple queue": queue.Empty,
    "future": TimeoutError,
    "futures": 1,
    "select": ([], [], []),
    "poll": [],
    "epoll": [],
    "selector": [],
    "asyncio.sleep": None,
    "asyncio.wait_for": TimeoutError,
}
"""Waits that nobody can end, with what they return or raise."""


def hopeless() -> dict[str, Callable[[], Any]]:
    """Return such waits, of 100 seconds."""
    one, other = socket.socketpair()
    poll = select.poll()
    poll.register(one, select.POLLIN)
    epoll = select.epoll()
    epoll.register(one, select.EPOLLIN)
    selector = selectors.DefaultSelector()
    selector.register(other, selectors.EVENT_READ)
    early_lock.acquire(False)  # it stays locked
    held = threading.Lock()
    held.acquire()
    semaphore = threading.Semaphore(0)

    def full() -> None:
        waiting: queue.Queue[int] = queue.Queue(1)
        waiting.put(1)
        waiting.put(2, timeout=100)

    async def asleep() -> None:
        await asyncio.sleep(100)

    async def given_up() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 100)

    def condition() -> bool:
        with early_condition:
            return early_condition.wait(100)

    return {
        "sleep": lambda: sleep(100),
        "early lock": lambda: early_lock.acquire(timeout=100),
        "lock": lambda: held.acquire(True, 100),
        "event": lambda: early_event.wait(100),
        "condition": condition,
        "semaphore": lambda: semaphore.acquire(timeout=100),
        "barrier": lambda: threading.Barrier(2).wait(100),
        "queue": lambda: queue.Queue[int]().get(timeout=100),
        "full queue": full,
        "simple queue": lambda: early_queue.get(timeout=100),
        "future": lambda: concurrent.futures.Future[int]().result(100),
        "futures": lambda: len(concurrent.futures.wait([concurrent.futures.Future[int]()], 100).not_done),
        "select": lambda: select.select([one], [], [], 100),
        "poll": lambda: poll.poll(100_000),
        "epoll": lambda: epoll.poll(100),
        "selector": lambda: selector.select(100),
        "asyncio.sleep": lambda: asyncio.run(asleep()),
        "asyncio.wait_for": lambda: asyncio.run(given_up()),
    }


@pytest.mark.parametrize("name", HOPELESS)
def test_a_wait_that_nobody_can_end_ends_at_once(name: str) -> None:
    """It has taken just its timeout of the client's time, and next to no real time."""

    def client(keeper: Timekeeper) -> Any:
        waits = hopeless()  # which keep each other's files
        before = real_clock()
        try:
            result = waits[name]()
        except Exception as error:  # noqa: BLE001  # which one is compared
            result = type(error)
        assert real_clock() - before < 2
        return result, passed()

    assert (HOPELESS[name], 100.0) == timed(client)


def test_what_is_there_is_had_at_once() -> None:
    """A wait that is over before it begins takes no time."""

    def client(keeper: Timekeeper) -> Any:
        one, other = socket.socketpair()
        one.send(b"x")
        early_queue.put(7)
        early_event.set()
        epoll = select.epoll()
        epoll.register(other, select.EPOLLIN)
        with early_reentrant:
            assert early_reentrant.acquire(timeout=3)
        found = select.select([other], [], [], 3)[0] == [other], early_queue.get(timeout=3), early_event.wait(3)
        return found, len(epoll.poll(3)), early_lock.acquire(timeout=3), early_lock.acquire(True, 0), passed()

    assert ((True, 7, True), 1, True, False, 0.0) == timed(client)


def test_who_retries_gives_up() -> None:
    """A loop with a deadline ends when its time is over, and not before."""

    def client(keeper: Timekeeper) -> Any:
        deadline, tries = monotonic() + 2, 0
        while True:
            tries += 1
            if monotonic() >= deadline:
                return tries, passed()
            sleep(1)

    assert (3, 2.0) == timed(client)


def test_an_event_loop_keeps_its_timers() -> None:
    """Timers of asyncio go off in their order, each at its time."""

    def client(keeper: Timekeeper) -> Any:
        async def note(seconds: float) -> None:
            await asyncio.sleep(seconds)
            noted.append((seconds, passed()))

        async def main() -> None:
            async with asyncio.timeout(50):
                await asyncio.gather(*(note(seconds) for seconds in (3, 1, 2, 1)))
            asyncio.get_running_loop().call_later(5, noted.append, "called")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Future(), 10)

        noted: list[Any] = []
        asyncio.run(main())
        return noted, passed()

    assert ([(1, 1.0), (1, 1.0), (2, 2.0), (3, 3.0), "called"], 13.0) == timed(client)


# Several threads.


def in_threads(*functions: Callable[[], Any]) -> None:
    """Run functions in threads, and wait for all of them."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_earliest_wait_ends_first() -> None:
    """Of several threads that wait, the one whose timeout ends first goes first; ties go by who began."""

    def client(keeper: Timekeeper) -> Any:
        def nap(name: str, *lengths_s: float) -> None:
            for length_s in lengths_s:
                sleep(length_s)
                noted.append((name, passed()))

        noted: list[tuple[str, float]] = []
        in_threads(*(functools.partial(nap, *one) for one in (("a", 3, 2), ("b", 1, 4), ("c", 2, 1), ("d", 3))))
        return noted

    expected = [("b", 1.0), ("c", 2.0), ("a", 3.0), ("d", 3.0), ("c", 3.0), ("b", 5.0), ("a", 5.0)]
    assert expected == repeated(client)


@pytest.mark.parametrize("length_s", [0, 5])
def test_a_wait_that_another_thread_ends_ends_before_its_time(length_s: float) -> None:
    """It is over when it is over, however long the machine takes; the clock moves for those who sleep."""

    def client(keeper: Timekeeper) -> Any:
        events = [threading.Event() for _ in range(3)]
        work: queue.SimpleQueue[int] = queue.SimpleQueue()
        lock = threading.Lock()
        lock.acquire()
        condition = threading.Condition()
        future: concurrent.futures.Future[int] = concurrent.futures.Future()
        one, other = socket.socketpair()

        def give() -> None:
            for event in events:
                if length_s:
                    sleep(length_s)
                event.set()
            work.put(7)
            lock.release()
            future.set_result(8)
            one.send(b"x")
            with condition:
                condition.notify()

        def satisfied() -> bool:
            with condition:
                return condition.wait(100)

        def take() -> None:
            noted.extend((event.wait(100), passed()) for event in events)
            noted.extend([work.get(timeout=100), lock.acquire(timeout=100), future.result(100)])
            noted.append(len(select.select([other], [], [], 100)[0]))

        noted: list[Any] = []
        in_threads(take, lambda: noted.insert(0, satisfied()), give)
        return noted, passed()

    moments = [(True, float(length_s * number)) for number in (1, 2, 3)]
    assert ([True, *moments, 7, True, 8, 1], 3.0 * length_s) == repeated(client)


def test_of_several_whose_wait_is_over_the_first_goes_on() -> None:
    """Who began to wait first has it, and the others wait on, until their time."""

    def client(keeper: Timekeeper) -> Any:
        def take(name: str) -> None:
            try:
                noted.append((name, early_queue.get(timeout=10), passed()))
            except queue.Empty:
                noted.append((name, None, passed()))

        def give() -> None:
            sleep(1)
            early_queue.put(1)
            early_queue.put(2)

        noted: list[Any] = []
        in_threads(*(functools.partial(take, name) for name in "abc"), give)
        return noted

    assert [("a", 1, 1.0), ("b", 2, 1.0), ("c", None, 10.0)] == repeated(client)


def test_a_lock_with_a_timeout_waits_for_its_owner() -> None:
    """Locks are given in turn, and a re-entrant one is its owner's."""

    def client(keeper: Timekeeper) -> Any:
        def use(lock: Any, name: str, length_s: float, timeout_s: float) -> None:
            if not lock.acquire(timeout=timeout_s):
                noted.append((name, "gave up", passed()))
                return
            sleep(length_s)
            noted.append((name, "used", passed()))
            lock.release()

        noted: list[Any] = []
        for lock in (early_lock, early_reentrant):
            users = [("a", 5, 1), ("b", 5, 7), ("c", 5, 7)]
            in_threads(*(functools.partial(use, lock, *user) for user in users))
        return noted

    first = [("a", "used", 5.0), ("c", "gave up", 7.0), ("b", "used", 10.0)]
    assert first + [(name, what, at + 10) for name, what, at in first] == repeated(client)


def test_threads_are_joined_in_their_time() -> None:
    """A join with a timeout gives up at its end, and ends with the thread."""

    def client(keeper: Timekeeper) -> Any:
        thread = threading.Thread(target=sleep, args=(5,))
        thread.start()
        noted = []
        for timeout_s in (2, 0, 100):
            thread.join(timeout_s)
            noted.append((thread.is_alive(), passed()))
        return noted

    assert [(True, 2.0), (True, 2.0), (False, 5.0)] == repeated(client)


def test_timers_go_off_or_are_cancelled() -> None:
    """A threading.Timer runs at its time, unless it is cancelled before."""

    def client(keeper: Timekeeper) -> Any:
        noted: list[Any] = []
        timers = [threading.Timer(length_s, lambda: noted.append(passed())) for length_s in (4, 2, 3)]
        for timer in timers:
            timer.start()
        sleep(2.5)
        timers[2].cancel()
        for timer in timers:
            timer.join()
        return noted, passed()

    assert ([2.0, 4.0], 4.0) == repeated(client)


def test_an_event_loop_waits_for_its_threads() -> None:
    """A loop with timers and threads sees both in the order of their times."""

    def client(keeper: Timekeeper) -> Any:
        def work(length_s: float) -> float:
            sleep(length_s)
            return passed()

        async def main() -> Any:
            threads = [asyncio.to_thread(work, length_s) for length_s in (3, 1)]
            done = await asyncio.gather(asyncio.sleep(2), *threads)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(work, 5), 4)
            return done, passed()

        return asyncio.run(main()), passed()

    assert (([None, 3.0, 1.0], 7.0), 8.0) == repeated(client)


def test_a_portal_into_an_event_loop_keeps_the_time() -> None:
    """Other threads call into a loop, and wait for it with and without a timeout."""

    def client(keeper: Timekeeper) -> Any:
        async def answer(length_s: float) -> float:
            await asyncio.sleep(length_s)
            return passed()

        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        first = asyncio.run_coroutine_threadsafe(answer(3), loop).result()
        second = asyncio.run_coroutine_threadsafe(answer(1), loop).result(2)
        with pytest.raises(TimeoutError):
            asyncio.run_coroutine_threadsafe(answer(5), loop).result(2)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        return first, second, passed()

    assert (3.0, 4.0, 6.0) == repeated(client)


def test_a_thread_that_computes_is_awaited() -> None:
    """The clock does not move while some thread runs, with the interpreter's lock or without it."""

    def client(keeper: Timekeeper) -> Any:
        def compute() -> None:
            for _ in range(30):
                sum(range(20_000))
                hashlib.sha256(bytes(2_000_000)).digest()
            done.set()

        done = threading.Event()
        threading.Thread(target=compute).start()
        return done.wait(0.001), passed()

    assert (True, 0.0) == repeated(client)
