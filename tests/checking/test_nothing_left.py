"""Nothing is left behind, and the application's own database is never touched."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import create_engine

from tests.checking.bank import METADATA, add_in_place, bank, counts, read_then_write, seed
from treadle import (
    Client,
    Database,
    NondeterminismError,
    Scenario,
    UnsupportedOperationError,
    Verdict,
    View,
    at_end,
    check,
)

_ROOTS = (Path("/dev/shm"), Path(tempfile.gettempdir()))  # noqa: S108  # where sandboxes are made
_HERE = Path(__file__).parents[2]


def _sandboxes(pid: int) -> list[Path]:
    return [path for root in _ROOTS if root.is_dir() for path in root.glob(f"treadle-{pid}-*")]


def _open_files() -> set[str]:
    links = Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").is_dir() else []
    found = set()
    for link in links:
        try:
            found.add(os.readlink(link))  # noqa: PTH115  # the text, not the file
        except OSError:
            continue
    return {name for name in found if "treadle-" in name}


def _raise_property(view: object) -> bool:
    raise RuntimeError("the predicate is broken")


def test_success_leaves_no_file_and_no_connection() -> None:
    """After a check the directory is gone and no file in it is open."""
    check(bank(read_then_write))
    assert ([], set()) == (_sandboxes(os.getpid()), _open_files())


def test_failure_leaves_no_file_and_no_connection() -> None:
    """Nor after one that ends with an error."""
    scenario = evolve(bank(read_then_write), properties=[at_end("breaks", _raise_property, name="breaks")])
    with pytest.raises(Exception, match="the predicate is broken"):
        check(scenario)
    assert ([], set()) == (_sandboxes(os.getpid()), _open_files())


_ENDLESS = """
import sys
sys.path.insert(0, {here!r})
from properties.backfill import scenarios
from treadle import check
print("ready", flush=True)
check(scenarios(requests=4, runs=3, locked=2)[0])
"""


@pytest.mark.parametrize("delay_s", [0.1, 0.3, 0.5, 0.7])
def test_an_interrupt_leaves_nothing(delay_s: float) -> None:
    """Ctrl-C in the middle of a search, wherever that is: no directory and no process stay."""
    command = [sys.executable, "-c", _ENDLESS.format(here=str(_HERE))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "ready" == process.stdout.readline().strip()
        deadline = time.monotonic() + 30
        while not _sandboxes(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _sandboxes(process.pid)
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Interrupt" in errors  # CheckInterrupted, if the search had begun
    assert [] == _sandboxes(process.pid)


def test_the_configured_database_is_never_touched(tmp_path: Path) -> None:
    """Whatever clients do, the file that the application is configured with stays as it is, byte for byte."""
    path = tmp_path / "application.db"
    with sqlite3.connect(path) as own:
        own.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)")
        own.execute("INSERT INTO account VALUES (1, 1000)")
    own.close()
    before = path.read_bytes()
    engine = create_engine(f"sqlite:///{path}")
    scenario = Scenario(
        "own engine",
        Database(METADATA, seed, engine=engine),
        [Client(name, partial(read_then_write, engine)) for name in "AB"],
        [at_end("every increment counts", counts, name="counts")],
    )
    check(scenario)
    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())
    with engine.connect() as connection:
        assert 1000 == connection.exec_driver_sql("SELECT balance FROM account").scalar_one()
    engine.dispose()


def test_clients_without_sqlalchemy_are_gated_too(tmp_path: Path) -> None:
    """A client that opens the application's file with the driver alone reaches the checked database."""
    path = tmp_path / "application.db"
    engine = create_engine(f"sqlite:///{path}")

    def add() -> None:
        connection = sqlite3.connect(path)
        (balance,) = connection.execute("SELECT balance FROM account").fetchone()
        connection.execute("UPDATE account SET balance = ?", (balance + 1,))
        connection.commit()
        connection.close()

    properties = [at_end("every increment counts", counts, name="counts")]
    scenario = Scenario(
        "driver alone", Database(METADATA, seed, engine=engine), [Client("A", add), Client("B", add)], properties
    )
    assert Verdict.VIOLATED is check(scenario)["counts"].verdict
    assert [] == list(tmp_path.iterdir())


