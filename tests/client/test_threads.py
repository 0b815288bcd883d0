from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import functools
import gc
import itertools
import queue
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.client.apart import apart, busy
from treadle.client.patching import copy_of
from treadle.client.threads import Threads
from treadle.client.timekeeping import Timekeeper
from treadle.values.errors import ForeignThreadError
from treadle.values.instant import START

REPETITIONS = 10
"""How often each test is run."""

real_sleep = copy_of(time.sleep)
real_clock = copy_of(time.perf_counter)


class Database:
    """What threads ask: it notes who asked for what, and takes some time to answer.

    Attributes:
        asked: what was asked, by which thread.
    """

    def __init__(self, keeper: Timekeeper, threads: Threads) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.keeper = keeper
        self.threads = threads

    def ask(self, what: Any = None) -> Any:
        self.threads.before_asking()
        name = threading.current_thread().name
        self.asked.append((name.partition("portal")[0], what))  # the name of a portal's thread has an address
        real_sleep(0.0002)  # the pipe
        self.threads.after_asking()
        return what


def ended(client: Callable[[Database], Any]) -> Any:
    """Return what a client returned, what it asked, and the error about its threads, after many runs."""

    def run() -> Any:
        gc.disable()
        keeper = Timekeeper(START)
        keeper.install()
        database = Database(keeper, Threads(keeper))
        try:
            answer = client(database)
        except ForeignThreadError:
            answer = "failed"
        error = database.threads.finish()
        return answer, database.asked, None if error is None else str(error), keeper.now_s

    with busy(2):
        results = [apart(run) for _ in range(REPETITIONS)]
    assert [results[0]] * REPETITIONS == results
    return results[0]


def named(error: str | None) -> list[str]:
    """Return which of the threads of these tests an error names."""
    assert error is not None
    names = ("MainThread", "asker", "worker-0", "worker_0", "worker_1", "late", "Thread-1")
    return [name for name in names if f"'{name}'" in error]


# What the client waits for.


def test_a_pool_asks_for_the_client_that_waits_for_it() -> None:
    """What is asked by a pool of one thread comes in the order in which it was submitted."""

    def client(database: Database) -> Any:
        with ThreadPoolExecutor(1, "worker") as pool:
            database.ask("first")
            answers = [pool.submit(database.ask, number).result() for number in range(3)]
            answers += pool.map(database.ask, "abc")
            answers.append(pool.submit(database.ask, "timed").result(5))
            database.ask("last")
        return answers

    answers, asked, error, now_s = ended(client)

    assert [0, 1, 2, "a", "b", "c", "timed"] == answers
    inside = [("worker_0", what) for what in answers]
    assert [("MainThread", "first"), *inside, ("MainThread", "last")] == asked
    assert error is None
    assert 0.0 == now_s


def test_threads_that_are_joined_ask_for_the_client() -> None:
    """One thread after another asks, each while it is joined."""

    def client(database: Database) -> Any:
        for number in range(5):
            thread = threading.Thread(target=database.ask, args=(number,), name="asker")
            thread.start()
            thread.join(None if number % 2 else 10)
            database.ask("main")

    _, asked, error, now_s = ended(client)

    assert [one for number in range(5) for one in (("asker", number), ("MainThread", "main"))] == asked
    assert error is None
    assert 0.0 == now_s


def test_an_event_loop_asks_in_threads() -> None:
    """asyncio.to_thread asks for the client, one thread at a time, with timers beside it."""

    def client(database: Database) -> Any:
        async def main() -> Any:
            await asyncio.sleep(1)
            first = await asyncio.to_thread(database.ask, 1)
            second = await asyncio.wait_for(asyncio.to_thread(database.ask, 2), 5)
            async with asyncio.timeout(3):
                third = await asyncio.to_thread(database.ask, 3)
            return first, second, third, database.ask(4)

        return asyncio.run(main())

    answers, asked, error, now_s = ended(client)

    assert (1, 2, 3, 4) == answers
    assert [1, 2, 3, 4] == [what for _, what in asked]
    assert error is None
    assert 1.0 == now_s


