from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import Engine, insert, text

from tests.report import bank
from treadle.checking import check, replay
from treadle.client.whereabouts import whereabouts
from treadle.scenario import Client, Database, Scenario
from treadle.values.property import always
from treadle.values.source import Source
from treadle.values.trace import Trace

HERE = "tests/client/test_whereabouts.py"
NOTHING = compile("", "nothing", "exec")


def lines_of(trace: Trace) -> set[str]:
    """Return the lines that statements came from, with their functions."""
    return {f"{event.source} {event.source.function}" for event in trace.events if event.source is not None}


def line(function: object, words: str) -> int:
    """Return the number of the line of a function that has some words in it."""
    found, first = inspect.getsourcelines(function)  # type: ignore[arg-type]  # of a function
    return next(first + number for number, one in enumerate(found) if words in one)


def in_a_thread(engine: Engine) -> None:
    """Insert in a worker thread."""

    def work() -> None:
        with engine.begin() as connection:
            connection.execute(insert(bank.ACCOUNT).values(balance=1))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def scenario(run: object) -> Scenario:
    """Return a scenario of one client."""
    database = Database(bank.METADATA)
    clients = [Client("A", lambda: run(database.engine))]  # type: ignore[operator]  # a function of an engine
    return Scenario("sources", database, clients, [always("nothing is wrong", lambda view: True, name="fine")])


def test_each_operation_has_the_line_of_the_application() -> None:
    """In the counterexample of a check: no line of the checker, of SQLAlchemy, or of who called check()."""
    example = check(bank.surprising(), challenges=0, challenge=0.0)["no-lost-update"].counterexample
    assert example is not None
    expected = {
        f"tests/report/bank.py:{line(bank.read_then_write, words)} read_then_write"
        for words in ("engine.begin", "select(", "update(")
    }
    assert expected == lines_of(example.trace)
    update = next(event for event in example.trace.events if event.operation and "UPDATE" in str(event.operation))
    assert Source("tests/report/bank.py", line(bank.read_then_write, "update("), "read_then_write") == update.source


def test_a_thread_has_a_line_of_its_own() -> None:
    """What a worker thread asks for comes from the code that runs there."""
    trace = replay(scenario(in_a_thread), "t1.A9")
    number = line(in_a_thread, "connection.execute")
    assert f"{HERE}:{number} in_a_thread.<locals>.work" in lines_of(trace)


def test_a_task_has_the_line_at_which_it_waits() -> None:
    """Where a library calls SQLite in a thread of its own, which has nothing of the application."""

    async def work(engine: Engine) -> None:
        with engine.begin() as connection:
            await asyncio.to_thread(connection.execute, insert(bank.ACCOUNT).values(balance=1))

    trace = replay(scenario(lambda engine: asyncio.run(work(engine))), "t1.A9")
    (insertion,) = [event for event in trace.events if event.operation and "INSERT" in str(event.operation)]
    assert insertion.source is not None
    assert (HERE, line(work, "to_thread")) == (insertion.source.file, insertion.source.line)


def test_what_exec_made_is_in_no_file() -> None:
    """The line that called it is shown."""
    names: dict[str, object] = {"where": lambda: whereabouts(NOTHING)}
    exec("found = where()", names)  # noqa: S102  # it is what this is about
    found = names["found"]
    assert isinstance(found, Source)
    assert Path(found.file).name == Path(__file__).name


def test_the_search_ends_where_the_application_does() -> None:
    """Below that is whoever started the check."""
    assert whereabouts(sys._getframe().f_code) is None


def test_a_line_is_shown_by_the_name_of_its_file() -> None:
    """The path tells two files of one name apart."""
    source = Source("a/b.py", 3, "f")
    assert ("b.py:3", "a/b.py:3") == (source.name, str(source))


def test_text_is_a_statement() -> None:
    """Statements that are plain text have a line, too."""

    def ask(engine: Engine) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    assert any(
        found.startswith(f"{HERE}:{line(ask, 'SELECT 1')} ") for found in lines_of(replay(scenario(ask), "t1.A9"))
    )


def test_nothing_is_kept_alive() -> None:
    """What stands on a stack that was looked at goes when it would have gone: a cursor is closed then."""

    class Thing:
        """What a function has while it asks."""

    def ask() -> weakref.ref[Thing]:
        thing = Thing()
        whereabouts(NOTHING)
        return weakref.ref(thing)

    gc.disable()
    try:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(ask).result()() is None
        assert ask()() is None
    finally:
        gc.enable()