def test_another_database_is_refused(tmp_path: Path) -> None:
    """A client that opens a file that is not checked would escape, and is stopped."""
    scenario = bank(add_in_place)
    other = tmp_path / "other.db"
    with pytest.raises(UnsupportedOperationError, match="one database is checked"):
        check(evolve(scenario, clients=[Client("A", lambda: sqlite3.connect(other).close())]))
    assert not other.exists()


def test_the_process_is_given_back() -> None:
    """Clock, sleep, random sources, garbage collection and the engine's pool are as they were."""
    scenario = bank(read_then_write)
    pool, sleep, urandom, handler = (
        scenario.database.engine.pool,
        time.sleep,
        os.urandom,
        signal.getsignal(signal.SIGALRM),
    )
    random.seed(7)
    expected = random.Random(7).random()
    check(scenario)
    assert expected == random.random()
    assert (pool, sleep, urandom, handler) == (
        scenario.database.engine.pool,
        time.sleep,
        os.urandom,
        signal.getsignal(signal.SIGALRM),
    )
    assert gc.isenabled()
    assert abs(time.time() - float(subprocess.check_output(["date", "+%s"]))) < 60  # the shell's clock


def test_random_sources_are_seeded_for_each_client() -> None:
    """Clients that use uuid4, random and urandom are deterministic, and differ from each other."""
    scenario = bank(add_in_place)
    seen: dict[str, set[tuple[str, float, bytes, str]]] = {"A": set(), "B": set()}

    def draw(_: str) -> tuple[str, float, bytes, str]:
        add_in_place(scenario.database.engine)
        return str(uuid.uuid4()), random.random(), os.urandom(4), str(uuid.uuid1())

    @at_end("look", name="look")
    def look(view: View) -> bool:
        for name, drawn in view.returned().items():
            seen[name].add(drawn)
        return True

    check(evolve(scenario, clients=[Client(name, partial(draw, name)) for name in "AB"], properties=[look]))
    assert (1, 1) == (len(seen["A"]), len(seen["B"]))
    assert not seen["A"] & seen["B"]


def test_what_differs_from_run_to_run_is_reported(tmp_path: Path) -> None:
    """A counter that outlives a process is nondeterminism, and is never absorbed."""
    scenario = bank(add_in_place)
    calls = tmp_path / "calls"

    def drift() -> None:
        with calls.open("a") as file:
            file.write("x")
        engine = scenario.database.engine
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE account SET balance = {calls.stat().st_size}")

    with pytest.raises(NondeterminismError, match="UPDATE account SET balance"):
        check(evolve(scenario, clients=[Client("A", drift), Client("B", drift)]))