def test_a_portal_asks_in_its_loop() -> None:
    """A loop in another thread asks for the client that waits for what it runs there."""

    def client(database: Database) -> Any:
        async def answer(what: Any) -> Any:
            await asyncio.sleep(1)
            return database.ask(what)

        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="asker")
        thread.start()
        for number in range(3):
            asyncio.run_coroutine_threadsafe(answer(number), loop).result(60 if number else None)
            database.ask("main")
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    _, asked, error, now_s = ended(client)

    assert [one for number in range(3) for one in (("asker", number), ("MainThread", "main"))] == asked
    assert error is None
    assert 3.0 == now_s


def test_threads_that_pass_work_on_take_turns() -> None:
    """A pipeline of queues, each item awaited, is one order; threads that ask nothing may do as they like."""

    def client(database: Database) -> Any:
        def pass_on(taken: queue.Queue[Any], given: queue.Queue[Any]) -> None:
            while (item := taken.get()) is not None:
                given.put(database.ask(item + 1))
            given.put(None)

        def compute() -> None:
            while not done.wait(10):
                sum(range(1000))

        done = threading.Event()
        queues: list[queue.Queue[Any]] = [queue.Queue() for _ in range(4)]
        workers = [threading.Thread(target=pass_on, args=pair) for pair in itertools.pairwise(queues)] + [
            threading.Thread(target=compute) for _ in range(2)
        ]
        for thread in workers:
            thread.start()
        got = []
        for number in (0, 10, 20):
            queues[0].put(number)
            got.append(queues[-1].get())
            database.ask("main")
        queues[0].put(None)
        done.set()
        for thread in workers:
            thread.join()
        return got

    got, asked, error, now_s = ended(client)

    assert [3, 13, 23] == got
    assert [number for start in (0, 10, 20) for number in (start + 1, start + 2, start + 3, "main")] == [
        what for _, what in asked
    ]
    assert error is None
    assert 0.0 == now_s


def test_what_others_do_before_they_sleep_is_done_before_the_next_operation() -> None:
    """Threads that are woken, many at once, have run until they sleep when the client asks."""

    def client(database: Database) -> Any:
        def work() -> None:
            for event in events:
                event.wait()
                sum(range(3000))
                done[event] += 1

        done: collections.Counter[threading.Event] = collections.Counter()
        events = [threading.Event() for _ in range(10)]
        workers = [threading.Thread(target=work) for _ in range(6)]
        for thread in workers:
            thread.start()
        seen = []
        for event in events:
            event.set()
            database.ask()
            seen.append(done[event])
        for thread in workers:
            thread.join()
        return seen

    seen, _, error, _ = ended(client)

    assert [6] * 10 == seen
    assert error is None


def test_the_clock_stands_still_while_somebody_asks() -> None:
    """A thread that sleeps does not go on while another has no answer."""

    def client(database: Database) -> Any:
        def nap() -> None:
            time.sleep(1)
            noted.append(len(database.asked))

        noted: list[int] = []
        thread = threading.Thread(target=nap)
        thread.start()
        for number in range(5):
            database.ask(number)
        thread.join()
        return noted

    assert ([5], 1.0) == (ended(client)[0], ended(client)[3])


def test_threads_take_turns_where_they_wait() -> None:
    """A thread that is woken goes on when the one that woke it waits, and not before, with locks of all kinds."""

    def client(database: Database) -> Any:
        def work(name: str) -> None:
            for _ in range(3):
                with condition:
                    condition.wait()
                    noted.append(name)
                with lock:
                    noted.append(name)
                Path("/dev/null").write_bytes(b"gives up the interpreter's lock")
                noted.append(name)

        noted: list[str] = []
        condition, lock = threading.Condition(), threading.Lock()
        workers = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in workers:
            thread.start()
        for _ in range(3):
            with condition:
                condition.notify_all()
                Path("/dev/null").write_bytes(b"the same")
                noted.append("-")
            database.ask()
        for thread in workers:
            thread.join()
        return "".join(noted)

    assert "-aaabbbccc" * 3 == ended(client)[0]


def test_waits_that_nobody_replaced_are_waits_too() -> None:
    """A thread that waits in C code, for a thread or for another process, lets others go on."""

    def client(database: Database) -> Any:
        def serve() -> None:
            while (number := work.get()) is not None:
                database.ask(number)
                other.send(b"x" * number)

        one, other = socket.socketpair()
        work: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        thread = threading.Thread(target=serve)
        thread.start()
        got = []
        for number in (1, 2, 3):
            work.put(number)
            got.append(len(one.recv(10)))
        got.append(len(subprocess.run(["echo", "four"], stdout=subprocess.PIPE, check=True).stdout))
        work.put(None)
        thread.join()
        return got

    answer, asked, error, _ = ended(client)

    assert [1, 2, 3, 5] == answer
    assert [1, 2, 3] == [what for _, what in asked]
    assert error is None