@pytest.mark.parametrize("statement", ["ATTACH 'elsewhere.db' AS other", "VACUUM INTO 'copy.db'", "SELECT random()"])
def test_statements_that_escape_are_refused(statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What writes other files, or differs from run to run, ends the check, also where the client catches the error."""
    monkeypatch.chdir(tmp_path)
    scenario = bank(add_in_place)

    def escape() -> None:
        with contextlib.suppress(Exception), scenario.database.engine.connect() as connection:
            connection.exec_driver_sql(statement)

    with pytest.raises(UnsupportedOperationError, match="Leave the statement out"):
        check(evolve(scenario, clients=[Client("A", escape)]))
    assert [] == list(tmp_path.iterdir())


def test_an_error_that_a_client_swallows_ends_the_check() -> None:
    """A driver call that cannot be carried is never absorbed."""
    scenario = bank(add_in_place)

    def dump() -> int:
        with contextlib.suppress(Exception):
            scenario.database.engine.raw_connection().driver_connection.iterdump()  # type: ignore[union-attr]
        return add_in_place(scenario.database.engine)

    with pytest.raises(UnsupportedOperationError, match="iterdump"):
        check(evolve(scenario, clients=[Client("A", dump)]))


def test_a_second_engine_of_the_same_database_has_cold_pools_too(tmp_path: Path) -> None:
    """A read engine and a write engine, both at module level."""
    url = f"sqlite:///{tmp_path / 'application.db'}"
    engine, reader = create_engine(url), create_engine(url)

    def add() -> int:
        with reader.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM account").scalar_one()
        return add_in_place(engine)

    properties = [at_end("every increment counts", counts, name="counts")]
    scenario = Scenario(
        "two engines", Database(METADATA, seed, engine=engine), [Client(n, add) for n in "AB"], properties
    )
    assert Verdict.HOLDS is check(scenario)["counts"].verdict
    assert [] == list(tmp_path.iterdir())


def test_a_pooled_connection_of_a_second_engine_reaches_no_client(tmp_path: Path) -> None:
    """It leads to the application's own file, and stays in the pool for the time after the check."""
    url = f"sqlite:///{tmp_path / 'application.db'}"
    engine, reader = create_engine(url), create_engine(url)
    with reader.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE own (id INTEGER)")
        kept = connection.connection.driver_connection

    def add() -> int:
        raw = reader.execution_options(logging_token="raw").raw_connection()
        assert [] == raw.cursor().execute("SELECT name FROM sqlite_schema WHERE name = 'own'").fetchall()
        raw.close()
        return add_in_place(engine)

    properties = [at_end("every increment counts", counts, name="counts")]
    scenario = Scenario("own", Database(METADATA, seed, engine=engine), [Client(n, add) for n in "AB"], properties)
    assert Verdict.HOLDS is check(scenario)["counts"].verdict
    with reader.connect() as connection:
        assert kept is connection.connection.driver_connection
    reader.dispose()


def test_a_counter_of_a_process_is_no_matter_for_others() -> None:
    """Each client counts for itself, from the start."""
    scenario = bank(add_in_place)
    calls: list[int] = []

    def count() -> int:
        calls.append(1)
        add_in_place(scenario.database.engine)
        return len(calls)

    @at_end("each is the first", name="first")
    def first(view: View) -> bool:
        return all(count == 1 for count in view.returned().values())

    result = check(evolve(scenario, clients=[Client(name, count) for name in "AB"], properties=[first]))
    assert result["first"].verdict == "holds"


def test_a_thread_that_is_waited_for_is_the_client() -> None:
    """What a worker thread asks is asked by its client."""
    scenario = bank(add_in_place)

    def delegate() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(add_in_place, scenario.database.engine).result()

    assert check(evolve(scenario, clients=[Client("A", delegate), Client("B", delegate)])).exhausted


def test_a_connection_is_of_the_process_that_opened_it() -> None:
    """What one client leaves open is nothing to another, nor to the next run of the same."""
    scenario = bank(add_in_place)
    kept: list[Any] = []

    def keep() -> int:
        if not kept:
            kept.append(scenario.database.engine.connect())
        kept[0].exec_driver_sql("SELECT 1").fetchall()
        return add_in_place(scenario.database.engine)

    assert check(evolve(scenario, clients=[Client("A", keep), Client("B", keep)])).exhausted
    assert not kept


def test_a_lock_in_python_keeps_nobody_else_out() -> None:
    """It belongs to a process, as the client that holds it does."""
    scenario = bank(add_in_place)
    guard = threading.Lock()

    def guarded() -> int:
        with guard:
            return add_in_place(scenario.database.engine)

    beside = evolve(scenario, clients=[Client("A", guarded), Client("B", guarded)])
    assert Verdict.HOLDS is check(beside)["every-increment-counts"].verdict


def test_a_client_that_waits_for_itself_is_no_hang() -> None:
    """It is stuck, and the run inconclusive."""
    scenario = bank(add_in_place)
    guard = threading.Lock()

    def twice() -> int:
        with guard, guard:
            return add_in_place(scenario.database.engine)

    stuck = evolve(scenario, clients=[Client("A", twice), Client("B", twice)], max_step_s=0.2)
    decision = check(stuck)["every-increment-counts"]
    assert Verdict.INCONCLUSIVE is decision.verdict
    assert "computed for more than" in decision.why