# Two at once.


def test_two_threads_that_ask_at_once_are_an_error() -> None:
    """Neither waits for the other; both are named, whoever comes first."""

    def client(database: Database) -> Any:
        thread = threading.Thread(target=database.ask, args=("other",), name="asker")
        thread.start()
        database.ask("main")

    answer, asked, error, _ = ended(client)

    assert "failed" == answer
    assert [] == asked
    assert ["MainThread", "asker"] == named(error)


def test_two_workers_of_a_pool_that_ask_at_once_are_an_error() -> None:
    """The client waits for both, but they do not wait for each other."""

    def client(database: Database) -> Any:
        with ThreadPoolExecutor(2, "worker") as pool:
            return list(pool.map(database.ask, range(4)))

    answer, asked, error, _ = ended(client)

    assert "failed" == answer
    assert [] == asked
    assert ["worker_0", "worker_1"] == named(error)


@pytest.mark.parametrize("work", [0, 200_000])
def test_a_thread_that_is_woken_and_asks_is_found(work: int) -> None:
    """Also where it has not come to run yet, or computes before it asks."""

    def client(database: Database) -> Any:
        def ask() -> None:
            event.wait()
            sum(range(work))
            database.ask("other")

        event = threading.Event()
        thread = threading.Thread(target=ask, name="asker")
        thread.start()
        database.ask("alone")
        event.set()
        database.ask("main")

    answer, asked, error, _ = ended(client)

    assert "failed" == answer
    assert [("MainThread", "alone")] == asked
    assert ["MainThread", "asker"] == named(error)


def test_a_wait_with_a_timeout_that_is_over_is_found() -> None:
    """A thread that could go on, had it looked, goes on before another asks."""

    def client(database: Database) -> Any:
        def ask() -> None:
            assert work.get(timeout=10) == 1
            database.ask("other")

        work: queue.Queue[int] = queue.Queue()
        thread = threading.Thread(target=ask, name="asker")
        thread.start()
        database.ask("alone")
        work.put(1)
        database.ask("main")

    answer, asked, error, now_s = ended(client)

    assert "failed" == answer
    assert [("MainThread", "alone")] == asked
    assert ["MainThread", "asker"] == named(error)
    assert 0.0 == now_s


# Threads that outlive the client's function.


def test_idle_workers_are_no_error() -> None:
    """A pool that is never shut down waits for work, with or without a timeout after which its threads end."""

    def client(database: Database) -> Any:
        def work() -> None:
            while True:
                try:
                    function = tasks.get(timeout=30)
                except queue.Empty:
                    return
                function()

        tasks: queue.Queue[Callable[[], Any]] = queue.Queue()
        threading.Thread(target=work, daemon=True).start()
        pool = ThreadPoolExecutor(2, "worker")
        pool.submit(database.ask, 1).result()
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        tasks.put(lambda: answer.set_result(database.ask(2)))
        return answer.result()

    answer, asked, error, _ = ended(client)

    assert 2 == answer
    assert [1, 2] == [what for _, what in asked]
    assert error is None


@pytest.mark.parametrize("length_s", [None, 0, 5])
def test_a_thread_that_asks_after_the_end_is_an_error(length_s: float | None) -> None:
    """At once, or after some time."""

    def client(database: Database) -> Any:
        def ask() -> None:
            if length_s is not None:
                time.sleep(length_s)
            database.ask("late")

        threading.Thread(target=ask, name="late").start()

    _, asked, error, _ = ended(client)

    assert [] == asked
    assert ["late"] == named(error)


def test_a_thread_that_waits_again_and_again_is_an_error() -> None:
    """Nobody knows what it does in the end."""

    def client(database: Database) -> Any:
        def beat() -> None:
            while not stop.wait(10):
                pass

        stop = threading.Event()
        threading.Thread(target=beat, name="late", daemon=True).start()
        return database.ask("done")

    answer, _, error, _ = ended(client)

    assert "done" == answer
    assert ["late"] == named(error)


def test_a_timer_that_is_left_counts_if_it_asks() -> None:
    """One that asks nothing does no harm."""

    def client(database: Database) -> Any:
        threading.Timer(60, noted.append, ("late",)).start()

    noted: list[str] = []
    assert ended(client)[2] is None
    assert ["late"] == named(ended(lambda database: named_timer(database).start())[2])


def named_timer(database: Database) -> threading.Timer:
    """Return a timer that asks."""
    timer = threading.Timer(60, database.ask, ("late",))
    timer.name = "late"
    return timer


def test_one_misuse_stays_the_answer() -> None:
    """A client that catches the error gets it again, and so does the end."""

    def client(database: Database) -> Any:
        thread = threading.Thread(target=database.ask, name="asker")
        thread.start()
        errors = []
        for _ in range(2):
            with pytest.raises(ForeignThreadError) as caught:
                database.ask()
            errors.append(caught.value)
        return errors[0] is errors[1]

    same, asked, error, _ = ended(client)

    assert same
    assert [] == asked
    assert ["MainThread", "asker"] == named(error)


# Libraries.


def test_aiosqlite_asks_in_its_thread() -> None:
    """Its thread asks while the event loop waits, one operation after the other, also of concurrent tasks."""
    aiosqlite = pytest.importorskip("aiosqlite")

    def client(database: Database) -> Any:
        class Asking(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                database.ask(arguments[0])
                return super().execute(*arguments)

        async def count(connection: Any, table: str) -> None:
            for _ in range(3):
                await connection.execute(f"INSERT INTO {table} VALUES (1)")
                await asyncio.sleep(1)

        async def main() -> Any:
            async with aiosqlite.connect(":memory:", factory=Asking) as connection:
                for table in "ab":
                    await connection.execute(f"CREATE TABLE {table} (x)")
                await asyncio.wait_for(asyncio.gather(*(count(connection, table) for table in "ab")), 60)
                async with connection.execute("SELECT count(*) FROM a") as cursor:
                    return await cursor.fetchall()

        return asyncio.run(main())

    rows, asked, error, now_s = ended(client)

    assert [(3,)] == rows
    inserts = [f"INSERT INTO {table} VALUES (1)" for table in "ababab"]
    assert ["CREATE TABLE a (x)", "CREATE TABLE b (x)", *inserts, "SELECT count(*) FROM a"] == [
        what for _, what in asked
    ]
    assert error is None
    assert 3.0 == now_s


def test_anyio_asks_in_its_threads() -> None:
    """Its worker threads ask for the client, and stay for more without harm."""
    anyio = pytest.importorskip("anyio")
    from_thread, to_thread = pytest.importorskip("anyio.from_thread"), pytest.importorskip("anyio.to_thread")

    def client(database: Database) -> Any:
        async def main() -> None:
            with anyio.fail_after(5):
                await to_thread.run_sync(database.ask, 1)
            await anyio.sleep(2)
            await to_thread.run_sync(lambda: from_thread.run(anyio.sleep, 1))
            await to_thread.run_sync(database.ask, 2)

        anyio.run(main)
        with from_thread.start_blocking_portal() as portal:
            portal.call(database.ask, 3)

    _, asked, error, now_s = ended(client)

    assert [1, 2, 3] == [what for _, what in asked]
    assert error is None
    assert 3.0 == now_s


# Costs.


def test_one_thread_pays_next_to_nothing() -> None:
    """Asking costs a process with one thread less than a microsecond, give or take a slow machine."""

    def run() -> Any:
        keeper = Timekeeper(START)
        keeper.install()
        threads = Threads(keeper)
        times = []
        for _ in range(20):
            before = real_clock()
            for _ in range(1000):
                threads.before_asking()
                threads.after_asking()
            times.append((real_clock() - before) / 1000)
        return min(times)

    assert apart(run) < 5e-6


def test_files_of_threads_that_have_ended_are_closed() -> None:
    """A client may start any number of threads, one after the other."""

    def client(database: Database) -> Any:
        counts = []
        for number in range(20):
            in_order = [threading.Thread(target=functools.partial(time.sleep, number % 3)) for _ in range(3)]
            for thread in in_order:
                thread.start()
            for thread in in_order:
                thread.join()
            database.ask()
            counts.append(len(list(Path("/proc/self/fd").iterdir())))
        return max(counts) - counts[0] < 12

    if Path("/proc/self/fd").is_dir():
        assert ended(client)[0]
